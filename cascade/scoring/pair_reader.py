"""A reader of pairs: layers of a sentence encoder that read an item and a node's text together.

The lower layers read each text by itself, so that a node's states are computed once for all items;
the upper ones read both. Attention from one text to the other is nearly shut when training begins,
so that a reader begins with what the encoder knows: its score is the cosine of both texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError, WeightsError
from cascade.models.runtime import precision_dtype
from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import Weights

if TYPE_CHECKING:
    import torch

SIDE, CROSS, INNER, OUTER = "reader.side", "reader.cross", "reader.inner", "reader.outer"
SCALE = "reader.scale"
NAMES = (SIDE, CROSS, SCALE, f"{INNER}.weight", f"{INNER}.bias", f"{OUTER}.weight")
PAIRS = 256  # that are read together
TOKENS = 64  # of a text that are read
SHUT = -2.5  # of the logits of attention from one text to the other, when training begins


class PairReader:
    """An encoder whose upper layers read two texts, and what makes a number of them.

    Parameters
    ----------
    encoder
        Its weights are changed in training; they are not those that vectors are made with.
    joint
        How many upper layers read both texts together.
    """

    def __init__(self, encoder: PackedEncoder, joint: int) -> None:
        self.encoder = encoder
        self.joint = joint

    @classmethod
    def open(cls, weights: Weights, device: str = "cpu") -> PairReader | None:
        """The reader in weights; None where they are those of another model.

        Raises
        ------
        WeightsError
            They are those of a reader, but of other sizes than its encoder.
        """
        encoder = PackedEncoder.open(weights)
        if encoder is None or not encoder.weights.keys() >= set(NAMES):
            return None
        joint = encoder.weights[CROSS].shape[0] if encoder.weights[CROSS].ndim else 0
        reader = cls(encoder, joint)
        found = {name: tuple(encoder.weights[name].shape) for name in NAMES}
        expected = {name: tuple(value.shape) for name, value in reader.first_weights(0).items()}
        if found != expected or not 0 < joint <= encoder.transformer.n_layers:
            odd = next((name for name in NAMES if found[name] != expected[name]), CROSS)
            raise WeightsError(
                f"{weights.path}: {odd} has the shape {found[odd]}, which is not that of a reader "
                "with these layers; make it again with `cascade finetune`"
            )
        encoder.to(device)
        return reader

    @cached_property
    def _ready(self) -> dict[str, torch.Tensor]:
        """The weights in half precision where the hardware multiplies it."""
        own = self.encoder.weights
        dtype = precision_dtype("auto", own[SCALE].device.type)
        return {name: value.detach().to(dtype) for name, value in own.items()}

    def score(
        self,
        items: Sequence[str],
        nodes: Sequence[str],
        rows: NDArray[np.integer[Any]],
        columns: NDArray[np.integer[Any]],
    ) -> NDArray[np.float32]:
        """float32 [n], how well `nodes[columns[i]]` fits `items[rows[i]]`, as a logit.

        Raises
        ------
        EngineError
            The model ran out of memory, or gave no numbers.
        """
        import torch

        out = np.empty(len(rows), np.float32)
        try:
            with torch.inference_mode():
                for start in range(0, len(rows), PAIRS):
                    part = slice(start, start + PAIRS)
                    out[part] = self._read(items, nodes, rows[part], columns[part])
        except RuntimeError as error:
            problem = str(error).strip().splitlines()[0]
            raise EngineError(f"the reader of pairs failed: {problem}") from error
        if not np.isfinite(out).all():
            raise EngineError("the reader of pairs answered with numbers beyond its precision")
        return out

    def _read(
        self,
        items: Sequence[str],
        nodes: Sequence[str],
        rows: NDArray[np.integer[Any]],
        columns: NDArray[np.integer[Any]],
    ) -> NDArray[np.float32]:
        """As `score`, of so many pairs as are read together."""
        row, of_row = np.unique(rows, return_inverse=True)
        column, of_column = np.unique(columns, return_inverse=True)
        texts = [items[at] for at in row.tolist()] + [nodes[at] for at in column.tolist()]
        weights, second = self._ready, of_column + len(row)
        states, starts, lengths = self.texts(weights, self.encoder.tokens(texts, TOKENS))
        found = self.pairs(
            weights,
            states,
            (starts[of_row], lengths[of_row]),
            (starts[second], lengths[second]),
        )
        scores: NDArray[np.float32] = found.float().cpu().numpy()
        return scores

    def begin(self, seed: int = 0) -> None:
        """Give it the weights that training begins with."""
        self.encoder.weights.update(self.first_weights(seed))

    def first_weights(self, seed: int) -> dict[str, torch.Tensor]:
        """What a reader has beside an encoder's weights, as training begins."""
        import torch

        width, heads = self.encoder.width, self.encoder.transformer.heads
        generator = torch.Generator().manual_seed(seed)
        inner = torch.randn(width, 3 * width, generator=generator) / (3 * width) ** 0.5
        return {
            SIDE: torch.zeros(width),
            CROSS: torch.full((self.joint, heads), SHUT),
            SCALE: torch.tensor([20.0]),
            f"{INNER}.weight": inner,
            f"{INNER}.bias": torch.zeros(width),
            f"{OUTER}.weight": torch.zeros(1, width),
        }

    def texts(
        self, weights: dict[str, torch.Tensor], ids: list[list[int]]
    ) -> tuple[torch.Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """States of texts, each by itself, after the lower layers.

        Returns
        -------
        states : [n_tokens, width]
        starts, lengths : int64 [n_texts], where the tokens of each text lie
        """
        own = np.fromiter(map(len, ids), np.int64, len(ids))
        order = np.argsort(own, kind="stable")
        x = self.encoder.transformer.embedded(weights, [ids[at] for at in order], own[order])
        x = self.encoder.transformer.states(
            weights, x, own[order], range(self.encoder.transformer.n_layers - self.joint)
        )
        starts = np.empty_like(own)
        starts[order] = np.cumsum(own[order]) - own[order]
        return x, starts, own

    def pairs(
        self,
        weights: dict[str, torch.Tensor],
        states: torch.Tensor,
        firsts: tuple[NDArray[np.int64], NDArray[np.int64]],
        seconds: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> torch.Tensor:
        """The score of each pair, float32 [n_pairs].

        Parameters
        ----------
        states
            Of all texts, from `texts`.
        firsts, seconds
            Where the tokens of the item and of the node of each pair begin, and how many they are.
        """
        import torch
        from torch.nn import functional

        lengths = firsts[1] + seconds[1]
        order = np.argsort(lengths, kind="stable")
        both = np.stack([firsts[1][order], seconds[1][order]], axis=1).ravel()
        begin = np.stack([firsts[0][order], seconds[0][order]], axis=1).ravel()
        ends = np.cumsum(both)
        tokens = np.arange(ends[-1]) - np.repeat(ends - both - begin, both)
        second = np.repeat(np.arange(len(both)) % 2, both)
        device = states.device
        x = states.index_select(0, torch.from_numpy(tokens).to(device))
        x = x + torch.from_numpy(second).to(device, x.dtype)[:, None] * weights[SIDE].to(x.dtype)
        below = self.encoder.transformer.n_layers - self.joint
        firsts_of, total = firsts[1][order], lengths[order]

        def bias(layer: int, first: int, n: int) -> torch.Tensor:
            length = int(total[first])
            side = torch.from_numpy(
                np.arange(length)[None] >= firsts_of[first : first + n, None]
            ).to(device)
            other = (side[:, :, None] != side[:, None, :])[:, None]
            return (other * weights[CROSS][layer - below][:, None, None]).to(x.dtype)

        x = self.encoder.transformer.states(
            weights, x, total, range(below, self.encoder.transformer.n_layers), bias
        )
        # No segment_reduce: its gradient is slow.
        mean = torch.zeros(len(both), x.shape[1], dtype=torch.float32, device=device)
        segment = torch.from_numpy(np.repeat(np.arange(len(both)), both)).to(device)
        mean = mean.index_add(0, segment, x.float()) / torch.from_numpy(both).to(device)[:, None]
        mean = functional.normalize(mean, dim=1) * x.shape[1] ** 0.5
        u, v = mean.view(len(order), 2, -1).unbind(1)
        cosine = (u * v).mean(dim=1)
        read = torch.cat([u, v, u * v], dim=1).to(weights[f"{INNER}.weight"].dtype)
        inner = functional.gelu(
            functional.linear(read, weights[f"{INNER}.weight"], weights[f"{INNER}.bias"])
        )
        found = functional.linear(inner, weights[f"{OUTER}.weight"]).float()[:, 0]
        found = found + weights[SCALE].float() * cosine
        back: torch.Tensor = found[torch.from_numpy(np.argsort(order)).to(device)]
        return back
