"""The layers of a transformer of the BERT kind (Devlin et al., arXiv 1810.04805).

All linear layers go over the tokens of all texts as one row, attention over texts of one length at
a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

WORDS = "embeddings.word_embeddings.weight"
_TODAY = {"gamma": "weight", "beta": "bias"}  # TensorFlow's names, which older files have


def name_today(name: str) -> str:
    """The name that transformers has today for a weight in a file of any age."""
    layer, dot, kind = name.rpartition(".")
    return f"{layer}{dot}{_TODAY.get(kind, kind)}"


class PackedLayers:
    """What the layers compute; weights are given to each call, by their names today.

    Parameters
    ----------
    config
        That of the transformer, as transformers writes it.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.n_layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._first_position = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1

    def __call__(
        self, weights: dict[str, torch.Tensor], ids: list[list[int]], lengths: NDArray[np.int64]
    ) -> torch.Tensor:
        """Hidden states [n_tokens, width] of texts in the order of their lengths."""
        return self.states(weights, self.embedded(weights, ids, lengths), lengths)

    def embedded(
        self, weights: dict[str, torch.Tensor], ids: list[list[int]], lengths: NDArray[np.int64]
    ) -> torch.Tensor:
        """Vectors [n_tokens, width] of the tokens of texts that lie one after another."""
        import torch

        device = weights[WORDS].device
        tokens = torch.tensor(list(chain.from_iterable(ids)), device=device)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        positions = np.arange(len(tokens)) - starts + self._first_position
        x = weights[WORDS][tokens] + weights["embeddings.token_type_embeddings.weight"][0]
        places = torch.from_numpy(positions).to(device)
        x = x + weights["embeddings.position_embeddings.weight"][places]
        return self._norm(weights, x, "embeddings.LayerNorm")

    def states(
        self,
        weights: dict[str, torch.Tensor],
        x: torch.Tensor,
        lengths: NDArray[np.int64],
        layers: range | None = None,
        bias: Callable[[int, int, int], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Hidden states [n_tokens, width] after some layers, by default after all.

        Parameters
        ----------
        x
            Those before, of texts in the order of their lengths.
        bias
            What is added to the logits of attention, [n_texts, n_heads, length, length], of a layer
            and of texts of one length; called with the layer, the first text and how many.
        """
        from torch.nn import functional

        def linear(x: torch.Tensor, name: str) -> torch.Tensor:
            return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

        groups = np.stack(np.unique(lengths, return_counts=True), axis=1).tolist()
        for number in range(self.n_layers) if layers is None else layers:
            layer = f"encoder.layer.{number}"
            q, k, v = (linear(x, f"{layer}.attention.self.{n}") for n in ("query", "key", "value"))
            attended = self._attention(q, k, v, groups, bias and partial(bias, number))
            attended = linear(attended, f"{layer}.attention.output.dense")
            x = self._norm(weights, attended + x, f"{layer}.attention.output.LayerNorm")
            inner = functional.gelu(linear(x, f"{layer}.intermediate.dense"))
            x = linear(inner, f"{layer}.output.dense") + x
            x = self._norm(weights, x, f"{layer}.output.LayerNorm")
        return x

    def _norm(self, weights: dict[str, torch.Tensor], x: torch.Tensor, name: str) -> torch.Tensor:
        from torch.nn import functional

        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self._epsilon)

    def _attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        groups: list[list[int]],
        bias: Callable[[int, int], torch.Tensor] | None,
    ) -> torch.Tensor:
        """Attention [n_tokens, width] of each text by itself.

        Parameters
        ----------
        groups
            Tokens of a text, and how many texts of so many tokens lie one after another.
        """
        import torch

        outputs = []
        tokens = [n * length for length, n in groups]
        # Split, not sliced: the gradient of each slice would be as large as all tokens.
        parts = zip(*(x.split(tokens) for x in (query, key, value)), strict=True)
        first = 0
        for (length, n), some in zip(groups, parts, strict=True):
            q, k, v = (x.view(n, length, self.heads, -1).transpose(1, 2) for x in some)
            added = None if bias is None else bias(first, n)
            output = torch.nn.functional.scaled_dot_product_attention(
                q, k, v, None if added is None else added.to(q.dtype)
            )
            first += n
            outputs.append(output.transpose(1, 2).flatten(2).flatten(0, 1))
        return torch.cat(outputs)
