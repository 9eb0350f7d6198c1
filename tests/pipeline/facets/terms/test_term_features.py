"""What pairs of a description and a base term have in common, and the network over that."""

import numpy as np
import pytest

from cascade.errors import ConfigError
from cascade.io.files import write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.terms.features import SHARED, TERM_FEATURES, TermFeatures
from cascade.pipeline.facets.terms.network import TermNetwork
from cascade.taxonomy import Taxonomy

TEXTS = ["wheat flour", "red wheat (dried), ground", "oats", "xylophone"]


@pytest.fixture
def tree(ecf):
    return Taxonomy.load(ecf)


@pytest.fixture
def found(tree, minilm, tmp_path):
    """The shortlist of all reportable terms for some texts, with the codes of the rows."""
    nodes = np.flatnonzero(tree.reportable).astype(np.int32)
    finder = EvidenceFinder(tree, minilm, folder=tmp_path)
    evidence = finder.of(Batch([Item.of(text) for text in TEXTS]))
    short = TermFeatures(tree, finder, nodes).shortlist(evidence, 20)
    return short, np.array([tree.codes[node] for node in nodes.tolist()])[short.terms]


def value(found, text, code, name):
    short, codes = found
    item = TEXTS.index(text)
    at = codes[item].tolist().index(code)
    return float(short.values[item, at, TERM_FEATURES.index(name)])


def test_the_shortlist_is_in_the_order_of_the_plain_sum(found):
    short, codes = found
    assert short.values.shape == (*codes.shape, len(TERM_FEATURES))
    own = np.take_along_axis(short.plain, short.terms, axis=1)
    assert (np.diff(own, axis=1) <= 0).all()
    assert [row[0] for row in codes[:3].tolist()] == ["FLOUR", "REDWH", "OATS0"]
    assert np.isfinite(short.values).all()


def test_words_of_names_count_in_full_where_all_are_said(found):
    assert value(found, "wheat flour", "FLOUR", "of the own name: both") == pytest.approx(1)
    assert value(found, "wheat flour", "FLOUR", "the own name has the same words as the main part")
    assert value(found, "wheat flour", "FLOUR", "words of the own name that are not said") == 0
    share = value(found, "wheat flour", "WHEAT", "of the own name: share of the text")
    assert 0 < share < 1
    assert value(
        found, "wheat flour", "WHEAT", "the same of the own name: its share"
    ) == pytest.approx(1)


def test_the_head_word_is_the_noun_that_others_make_more_precise(found):
    assert value(found, "wheat flour", "FLOUR", "the head word is that of the own name") == 1
    assert value(found, "wheat flour", "WHEAT", "the head word is that of the own name") == 0
    assert value(found, "wheat flour", "WHEAT", "the own head word is said") == 1


def test_what_is_shared_is_told_less_the_best_of_the_shortlist_too(found):
    short, _ = found
    own = short.values[:, :, : len(SHARED)]
    less = short.values[:, :, len(SHARED) : 2 * len(SHARED)]
    np.testing.assert_allclose(less, own - own.max(axis=1, keepdims=True), atol=1e-6)


def test_a_term_is_told_of_the_term_above_it(found):
    assert value(found, "red wheat (dried), ground", "REDWH", "a term is above") == 1
    assert value(found, "wheat flour", "FLOUR", "a term is above") == 0  # its parent is no answer
    more = value(found, "red wheat (dried), ground", "REDWH", "more than the term above: likeness")
    assert more > 0


def test_texts_are_told_by_their_form(found):
    assert value(found, "red wheat (dried), ground", "REDWH", "has an aside") == 1
    assert value(found, "red wheat (dried), ground", "REDWH", "has a comma") == 1
    assert value(found, "wheat flour", "FLOUR", "has a comma") == 0


def test_a_network_is_read_as_it_was_written(tmp_path):
    random = np.random.default_rng(0)
    n = len(TERM_FEATURES)
    made = [random.normal(size=shape).astype(np.float32) for shape in ((n, 3), (3,), (3,))]
    network = TermNetwork(*made)
    network.save(tmp_path / "own.safetensors")
    values = random.normal(size=(2, 4, n)).astype(np.float32)
    read = TermNetwork.load(tmp_path / "own.safetensors").of(values)
    expected = np.maximum(np.einsum("ikf,fh->ikh", values, made[0]) + made[1], 0) @ made[2]
    np.testing.assert_allclose(read, expected, rtol=1e-4, atol=1e-4)


def test_a_network_over_other_features_is_refused(tmp_path):
    file = tmp_path / "old.safetensors"
    arrays = {"hidden": np.zeros((2, 1)), "hidden_bias": np.zeros(1), "out": np.zeros(1)}
    write_tensors(file, {"features": ["one", "two"]}, arrays)
    with pytest.raises(ConfigError, match=r"old\.safetensors.*fit it again"):
        TermNetwork.load(file)
