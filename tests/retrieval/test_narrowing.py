import tempfile
from pathlib import Path

import numpy as np
import pytest
from hash_encoder import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees, way_up

from cascade.items import Batch, Item
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Record, Taxonomy

RECIPES = ["leaf", "path", "path+description", "full"]
quick = settings(deadline=None, max_examples=25)


def retriever(taxonomy, encoder, recipe):
    with tempfile.TemporaryDirectory() as folder:
        return Retriever(taxonomy, encoder, recipe, folder=Path(folder))


def batch_of(*texts):
    return Batch([Item.of(text) for text in texts])


def naive_similarity(taxonomy, encoder, recipe, text):
    """For each node the best similarity of any text of any node at or below it."""
    best = [-np.inf] * len(taxonomy)
    for own, node in zip(*node_texts(taxonomy, recipe), strict=True):
        similarity = float(encoder.vector(own) @ encoder.vector(text))
        for above in way_up(taxonomy, int(node)):
            best[above] = max(best[above], similarity)
    return best


@quick
@given(trees(), st.sampled_from(RECIPES), st.lists(st.text("abc", min_size=1), min_size=1))
def test_similarity_is_the_best_text_in_the_subtree(taxonomy, recipe, texts):
    encoder = HashEncoder()
    found = retriever(taxonomy, encoder, recipe).compare(batch_of(*texts)).subtree_maximum
    expected = [naive_similarity(taxonomy, encoder, recipe, text) for text in texts]
    assert found.shape == (len(taxonomy), len(texts))
    np.testing.assert_allclose(found.T, expected, atol=1e-5)


@quick
@given(trees(), st.integers(1, 5), st.sampled_from([2, 3, None]))
def test_narrowing_keeps_the_most_similar_children_in_order(taxonomy, k, kinds):
    encoder = HashEncoder(kinds=kinds)
    inner = [-1, *(i for i in range(len(taxonomy)) if not taxonomy.is_leaf(i))]
    rows = np.array([row for row in range(2) for _ in inner], np.int32)
    parents = np.array(inner * 2, np.int32)
    searched = retriever(taxonomy, encoder, "path")
    batch = batch_of("straw hat", "rake")
    choices = searched.narrow(batch, rows, parents, k)
    similarity = searched.compare(batch).subtree_maximum
    for q, (row, parent) in enumerate(zip(rows, parents, strict=True)):
        children = taxonomy.children(int(parent)).tolist()
        by_score = sorted(children, key=lambda node: -similarity[node, row])  # stable
        kept = choices.nodes[choices.offsets[q] : choices.offsets[q + 1]].tolist()
        if kinds is None:
            assert kept == by_score[:k]
        else:  # which of the last equals are kept is open; their order is not
            scores = [similarity[node, row] for node in kept]
            assert scores == [similarity[node, row] for node in by_score[:k]]
            assert kept == sorted(kept, key=lambda node: (-similarity[node, row], node))
    assert choices.parents.tolist() == parents.tolist()
    assert choices.rows.tolist() == rows.tolist()


@quick
@given(trees(), st.integers(1, 3))
def test_narrowing_twice_gives_the_same(taxonomy, k):
    searched = retriever(taxonomy, HashEncoder(kinds=2), "leaf")
    rows, parents = np.zeros(1, np.int32), np.full(1, -1, np.int32)
    first = searched.narrow(batch_of("hat"), rows, parents, k)
    again = searched.narrow(batch_of("hat"), rows, parents, k)
    assert first.nodes.tolist() == again.nodes.tolist()


def test_no_questions_have_no_candidates():
    taxonomy = Taxonomy.from_paths(["A", "B"])
    none = np.empty(0, np.int32)
    choices = retriever(taxonomy, HashEncoder(), "leaf").narrow(batch_of("x"), none, none, 3)
    assert (len(choices), choices.nodes.tolist(), choices.offsets.tolist()) == (0, [], [0])


def test_items_are_encoded_once_for_all_levels():
    encoder = HashEncoder()
    searched = retriever(Taxonomy.from_paths(["A > B", "A > C"]), encoder, "leaf")
    batch = batch_of("straw hat")
    for parent in (-1, 0):
        searched.narrow(batch, np.zeros(1, np.int32), np.full(1, parent, np.int32), 2)
    assert encoder.encoded[1:] == [["straw hat"]]


@pytest.fixture
def described():
    return Taxonomy.from_records(
        [
            Record("c", "Clothes", None),
            Record("h", "Hats", "c", "Worn on the head", ("Caps", "Headwear"), {"de": "Hüte"}),
            Record("t", "Tools", None),
        ]
    )


def test_the_best_of_several_texts_of_a_node_counts(described):
    encoder = HashEncoder()
    for recipe, hit in [("path+description", "Headwear"), ("full", "Hüte"), ("path", "Tools")]:
        searched = retriever(described, encoder, recipe)
        similarity = searched.compare(batch_of(hit)).subtree_maximum[:, 0]
        node = 2 if hit == "Tools" else 1
        assert similarity[node] == pytest.approx(1)
        assert similarity[0] == pytest.approx(1 if node == 1 else similarity[0])
        assert similarity[2 if node == 1 else 1] < 0.99


def test_recipes_tell_what_of_a_node_is_embedded(described):
    assert node_texts(described, "leaf")[0] == ["Clothes", "Hats", "Tools"]
    assert node_texts(described, "path")[0] == ["Clothes", "Clothes > Hats", "Tools"]
    texts, node = node_texts(described, "path+description")
    assert {"Clothes > Hats", "Hats: Worn on the head", "Caps", "Headwear"} <= set(texts)
    assert node.tolist() == sorted(node.tolist())
    assert set(node_texts(described, "full")[0]) >= {"Hats: Worn on the head", "Caps", "Hüte"}


@pytest.mark.weights
def test_a_real_encoder_narrows_to_what_an_item_is(minilm, tmp_path):
    taxonomy = Taxonomy.from_paths(
        ["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes", "Food > Cheese", "Food > Milk"]
    )
    searched = Retriever(taxonomy, minilm, "path", folder=tmp_path)
    batch = batch_of("Handwoven straw Panama hat", "aged gouda, 500 g")
    choices = searched.narrow(batch, np.arange(2, dtype=np.int32), np.full(2, -1, np.int32), 1)
    assert [taxonomy.names[node] for node in choices.nodes] == ["Clothing", "Food"]


def test_forms_of_a_name_count_as_their_mean_and_other_texts_alone(described, tmp_path):
    encoder = HashEncoder()
    index = NodeIndex.open(described, encoder, "forms", folder=tmp_path)
    texts, node = node_texts(described, "full")
    assert index.node.tolist() == node.tolist()
    (encoded,) = encoder.encoded
    assert len(encoded) == len(set(encoded))  # the name of a top node is its path: read once
    forms = [encoder.vector(t) for t in ("Hats (Clothes)", "Hats", "Clothes > Hats")]
    mean = np.sum(forms, axis=0) / np.linalg.norm(np.sum(forms, axis=0))
    np.testing.assert_allclose(index.vectors[index.starts[1]], mean, atol=1e-6)
    described_as = texts.index("Hats: Worn on the head")
    np.testing.assert_allclose(
        index.vectors[described_as], encoder.vector(texts[described_as]), atol=1e-6
    )
    again = HashEncoder()
    NodeIndex.open(described, again, "forms", folder=tmp_path)
    assert again.encoded == []
    NodeIndex.open(described, again, "full", folder=tmp_path)
    assert len(again.encoded) == 1
