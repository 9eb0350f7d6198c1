"""`cascade taxonomy trim`: a taxonomy without its lower levels."""

import pytest

from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("ending", ["csv", "yaml"])
def test_the_levels_above_the_depth_are_written_as_they_were(ending, folder, cascade):
    target = folder / f"short.{ending}"
    done = cascade("taxonomy", "trim", "store", target.name, "--depth", 2)
    assert done.status == 0, done.err
    short = Taxonomy.load(target)
    cascade("taxonomy", "convert", "store", "whole.yaml")
    whole = Taxonomy.load(folder / "whole.yaml")
    assert short.depth == 2 < whole.depth
    kept = [node for node in whole if node.level <= 2]
    assert [(n.code, n.path, n.description) for n in short] == [
        (n.code, n.path, n.description) for n in kept
    ]
    counts = f"{len(kept):,} of {len(whole):,} nodes, 2 of {whole.depth} levels"
    assert f"short.{ending}: {counts}" in done.err


def test_a_depth_below_the_leaves_keeps_everything(folder, cascade):
    done = cascade("taxonomy", "trim", "tax.csv", "same.csv", "--depth", 9)
    assert "9 of 9 nodes, 2 of 2 levels" in done.err
    assert Taxonomy.load(folder / "same.csv").codes == Taxonomy.load(folder / "tax.csv").codes


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("items.csv", "--depth", 1), "--overwrite"),
        (("new.xml", "--depth", 1), ".yaml"),
        (("no/new.csv", "--depth", 1), "cannot be written"),
        (("new.csv",), "--depth"),
        (("new.csv", "--depth", 0), "--depth"),
    ],
    ids=["exists", "ending", "no folder", "no depth", "depth 0"],
)
def test_what_cannot_be_trimmed_is_refused_and_nothing_written(args, word, folder, cascade):
    before = {file: file.read_bytes() for file in folder.iterdir()}
    done = cascade("taxonomy", "trim", "tax.csv", *args)
    assert (done.status, done.out) == (2, "")
    assert word in done.err
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_a_file_is_replaced_where_that_is_asked_for(folder, cascade):
    (folder / "top.csv").write_text("old")
    done = cascade("taxonomy", "trim", "tax.csv", "top.csv", "--depth", 1, "--overwrite")
    assert done.status == 0
    assert Taxonomy.load(folder / "top.csv").codes == ("CLO", "GAR", "FOO")


def test_what_is_read_is_never_replaced(folder, cascade):
    before = (folder / "tax.csv").read_bytes()
    refused = cascade("taxonomy", "trim", "tax.csv", "tax.csv", "--depth", 1, "--overwrite")
    assert refused.status == 2 and "itself read" in refused.err
    assert (folder / "tax.csv").read_bytes() == before


def test_help_shows_an_example(cascade):
    shown = cascade("taxonomy", "trim", "--help").out
    assert "cascade taxonomy trim" in shown.partition("Examples")[2]
