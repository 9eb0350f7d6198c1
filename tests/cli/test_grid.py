import pytest

from cascade.cli import grid
from cascade.cli.console import Stream
from cascade.cli.grid import Grid, styled


def made():
    found = Grid()
    found.add("rows", "1,234")
    found.add(styled("  review", "yellow"), "7", "too unsure")
    found.add("confidence", "9", [("90%+ ", ""), ("██", "blue")])
    found.add("written to", "", "out/\x1b[2J" + "x" * 200)
    return found


def test_lines_of_a_summary_are_plain_and_whole_where_nobody_looks(capsys):
    made().print()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "rows        1,234",
        "  review        7  too unsure",
        "confidence      9  90%+ ██",
    ]
    assert lines[3] == "written to         out/ [2J" + "x" * 200


@pytest.mark.parametrize("force", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_summary_has_colours_where_they_are_forced(capsys, monkeypatch, force):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv(force, "1")
    monkeypatch.setattr(grid, "err", Stream(stderr=True))
    made().print()
    told = capsys.readouterr().err
    assert "\x1b[1;33m  review\x1b[0m" in told and "\x1b[34m██" in told
    assert "\x1b[2J" not in told
    assert max(map(len, told.splitlines())) < 100
