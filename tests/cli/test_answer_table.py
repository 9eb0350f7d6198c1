import pytest
from rich.cells import cell_len
from rich.console import Console

from cascade.cli import answer_table
from cascade.cli.answer_table import ScreenOutput, confidence_bar, cut_path

PATH = "Sports & Outdoors > Winter Sports > Sledges > Wooden Sledges"


@pytest.mark.parametrize(
    ("width", "cut"),
    [
        (60, PATH),
        (59, "Sports & Outdoors > … > Sledges > Wooden Sledges"),
        (40, "Sports & Outdoors > … > Wooden Sledges"),
        (37, "… > Sledges > Wooden Sledges"),
        (18, "… > Wooden Sledges"),
        (17, "Wooden Sledges"),
        (9, "Wood…dges"),
        (1, "…"),
    ],
)
def test_a_path_loses_its_middle_first_and_its_node_last(width, cut):
    assert cut_path(PATH, width) == cut


@pytest.mark.parametrize("width", range(1, 40))
def test_no_cut_path_is_wider_than_its_column(width):
    for path in (PATH, "食品 > 飲料 > 日本茶と中国茶", "One", "a > b"):
        assert cell_len(cut_path(path, width)) <= width


def test_confidences_differ_in_length_colour_and_number():
    low, high = confidence_bar(0.14), confidence_bar(0.99)
    assert low.plain.count("█") == 0 and low.plain.endswith(" 14%") and low.style == "red"
    assert high.plain.startswith("████") and high.plain.endswith(" 99%") and high.style == "green"
    assert cell_len(low.plain) == cell_len(high.plain) == cell_len(confidence_bar(1.0).plain)
    assert confidence_bar(None).plain == ""


class Texts:
    def texts(self, row, columns):
        return {"name": row}


def printed(monkeypatch, width, *answers):
    console = Console(width=width, force_terminal=False)
    monkeypatch.setattr(answer_table, "out", console)
    with console.capture() as captured:
        ScreenOutput(Texts(), ["name"]).write(0, ["a sledge of ash wood"] * len(answers), answers)
    return captured.get().splitlines()


def answer(**columns):
    known = {
        "cascade_code": "SPO-SLE",
        "cascade_path": PATH,
        "cascade_confidence": 0.87,
        "cascade_status": "ok",
        "cascade_message": "",
    }
    return {**known, **columns}


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_row_stays_on_one_line_with_code_node_and_confidence(monkeypatch, width):
    _, row = printed(monkeypatch, width, answer(cascade_status="partial"))
    assert "SPO-SLE" in row and "87%" in row and row.endswith("partial") and "Sledges" in row
    assert cell_len(row) <= width


def test_other_answers_stand_below_the_row(monkeypatch):
    other = {"cascade_code_2": "TOY", "cascade_path_2": "Toys", "cascade_confidence_2": 0.09}
    _, first, second = printed(monkeypatch, 100, answer(**other))
    assert first.startswith("a sledge") and second.split() == ["TOY", "Toys", "▌", "9%"]


def test_brackets_in_codes_and_paths_are_no_markup(monkeypatch):
    odd = answer(cascade_code="[red]7", cascade_path="[bold]Sledges")
    _, row = printed(monkeypatch, 120, odd)
    assert "[red]7" in row and "[bold]Sledges" in row


def test_a_row_without_an_answer_says_why(monkeypatch):
    none = answer(
        cascade_code=None,
        cascade_path=None,
        cascade_confidence=None,
        cascade_status="error",
        cascade_message="no text",
    )
    _, row = printed(monkeypatch, 100, none)
    assert "no text" in row and row.rstrip().endswith("error")
