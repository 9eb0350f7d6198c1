"""Keys and values of prompt prefixes, computed once for all prompts that begin with them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Layers = list[tuple["torch.Tensor", "torch.Tensor"]]

HELD = 8  # prefixes kept at a time; a prompt file has one


class PrefixCache:
    """Computes a prefix through the model at its first use and keeps what attention needs of it.

    Parameters
    ----------
    model
        A causal language model of transformers.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._held: OrderedDict[tuple[int, ...], Layers] = OrderedDict()

    def expanded(self, prefix: tuple[int, ...], rows: int) -> Any:
        """A new transformers cache that holds the prefix for each of `rows` sequences."""
        from transformers import DynamicCache

        if not prefix:
            return DynamicCache(config=self._model.config)
        layers = self._layers(prefix)
        return DynamicCache(
            [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in layers]
        )

    def _layers(self, prefix: tuple[int, ...]) -> Layers:
        """Keys and values [1, heads, tokens, width] of each layer."""
        import torch

        if prefix not in self._held:
            ids = torch.tensor([prefix], device=self._model.device)
            cache = self._model.base_model(input_ids=ids, use_cache=True).past_key_values
            self._held[prefix] = [(layer.keys, layer.values) for layer in cache.layers]
            if len(self._held) > HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(prefix)
        return self._held[prefix]
