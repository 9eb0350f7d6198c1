"""`eval/bench/scale.py` makes the tables of the page about many rows from what is recorded."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanations/scale.md"


@pytest.fixture(scope="module")
def scale():
    spec = importlib.util.spec_from_file_location("scale_bench", ROOT / "eval/bench/scale.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_that_recorded_figures_make(scale, tmp_path):
    scale.main(["--check", str(PAGE)])
    other = tmp_path / "page.md"
    other.write_text(PAGE.read_text("utf-8").replace("| pack `quick` | ", "| pack | "), "utf-8")
    with pytest.raises(SystemExit, match="has other tables"):
        scale.main(["--check", str(other)])
    scale.main(["--write", str(other)])
    assert other.read_text("utf-8") == PAGE.read_text("utf-8")


def test_costs_follow_from_rates(scale, capsys):
    scale.main(["--rows", "1000000", "--cores", "4", "--hours", "1"])
    printed = capsys.readouterr().out
    for method in scale.methods():
        line = next(text for text in printed.splitlines() if text.startswith(f"| {method.name} |"))
        rate, hours, machines = (int(cell.replace(",", "")) for cell in line.split("|")[2:5])
        assert rate * method.seconds == pytest.approx(1, rel=0.06)
        assert hours == pytest.approx(1e6 * method.seconds / 3600, rel=0.06, abs=0.6)
        assert machines >= hours / (4 * 0.9) - 1


def test_all_that_is_measured_in_files_is_measured_there(scale):
    for method in scale.methods():
        for name in method.source.split(", "):
            assert (scale.RESULTS / f"{name}.json").is_file()
