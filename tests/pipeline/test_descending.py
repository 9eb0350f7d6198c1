import gc
import pickle
import tempfile
import weakref
from pathlib import Path

import numpy as np
import pytest
from fixed_scorer import FixedScorer
from hash_encoder import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees

from cascade.items import Batch, Item
from cascade.lazy import peek
from cascade.pipeline import descent
from cascade.pipeline.descent import Descent
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy

quick = settings(deadline=None, max_examples=40)
WIDE = 1000  # more than any tree here has nodes


def walk(taxonomy, scorer, n_items=1, *, candidates=WIDE, beam=WIDE, **how):
    with tempfile.TemporaryDirectory() as folder:
        retriever = Retriever(taxonomy, HashEncoder(), "leaf", folder=Path(folder))
    walker = Descent(taxonomy, retriever, candidates=candidates, beam=beam, **how)
    items = [Item({"text": f"item {i}"}, str(i)) for i in range(n_items)]
    return walker.walk(Batch(items), scorer)


def chances(taxonomy, weights):
    """Probability of each node: its share among its siblings, times that of its parent."""
    chance = [0.0] * len(taxonomy)
    for i in range(len(taxonomy)):
        above = int(taxonomy.parent[i])
        siblings = taxonomy.children(above).tolist()
        total = sum(np.exp(weights[s]) for s in siblings)
        chance[i] = np.exp(weights[i]) / total * (1.0 if above < 0 else chance[above])
    return chance


@st.composite
def weighted(draw):
    taxonomy = draw(trees(rich=False))
    # Distinct enough that nothing hangs on how equals are ordered.
    order = draw(st.permutations(range(len(taxonomy))))
    return taxonomy, np.array(order) * 0.37 % 4.1 + np.array(order) * 1e-3


@quick
@given(weighted(), st.integers(1, 3))
def test_a_beam_wide_enough_enumerates_every_leaf(tree, n_items):
    taxonomy, weights = tree
    chance = chances(taxonomy, weights)
    for found in walk(taxonomy, FixedScorer(weights), n_items):
        others = [(a.code, a.confidence) for a in found.alternatives]
        ends = dict([(found.code, found.confidence), *others])
        expected = {taxonomy.codes[i]: chance[i] for i in taxonomy.leaves.tolist()}
        assert ends == pytest.approx(expected)
        assert sum(ends.values()) == pytest.approx(1)
        assert [c for _, c in others] == sorted((c for _, c in others), reverse=True)


@quick
@given(weighted(), st.integers(1, 4))
def test_the_answer_takes_the_likeliest_child_at_every_level_whatever_the_beam(tree, beam):
    taxonomy, weights = tree
    node, path = -1, []
    while node < 0 or not taxonomy.is_leaf(node):
        node = max(taxonomy.children(node).tolist(), key=lambda i: weights[i])
        path.append(taxonomy.codes[node])
    (found,) = walk(taxonomy, FixedScorer(weights), beam=beam)
    assert [level.code for level in found.levels] == path
    assert found.code == path[-1]
    assert found.status == "ok"
    assert len(found.alternatives) < beam


@quick
@given(weighted())
def test_the_likeliest_answer_is_the_likeliest_leaf(tree):
    taxonomy, weights = tree
    chance = chances(taxonomy, weights)
    best = max(taxonomy.leaves.tolist(), key=lambda i: chance[i])
    (found,) = walk(taxonomy, FixedScorer(weights), answer="likeliest")
    assert found.confidence == pytest.approx(chance[best])
    assert all(other.confidence <= found.confidence for other in found.alternatives)


@quick
@given(
    weighted(),
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0, 1),
    st.sampled_from(["walk", "likeliest"]),
)
def test_every_prediction_holds_together(tree, beam, candidates, stop, answer):
    taxonomy, weights = tree
    scorer = FixedScorer(weights)
    for row, found in enumerate(
        walk(taxonomy, scorer, 3, beam=beam, candidates=candidates, stop=stop, answer=answer)
    ):
        assert found.id == str(row)
        assert found.source == "fixed"
        assert taxonomy.path(taxonomy.index(found.code)) == found.path == " > ".join(found.names)
        product = 1.0
        for depth, level in enumerate(found.levels, 1):
            assert level.level == depth
            assert len(level.candidates) <= candidates
            shares = {c.code: c.probability for c in level.candidates}
            assert sum(shares.values()) == pytest.approx(1)
            assert list(shares.values()) == sorted(shares.values(), reverse=True)
            product *= shares[level.code]
            assert level.confidence == pytest.approx(product)
        assert found.confidence == pytest.approx(product)
        assert found.code == found.levels[-1].code
        inner = not taxonomy.is_leaf(taxonomy.index(found.code))
        assert found.status == ("partial" if inner else "ok")
        assert bool(found.message) == inner
        codes = [found.code, *(a.code for a in found.alternatives)]
        assert len(set(codes)) == len(codes) <= beam


@quick
@given(weighted())
def test_a_lone_child_is_certain_and_not_asked_about(tree):
    taxonomy, weights = tree
    scorer = FixedScorer(weights)
    (found,) = walk(taxonomy, scorer)
    for _, parent in scorer.asked:
        assert len(taxonomy.children(parent)) > 1
    assert len(set(scorer.asked)) == len(scorer.asked)
    parent = -1
    for level in found.levels:
        if len(taxonomy.children(parent)) == 1:
            assert [c.probability for c in level.candidates] == [1.0]
        parent = taxonomy.index(level.code)


