import numpy as np
import pytest
from fixed_scorer import FixedScorer
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import ConfigError
from cascade.items import Batch, Choices, Item
from cascade.scoring.fusion import FusionScorer
from cascade.taxonomy import Taxonomy

quick = settings(deadline=None, max_examples=60)
TAXONOMY = Taxonomy.from_paths(["A > a", "A > b", "A > c", "B > d > e", "B > d > f", "C"])
BATCH = Batch([Item.of("hat"), Item.of("rake")])
scores_ = st.floats(-30, 30)


@st.composite
def choices_of(draw, n_nodes=50):
    """Ragged questions over any nodes."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = sum(sizes)
    nodes = draw(st.lists(st.integers(0, n_nodes - 1), min_size=total, max_size=total))
    zeros = np.zeros(len(sizes), np.int32)
    return Choices(zeros, zeros - 1, offsets, np.array(nodes, np.int32))


def per_question(choices, values):
    return [
        values[start:end]
        for start, end in zip(choices.offsets[:-1], choices.offsets[1:], strict=True)
    ]


@quick
@given(choices_of(), st.data(), st.sampled_from([1, 1e4]))
def test_log_softmax_sums_to_one_in_each_question_and_keeps_differences(choices, data, scale):
    n = len(choices.nodes)
    scores = np.array(data.draw(st.lists(scores_, min_size=n, max_size=n))) * scale
    for raw, found in zip(
        per_question(choices, scores),
        per_question(choices, choices.log_softmax(scores)),
        strict=True,
    ):
        assert np.exp(found).sum() == pytest.approx(1)
        np.testing.assert_allclose(found - found[0], raw - raw[0], rtol=1e-9, atol=1e-6)


@quick
@given(choices_of())
def test_each_candidate_knows_its_question(choices):
    expected = [q for q, nodes in enumerate(per_question(choices, choices.nodes)) for _ in nodes]
    assert choices.question.tolist() == expected


def whole_tree():
    """Both items asked at every inner node of TAXONOMY."""
    parents = [-1, *(i for i in range(len(TAXONOMY)) if not TAXONOMY.is_leaf(i))]
    children = [TAXONOMY.children(parent) for parent in parents] * 2
    return Choices(
        np.repeat([0, 1], len(parents)).astype(np.int32),
        np.array(parents * 2, np.int32),
        np.cumsum([0, *map(len, children)]).astype(np.int64),
        np.concatenate(children).astype(np.int32),
    )


weights_ = st.floats(0.01, 5)


def fixed(name, data):
    n = len(TAXONOMY)
    return FixedScorer(data.draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n)), name)


@quick
@given(st.data(), weights_, weights_)
def test_fusion_is_the_normalised_product_of_powers(data, first, second):
    a, b = fixed("a", data), fixed("b", data)
    choices = whole_tree()
    parts = FusionScorer([a, b], [first, second], TAXONOMY).score_parts(BATCH, choices)
    found = next(iter(parts.values()))
    shares = [np.exp(scorer.score(BATCH, choices)) for scorer in (a, b)]
    product = shares[0] ** first * shares[1] ** second
    for own, result in zip(
        per_question(choices, product), per_question(choices, found), strict=True
    ):
        np.testing.assert_allclose(np.exp(result), own / own.sum(), atol=1e-9)
    np.testing.assert_allclose(np.exp(parts["a"]), shares[0])
    np.testing.assert_allclose(np.exp(parts["b"]), shares[1])


@quick
@given(st.data(), weights_)
def test_fusion_of_one_scorer_still_has_its_weight(data, weight):
    a, b = fixed("a", data), fixed("b", data)
    choices = whole_tree()
    found = FusionScorer([a, b], [weight, 0], TAXONOMY).score(BATCH, choices)
    expected = choices.log_softmax(weight * a.score(BATCH, choices))
    np.testing.assert_allclose(found, expected, atol=1e-9)


@quick
@given(st.data())
def test_the_parts_of_fusion_are_told_after_the_whole(data):
    fusion = FusionScorer([fixed("a", data), fixed("b", data)], [1, 2], TAXONOMY)
    parts = fusion.score_parts(BATCH, whole_tree())
    assert list(parts) == [fusion.name, "a", "b"]
    np.testing.assert_array_equal(parts[fusion.name], fusion.score(BATCH, whole_tree()))


@pytest.mark.parametrize(
    "weights", [[1.0, -0.5], [0.0, 0.0], [1.0], [1.0, 1.0, 1.0], [1.0, float("nan")], []]
)
def test_weights_that_cannot_be_are_refused(weights):
    scorers = [FixedScorer(np.zeros(len(TAXONOMY)), name) for name in "ab"]
    with pytest.raises(ConfigError, match="weights"):
        FusionScorer(scorers, weights, TAXONOMY)


def test_a_scorer_is_asked_only_at_levels_where_it_has_weight():
    a, b = (FixedScorer(np.arange(len(TAXONOMY)), name) for name in "ab")
    choices = whole_tree()
    found = FusionScorer([a, b], [1.0, [2.0, 0.0]], TAXONOMY).score(BATCH, choices)
    assert b.asked == [(0, -1), (1, -1)]
    power = np.where(choices.parents == -1, 3.0, 1.0)[choices.question]
    expected = choices.log_softmax(power * np.arange(len(TAXONOMY))[choices.nodes])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_items_that_lack_something_have_weights_of_their_own():
    texts, pictures = FixedScorer([0, 0, -3.0], "texts"), FixedScorer([0, 0, 0], "pictures")
    texts.reads_pictures, pictures.reads_text, pictures.reads_pictures = True, False, True
    items = [Item({"text": "hat"}, image="a.png"), Item({}, image="a.png"), Item.of("hat")]
    fusion = FusionScorer([texts, pictures], [1.0, 1.0], TAXONOMY, [0.5, 1.0], [2.0, 1.0])
    nodes = np.array([1, 2] * 3, np.int32)
    rows, parents = np.arange(3, dtype=np.int32), np.zeros(3, np.int32)
    choices = Choices(rows, parents, np.array([0, 2, 4, 6]), nodes)
    found = fusion.score(Batch(items), choices)
    apart = found[::2] - found[1::2]
    said = texts.score(Batch(items), choices)
    np.testing.assert_allclose(apart, (said[::2] - said[1::2]) * [1.0, 0.5, 2.0], atol=1e-6)


def test_who_cannot_see_an_item_is_not_asked_about_it():
    texts, pictures = FixedScorer([0, 0, -3.0], "texts"), FixedScorer([0, -5.0, 0], "pictures")
    pictures.reads_text, pictures.reads_pictures = False, True
    fusion = FusionScorer([texts, pictures], [0.0, 1.0], TAXONOMY)
    choices = Choices(
        np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([0, 2]), np.array([1, 2], np.int32)
    )
    parts = fusion.score_parts(Batch([Item.of("hat")]), choices)
    # The one that has no weight answers, since it alone can.
    assert not pictures.asked and parts["texts"][0] > parts["texts"][1]
    assert parts[fusion.name][0] > parts[fusion.name][1]
