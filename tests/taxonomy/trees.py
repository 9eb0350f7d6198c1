"""Random trees for property tests, and slow but plain answers to compare with."""

from hypothesis import settings
from hypothesis import strategies as st

from cascade.taxonomy import Record, Taxonomy
from cascade.taxonomy.names import clean, clean_text, unescape

quick = settings(deadline=None, max_examples=40)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# A character reference stands for its character: as a name it would not come back as it was given.
names = text.map(clean).filter(lambda name: name and unescape(name) == name)
languages = st.sampled_from(["de", "fr", "pt-BR", "zh_Hant"])


@st.composite
def records(draw, *, most=25, rich=True, name=names):
    """Records of a tree, shuffled; codes unique, names unique among siblings."""
    count = draw(st.integers(1, most))
    codes = draw(st.lists(names, min_size=count, max_size=count, unique=True))
    codes = [f"{i}{code}" for i, code in enumerate(codes, 10)]
    rows, taken = [], set()
    for i, code in enumerate(codes):
        above = draw(st.integers(-1, i - 1))
        label = draw(name)
        while (above, label) in taken:
            label += "x"
        taken.add((above, label))
        sides = {}
        if rich and draw(st.booleans()):
            sides = {
                "description": clean_text(draw(text)),
                "synonyms": tuple(draw(st.lists(names, max_size=3, unique=True))),
                "translations": draw(st.dictionaries(languages, names, max_size=2)),
            }
        rows.append(Record(code, label, codes[above] if above >= 0 else None, **sides))
    return draw(st.permutations(rows))


def trees(**options):
    return records(**options).map(Taxonomy.from_records)


def content(tax: Taxonomy) -> list[tuple]:
    """All that a taxonomy says about its nodes."""
    return [
        (n.code, n.name, n.parent_code, n.level, n.description, n.synonyms, dict(n.translations))
        for n in tax
    ]


def way_up(tax: Taxonomy, i: int) -> list[int]:
    """i and the nodes above it, by walking parents."""
    way = []
    while i >= 0:
        way.append(i)
        i = int(tax.parent[i])
    return way
