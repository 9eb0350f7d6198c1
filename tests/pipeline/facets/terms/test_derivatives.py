"""Which derivative a text means that says a process of a raw commodity."""

import numpy as np
import pytest
from toy_catalogue import packed, xml

from cascade.pipeline.facets.said import SaidFacets
from cascade.pipeline.facets.terms.derivatives import Derivatives
from cascade.pipeline.facets.told import FacetWords
from cascade.taxonomy import Taxonomy


def food(name, kind, parent, facets=(), **places):
    return (name, kind, "C", {"report": (parent, True), **places}, list(facets))


def source(parent="root"):
    return {"racsource": (parent, True)}


def process(name, parent="root"):
    return (name, "f", "C", {"process": (parent, True)}, [])


TERMS = {
    "FOODS": ("Foods", "g", "H", {"report": ("root", True)}, []),
    "ROOTS": ("Roots and what is made of them", "g", "H", {"report": ("FOODS", True)}, []),
    "LEEKS": food("Leeks", "r", "ROOTS", ["F27.LEEKS"], **source()),
    "SWEDE": food("Swedes", "r", "ROOTS", ["F27.SWEDE"], **source()),
    "DRIED": food("Dried roots", "d", "ROOTS", ["F28.DRYIN"]),
    "DRSWE": food("Dried swedes", "d", "DRIED", ["F27.SWEDE", "F28.DRYIN"]),
    "DRHUS": food("Dried husked swedes", "d", "DRIED", ["F27.SWEDE", "F28.DRYIN", "F28.HUSKI"]),
    "PASTE": food("Paste of roots", "d", "ROOTS", ["F28.MASHI"]),
    "PUREE": food("Mashed root puree", "d", "PASTE", ["F28.MASHI"]),
    "EELS0": food("Eels", "r", "FOODS", ["F27.EELS0"], **source()),
    "DRYIN": process("Drying"),
    "FREEZ": process("Freeze-drying", "DRYIN"),
    "MASHI": process("Mashing"),
    "HUSKI": process("Husking"),
    "GRILL": process("Grilling"),
}
WORDS = {
    "F28": {
        "DRYIN": ["dried"],
        "FREEZ": ["freeze dried"],
        "MASHI": ["mashed"],
        "GRILL": ["grilled"],
    },
    "F27": {},
}


def refusal(code):
    raw = code.split("#")[0] in ("LEEKS", "SWEDE", "EELS0")
    return "makes another food" if raw and "GRILL" not in code else ""


@pytest.fixture(scope="module")
def derived(tmp_path_factory):
    tree = Taxonomy.load(packed(tmp_path_factory.mktemp("toy") / "TOY.ecf", xml(TERMS)))
    said = SaidFacets(tree, FacetWords(["F28", "F27"], WORDS, never=["HUSKI"]))
    nodes = np.flatnonzero(tree.reportable).astype(np.int32)
    own = Derivatives(tree, nodes, said, refusal)

    def derived(text, base):
        node, why = own.of(text, tree.index(base))
        return tree.codes[node], why

    return derived


@pytest.mark.parametrize(
    ("text", "base", "found"),
    [
        ("dried leeks", "LEEKS", "DRIED"),  # of any root
        ("dried swedes", "SWEDE", "DRSWE"),  # the nearest source, and what nobody says is no more
        ("freeze-dried leeks", "LEEKS", "DRIED"),  # the process above
        ("swedes, mashed", "SWEDE", "PUREE"),  # whose name says more of the text
        ("swede paste, mashed", "SWEDE", "PASTE"),
        ("grilled leeks", "LEEKS", "LEEKS"),  # stays what it is
        ("leeks with dried eels", "LEEKS", "LEEKS"),  # the process is not of the food
        ("leeks", "LEEKS", "LEEKS"),
        ("dried roots of swedes", "DRIED", "DRSWE"),  # a term has the source itself
        ("dried roots of leeks", "DRIED", "DRIED"),
    ],
)
def test_a_process_leads_to_the_derivative_that_implies_it(derived, text, base, found):
    assert derived(text, base) == (found, "")


def test_a_person_is_told_of_a_process_that_no_term_has(derived):
    assert derived("dried eels", "EELS0") == ("EELS0", "the text says 'dried': makes another food")
