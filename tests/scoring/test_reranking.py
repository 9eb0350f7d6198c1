import tempfile
from pathlib import Path

import numpy as np
import pytest
from hash_encoder import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees

import cascade
from cascade.errors import WeightsError
from cascade.items import Batch, Choices, Item
from cascade.retrieval.retriever import Retriever
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.methods.rerank import REST, RerankScorer
from cascade.taxonomy import Record, Taxonomy

TAXONOMY = Taxonomy.from_paths(
    [f"{top} > {middle} > {leaf}" for top in "AB" for middle in "CDE" for leaf in "FGH"] + ["Z"]
)
TEXTS = ("straw hat for summer", "leather shoes [SEP] A > C > F")


def searched(taxonomy, **options):
    with tempfile.TemporaryDirectory() as folder:
        return Retriever(taxonomy, HashEncoder(), "path", folder=Path(folder), **options)


def batch_of(*texts):
    return Batch([Item.of(text) for text in texts])


def everywhere(taxonomy, n_items):
    """Each item asked at every inner node."""
    parents = [-1, *(i for i in range(len(taxonomy)) if not taxonomy.is_leaf(i))]
    children = [taxonomy.children(parent) for parent in parents] * n_items
    return Choices(
        np.repeat(np.arange(n_items), len(parents)).astype(np.int32),
        np.array(parents * n_items, np.int32),
        np.cumsum([0, *map(len, children)]).astype(np.int64),
        np.concatenate(children).astype(np.int32),
    )


def chances(retriever, direct, text, k, temperature):
    """The chance of each leaf, reckoned pair by pair."""
    taxonomy = retriever.taxonomy
    leaves = taxonomy.leaves.tolist()
    nearest = retriever.node_similarity(batch_of(text))[:, 0]
    read = sorted(leaves, key=lambda leaf: -nearest[leaf])[:k]
    relevance = [
        direct("cross-encoder", text, taxonomy.path(leaf), split_special_tokens=True)[0]
        for leaf in read
    ]
    shares = {leaf: np.exp(r / temperature) for leaf, r in zip(read, relevance, strict=True)}
    rest = {leaf: np.exp(float(nearest[leaf]) / 0.04) for leaf in leaves if leaf not in shares}
    all_, others = sum(shares.values()), sum(rest.values())
    p = 1 - REST if rest else 1
    return {leaf: p * share / all_ for leaf, share in shares.items()} | {
        leaf: REST * share / others for leaf, share in rest.items()
    }


@pytest.mark.parametrize(("k", "temperature"), [(5, 2.0), (18, 0.5), (99, 1.0)])
def test_a_candidate_has_the_sum_of_its_leaves_computed_pair_by_pair(
    pair_model, direct, k, temperature
):
    retriever = searched(TAXONOMY)
    scorer = RerankScorer(
        retriever, pair_model("cross-encoder"), candidates=k, temperature=temperature
    )
    choices = everywhere(TAXONOMY, len(TEXTS))
    found = scorer.score(batch_of(*TEXTS), choices)
    for q, row in enumerate(choices.rows.tolist()):
        chance = chances(retriever, direct, TEXTS[row], k, temperature)
        span = slice(*choices.offsets[q : q + 2])
        p = np.array(
            [
                sum(chance.get(below, 0.0) for below in TAXONOMY.subtree(node))
                for node in choices.nodes[span].tolist()
            ]
        )
        np.testing.assert_allclose(found[span], np.log(p / p.sum()), atol=2e-3)


def test_every_candidate_of_every_tree_has_a_chance(small):
    model = CrossEncoder.load(str(small["cross-encoder"]), device="cpu")
    texts = st.lists(st.text(max_size=8), min_size=1, max_size=3)

    @settings(deadline=None, max_examples=25)
    @given(trees(), st.integers(1, 6), texts)
    def check(taxonomy, k, texts):
        has_chances(RerankScorer(searched(taxonomy), model, candidates=k), taxonomy, texts)

    check()


def has_chances(scorer, taxonomy, texts):
    choices = everywhere(taxonomy, len(texts))
    found = scorer.score(batch_of(*texts), choices)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.add.reduceat(np.exp(found), choices.offsets[:-1]), 1)


def test_the_ranking_goes_on_below_what_was_read(pair_model, direct):
    retriever, k = searched(TAXONOMY), 6
    scorer = RerankScorer(retriever, pair_model("cross-encoder"), candidates=k)
    found = scorer.rank(batch_of(*TEXTS), 99)
    assert found.shape == (len(TEXTS), len(TAXONOMY.leaves))
    for ranked, text in zip(found.tolist(), TEXTS, strict=True):
        chance = chances(retriever, direct, text, k, 1.0)
        assert ranked == sorted(chance, key=lambda leaf: -chance[leaf])


