import numpy as np
import pytest

from cascade.errors import ConfigError
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.items import Item
from cascade.scoring.corrections import Corrections, Words, load_corrections
from cascade.taxonomy import Taxonomy


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "tree.csv"
    path.write_text("code,name,parent\nA,One,\nB,Two,A\nC,Three,B\nD,Four,A\n")
    return Taxonomy.load(path)


@pytest.fixture
def some(tree):
    rng = np.random.default_rng(0)
    nodes = np.array([0, 1, 3], np.int32)
    weights = rng.normal(size=(3, 4)).astype(np.float32)
    return Corrections(0.8, nodes, weights, rng.normal(size=3).astype(np.float32))


def test_a_path_adds_up_the_corrections_of_its_nodes(tree, some):
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    found = some.of_all(x, tree)
    own = dict(zip(some.nodes.tolist(), some.of_nodes(x), strict=True))
    for node in range(len(tree)):
        path = tree.path_nodes(node).tolist()
        assert np.allclose(found[node], sum(own.get(n, 0) for n in path), atol=1e-6)


def test_what_was_saved_is_read_again(tree, some, tmp_path):
    some.save(tmp_path / "c.safetensors", tree)
    found, words = load_corrections(tmp_path / "c.safetensors", None, tree, 4)
    assert words is None and found.scale == some.scale
    assert (found.weights == some.weights).all() and (found.bias == some.bias).all()


def test_words_are_read_again_too(tree, tmp_path):
    items = [Item({"text": text}) for text in ("red rake", "green tea", "red tea")]
    features = LexicalFeatures.fit(items, ["text"], LexicalRecipe())
    axes = np.random.default_rng(0).normal(size=(features.width, 2)).astype(np.float16)
    words = Words(features, axes.astype(np.float32))
    features.save(tmp_path / "w.safetensors")
    made = Corrections.none(np.array([0], np.int32), 6)
    made.save(tmp_path / "c.safetensors", tree, words)
    _, found = load_corrections(tmp_path / "c.safetensors", tmp_path / "w.safetensors", tree, 4)
    assert np.allclose(found.of(items), words.of(items))


def test_those_of_another_taxonomy_or_encoder_are_refused(tree, some, tmp_path):
    path = tmp_path / "c.safetensors"
    some.save(path, tree)
    (tmp_path / "other.csv").write_text("code,name,parent\nA,One,\nB,Two,A\n")
    with pytest.raises(ConfigError, match="another taxonomy"):
        load_corrections(path, None, Taxonomy.load(tmp_path / "other.csv"), 4)
    with pytest.raises(ConfigError, match="do not fit together"):
        load_corrections(path, None, tree, 5)


def test_a_file_of_something_else_is_refused(tree, tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match=r"c\.safetensors"):
        load_corrections(tmp_path / "c.safetensors", None, tree, 4)


def test_placed_among_more_nodes_they_are_the_same(some):
    wide = some.placed(np.arange(4, dtype=np.int32))
    assert wide.bias[2] == 0 and (wide.of(some.nodes).weights == some.weights).all()
