"""The output head: hidden states to logits, all of them or those that are asked for."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

PAIRS = 16_384  # states and tokens that are multiplied at a time
STATES = 256  # states that meet the whole vocabulary at a time
COLUMNS = 512  # tokens of the vocabulary that meet STATES_OF_PARTS states at a time
COLUMNS_ON_GPU = 8192
STATES_OF_PARTS = 4096


class OutputHead:
    """What a model makes of the hidden states of its last layer.

    Beside a linear layer that may be a factor of the logits (Cohere, Granite) and a bound that they
    are bent below (Gemma 2, arXiv 2408.00118).

    Parameters
    ----------
    model
        A causal language model of transformers, or a `models.llama.Llama`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        config = model.config
        self._factor = float(getattr(config, "logit_scale", None) or 1.0)
        self._factor /= float(getattr(config, "logits_scaling", None) or 1.0)
        self._bound = getattr(config, "final_logit_softcapping", None)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [n_states, vocabulary] of states [n_states, hidden]."""
        return self._finished(self._layer(states).float())

    def chosen(
        self, states: torch.Tensor, tokens: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """float64 [n_tokens], the logits of some tokens, in float32; no other is computed.

        Parameters
        ----------
        states
            [n_states, hidden]
        tokens, sizes
            int64 [n_tokens] in the order of their states, and [n_states] how many each has.
        """
        import torch

        if not self._is_linear:
            return self._over_all(states, tokens, sizes)[0]
        layer, device = self._layer, states.device
        which = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)).to(device)
        token = torch.from_numpy(tokens).to(device)
        found = []
        for start in range(0, len(token), PAIRS):
            part = slice(start, start + PAIRS)
            some, weights = states[which[part]], layer.weight[token[part]]
            logits = torch.linalg.vecdot(some.float(), weights.float())
            if layer.bias is not None:
                logits += layer.bias[token[part]]
            found.append(self._finished(logits))
        return np.asarray(torch.cat(found).cpu().double().numpy())

    def logprobs(
        self, states: torch.Tensor, tokens: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """As `chosen`, normalised over the whole vocabulary."""
        if self._is_linear:
            chosen, total = self.chosen(states, tokens, sizes), self._totals(states)
        else:
            chosen, total = self._over_all(states, tokens, sizes)
        return np.asarray(chosen - np.repeat(total, sizes))

    @property
    def _layer(self) -> Any:
        return self._model.get_output_embeddings()

    @property
    def _is_linear(self) -> bool:
        import torch

        return type(self._layer) is torch.nn.Linear

    def _finished(self, logits: torch.Tensor) -> torch.Tensor:
        """What the model does with the products of its last layer."""
        if self._factor != 1.0:
            logits = logits * self._factor
        if self._bound:
            logits = (logits / self._bound).tanh() * self._bound
        return logits

    def _totals(self, states: torch.Tensor) -> NDArray[np.float64]:
        """float64 [n_states], the log of the sum over the whole vocabulary.

        The vocabulary is taken in parts, the logits of which stay in a CPU's cache.
        """
        import torch

        layer = self._layer
        columns = COLUMNS if states.device.type == "cpu" else COLUMNS_ON_GPU
        biases = [None] if layer.bias is None else layer.bias.split(columns)
        parts = list(zip(layer.weight.split(columns), cycle(biases), strict=False))
        found = [np.empty(0)]
        for some in states.split(STATES_OF_PARTS):
            sums = [
                self._finished(torch.nn.functional.linear(some, weight, bias).float()).logsumexp(-1)
                for weight, bias in parts
            ]
            found.append(torch.stack(sums).logsumexp(0).cpu().double().numpy())
        return np.concatenate(found)

    def _over_all(
        self, states: torch.Tensor, tokens: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The logit of each token, and of each state the log of the sum over all tokens."""
        import torch

        chosen, total, first = [np.empty(0)], [np.empty(0)], 0
        for start in range(0, len(sizes), STATES):
            logits = self.logits(states[start : start + STATES])
            own = sizes[start : start + STATES]
            end = first + int(own.sum())
            token = torch.from_numpy(tokens[first:end]).to(logits.device)
            row = torch.from_numpy(np.repeat(np.arange(len(own)), own)).to(logits.device)
            chosen.append(logits[row, token].cpu().double().numpy())
            total.append(torch.logsumexp(logits, dim=-1).cpu().double().numpy())
            first = end
        return np.concatenate(chosen), np.concatenate(total)
