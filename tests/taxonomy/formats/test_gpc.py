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