def test_a_chain_is_walked_without_asking():
    scorer = FixedScorer(np.zeros(3))
    (found,) = walk(Taxonomy.from_paths(["A > B > C"]), scorer)
    assert (found.path, found.confidence, scorer.asked) == ("A > B > C", 1.0, [])


UNEVEN = Taxonomy.from_paths(["Food", "Home > Kitchen > Pans", "Home > Kitchen > Pots"])


def logs(**shares):
    return np.log([shares[name] for name in UNEVEN.names])


def test_paths_of_uneven_depth_end_side_by_side():
    shares = logs(Food=0.4, Home=0.6, Kitchen=1, Pans=0.75, Pots=0.25)
    (found,) = walk(UNEVEN, FixedScorer(shares), beam=3)
    assert found.path == "Home > Kitchen > Pans"
    assert found.confidence == pytest.approx(0.45)
    assert [(a.path, round(a.confidence, 6)) for a in found.alternatives] == [
        ("Food", 0.4),
        ("Home > Kitchen > Pots", 0.15),
    ]


def test_a_walk_stops_where_no_child_is_likely_and_says_so():
    shares = logs(Food=0.1, Home=0.9, Kitchen=1, Pans=0.55, Pots=0.45)
    (found,) = walk(UNEVEN, FixedScorer(shares), beam=1, stop=0.6)
    assert (found.status, found.path) == ("partial", "Home > Kitchen")
    assert found.confidence == pytest.approx(0.9)
    assert "level 2" in found.message
    assert "'Pans' with 55%" in found.message
    (further,) = walk(UNEVEN, FixedScorer(shares), beam=1, stop=0.5)
    assert (further.status, further.path) == ("ok", "Home > Kitchen > Pans")


def test_a_walk_never_stops_above_the_first_level():
    shares = logs(Food=0.55, Home=0.45, Kitchen=1, Pans=0.5, Pots=0.5)
    (found,) = walk(UNEVEN, FixedScorer(shares), beam=1, stop=1.0)
    assert (found.status, found.path) == ("ok", "Food")


def test_narrowing_bounds_what_is_scored():
    taxonomy = Taxonomy.from_paths([f"Shelf {i}" for i in range(20)])
    (found,) = walk(taxonomy, FixedScorer(np.zeros(20)), candidates=4)
    assert len(found.levels[0].candidates) == 4
    assert found.confidence == pytest.approx(0.25)


def test_items_of_a_batch_walk_as_they_would_alone():
    class ByItem(FixedScorer):
        def score(self, batch, choices):
            sign = np.where(choices.rows[choices.question] % 2, 1.0, -1.0)
            return choices.log_softmax(sign * self.weights[choices.nodes])

    taxonomy = Taxonomy.from_paths(["A > a", "A > b > c", "B", "C > d", "C > e"])
    found = walk(taxonomy, ByItem(np.arange(len(taxonomy))), 4, beam=2)
    assert found[0].path == found[2].path != found[1].path == found[3].path
    assert [f.id for f in found] == ["0", "1", "2", "3"]


@quick
@given(weighted(), st.integers(1, 4), st.sampled_from([0.0, 0.3, 0.6]))
def test_a_table_of_paths_and_a_sparse_list_of_them_keep_the_same(tree, beam, stop):
    taxonomy, weights = tree
    scorer = FixedScorer(np.round(weights))  # so that some are equal
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for sparse in (0, 1000):
            patch.setattr(descent, "SPARSE", sparse)
            found.append(walk(taxonomy, scorer, 3, beam=beam, stop=stop))
    assert list(found[0]) == list(found[1])


def test_a_prediction_keeps_its_own_trace_and_nothing_of_its_batch():
    taxonomy = Taxonomy.from_paths(f"{i} > {j}" for i in range(5) for j in range(5))
    with tempfile.TemporaryDirectory() as folder:
        retriever = Retriever(taxonomy, HashEncoder(), "leaf", folder=Path(folder))
    batch = Batch([Item({"text": str(i)}, str(i)) for i in range(100)])
    gone = weakref.ref(batch)
    weights = np.arange(len(taxonomy)) * 0.1
    kept = Descent(taxonomy, retriever).walk(batch, FixedScorer(weights))[7]
    del batch
    gc.collect()
    assert gone() is None
    trace = peek(kept, "levels")
    assert len(trace._table) == (5 + 5) * 3 * 8  # two levels of five; node, total, what was said
    assert [len(level.candidates) for level in kept.levels] == [5, 5]
    assert pickle.loads(pickle.dumps(kept)) == kept


def test_a_scorer_that_answers_with_nan_has_failed():
    from cascade.errors import EngineError
    from cascade.pipeline.descent import _numbers

    class Named:
        name = "llm"

    with pytest.raises(EngineError, match="llm answered with NaN"):
        _numbers(Named(), {"llm": np.array([0.0, np.nan])})
    parts = {"llm": np.array([0.0, -np.inf]), "other": np.array([np.nan, 0.0])}
    assert _numbers(Named(), parts) is parts
