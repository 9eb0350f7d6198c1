"""Linear heads of TTC: features to logits of nodes, and logits to probabilities down the levels.

TTC, the taxonomy-based transitional classifier (arXiv 2501.06827), has for each level l a linear
head `z[l]` and hands the probabilities of one level on to the next as a mask:
`m[l+1] = p[l] M[l, l+1]`, M being the 0/1 matrix of which node is the parent of which, so that
`m` of a node is the probability of its parent. Heads have one of five forms:

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

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.features.sparse_rows import SparseRows, SplitRows
from cascade.io.files import read_tensors, write_tensors
from cascade.retrieval.array_ops import run_starts
from cascade.retrieval.subtrees import Subtrees
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Form = Literal["flat", "published", "additive", "conditional", "leaf"]
Floats = NDArray[np.float32]

FLOOR = np.float32(-60.0)  # log-probabilities below this are taken for this
SINGLE_THREADED = 1024  # items whose product with the weights is over before threads would help


@dataclass(frozen=True)
class Heads:
    """`z = a W + b` for the nodes that have an output.

    Parameters
    ----------
    form
        How logits become probabilities; see the module.
    weights
        float32 [width, n_outputs], dense or in sparse rows.
    bias
        float32 [n_outputs].
    nodes
        int32 [n_outputs], the node of each output, each once.
    temperature
        Logits are divided by it.
    mean, scale
        float32 [width], what dense features are shifted and multiplied by first; None for not.
    """

    form: Form
    weights: Floats | csr_matrix | SparseRows
    bias: Floats
    nodes: NDArray[np.int32]
    temperature: float = 1.0
    mean: Floats | None = None
    scale: Floats | None = None

    def logits(self, rows: Floats | csr_matrix | SparseRows) -> Floats:
        """Logits of items.

        Parameters
        ----------
        rows
            float32 [n_items, width], dense or in sparse rows.

        Returns
        -------
        float32 [n_outputs, n_items]
        """
        weights = self.weights
        product: Any
        if isinstance(rows, SparseRows):
            if self.is_sparse:
                return self._alone.logits(rows)[0]
            rows = rows.matrix
        if isinstance(weights, SparseRows):
            weights = weights.matrix
        if self.mean is not None and self.scale is not None:
            rows = (rows - self.mean) * self.scale
        few = isinstance(rows, np.ndarray) and len(rows) <= SINGLE_THREADED
        # The threads of BLAS go on waiting for work, at the cost of the model that comes next.
        with _thread_pools().limit(limits=1, user_api="blas") if few else nullcontext():
            product = rows @ weights
        return self.tempered(product.toarray() if hasattr(product, "toarray") else product)

    @cached_property
    def _alone(self) -> JointHeads:
        return JointHeads([self])

    @property
    def is_sparse(self) -> bool:
        """Whether few weights are not 0, and features are taken as they are."""
        return isinstance(self.weights, SparseRows) and self.mean is None

    def tempered(self, product: Floats) -> Floats:
        """Logits [n_outputs, n_items] of products with the weights [n_items, n_outputs]."""
        logits = ((product + self.bias) / np.float32(self.temperature)).T
        return np.ascontiguousarray(logits, dtype=np.float32)

    def save(self, path: Path, taxonomy: Taxonomy) -> None:
        """Write to a safetensors file, whole or not at all."""
        import scipy.sparse

        arrays: dict[str, NDArray[Any]] = {"bias": self.bias, "nodes": self.nodes}
        given = self.weights
        sparse: Any = given.matrix if isinstance(given, SparseRows) else given
        if scipy.sparse.issparse(sparse):
            arrays["weights.data"] = sparse.data.astype(np.float16)
            arrays["weights.indices"] = sparse.indices.astype(np.int32)
            arrays["weights.indptr"] = sparse.indptr.astype(np.int64)
        else:
            arrays["weights"] = np.asarray(sparse, dtype=np.float32)
        for name in ("mean", "scale"):
            if (value := getattr(self, name)) is not None:
                arrays[name] = value
        about = {
            "form": self.form,
            "temperature": self.temperature,
            "taxonomy": taxonomy.fingerprint,
        }
        write_tensors(path, about, arrays)

    @classmethod
    def load(cls, path: Path, taxonomy: Taxonomy) -> Heads:
        """The heads in a file, for a taxonomy.

        Raises
        ------
        ConfigError
            The file cannot be read, holds no heads, or those of another taxonomy.
        """
        about, arrays = read_tensors(path)
        if about.get("taxonomy") != taxonomy.fingerprint:
            raise ConfigError(
                f"{path}: these heads were fitted for another taxonomy than {taxonomy.name!r}; "
                "use the one that lies in the pack, or fit again"
            )
        try:
            return _heads(about, arrays, len(taxonomy))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ConfigError(f"{path}: heads that do not fit together ({error!s:.200})") from None


class JointHeads:
    """Heads over the same features, whose products with sparse rows are taken in one pass.

    Parameters
    ----------
    heads
        Those that are there already.
    """

    def __init__(self, heads: Sequence[Heads] = ()) -> None:
        self._heads = list(heads)

    def add(self, heads: Heads) -> int:
        """Take in more heads; the place of their logits."""
        self._heads.append(heads)
        vars(self).pop("_split", None)
        return len(self._heads) - 1

    def logits(self, rows: SparseRows) -> list[Floats]:
        """What `Heads.logits` says, float32 [n_outputs, n_items] for each of the heads."""
        any_sparse = any(own.is_sparse for own in self._heads)
        products = iter(self._split.multiplied_by(rows) if any_sparse else [])
        return [
            own.tempered(next(products)) if own.is_sparse else own.logits(rows)
            for own in self._heads
        ]

    @cached_property
    def _split(self) -> SplitRows:
        return SplitRows([cast("SparseRows", h.weights) for h in self._heads if h.is_sparse])


def _heads(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], n_nodes: int) -> Heads:
    """Heads of arrays.

    Raises
    ------
    KeyError, ValueError
        Something is missing, or shapes disagree.
    """
    nodes, bias = _whole(arrays["nodes"], n_nodes, "node"), arrays["bias"].astype(np.float32)
    weights: Any
    if "weights" in arrays:
        weights = arrays["weights"].astype(np.float32)
    else:
        data, indptr = arrays["weights.data"], arrays["weights.indptr"]
        columns = _whole(arrays["weights.indices"], len(nodes), "column")
        _whole(indptr, len(data) + 1, "row")
        if data.ndim != 1:
            raise ValueError(f"weights of shape {data.shape}")
        ends = indptr[:1].tolist() + indptr[-1:].tolist()
        if ends != [0, len(data)] or len(data) != len(columns) or (indptr[1:] < indptr[:-1]).any():
            raise ValueError(f"{len(data)} weights and {len(columns)} columns in rows of {ends}")
        weights = SparseRows(indptr.astype(np.int64, copy=False), columns, data, len(nodes))
    if about["form"] not in get_args(Form):
        raise ValueError(f"unknown form {about['form']!r}")
    if bias.shape != nodes.shape or weights.ndim != 2 or weights.shape[1] != len(nodes):
        raise ValueError(f"{len(nodes)} nodes, {bias.shape} biases, {weights.shape} weights")
    if len(set(nodes.tolist())) < len(nodes):  # np.unique imports more than this costs
        raise ValueError("a node that stands twice")
    temperature = float(about["temperature"])
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"a temperature of {temperature}")
    moved = [arrays.get(name) for name in ("mean", "scale")]
    for array in moved:
        if array is not None and array.shape != weights.shape[:1]:
            raise ValueError(f"{weights.shape} weights, but {array.shape} means or scales")
    mean, scale = (None if array is None else array.astype(np.float32) for array in moved)
    return Heads(about["form"], weights, bias, nodes, temperature, mean, scale)


def _whole(values: NDArray[Any], end: int, what: str) -> NDArray[np.int32]:
    """Indices int32 [n], from 0 and below `end`.

    Raises
    ------
    ValueError
        They are something else.
    """
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"a {what} for each output is expected, found {values.shape}")
    unsigned = values.view(values.dtype.str.replace("i", "u"))  # below 0 is beyond all
    if len(values) and unsigned.max() >= end:
        raise ValueError(f"a {what} that there is not")
    return values.astype(np.int32, copy=False)


@cache
def _thread_pools() -> Any:
    """The thread pools of this process; looked up once, because that takes a while."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class HierarchicalSoftmax:
    """Turns logits of nodes into log-probabilities, for one taxonomy.

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

    def log_probs(self, logits: Floats, nodes: NDArray[np.int32]) -> Floats:
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
        if logits.shape[1] == 1:  # NumPy sums a single column in another order than many
            return self.log_probs(np.repeat(logits, 2, axis=1), nodes)[:, :1]
        shape = len(self._taxonomy), logits.shape[1]
        if self.form == "leaf":
            p = np.zeros(shape, dtype=np.float32)
            p[nodes] = _softmax(logits)
            with np.errstate(divide="ignore"):
                return np.maximum(np.log(self._subtrees.sum(p)), FLOOR)
        all_logits = np.full(shape, -np.inf, dtype=np.float32)
        all_logits[nodes] = logits
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
        return above + _sibling_log_softmax(z, self._taxonomy.parent[members])


def _softmax(z: Floats) -> Floats:
    """Over the first axis; where all are impossible, all stay so."""
    p = np.exp(z - _known(z.max(axis=0, initial=-np.inf)))
    return np.asarray(p / np.maximum(p.sum(axis=0), np.finfo(np.float32).tiny))


def _log_softmax(z: Floats) -> Floats:
    """Over the first axis; where all are impossible, all stay so."""
    shifted = z - _known(z.max(axis=0, keepdims=True))
    total = np.exp(shifted).sum(axis=0, keepdims=True)
    return np.asarray(shifted - np.log(np.maximum(total, np.finfo(np.float32).tiny)))


def _sibling_log_softmax(z: Floats, parents: NDArray[np.int32]) -> Floats:
    """Among siblings, which stand together; siblings without logits are equally likely."""
    starts = run_starts(parents)
    family = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(parents))))
    top = np.maximum.reduceat(z, starts, axis=0)
    none = np.isneginf(top)
    shifted = z - _known(top)[family]
    if none.any():
        shifted[none[family]] = 0
    total = np.log(np.add.reduceat(np.exp(shifted), starts, axis=0))
    return np.asarray(shifted - total[family], dtype=np.float32)


def _known(top: Floats) -> Floats:
    """The greatest logits, 0 where none is possible."""
    return np.where(np.isneginf(top), np.float32(0), top)
