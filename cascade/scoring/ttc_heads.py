"""Linear heads of TTC: features of items to logits of nodes, and the file of the heads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.io.files import read_tensors, write_tensors
from cascade.scoring.ttc_forms import Form
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FEW = 1024  # items whose product with the weights is over before threads would help


@dataclass(frozen=True)
class Heads:
    """`z = a W + b` for the nodes that have an output.

    Parameters
    ----------
    form
        How logits become probabilities; see `scoring.ttc_forms`.
    weights
        float32 [width, n_outputs], dense or in compressed sparse rows.
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
    weights: NDArray[np.float32] | csr_matrix
    bias: NDArray[np.float32]
    nodes: NDArray[np.int32]
    temperature: float = 1.0
    mean: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None

    def logits(self, rows: NDArray[np.float32] | csr_matrix) -> NDArray[np.float32]:
        """Logits of items.

        Parameters
        ----------
        rows
            float32 [n_items, width], dense or in compressed sparse rows.

        Returns
        -------
        float32 [n_outputs, n_items]
        """
        if self.mean is not None and self.scale is not None:
            rows = (rows - self.mean) * self.scale
        few = isinstance(rows, np.ndarray) and len(rows) <= FEW
        # The threads of BLAS go on waiting for work, at the cost of the model that comes next.
        with _pools().limit(limits=1, user_api="blas") if few else nullcontext():
            product: Any = rows @ self.weights
        dense = product.toarray() if hasattr(product, "toarray") else product
        return np.ascontiguousarray(
            ((dense + self.bias) / np.float32(self.temperature)).T, dtype=np.float32
        )


@cache
def _pools() -> Any:
    """The pools of threads of this process; looked up once, because that takes a while."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@dataclass(frozen=True)
class HeadsFile:
    """Heads as they are kept: one safetensors file with the arrays and, as JSON, what they mean.

    Parameters
    ----------
    heads
        What is kept.
    taxonomy
        Fingerprint of the taxonomy whose nodes are meant.
    """

    heads: Heads
    taxonomy: str

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        import scipy.sparse

        heads = self.heads
        arrays: dict[str, NDArray[Any]] = {"bias": heads.bias, "nodes": heads.nodes}
        if scipy.sparse.issparse(heads.weights):
            sparse: Any = heads.weights
            arrays["weights.data"] = sparse.data.astype(np.float16)
            arrays["weights.indices"] = sparse.indices.astype(np.int32)
            arrays["weights.indptr"] = sparse.indptr.astype(np.int64)
        else:
            arrays["weights"] = np.asarray(heads.weights, dtype=np.float32)
        for name in ("mean", "scale"):
            if (value := getattr(heads, name)) is not None:
                arrays[name] = value
        about = {
            "form": heads.form,
            "temperature": heads.temperature,
            "taxonomy": self.taxonomy,
        }
        write_tensors(path, about, arrays)

    @classmethod
    def load(cls, path: Path, taxonomy: Taxonomy) -> HeadsFile:
        """The heads in a file, for a taxonomy.

        Raises
        ------
        ConfigError
            The file cannot be read, is none of heads, or is of another taxonomy.
        """
        about, arrays = read_tensors(path)
        if about["taxonomy"] != taxonomy.fingerprint:
            raise ConfigError(
                f"{path}: these heads were fitted for another taxonomy than {taxonomy.name!r}; "
                "use the one that lies in the pack, or fit again"
            )
        try:
            heads = _heads(about, arrays, len(taxonomy))
        except (KeyError, ValueError, IndexError) as error:
            raise ConfigError(f"{path}: heads that do not fit together ({error})") from None
        return cls(heads, about["taxonomy"])


def _heads(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], n_nodes: int) -> Heads:
    """Heads of arrays.

    Raises
    ------
    KeyError, ValueError
        Something is missing, or shapes disagree.
    """
    from scipy.sparse import csr_matrix

    nodes, bias = arrays["nodes"].astype(np.int32), arrays["bias"].astype(np.float32)
    weights: Any
    if "weights" in arrays:
        weights = arrays["weights"].astype(np.float32)
    else:
        indptr = arrays["weights.indptr"]
        weights = csr_matrix(
            (arrays["weights.data"].astype(np.float32), arrays["weights.indices"], indptr),
            shape=(len(indptr) - 1, len(nodes)),
        )
    if about["form"] not in get_args(Form):
        raise ValueError(f"unknown form {about['form']!r}")
    if bias.shape != nodes.shape or weights.shape[1] != len(nodes):
        raise ValueError(f"{len(nodes)} nodes, {bias.shape} biases, {weights.shape} weights")
    if len(nodes) and not (nodes.min() >= 0 and nodes.max() < n_nodes):
        raise ValueError("a node that the taxonomy does not have")
    return Heads(
        about["form"],
        weights,
        bias,
        nodes,
        float(about["temperature"]),
        arrays.get("mean"),
        arrays.get("scale"),
    )
