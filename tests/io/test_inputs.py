"""Which files a name, a folder or a pattern stands for."""

from pathlib import Path

import pytest

from cascade.errors import InputError
from cascade.io.inputs import files_of


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A folder `in` with tables in folders, and what is none."""
    monkeypatch.chdir(tmp_path)
    for name in (
        *("day=1/a.parquet", "day=2/a.parquet", "b.CSV", "_SUCCESS", "readme.md"),
        *(".hidden/c.csv", "_temporary/c.csv", ".d.csv", "_e.csv", "b.csv.parts/part-000000.csv"),
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def below(source, apart=None):
    return [(name, path.as_posix()) for name, path in files_of(source, apart)]


def test_a_folder_stands_for_the_tables_in_and_below_it(lake):
    expected = [
        ("in/b.CSV", "b.CSV"),
        ("in/day=1/a.parquet", "day=1/a.parquet"),
        ("in/day=2/a.parquet", "day=2/a.parquet"),
    ]
    assert below("in") == below("in/") == expected
    assert below("in/b.CSV") == [("in/b.CSV", "b.CSV")]


def test_a_folder_of_pictures_stands_for_itself(lake):
    (lake / "in" / "day=1" / "photo.jpg").touch()
    assert below("in") == [("in", "in")]


def test_a_pattern_stands_for_what_fits_it_with_the_path_below_its_fixed_part(lake):
    both = [("in/day=1/a.parquet", "day=1/a.parquet"), ("in/day=2/a.parquet", "day=2/a.parquet")]
    assert below("in/*/*.parquet") == below("in/**/*.parquet") == below("in/day=*") == both
    assert below("in/day=[2-9]/*") == [("in/day=2/a.parquet", "day=2/a.parquet")]
    with pytest.raises(InputError, match=r"no file fits in/\*\.xlsx"):
        files_of("in/*.xlsx")


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(lake):
    (lake / "in" / "x[1].csv").touch()
    assert below("in/x[1].csv") == [("in/x[1].csv", "x[1].csv")]


@pytest.mark.parametrize("source", ["in", "in/**/*.parquet", "in/day=*"])
def test_the_folder_of_outputs_is_not_looked_into(lake, source):
    out = lake / "in" / "day=1"
    assert [name for name, _ in files_of(source, Path("in/day=1"))] == [
        name for name, _ in files_of(source) if Path(name).parent.resolve() != out
    ]


@pytest.mark.parametrize("apart", ["in", ".", "other"])
def test_only_a_folder_of_outputs_that_lies_in_that_of_inputs_is_left_out(lake, apart):
    for source in ("in", "in/**/*.parquet"):
        assert files_of(source, Path(apart)) == files_of(source)
