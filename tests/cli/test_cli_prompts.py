"""`prompts try` and `prompts compare`, on a model too small to be right."""

import inspect
import json

import pytest
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.cli.commands.prompts import render
from cascade.config import NEUTRAL

MINE = """\
---
id: mine
version: 1
task: choose a child
about: For tests.
variables: {item: text of the item, path: names above, candidates: names to choose from}
answer: {lead: " ", end: "\\n"}
---
{{ item }} is one of {{ candidates | join(", ") }}. It is
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def prompts(cascade, folder, loaded, model):
    """Runs a command of `cascade prompts` with a tiny LLaMA and a prompt in `mine.jinja`."""
    (folder / "mine.jinja").write_text(MINE, "utf-8")

    def run(*args, taxonomy=True):
        chosen = ("-t", "tax.csv") if taxonomy else ()
        return cascade("prompts", *args, *chosen, "--set", f"llm.model={model}")

    return run


COMPARE = ("compare", "choose-child", "mine.jinja", "items.csv")
COLUMNS = ("--text", "name", "--label", "label")


def test_prompts_are_compared_on_the_same_rows(prompts, folder):
    done = prompts(*COMPARE, *COLUMNS, "-o", "out")
    assert done.status == 0, done.err
    assert "McNemar p" in done.out and "tokens a row" in done.out
    found = json.loads((folder / "out/prompts.json").read_text())
    assert [each["name"] for each in found["prompts"]] == ["choose-child", "mine"]
    assert {each["method"] for each in found["prompts"]} == {"llm"}
    for each in found["prompts"]:
        # Two levels of five items, and what is asked without an item at each of four parents.
        assert each["asked"]["prompts"] >= 10
        assert each["asked"]["tokens"] > 5 * each["asked"]["prompts"]
    assert found["rows"] == 5
    assert found["against_first"][0]["mcnemar"]["exact_match"]["p_value"] <= 1
    page = (folder / "out/prompts.md").read_text()
    assert "less choose-child" in page and "cascade prompts compare" in page
    html = (folder / "out/comparison/comparison.html").read_text()
    assert "Tokens a row" in html and "mine.jinja" in html
    assert (folder / "out/mine/manifest.json").is_file()


def test_a_comparison_goes_on_and_is_replaced_only_when_asked_to(prompts, folder):
    assert prompts(*COMPARE, *COLUMNS, "-o", "out").status == 0
    first = (folder / "out/mine/predictions.parquet").read_bytes()
    refused = prompts(*COMPARE, *COLUMNS, "-o", "out")
    assert refused.status == 2
    assert "out holds a comparison; go on with --resume" in refused.err
    again = prompts("compare", "choose-child", "mine.jinja", "file-under", "items.csv", *COLUMNS,
                    *("-o", "out", "--resume"))  # fmt: skip
    assert again.status == 0, again.err
    assert (folder / "out/mine/predictions.parquet").read_bytes() == first
    found = json.loads((folder / "out/prompts.json").read_text())
    assert len(found["against_first"]) == 2
    (folder / "mine.jinja").write_text(MINE.replace("It is", "Hence it is"))
    changed = prompts(*COMPARE, *COLUMNS, "-o", "out", "--resume")
    assert changed.status == 2
    assert "other settings" in changed.err


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("compare", "mine.jinja", "items.csv"), "found 1 prompt before the file items.csv"),
        (("compare", "mine.jinja", "gone", "items.csv"), "no prompt 'gone'"),
        (("compare", "mine.jinja", "mine.jinja", "items.csv"), "is the same prompt as"),
        (("compare", "mine.jinja", "food-descriptor", "items.csv"), "cannot be asked by"),
        (("compare", "mine.jinja", "choose-child", "gone.csv"), "gone.csv"),
        (("try", "choose-facets", "a hat"), "cannot be asked by --method llm"),
        (("try", "mine.jinja"), "name one item"),
        (("try", "mine.jinja", "--file", "items.csv", "--row", "9"), "has no row 9"),
        (("try", "mine.jinja", "--file", "items.csv", "--text", "nam"), "column 'nam' is not"),
    ],
)
def test_what_cannot_be_compared_or_tried_is_told_before_any_run(prompts, folder, args, problem):
    columns = COLUMNS if args[0] == "compare" else ()
    done = prompts(*args, *columns)
    assert done.status == 2
    assert problem in done.err
    assert "Traceback" not in done.err
    assert not (folder / "runs").exists()


def test_a_comparison_needs_a_label(prompts):
    done = prompts(*COMPARE, "--text", "name")
    assert done.status == 2
    assert "--label" in done.err


def test_a_folder_of_something_else_is_left_alone(prompts, folder):
    (folder / "mine").mkdir()
    (folder / "mine/thesis.txt").write_text("years of work")
    done = prompts(*COMPARE, *COLUMNS, "-o", "mine", "--overwrite")
    assert done.status == 2
    assert "holds something else (thesis.txt)" in done.err


def test_a_try_shows_each_question_with_its_answers_and_scores(prompts):
    found = json.loads(prompts("try", "mine.jinja", "aged gouda", "--json").out)
    first, *_ = found["questions"]
    listed = first["start"].removeprefix("aged gouda is one of ").removesuffix(". It is")
    assert set(listed.split(", ")) == {"Clothing", "Garden", "Food"}
    assert {answer["text"] for answer in first["answers"]} == {
        " Clothing\n",
        " Garden\n",
        " Food\n",
    }
    gains = [answer["score"] - answer["without_item"] for answer in first["answers"]]
    assert gains == sorted(gains, reverse=True)
    assert found["answer"]["path"]
    shown = prompts("try", "mine.jinja", "--file", "items.csv", "--row", "3", "--text", "name")
    assert "steel leaf rake is one of" in shown.out
    assert "without the item" in shown.out
    assert "tokens" in shown.err


def test_a_prompt_that_lists_leaves_is_tried_by_its_own_method(prompts):
    found = json.loads(prompts("try", "item-of", "aged gouda cheese", "--json").out)
    for question in found["questions"]:  # the item's text, after each candidate
        assert [a["text"].strip() for a in question["answers"]] == ["aged gouda cheese"]
        assert question["answers"][0]["score"] < 0
    assert len(found["questions"]) > 1
    found = json.loads(prompts("try", "choose-listed", "aged gouda cheese", "--json").out)
    assert len(found["questions"]) == 2  # in two orders
    assert found["questions"][0]["answers"][0]["text"].strip() in "ABCDEF"


def test_what_an_item_is_by_default_is_the_neutral_word_of_the_settings():
    # A literal there, since --help does not wait for the settings.
    default = inspect.signature(render).parameters["kind"].default
    assert default == NEUTRAL
