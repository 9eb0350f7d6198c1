import pytest
from hypothesis import given
from hypothesis import strategies as st
from taxonomy.trees import quick, trees

from cascade.scoring.listed.candidates import LONGEST, NONE, CandidateTexts, letters
from cascade.taxonomy import Record, Taxonomy

TAXONOMY = Taxonomy.from_records(
    [
        Record("f", "Food", ""),
        Record("d", "Drinks", "f", description="What\nis   drunk."),
        Record("dt", "Tea", "d", description="Leaves of the tea bush"),
        Record("dj", "Juice", "d"),
        Record("k", "Kitchen", ""),
        Record("kd", "Drinks", "k"),
        Record("kdt", "Tea", "kd"),
        Record("n", "None of These", ""),
    ]
)


def texts_of(*codes, **options):
    return CandidateTexts(TAXONOMY, **options)([TAXONOMY.index(code) for code in codes])


def test_the_last_names_of_a_path_are_listed_with_a_description():
    assert texts_of("dt", "dj") == ["Drinks > Tea: Leaves of the tea bush", "Drinks > Juice"]


def test_more_names_are_listed_where_two_candidates_end_alike():
    found = texts_of("dt", "kdt", "dj", descriptions=0)
    assert found == ["Food > Drinks > Tea", "Kitchen > Drinks > Tea", "Drinks > Juice"]


def test_a_description_is_cut_and_stands_on_the_same_line():
    assert texts_of("d", "k", descriptions=9) == ["Food > Drinks: What is d", "Kitchen"]


def test_a_category_that_is_called_none_of_these_is_told_from_the_answer():
    assert texts_of("n", "k") == ["None of These [n]", "Kitchen"]


def test_a_long_path_keeps_its_end():
    taxonomy = Taxonomy.from_paths(["x" * 300 + " > tail", "y"])
    (text,) = CandidateTexts(taxonomy)([taxonomy.index(taxonomy.codes[1])])
    assert text.endswith("> tail")
    assert len(text) == LONGEST + 4


@quick
@given(trees(), st.data())
def test_each_candidate_has_one_line_unlike_the_others(taxonomy, data):
    nodes = data.draw(st.lists(st.integers(0, len(taxonomy) - 1), unique=True, max_size=9))
    texts = CandidateTexts(taxonomy)(nodes)
    assert len({text.casefold() for text in [*texts, NONE]}) == len(nodes) + 1
    assert all(len(text.splitlines()) == 1 for text in texts)


def test_candidates_beyond_the_letters_are_refused():
    assert letters(3) == ["A", "B", "C"]
    with pytest.raises(ValueError, match="27 candidates, but only 26 letters"):
        letters(27)
