import gzip
import zipfile

import pytest
from toy_catalogue import TERMS, packed, xml

from cascade.errors import TaxonomyError
from cascade.foodex2.code import Facet, FoodCode
from cascade.foodex2.ecf import read_ecf
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.taxonomy import Taxonomy


def test_terms_have_what_was_published_of_them(catalogue):
    assert (catalogue.code, catalogue.version, catalogue.default) == ("TOY", "1.0", "report")
    assert list(catalogue.terms) == list(TERMS)
    flour = catalogue.terms["FLOUR"]
    assert (flour.name, flour.kind, flour.detail) == ("Wheat flour", "d", "C")
    assert flour.facets == (Facet("F27", "WHEAT"), Facet("F28", "MILL1")) == flour.own_facets
    assert flour.attributes == {"A01": ("Toyus exemplaris",)}
    assert not flour.deprecated
    assert catalogue.terms["GONE0"].deprecated
    assert list(catalogue.categories) == ["F01", "F03", "F04", "F27", "F28"]
    assert catalogue.categories["F01"].single
    assert not catalogue.categories["F28"].single


def test_hierarchies_have_their_terms_in_their_places(catalogue):
    process = catalogue.hierarchies["process"]
    assert process.parent["MILL1"] == "MILL0"
    assert process.parent["MILL0"] is None
    assert process.is_within("MILL1", "MILL0")
    assert not process.is_within("MILL0", "MILL1")
    assert process.is_within("WHEAT", "WHEAT")  # though it is not in it
    assert list(process.descendants("MILL0")) == ["MILL1", "MILL2"]
    assert len(process) == 8
    assert "WHEAT" not in process


def test_a_hierarchy_that_runs_in_circles_is_left(tmp_path):
    terms = {
        "ROUND": ("Round", "r", "C", {"report": ("CIRCL", True)}, []),
        "CIRCL": ("Circle", "r", "C", {"report": ("ROUND", True)}, []),
    }
    reporting = read_ecf(packed(tmp_path / "a.ecf", xml(terms))).reporting
    assert list(reporting.ancestors_or_self("ROUND")) == ["ROUND", "CIRCL"]
    assert list(reporting.descendants("ROUND")) == ["CIRCL"]


def test_a_catalogue_is_remembered_as_it_was(ecf, tmp_path):
    told = []
    first = load_catalogue(ecf, tmp_path / "cache", told.append)
    again = load_catalogue(ecf, tmp_path / "cache", told.append)
    assert first == again
    assert len(told) == 1
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(gzip.compress(b'{"about": []}'))
    assert load_catalogue(ecf, tmp_path / "cache", told.append) == first
    assert len(told) == 2


def bomb():
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(8))
    return f'<!DOCTYPE message [<!ENTITY e0 "ha">{entities}]><message>&e8;</message>'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<message></message>", "no catalogue of EFSA"),
        ("<html><body>not found</body></html>", "no catalogue of EFSA"),
        (xml()[:-30], "XML is broken"),
        (bomb(), "refused"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "refused"),
        (xml({"BADLY": ("Bad", "r", "C", {"report": ("NOONE", True)}, [])}), "below NOONE"),
        (xml({"BADLY": ("Bad", "r", "C", {"other": ("root", True)}, [])}), "unknown hierarchy"),
        (xml({"BADLY": ("Bad", "r", "C", {}, ["F28"])}), "term BADLY"),
    ],
)
def test_what_is_no_catalogue_is_refused_by_its_file(tmp_path, text, problem):
    path = packed(tmp_path / "bad.ecf", text)
    with pytest.raises(TaxonomyError, match=problem) as caught:
        read_ecf(path)
    assert "bad.ecf" in str(caught.value)