@pytest.mark.parametrize("k", [1, 6, 99])
def test_leaves_that_a_search_found_are_read_as_those_of_all(pair_model, k):
    dense, found = (
        RerankScorer(searched(TAXONOMY, **options), pair_model("cross-encoder"), candidates=k)
        for options in ({}, {"index": "ivf", "hits": 100})
    )
    choices, batch = everywhere(TAXONOMY, len(TEXTS)), batch_of(*TEXTS)
    expected = dense.score(batch, choices)
    np.testing.assert_allclose(found.score(batch, choices), expected, atol=2e-3)
    assert found.rank(batch, 9).tolist() == dense.rank(batch, 9).tolist()


@pytest.mark.parametrize("hits", [1, 2, 5])
def test_every_candidate_has_a_chance_where_few_leaves_were_found(pair_model, hits):
    retriever = searched(TAXONOMY, index="ivf", hits=hits)
    has_chances(RerankScorer(retriever, pair_model("cross-encoder"), candidates=3), TAXONOMY, TEXTS)


def test_an_item_has_the_same_scores_in_any_batch(pair_model):
    scorer = RerankScorer(searched(TAXONOMY), pair_model("cross-encoder"), candidates=5)
    together = scorer.score(batch_of(*TEXTS), everywhere(TAXONOMY, 2))
    alone = [scorer.score(batch_of(text), everywhere(TAXONOMY, 1)) for text in TEXTS]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3)


def test_leaves_are_read_once_for_all_levels(pair_model, monkeypatch):
    model = pair_model("cross-encoder")
    scorer = RerankScorer(searched(TAXONOMY), model, candidates=5)
    calls = []
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda pairs: calls.append(len(pairs)) or logits(pairs))
    batch = batch_of(*TEXTS)
    for _ in range(3):
        scorer.score(batch, everywhere(TAXONOMY, 2))
    scorer.rank(batch, 3)
    assert calls == [5 * len(TEXTS)]


def test_the_texts_of_a_leaf_are_joined(pair_model):
    taxonomy = Taxonomy.from_records(
        [
            Record("c", "Clothing", None),
            Record("h", "Hats", "c", description="Worn on heads.", synonyms=("caps", "hoods")),
        ]
    )
    model = pair_model("cross-encoder")
    for recipe, text in {
        "leaf": "Hats",
        "path": "Clothing > Hats",
        "path+description": "Clothing > Hats; Hats: Worn on heads.; caps; hoods",
    }.items():
        scorer = RerankScorer(searched(taxonomy), model, recipe)
        np.testing.assert_array_equal(scorer._leaf(1), model.tokens(text))


def test_a_model_of_several_outputs_is_refused_with_their_labels(pair_model):
    with pytest.raises(
        WeightsError,
        match=r"3 outputs \(entailment, neutral, contradiction\); expected one.*rerank\.model",
    ):
        RerankScorer(searched(TAXONOMY), pair_model("nli"))


@pytest.mark.weights
class TestLoading:
    def test_a_folder_is_named_in_a_config(self, small):
        clf = cascade.load(
            "store",
            taxonomy=TAXONOMY,
            method="rerank",
            rerank={"model": str(small["cross-encoder"]), "candidates": 8},
            retrieval={"ranking": 12},
        )
        for prediction in clf.classify_many(["straw hat", "[SEP] [CLS] rake"]):
            assert prediction.source == "rerank"
            assert len(prediction.ranking) == 12

    def test_a_small_model_is_named_in_a_config(self):
        clf = cascade.load(
            "store", taxonomy=TAXONOMY, method="rerank", rerank={"model": "small:cross-encoder"}
        )
        assert clf.classify("straw hat").source == "rerank"

    def test_retrieval_answers_where_the_model_fails(self, small, monkeypatch):
        clf = cascade.load(
            "store",
            taxonomy=TAXONOMY,
            method="rerank",
            rerank={"model": str(small["cross-encoder"])},
        )

        def fails(**inputs):
            raise RuntimeError("can't allocate memory")

        monkeypatch.setattr(clf._walker._scorer._model._model, "forward", fails)
        prediction = clf.classify("straw hat")
        assert (prediction.source, prediction.status) == ("retrieval", "partial")
        assert "can't allocate memory; lower its batch_tokens" in prediction.message
