"""Taxonomies in which an item may stay at an inner node."""

import pickle

import numpy as np
import pytest

from cascade.errors import TaxonomyError
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import places, staying, stays_at

SHOP = Taxonomy.from_records(
    [
        ("g", "Garden", None, "All for the garden"),
        ("r", "Rakes", "g"),
        ("gg", "Garden", "r"),
        ("h", "Hoses", "g"),
        ("t", "Tools"),
        ("tt", "Tools", "t"),
    ]
)


def test_a_child_stands_for_staying_and_is_shown_as_the_node_above():
    tree = staying(SHOP, ["g", "t"])
    assert tree.codes == ("g", "r", "gg", "h", "g", "t", "tt", "t")
    assert tree.parent.tolist() == [-1, 0, 1, 0, 0, -1, 5, 5]
    assert [tree.path(node) for node in (4, 7)] == ["Garden", "Tools"]
    assert [node for node in range(len(tree)) if stays_at(tree, node)] == [4, 7]
    assert tree.description(4) == "All for the garden"
    assert SHOP.description(0) == "All for the garden"
    assert len(SHOP) == 6


def test_labels_belong_to_the_child_that_stands_for_staying():
    tree = staying(SHOP, ["g"])
    assert places(tree, np.arange(6, dtype=np.int32)).tolist() == [4, 1, 2, 3, 5, 6]
    assert tree.find("Garden") == tree.index("g") == 4
    assert tree.find("Garden > Hoses") == 3
    assert tree.find("x") is None
    assert "g" in tree


def test_siblings_keep_different_names():
    names = staying(SHOP, ["t"]).names
    assert names[5:] == ("Tools", "Tools *")


def test_without_such_nodes_the_taxonomy_is_itself():
    assert staying(SHOP, []) is SHOP
    nodes = np.array([3, 1], dtype=np.int32)
    assert places(SHOP, nodes) is nodes
    assert not stays_at(SHOP, 0)


def test_a_node_that_is_not_there_is_refused():
    with pytest.raises(TaxonomyError, match="no node 'z'"):
        staying(SHOP, ["z"])


def test_it_can_be_copied_to_another_process():
    tree = staying(SHOP, ["g"])
    again = pickle.loads(pickle.dumps(tree))
    assert again.fingerprint == tree.fingerprint != SHOP.fingerprint
    assert again.place.tolist() == tree.place.tolist()