def test_files_that_are_no_whole_zip_are_refused(ecf, tmp_path):
    data = ecf.read_bytes()
    for name, content in {"cut": data[:-50], "text": b"code,name\n", "none": b""}.items():
        path = tmp_path / f"{name}.ecf"
        path.write_bytes(content)
        with pytest.raises(TaxonomyError, match=f"{name}.ecf"):
            read_ecf(path)
    middle = bytearray(data)
    middle[len(data) // 3] ^= 0xFF
    (tmp_path / "harmed.ecf").write_bytes(middle)
    with pytest.raises(TaxonomyError, match=r"harmed\.ecf"):
        read_ecf(tmp_path / "harmed.ecf")
    with zipfile.ZipFile(tmp_path / "two.ecf", "w") as archive:
        archive.writestr("a.xml", "<a/>")
        archive.writestr("b.xml", "<b/>")
    with pytest.raises(TaxonomyError, match="2 files"):
        read_ecf(tmp_path / "two.ecf")
    with pytest.raises(TaxonomyError, match="no such file"):
        read_ecf(tmp_path / "nosuch.ecf")


@pytest.mark.data
def test_every_term_place_and_implied_facet_of_the_real_catalogue_is_there(efsa):
    import re
    from collections import Counter

    with zipfile.ZipFile(efsa / "MTX.ecf") as archive:
        text = archive.read("MTX.xml").decode()
    terms = text[text.index("<catalogueTerms>") :]
    found = load_catalogue(efsa / "MTX.ecf")
    assert len(found.terms) == terms.count("<termCode>")
    places = Counter(re.findall(r"<hierarchyCode>(\w+)<", terms))
    assert {h.code: len(h) for h in found.hierarchies.values()} == dict(places)
    codes = re.findall(r"<attributeValue>(\w{5}#F\d\d\.[^<]*)<", terms)
    implied = [t for t in found.terms.values() if t.facets]
    assert [str(FoodCode(t.code, t.facets)) for t in implied] == codes
    assert sum(len(t.own_facets) for t in found.terms.values()) == len(
        re.findall(r"<attributeValue>F\d\d\.\w{5}<", terms)
    )
    assert len(found.categories) == 29


def workbook(path, terms, attributes=(), hierarchies=()):
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in (("attribute", attributes), ("term", terms), ("hierarchy", hierarchies)):
        if rows:
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
    book.save(path)
    return path


ATTRIBUTES = [
    ("code", "name", "label", "attributeSingleOrRepeatable"),
    ("F28", "process", "Process", "repeatable"),
    ("A01", "scientificNames", "Scientific names", "repeatable"),
]


def test_a_workbook_is_read_with_its_hierarchies_where_it_has_them(tmp_path):
    header = ("termCode", "termExtendedName", "deprecated", "allFacets", "termType")
    more = ("scientificNames", "reportParentCode", "reportOrder", "reportReportable")
    more += ("processParentCode", "processReportable")
    path = workbook(
        tmp_path / "TOY_2.0.xlsx",
        [
            header + more,
            ("GRAIN", "Grains", "0", None, "r", None, "root", 1, "0", None, None),
            (
                "WHEAT",
                "Wheat",
                "0",
                "WHEAT#F28.MILL0",
                "r",
                "T. a$T. b",
                "GRAIN",
                2,
                "1",
                None,
                None,
            ),
            ("MILL0", "Milled", "0", None, "f", None, None, None, None, "root", "1"),
            ("GONE0", "Gone", "1", None, "r", None, None, None, None, None, None),
        ],
        ATTRIBUTES,
        [("code", "label"), ("report", "Reporting hierarchy")],
    )
    found = load_catalogue(path, tmp_path / "cache")
    assert (found.code, found.version, found.default) == ("TOY", "2.0", "report")
    assert found.terms["WHEAT"].facets == (Facet("F28", "MILL0"),)
    assert found.terms["WHEAT"].attributes == {"A01": ("T. a", "T. b")}
    assert found.terms["GONE0"].deprecated
    assert found.reporting.label == "Reporting hierarchy"
    assert found.reporting.parent == {"GRAIN": None, "WHEAT": "GRAIN"}
    assert found.reporting.reportable == {"GRAIN": False, "WHEAT": True}
    assert list(found.categories) == ["F28"]
    assert load_catalogue(path, tmp_path / "cache") == found
    tree = Taxonomy.load(path)
    assert tree.codes == ("GRAIN", "WHEAT")
    assert tree.categories["F28"].tree.codes == ("MILL0",)


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ([], "sheet 'term'"),
        ([("termCode", "name"), ("A", "B")], "no column 'termExtendedName'"),
        ([("termCode", "termExtendedName"), ("AAAAA", "A"), ("AAAAA", "B")], "stands in row 2"),
        ([("termCode", "termExtendedName"), (None, "A")], "no termCode"),
        (
            [("termCode", "termExtendedName", "reportParentCode"), ("AAAAA", "A", "BBBBB")],
            "below BBBBB",
        ),
        ([("termCode", "termExtendedName", "allFacets"), ("AAAAA", "A", "AAAAA#F2")], "term AAAAA"),
    ],
)
def test_workbooks_that_are_no_catalogue_are_refused_with_their_row(tmp_path, terms, problem):
    path = workbook(tmp_path / "bad.xlsx", terms, ATTRIBUTES)
    with pytest.raises(TaxonomyError, match=problem) as caught:
        load_catalogue(path, tmp_path / "cache")
    assert "bad.xlsx" in str(caught.value)


def test_a_catalogue_without_hierarchies_is_no_taxonomy(tmp_path):
    path = workbook(tmp_path / "TOY.xlsx", [("termCode", "termExtendedName"), ("AAAAA", "A")])
    with pytest.raises(TaxonomyError, match="no hierarchies"):
        Taxonomy.load(path)


@pytest.mark.data
def test_the_catalogue_of_the_feast_paper_is_read(efsa):
    found = load_catalogue(efsa / "MTX_12.0.xlsx")
    assert len(found.terms) == 29_908
    assert len(found.categories) == 28
    assert found.version == "12.0"
    assert sum(term.deprecated for term in found.terms.values()) == 293


def test_base_terms_are_found_by_codes_as_people_write_them_and_stand_alone(catalogue):
    foods = FoodEx2Taxonomy.from_catalogue(catalogue)
    wheat = foods.index("WHEAT")
    for written in (" wheat # F28.MILL1", "WHEAT\u200b", "ＷＨＥＡＴ＃Ｆ２８．ＭＩＬＬ１"):
        assert foods.find(written) == wheat
    alone = foods.base_terms
    assert type(alone) is Taxonomy
    assert alone.codes == foods.codes
    assert alone.fingerprint == foods.fingerprint


def test_a_word_for_a_food_is_no_name_of_a_process(tmp_path):
    terms = dict(TERMS)
    for number in range(5):
        terms[f"FAT{number:02}"] = (f"Fat {number}, oils", "d", "C", {"report": ("root", True)}, [])
        terms[f"OIL{number:02}"] = (f"Nut oil, {number}", "d", "C", {"report": ("root", True)}, [])
    text = xml(terms).replace("Toyus exemplaris", "Oils")
    catalogue = read_ecf(packed(tmp_path / "TOY.ecf", text))
    tree = FoodEx2Taxonomy.from_catalogue(catalogue)
    process = tree.categories["F28"].tree
    assert "Oils" not in process.synonyms(process.index("BAKED"))
    assert "Oils" in tree.synonyms(tree.index("FLOUR"))
