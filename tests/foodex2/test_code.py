import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.foodex2.code import CodeError, FoodCode, spelled
from cascade.taxonomy.facets import Facet

terms = st.text("ABCXYZ0189", min_size=5, max_size=5)
facets = st.builds(Facet, st.integers(0, 99).map("F{:02}".format), terms)
codes = st.builds(FoodCode, terms, st.lists(facets, max_size=6).map(tuple))


@given(codes)
def test_what_is_written_is_read(code):
    assert FoodCode.parse(str(code)) == code
    assert FoodCode.parse(f" {str(code).lower()}\n") == code


@given(codes)
def test_a_normalised_code_says_each_facet_once_and_in_order(code):
    normal = code.normalised()
    assert set(normal.facets) == set(code.facets)
    assert list(normal.facets) == sorted(set(code.facets))
    assert normal.normalised() == normal


@given(codes, st.lists(facets, max_size=3))
def test_what_is_implied_is_left_out(code, implied):
    assert set(code.normalised(implied).facets) == set(code.facets) - set(implied)


@given(codes, st.data())
def test_a_mutated_code_is_read_or_refused_with_a_position(code, data):
    text = str(code)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    mutated = text[:at] + data.draw(st.text("AF0#$. é", max_size=3)) + text[at + cut :]
    try:
        found = FoodCode.parse(mutated)
    except CodeError as error:
        assert 1 <= error.position <= len(mutated) + 1
        assert f"at character {error.position}" in str(error)
    else:
        assert str(found) == spelled(mutated)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 1, "a base term"),
        ("A01PS#", 7, "a facet category"),
        ("A01PS$F28.A07KG", 6, "'#' before a facet"),
        ("A01PS#F28", 10, "'.' before a descriptor"),
        ("  A01PS#F28.A07K", 13, "a descriptor"),
        ("A01PS#F28.A07KG#F10.A077G", 16, "'$' before a facet"),
        ("A01PS#28.A07KG", 7, "a facet category"),
    ],
)
def test_the_first_wrong_character_is_told(text, position, expected):
    with pytest.raises(CodeError, match=re.escape(expected)) as caught:
        FoodCode.parse(text)
    assert caught.value.position == position


@pytest.mark.data
def test_every_code_of_the_catalogue_comes_back_as_it_was_and_mutated_ones_are_placed(efsa):
    import random

    from cascade.foodex2.format import load_catalogue

    terms = load_catalogue(efsa / "MTX.ecf").terms.values()
    codes = [str(FoodCode(t.code, t.facets)) for t in terms]
    codes += [str(FoodCode(t.code, t.own_facets)) for t in terms if t.own_facets]
    for code in codes:
        assert str(FoodCode.parse(code)) == code
    drawn = random.Random(0)
    outcomes = {"valid": 0, "refused": 0}
    for _ in range(10_000):
        text = list(drawn.choice(codes))
        for _ in range(drawn.randint(1, 3)):
            at = drawn.randrange(len(text) + 1)
            kind = drawn.choice(["put", "drop", "change"])
            if kind == "put" or at == len(text):
                text.insert(at, drawn.choice("AZ09#$. \u00dffF-é"))
            elif kind == "drop":
                del text[at]
            else:
                text[at] = drawn.choice("AZ09#$. \u00dffF-é")
        mutated = "".join(text)
        try:
            again = str(FoodCode.parse(mutated))
        except CodeError as error:
            assert 1 <= error.position <= len(mutated) + 1
            assert f"at character {error.position}" in str(error)
            outcomes["refused"] += 1
        else:
            assert str(FoodCode.parse(again)) == again == spelled(mutated)
            outcomes["valid"] += 1
    assert outcomes["valid"] > 500
    assert outcomes["refused"] > 5_000


@pytest.mark.parametrize(
    "text",
    [
        "A01PS#F28.A07KG$F10.A077G ",
        "\u00a0a01ps # F28 . A07KG $ f10.a077g\u200b",
        "\ufeffＡ０１ＰＳ＃Ｆ２８．Ａ０７ＫＧ＄Ｆ１０．Ａ０７７Ｇ",
        "'A01PS#F28.A07KG$F10.A077G'",
        '="A01PS#F28.A07KG$F10.A077G"',
        "\u201ca01ps#f28.a07kg$f10.a077g\u201d.",
        '"A01PS\t#F28.A07KG\n$F10.A077G"',
    ],
)
def test_a_code_is_read_however_it_is_spelled(text):
    assert str(FoodCode.parse(text)) == spelled(text) == "A01PS#F28.A07KG$F10.A077G"


def test_blanks_inside_of_a_term_are_refused():
    with pytest.raises(CodeError, match="at character 1 found"):
        FoodCode.parse("A01 PS")
