"""Files are whole or not there, however their writing ends."""

from pathlib import Path

import pytest

from cascade.cli.stopping import Stopped
from cascade.io import open_table
from cascade.io.files import write_text
from cascade.io.tables.writing import TableWriter


def stop(*_):
    raise Stopped(15)


def test_a_text_that_is_interrupted_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_text(file, "before")
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Stopped):
        write_text(file, "after")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "before")]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.xlsx"])
@pytest.mark.parametrize("late", [False, True])
def test_a_table_that_is_interrupted_leaves_the_file_as_it_was(tmp_path, monkeypatch, name, late):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,4\n")
    out = tmp_path / name
    out.write_text("before")
    with (
        pytest.raises(Stopped),
        open_table(tmp_path / "in.csv") as table,
        TableWriter(out, table) as writer,
    ):
        writer.write(list(table))
        if not late:
            stop()
        monkeypatch.setattr(Path, "replace", stop)
        writer.finish()
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", name}
    assert out.read_text() == "before"
