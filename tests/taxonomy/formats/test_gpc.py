import pytest

from cascade.errors import TaxonomyError

GPC = """<?xml version="1.0" encoding="{encoding}"?>
<schema name="GPC" language="en">
  <segment code="10000000" text="Pet Care/Food" definition="">
    <family code="10100000" text="Pet Care" definition="All care.">
      <class code="10101500" text="Aquarium">
        <brick code="10000648" text="Aquarium Aids &amp; Käfer" definition="A brick.">
          <attType code="20001234" text="Type"><attValue code="3" text="X"/></attType>
        </brick>
      </class>
    </family>
  </segment>
  <segment code="11000000" text="Other"/>
</schema>
"""


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16"])
def test_segments_to_bricks_are_read_and_attributes_left_out(load, encoding):
    tax = load(GPC.format(encoding=encoding).encode(encoding))
    assert tax.codes == ("10000000", "10100000", "10101500", "10000648", "11000000")
    assert tax.path(3) == "Pet Care/Food > Pet Care > Aquarium > Aquarium Aids & Käfer"
    assert tax.description(1) == "All care."


def test_capitals_and_prefixes_do_not_matter(load):
    content = GPC.format(encoding="utf-8").replace("<segment ", "<g:Segment ")
    content = content.replace("</segment>", "</g:Segment>").replace(
        "<schema ", '<schema xmlns:g="g" '
    )
    content = content.replace(" code=", " Code=").replace(" text=", " TEXT=")
    assert len(load(content)) == 5


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            '<schema>\n<segment text="A"/></schema>',
            "line 2: <segment> without a 'code'; it has: text",
        ),
        ('<schema>\n<segment code="1" text=""/></schema>', "line 2: <segment> without a 'text'"),
        (
            '<schema><family code="1" text="A">\n<segment code="2" text="B"/></family></schema>',
            "line 2: <segment> '2' inside <family>",
        ),
        (
            '<schema><segment code="1" text="A"/>\n<segment code="1" text="B"/></schema>',
            "line 2: code '1' is already taken by line 1",
        ),
        (
            '<s><segment code="1" text="A"/>\n' + "<x>" * 500,
            "line 2: more than 400 elements in each other",
        ),
        ('<schema>\n<segment code="1" text="A">\n</schema>', "line 3: broken XML: mismatched tag"),
        (
            '<!DOCTYPE x [\n<!ENTITY a "b">]><schema><segment code="&a;" text="A"/></schema>',
            "line 1: the XML has a document type declaration",
        ),
    ],
)
def test_errors_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


RELEASE = """{"LanguageCode": "EN", "Schema": [
 {"Level": 1, "Code": 10, "Title": "Pets", "Definition": "All pets.", "Active": true, "Childs": [
  {"Level": 2, "Code": 11, "Title": "Care", "Active": true, "Childs": [
   {"Level": 3, "Code": 12, "Title": "Fish", "Active": true, "Childs": [
    {"Level": 4, "Code": 13, "Title": "Tanks", "Active": true, "Childs": [
     {"Level": 5, "Code": 99, "Title": "Size", "Active": true, "Childs": []}]},
    {"Level": 4, "Code": 14, "Title": "Nets", "Active": %s, "Childs": [
     {"Level": 5, "Code": 99, "Title": "Size", "Active": true, "Childs": []}]}]}]}]},
 {"Level": %s, "Code": 20, "Title": "%s", "Active": true, "Childs": []}]}
"""


def test_the_json_of_a_release_is_read_down_to_bricks(load):
    tax = load(RELEASE % ("true", 1, "Food"))
    assert tax.codes == ("10", "11", "12", "13", "14", "20")
    assert tax.path(3) == "Pets > Care > Fish > Tanks"
    assert (tax.description(0), tax.language) == ("All pets.", "en")


def test_nodes_of_the_json_that_are_not_active_are_left_out(load, caplog):
    assert "14" not in load(RELEASE % ("false", 1, "Food"))
    assert "1 nodes are not active" in caplog.text


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (RELEASE % ("true", 2, "Food"), "line 9: node '20' says that its level is 2, but"),
        (RELEASE % ("true", 1, " "), "line 9: a node without 'Title'; it has: Level, Code"),
        ('{"Schema": {"Childs": []}}', "expected a list called 'Schema'"),
        (
            '{"Schema": [\n{"Code": 1, "Title": "A", "Childs": "x"}]}',
            "line 2: the 'Childs' of node",
        ),
    ],
)
def test_errors_in_the_json_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)
