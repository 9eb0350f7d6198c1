import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import OutputError
from cascade.taxonomy import Record, Taxonomy

from ..trees import content, quick, trees

words = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=6)


def again(tax: Taxonomy, kind: str) -> Taxonomy:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taxonomy"
        getattr(tax, f"to_{kind}")(path)
        return Taxonomy.load(path)


@quick
@given(trees())
@pytest.mark.parametrize("kind", ["csv", "yaml"])
def test_what_is_written_is_read_back_the_same(kind, tax):
    copy = again(tax, kind)
    assert content(copy) == content(tax)
    assert copy.fingerprint == tax.fingerprint


@quick
@given(trees(rich=False, name=words))
def test_paths_of_leaves_are_read_back_as_the_same_tree(tax):
    lines = "\n".join(tax.path(i) for i in tax.leaves.tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taxonomy"
        path.write_text(lines, encoding="utf-8")
        copy = Taxonomy.load(path, format="paths")
    assert copy.names == tax.names
    assert copy.parent.tolist() == tax.parent.tolist()
    assert Taxonomy.from_paths(tax.path(i) for i in range(len(tax))).names == tax.names


def test_yaml_keeps_name_title_and_language():
    tax = Taxonomy.from_records([("a", "A")], name="shop", title="A: shop", language="de")
    copy = again(tax, "yaml")
    assert (copy.name, copy.title, copy.language) == ("shop", "A: shop", "de")


def test_awkward_texts_survive_both(tmp_path):
    rows = [
        Record("null", "no", None, "a: b\n\n  # c", ("~", "a|b;c\\", "\\"), {"de": "'x'"}),
        Record("=1+1", '"quoted", > here', "null", "tab\there"),
        Record("#", "- list", "null"),
    ]
    tax = Taxonomy.from_records(rows)
    for kind in ("csv", "yaml"):
        assert content(again(tax, kind)) == content(tax)


def test_columns_are_written_only_where_they_hold_something(tmp_path):
    Taxonomy.from_records([("a", "A"), ("b", "B", "a")]).to_csv(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "code,name,parent\na,A,\nb,B,a\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    tax = Taxonomy.from_paths(["A"])
    for write in (tax.to_csv, tax.to_yaml):
        with pytest.raises(OutputError, match=r"nowhere.*cannot be written"):
            write(tmp_path / "nowhere" / "x")


@pytest.mark.parametrize("kind", ["csv", "yaml"])
def test_the_deepest_taxonomy_survives_both(kind):
    tax = Taxonomy.from_records([(str(i), "n", str(i - 1) if i else None) for i in range(100)])
    assert content(again(tax, kind)) == content(tax)


def test_what_is_said_of_deprecated_codes_is_kept_in_yaml():
    rows = "code,name,status,parent\n1,Tools,,\n2,Saws,,1\n3,Axes,withdrawn,1\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taxonomy"
        path.write_text(rows, encoding="utf-8")
        tax = Taxonomy.load(path)
    copy = again(tax, "yaml")
    assert (
        copy.deprecated == tax.deprecated == {"3": "'3' (Axes) is no longer in use; choose another"}
    )
