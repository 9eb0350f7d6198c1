import json

import pytest

import cascade
from cascade.errors import UsageError
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def clf():
    paths = ["Clothing > Hats", "Clothing > Boots", "Garden > Rakes", "Garden > Hoses"]
    return cascade.load(Taxonomy.from_paths(paths))


@pytest.fixture(scope="module")
def why(clf):
    return clf.explain(
        {"name": "straw hat for the <garden>", "note": "light"}, text=["name", "note"]
    )


def test_the_account_tells_answer_levels_candidates_and_words(why, clf):
    told = str(why)
    assert why.prediction.path == "Clothing > Hats"
    assert "-> Clothing > Hats" in told
    assert "level 2: Hats" in told
    assert "Boots" in told
    assert "retrieval" in told


def test_what_steers_a_terminal_is_left_out_of_the_account(clf):
    why = clf.explain("straw\x1b]0;title\x07 hat \u202eolleh")
    for shown in (str(why), why._repr_html_()):
        assert not {"\x1b", "\x07", "\u202e"} & {*shown}
        assert "straw" in shown


def test_the_word_that_decides_weighs_most(why, clf):
    words = {word.text: word for word in why.words}
    assert [*words] == ["straw", "hat", "for", "the", "garden", "light"]
    assert max(why.words, key=lambda word: word.weight).text == "hat"
    assert words["garden"].weight < 0
    hat = words["hat"]
    assert why.item.fields[hat.field][hat.start :].startswith("hat")
    without = clf.classify(
        {"name": "straw  for the <garden>", "note": "light"}, text=["name", "note"]
    )
    assert without.path != why.prediction.path


def test_a_notebook_shows_it_with_texts_as_text(why):
    page = why._repr_html_()
    assert "&lt;" in page and "<garden>" not in page
    assert "title='" in page


def test_it_is_plain_values_too(why):
    values = json.loads(json.dumps(why.to_dict()))
    assert values["item"]["note"] == "light"
    assert values["prediction"]["code"] == why.prediction.code


def test_it_has_a_picture(why):
    figure = why.plot()
    assert len(figure.axes) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_word_alone_or_no_answer_is_explained_without_words(clf):
    assert clf.explain("hat").words == ()
    nothing = clf.explain(" ")
    assert "no answer" in str(nothing)
    assert "error" in nothing._repr_html_()
    with pytest.raises(UsageError, match="nothing to draw"):
        nothing.plot()


def test_words_are_left_out_where_that_is_asked(clf):
    assert clf.explain("straw hat", words=False).words == ()


@pytest.mark.parametrize("item", ["$x^2$ hat_{", "hat " * 300, "🎩 hat\x00", "帽子 hat"])
def test_odd_texts_are_drawn_and_shown(clf, item):
    why = clf.explain(item)
    assert why.plot()._repr_png_()
    assert len(why.words) <= 40
    assert str(why) and why._repr_html_()
