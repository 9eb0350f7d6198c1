"""Narrowing and scoring by what a search found, held against comparing with every node."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hash_encoder import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees

from cascade.items import Batch, Choices, Item
from cascade.pipeline.descent import Descent
from cascade.retrieval import hit_similarities
from cascade.retrieval.retriever import Retriever
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.scoring.methods.rewrite import RewriteScorer
from cascade.taxonomy import Taxonomy

quick = settings(deadline=None, max_examples=25)
ALL = 10_000  # hits, more than any taxonomy here has texts
texts = st.lists(st.text("abc", min_size=1), min_size=1, max_size=4)


class Echo:
    """Says of each item that it is what it says, backwards."""

    def types(self, batch):
        return [item.text[::-1] for item in batch.items]


def searched(taxonomy, **options):
    with tempfile.TemporaryDirectory() as folder:
        return Retriever(taxonomy, HashEncoder(), "full", folder=Path(folder), **options)


def both(taxonomy, hits=ALL, **how):
    """The same taxonomy compared with everything, and by what is found."""
    dense, found = searched(taxonomy, **how), searched(taxonomy, index="ivf", hits=hits, **how)
    assert (dense.uses_hits, found.uses_hits) == (False, True)
    return dense, found


def batch_of(said):
    return Batch([Item.of(text) for text in said])


def questions(taxonomy, n_items):
    """Every item at every inner node, and above the top."""
    inner = [-1, *(i for i in range(len(taxonomy)) if not taxonomy.is_leaf(i))]
    rows = np.repeat(np.arange(n_items, dtype=np.int32), len(inner))
    return rows, np.array(inner * n_items, np.int32)


def everything(taxonomy, n_items):
    rows, parents = questions(taxonomy, n_items)
    return Choices(rows, parents, *taxonomy.children_of(parents))


def split(choices):
    return [part.tolist() for part in np.split(choices.nodes, choices.offsets[1:-1])]


@quick
@given(trees(), texts, st.integers(1, 5))
def test_where_all_is_found_narrowing_is_that_of_comparing_with_all(taxonomy, said, k):
    dense, found = both(taxonomy)
    rows, parents = questions(taxonomy, len(said))
    expected = dense.narrow(batch_of(said), rows, parents, k)
    choices = found.narrow(batch_of(said), rows, parents, k)
    assert split(choices) == split(expected)
    assert choices.rows.tolist() == rows.tolist()
    assert choices.parents.tolist() == parents.tolist()


@quick
@given(trees(), texts, st.sampled_from([0.04, 1.0]))
def test_where_all_is_found_scores_and_ranking_are_those_of_comparing_with_all(
    taxonomy, said, temperature
):
    choices = everything(taxonomy, len(said))
    for make in (
        lambda retriever: RetrievalScorer(retriever, temperature),
        lambda retriever: RewriteScorer(retriever, temperature, Echo(), 0.35),
    ):
        dense, found = map(make, both(taxonomy))
        np.testing.assert_allclose(
            found.score(batch_of(said), choices), dense.score(batch_of(said), choices), atol=2e-3
        )
        ranked, expected = (s.rank(batch_of(said), 3) for s in (found, dense))
        assert ranked.tolist() == expected.tolist()


@quick
@given(trees(), texts, st.integers(1, 3), st.integers(1, 6))
def test_few_hits_are_filled_up_with_the_children_that_are_most_similar(taxonomy, said, hits, k):
    _, found = both(taxonomy, hits)
    rows, parents = questions(taxonomy, len(said))
    batch = batch_of(said)
    own = found.node_similarity(batch)  # of each node itself
    hit = found.compare(batch)._hits
    for q, kept in enumerate(split(found.narrow(batch, rows, parents, k))):
        row, children = int(rows[q]), taxonomy.children(int(parents[q])).tolist()
        known = {}
        for child in children:
            end = int(taxonomy.end[child])
            below = [
                float(value)
                for r, node, value in zip(hit.rows, hit.nodes, hit.value, strict=True)
                if r == row and child <= node < end
            ]
            known[child] = max(below, default=float(own[child, row]))
            filled = not below
            assert filled or known[child] == pytest.approx(max(below))
        assert len(kept) == len(set(kept)) == min(k, len(children))
        with_hits = sum(
            bool(((hit.rows == row) & (hit.nodes >= c) & (hit.nodes < taxonomy.end[c])).any())
            for c in children
        )
        if with_hits < k:  # then all children are compared with
            best = sorted(known.values(), reverse=True)[:k]
            np.testing.assert_allclose([known[child] for child in kept], best, atol=1e-6)


@quick
@given(trees(), texts, st.integers(1, 3))
def test_every_candidate_has_a_chance_whatever_was_found(taxonomy, said, hits):
    _, found = both(taxonomy, hits)
    choices = everything(taxonomy, len(said))
    for scorer in (
        RetrievalScorer(found, 0.04),
        RewriteScorer(found, 0.04, Echo(), 0.35),
    ):
        logprob = scorer.score(batch_of(said), choices)
        assert np.isfinite(logprob).all()
        np.testing.assert_allclose(np.add.reduceat(np.exp(logprob), choices.offsets[:-1]), 1)


@quick
@given(trees(), texts)
def test_every_item_gets_an_answer_from_few_hits(taxonomy, said):
    _, found = both(taxonomy, hits=1)
    predictions = Descent(taxonomy, found).walk(batch_of(said), RetrievalScorer(found, 0.04))
    assert [p.status for p in predictions] == ["ok"] * len(said)
    assert all(taxonomy.is_leaf(taxonomy.index(p.code)) for p in predictions)


def test_the_walk_is_the_same_where_all_is_found():
    taxonomy = Taxonomy.from_paths(
        [f"{a} > {a}{b} > {a}{b}{c}" for a in "klm" for b in "nop" for c in "qrstu"]
    )
    said = [f"{a}{c}" for a in "klm" for c in "qrstu"]
    dense, found = (
        Descent(taxonomy, retriever).walk(batch_of(said), RetrievalScorer(retriever, 0.2))
        for retriever in both(taxonomy)
    )
    assert [p.code for p in found] == [p.code for p in dense]
    assert [[a.code for a in p.alternatives] for p in found] == [
        [a.code for a in p.alternatives] for p in dense
    ]
    np.testing.assert_allclose(
        [p.confidence for p in found], [p.confidence for p in dense], atol=1e-4
    )


def test_children_of_a_shared_parent_are_filled_up_as_those_of_many(monkeypatch):
    taxonomy = Taxonomy.from_paths([f"{a} > {a}{i}" for a in "klm" for i in range(40)])
    said = [f"k{i}" for i in range(5)]
    rows, parents = questions(taxonomy, len(said))
    _, found = both(taxonomy, hits=2)
    apart = found.narrow(batch_of(said), rows, parents, 7)
    monkeypatch.setattr(hit_similarities, "MATMUL_CELLS", 1)
    monkeypatch.setattr(hit_similarities, "MAX_CELLS", 80)  # two items at a time
    assert split(found.narrow(batch_of(said), rows, parents, 7)) == split(apart)
    _, found = both(taxonomy, hits=2)
    rewrite = RewriteScorer(found, 0.1, Echo(), 0.35)
    together = rewrite._similarities(batch_of(said)).narrow(rows, parents, 7)
    monkeypatch.setattr(hit_similarities, "MATMUL_CELLS", 10_000)
    assert split(rewrite._similarities(batch_of(said)).narrow(rows, parents, 7)) == split(together)


def test_no_questions_have_no_candidates():
    _, found = both(Taxonomy.from_paths(["A", "B > C"]))
    none = np.empty(0, np.int32)
    choices = found.narrow(batch_of(["x"]), none, none, 3)
    assert (len(choices), choices.nodes.tolist(), choices.offsets.tolist()) == (0, [], [0])


def test_a_ranking_says_where_it_knows_no_more_leaves():
    taxonomy = Taxonomy.from_paths(["A > B", "A > C", "D > E", "D > F"])
    _, found = both(taxonomy, hits=3)
    said = ["B", "C", "E (D)", "xyz"]
    ranked = RetrievalScorer(found, 0.04).rank(batch_of(said), 4)
    held = found.compare(batch_of(said))._hits
    for row, nodes in enumerate(ranked.tolist()):
        leaves = {n for n in held.nodes[held.rows == row].tolist() if taxonomy.is_leaf(n)}
        assert {node for node in nodes if node >= 0} == leaves
        assert nodes == sorted(nodes, key=lambda node: node < 0)


@quick
@given(trees(), texts)
def test_characters_count_alike_whatever_finds_the_nodes(taxonomy, said):
    dense, found = both(taxonomy, words=0.3)
    plain, batch = searched(taxonomy), batch_of([*said, taxonomy.names[0]])
    own = dense.node_similarity(batch)
    added = own - plain.node_similarity(batch)
    assert (added >= -1e-6).all() and (added <= 0.3 + 1e-6).all()
    rows = np.tile(np.arange(len(batch)), len(taxonomy))
    nodes = np.repeat(np.arange(len(taxonomy)), len(batch))
    pairs = found.compare(batch)._exact.of_pairs(rows, nodes)
    np.testing.assert_allclose(pairs, own[nodes, rows], atol=1e-6)
    everyone = found.compare(batch)._exact.of_all(np.arange(len(batch)), np.arange(len(taxonomy)))
    np.testing.assert_allclose(everyone, own, atol=1e-6)
    hit = found.compare(batch)._hits
    np.testing.assert_allclose(hit.value, own[hit.nodes, hit.rows], atol=1e-6)
    np.testing.assert_allclose(found.compare(batch).lead(), dense.compare(batch).lead(), atol=1e-6)


@quick
@given(trees(), texts, st.sampled_from(["leaf", "hf1"]), st.sampled_from([0.0, 0.4]))
def test_the_best_answer_is_the_same_where_all_is_found(taxonomy, said, objective, stop):
    how = {"objective": objective, "stop": stop, "candidates": 2}
    walked = [
        Descent(taxonomy, retriever, **how).walk(
            batch_of(said), RetrievalScorer(retriever, 0.2, 0.5)
        )
        for retriever in both(taxonomy)
    ]
    for dense, found in zip(*walked, strict=True):
        assert found.code == dense.code
        assert found.confidence == pytest.approx(dense.confidence, abs=1e-5)
        assert [level.confidence for level in found.levels] == pytest.approx(
            [level.confidence for level in dense.levels], abs=1e-5
        )


@quick
@given(trees(), texts, st.sampled_from([0.02, 0.2]))
def test_confidences_without_labels_keep_the_answer_and_stay_one_distribution(
    taxonomy, said, temperature
):
    batch = batch_of([*said, taxonomy.names[-1]])
    rows = np.arange(len(batch))
    told = []
    for retriever in both(taxonomy):
        scorer = RetrievalScorer(retriever, temperature, 0.5, calibrated=True)
        raw, own = scorer.probabilities(batch), scorer.confidences(batch)
        nodes, p = own.top_ends(2)
        np.testing.assert_array_equal(nodes[:, 0], raw.top_ends(2)[0][:, 0])
        if p.shape[1] > 1:
            assert (p[:, 0] >= p[:, 1] - 1e-6).all()
        for node in (-1, *taxonomy.parent[taxonomy.leaves].tolist()):
            children = taxonomy.children(node)
            below = sum(np.exp(own.log_prob(rows, np.full(len(rows), c))) for c in children)
            whole = np.exp(own.log_prob(rows, np.full(len(rows), node))) if node >= 0 else 1.0
            np.testing.assert_allclose(below, whole, atol=1e-4)
        told.append(p[:, 0])
    np.testing.assert_allclose(*told, atol=1e-4)


def test_a_text_that_names_its_leaf_is_surer_than_the_softmax_and_the_option_turns_it_off():
    taxonomy = Taxonomy.from_paths([f"{a} > {a}{b}{b}" for a in "klm" for b in "qrs"])
    dense, _ = both(taxonomy)
    plain, moved = (
        Descent(taxonomy, dense, objective="leaf").walk(
            batch_of(["kqq"]), RetrievalScorer(dense, 0.2, calibrated=on)
        )[0]
        for on in (False, True)
    )
    assert moved.code == plain.code
    assert moved.confidence != plain.confidence
