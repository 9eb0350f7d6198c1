"""Which format a content is of, and files that are none."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TaxonomyError
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.formats import FORMATS, detect
from cascade.taxonomy.formats.file import TaxonomyFile

from ..trees import quick

EXAMPLES = {
    "A\nA > B\nA > B > C\n": "paths",
    "Hats\nShoes\nBags\n": "paths",
    "Pet Bowls, Feeders & Waterers\nPet Bowls, Feeders & Waterers > Bowls\n": "paths",
    "code,name,parent\n1,A,\n": "csv",
    "ID;Label;Parent ID\n1;A;\n": "csv",
    "category\nA > B\n": "csv",
    "level1\tlevel2\nA\tB\n": "csv",
    "name: shop\nnodes:\n  - {code: a, name: A}\n": "nested",
    "A:\n  B: [C, D]\nE:\n": "nested",
    "- A\n- B:\n    - C\n": "nested",
    '{"A": {"B": ["C"]}}': "nested",
    '[{"name": "A"}]': "nested",
    "gid://shopify/TaxonomyCategory/ap\tAnimals\n": "shopify",
    "# Shopify\n\nap : Animals\nap-1 : Animals > Dogs\n": "shopify",
    '{"version": "2024", "verticals": []}': "shopify",
    "# Google_Product_Taxonomy_Version: 2021-09-21\nAnimals\nAnimals > Live\n": "google",
    "1 - Animals\n3237 - Animals > Live Animals\n": "google",
    "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n<a> a skos:Concept .\n": "skos",
    '<?xml version="1.0"?><rdf:RDF xmlns:rdf="x"></rdf:RDF>': "skos",
    '<schema><segment code="1" text="A"/></schema>': "gpc",
}


@pytest.mark.parametrize("content", EXAMPLES)
def test_the_content_tells_the_format(write, content):
    assert detect(TaxonomyFile(write(content))) == EXAMPLES[content]


@pytest.mark.parametrize("name", ["taxonomy.json", "taxonomy.xml", "taxonomy.gz", "taxonomy"])
def test_the_name_of_the_file_does_not_matter(write, name):
    assert len(Taxonomy.load(write("A > B\nC\n", name))) == 3


def test_the_taxonomy_is_called_like_its_file(write):
    tax = Taxonomy.load(write("A > B\n", "my-shop.en.txt"))
    assert (tax.name, tax.title) == ("my-shop", "my-shop")


def test_a_format_can_be_named(load):
    assert load("code,name,parent\n", format="paths").names == ("code,name,parent",)
    with pytest.raises(TaxonomyError, match=r"no format 'gogle' \(did you mean 'google'\?\)"):
        load("A > B", format="gogle")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("content", ["A > B\n", "{", "<a", "x: [", "a,b\n1\n", "﻿\n1 - \n: :\n"])
def test_a_wrong_format_never_ends_in_a_foreign_error(load, format, content):
    try:
        load(content, format=format)
    except TaxonomyError as error:
        assert "taxonomy.txt" in str(error)


def test_product_rows_are_answered_with_their_columns_and_the_known_forms(load):
    with pytest.raises(TaxonomyError) as caught:
        load("id,title,price\n1,Straw hat,9.99\n2,Felt hat,19.99\n")
    message = str(caught.value)
    assert "found columns: 'id', 'title', 'price'" in message
    assert "code,name,parent" in message
    assert "lines of 'A > B > C'" in message


def test_labelled_rows_are_told_from_a_taxonomy(load):
    rows = "id,title,label\n1,Straw hat,Hats > Straw\n2,Panama,Hats > Straw\n"
    with pytest.raises(TaxonomyError, match=r"line 3: path 'Hats > Straw' has code '2' here but"):
        load(rows)


def test_a_web_page_is_named_as_such(load):
    with pytest.raises(TaxonomyError, match="this is a web page, no taxonomy"):
        load("<!DOCTYPE html>\n<html><body>A > B</body></html>")


def test_a_missing_file_is_answered_with_close_names(write, tmp_path):
    write("A > B\n", "taxonomy.csv")
    with pytest.raises(TaxonomyError, match=r"taxonmy\.csv: no such file \(did you mean 'taxonomy"):
        Taxonomy.load(tmp_path / "taxonmy.csv")
    with pytest.raises(TaxonomyError, match="no such file, and no folder"):
        Taxonomy.load(tmp_path / "nowhere" / "taxonomy.csv")


def test_a_folder_is_answered_with_what_it_holds(write, tmp_path):
    write("A > B\n", "taxonomy.csv")
    with pytest.raises(TaxonomyError, match=r"this is a folder.*it holds taxonomy\.csv"):
        Taxonomy.load(tmp_path)


def test_a_file_name_that_cannot_be_is_refused():
    with pytest.raises(TaxonomyError, match="no usable file name"):
        Taxonomy.load("a\x00b")


pieces = st.sampled_from(
    [
        *EXAMPLES,
        *"\n\t,;:|>\"'#-{}[]<&/\\",
        " > ",
        " : ",
        " - ",
        "code",
        "name",
        "parent",
        "path",
        "level1",
        "level2",
        "children:",
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .",
        "<rdf:RDF",
        "<segment",
        "&a",
        "*a",
        "\ufeff",
        "é",
        "1",
        "A",
        "  ",
    ]
)


@quick
@given(st.lists(pieces, max_size=12).map("".join), st.binary(max_size=3))
def test_any_content_loads_or_is_refused_with_reasons(text, tail):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(text.encode() + tail)
        try:
            assert len(Taxonomy.load(path)) > 0
        except TaxonomyError as error:
            assert str(path) in str(error)
