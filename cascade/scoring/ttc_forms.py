"""How logits of a level's nodes become probabilities that know the levels above: TTC.

TTC, the taxonomy-based transitional classifier (arXiv 2501.06827), has for each level l a linear
head `z[l]` and hands the probabilities of one level on to the next as a mask:
`m[l+1] = p[l] M[l, l+1]`, M being the 0/1 matrix of which node is the parent of which, so that
`m` of a node is the probability of its parent.

==============  ==================================================================================
`flat`          `softmax(z)` at each level; levels know nothing of each other
`published`     `softmax(z * m)`, as the paper has it: a node under an impossible parent has logit
                0, which may still beat possible nodes of negative logits
`additive`      `softmax(z + log m)`: a node under an impossible parent is impossible
`conditional`   a softmax among each parent's children, times the parent's probability
`leaf`          one softmax over the nodes that items are labelled with, summed up the tree
==============  ==================================================================================

`training.level_loss` has the same in torch, to be learnt through.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.subtrees import Subtrees
from cascade.taxonomy import Taxonomy

Form = Literal["flat", "published", "additive", "conditional", "leaf"]

FLOOR = np.float32(-60.0)  # log-probability below which nothing is told apart

Floats = NDArray[np.float32]


class FormReader:
    """Turns logits into log-probabilities of nodes, for one taxonomy.

    Parameters
    ----------
    form
        See the module.
    """

    def __init__(self, taxonomy: Taxonomy, form: Form) -> None:
        self.form = form
        self._taxonomy = taxonomy
        self._subtrees = Subtrees(taxonomy)
        self._levels = [taxonomy.level_nodes(level + 1) for level in range(taxonomy.depth)]

    def read(self, logits: Floats, nodes: NDArray[np.int32]) -> Floats:
        """Log-probability of every node.

        Parameters
        ----------
        logits
            float32 [n_outputs, n_items].
        nodes
            int32 [n_outputs], the node of each output, each once; others are impossible.

        Returns
        -------
        float32 [n_nodes, n_items], at least `FLOOR`
        """
        all_logits = np.full((len(self._taxonomy), logits.shape[1]), -np.inf, dtype=np.float32)
        all_logits[nodes] = logits
        if self.form == "leaf":
            shares = np.exp(_log_softmax(all_logits))
            with np.errstate(divide="ignore"):
                return np.maximum(np.log(self._subtrees.sum(shares)), FLOOR)
        out = np.empty_like(all_logits)
        for level, members in enumerate(self._levels):
            z = all_logits[members]
            above = None if level == 0 else out[self._taxonomy.parent[members]]
            out[members] = np.maximum(self._level(z, above, members), FLOOR)
        return out

    def _level(self, z: Floats, above: Floats | None, members: NDArray[np.int32]) -> Floats:
        """Log-probabilities of the nodes of a level, given those of their parents."""
        if above is None or self.form == "flat":
            return _log_softmax(z)
        if self.form == "published":
            return _log_softmax(np.where(np.isneginf(z), z, z * np.exp(above)))
        if self.form == "additive":
            return _log_softmax(z + above)
        return above + _within(z, self._taxonomy.parent[members])


def _log_softmax(z: Floats) -> Floats:
    """Over the first axis; where all are impossible, all stay so."""
    top = z.max(axis=0, keepdims=True)
    shifted = z - np.where(np.isneginf(top), np.float32(0), top)
    total = np.exp(shifted).sum(axis=0, keepdims=True)
    return np.asarray(shifted - np.log(np.maximum(total, np.finfo(np.float32).tiny)))


def _within(z: Floats, parents: NDArray[np.int32]) -> Floats:
    """A log-softmax among siblings, which stand together; siblings without logits are even."""
    starts = np.flatnonzero(np.append(True, parents[1:] != parents[:-1]))
    family = np.cumsum(np.append(0, parents[1:] != parents[:-1]))
    top = np.maximum.reduceat(z, starts, axis=0)[family]
    shifted = np.where(np.isneginf(top), np.float32(0), z - np.where(np.isneginf(top), 0, top))
    total = np.add.reduceat(np.exp(shifted), starts, axis=0)[family]
    return np.asarray(shifted - np.log(total), dtype=np.float32)
