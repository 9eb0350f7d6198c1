"""Real processes whose standard streams are closed, full or without a reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cascade.errors import OutputError
from cascade.io.resumable.destination import check_output, on_disk

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
SHOW = [sys.executable, "-m", "cascade", "taxonomy", "show", "tax.csv"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tax.csv").write_text("code,name,parent\n1,Tools,\n11,Hammers,1\n")
    return tmp_path


def run(folder, args, redirections):
    command = 'exec "$@" ' + redirections
    return subprocess.run(
        ["/bin/sh", "-c", command, "sh", *args], cwd=folder, capture_output=True, text=True
    )


def test_a_closed_standard_output_is_an_error_that_says_so(folder):
    done = run(folder, SHOW, ">&-")
    assert (done.returncode, done.stderr) == (
        2,
        "error: standard output is closed; name a file with --out, or open it\n",
    )


def test_a_full_standard_output_is_an_error_that_names_it(folder):
    done = run(folder, SHOW, ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output cannot be written: No space left")


@pytest.mark.parametrize("broken", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_a_standard_error_that_cannot_be_written_ends_nothing(folder, broken):
    done = run(folder, SHOW, broken)
    assert done.returncode == 0 and "Hammers" in done.stdout
    missing = run(folder, [*SHOW[:-1], "none.csv"], broken)
    assert (missing.returncode, missing.stderr) == (2, "")


def test_what_is_written_to_closed_streams_is_in_no_file(folder):
    convert = [*SHOW[:-2], "convert", "tax.csv", "out.csv"]
    done = run(folder, convert, "<&- >&- 2>&-")
    assert done.returncode in (0, 2)  # what it says of the file cannot be printed
    assert (folder / "out.csv").read_text().splitlines()[0].startswith("code,")
    assert "wrote" not in (folder / "out.csv").read_text()


@pytest.mark.parametrize("columns", ["0", ""])
def test_a_terminal_of_no_columns_is_one_of_unknown_width(folder, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    done = run(folder, SHOW, "")
    assert done.returncode == 0 and "Hammers" in done.stdout


def test_a_closed_standard_input_is_empty(folder):
    args = [*SHOW[:3], "classify", "-", "-t", "tax.csv", "--text", "name", "--method", "retrieval"]
    done = run(folder, args, "<&-")
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard input: the file is empty")


def test_a_name_that_is_too_long_is_not_cured_by_free_space(tmp_path):
    for length in (251, 300):
        with pytest.raises(OutputError, match="name is too long; shorten it"):
            check_output(tmp_path / ("n" * length + ".csv"))
            with on_disk(tmp_path):
                os.mkdir(tmp_path / ("n" * length + ".csv.parts"))


def test_a_disk_that_is_full_before_anything_is_finished_advises_no_resume(tmp_path):
    advice = r"make room .*begin again with the same command"
    with pytest.raises(OutputError, match=advice), on_disk(tmp_path / "out.csv"):
        raise OSError(28, "No space left on device")


def test_letters_that_standard_output_has_not_end_nothing(folder):
    (folder / "tax.csv").write_text("code,name,parent\n1,Tools,\n11,H\u00e4mmer,1\n", "utf-8")
    done = run(folder, ["env", "PYTHONIOENCODING=ascii", *SHOW], "")
    assert done.returncode == 0 and "H\\xe4mmer" in done.stdout
