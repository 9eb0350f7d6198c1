"""A small taxonomy, and rows whose vectors lie around their leaf."""

import numpy as np
import pytest

from cascade.labelling.bootstrap import Unlabelled
from cascade.labelling.learner import Branches
from cascade.taxonomy import Taxonomy

TREE = """code,name,parent
G,Garden,
G1,Rakes,G
G2,Hoses,G
D,Drinks,
D1,Tea,D
D2,Coffee,D
D3,Juice,D
"""


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "tree.csv"
    path.write_text(TREE)
    return Taxonomy.load(path)


@pytest.fixture
def branches(tree):
    return Branches(tree, tree.leaves)


@pytest.fixture
def clouds(branches):
    """400 rows in two views, and the leaf of each: names are right about two of three."""
    rng = np.random.default_rng(1)
    leaves = rng.choice(5, 400, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    views = [np.eye(5)[leaves] + 0.25 * rng.normal(size=(400, 5)) for _ in range(2)]
    vectors = np.hstack(views).astype(np.float32)
    said = np.where(rng.random(400) < 0.65, leaves, rng.integers(0, 5, 400))
    known = 2.0 * np.eye(5)[said] + 0.3 * rng.normal(size=(400, 5))
    known = (known - np.log(np.exp(known).sum(axis=1, keepdims=True))).astype(np.float32)
    return Unlabelled(branches, known, vectors, 5), leaves
