"""A LLaMA that can be trained, through LoRA."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.features.text_embeddings import HiddenStates
from cascade.items import Item
from cascade.models.language_models import load_llm
from cascade.models.runtime import best_device
from cascade.models.weights import find_weights
from cascade.training.adapters.lora import LoraRecipe, attach_lora, load_adapter
from cascade.training.packs.backbones.tensors import padded, with_plain_attention
from cascade.training.packs.recipe import TunedStage

if TYPE_CHECKING:
    import torch


class TrainableLlama:
    """A LLaMA whose upper layers are trained through LoRA (Hu et al. 2021).

    What the layers below make of an item never changes, so it is computed once and kept in
    half precision: an epoch costs what the upper layers cost. LoRA has no dropout, whose masks
    take long to draw on CPUs.

    Parameters
    ----------
    adapter
        Folder of an adapter of the same shape that goes on learning, in place of a new one.
    """

    def __init__(
        self,
        model: str,
        columns: Sequence[str],
        stage: TunedStage,
        *,
        adapter: Path | None = None,
        allow_download: bool = False,
    ) -> None:
        weights = find_weights(model, allow_download=allow_download)
        llama, tokenizer = load_llm(weights, "auto", "float32")
        total = len(llama.model.layers)
        kept = 0 if stage.layers is None else max(0, total - stage.layers)
        self._states = HiddenStates(llama, tokenizer, columns, stage.max_chars)
        recipe = LoraRecipe(rank=stage.rank, alpha=stage.alpha, dropout=0.0, layers=stage.layers)
        self._model = attach_lora(llama, recipe)
        with_plain_attention(llama)
        if adapter is not None:
            load_adapter(self._model, adapter)
        whole: Any = self._model.get_base_model()
        body = whole.model
        self._lower = _slice(body, 0, kept, last=False) if kept else None
        self._upper = _slice(body, kept, total, last=True)
        self._memory: dict[tuple[int, ...], Any] = {}

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._states.width

    def inputs(self, item: Item) -> list[int]:
        """What is read of an item."""
        return self._states.tokens(item)

    def vectors(self, inputs: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors of token lists, with gradients."""
        import torch

        states = padded(self._below(inputs)).to(best_device(), torch.float32)
        # Padding stands behind, where a causal model cannot see it.
        out = self._upper(inputs_embeds=states, use_cache=False).last_hidden_state
        last = torch.tensor([len(own) - 1 for own in inputs], device=states.device)
        ends = out[torch.arange(len(inputs), device=states.device), last].float()
        return torch.nn.functional.normalize(ends, dim=1)

    def _below(self, tokens: Sequence[list[int]]) -> list[torch.Tensor]:
        """What the layers below make of token lists: bfloat16 [n_tokens, width] each."""
        import torch

        new = [own for own in tokens if tuple(own) not in self._memory]
        if new:
            ids = padded([torch.tensor(own) for own in new]).to(best_device())
            with torch.no_grad():
                if self._lower is None:
                    made = self._upper.embed_tokens(ids)
                else:
                    made = self._lower(input_ids=ids, use_cache=False).last_hidden_state
            for own, states in zip(new, made, strict=True):
                self._memory[tuple(own)] = states[: len(own)].to(torch.bfloat16).clone()
        return [self._memory[tuple(own)] for own in tokens]

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """The matrices of LoRA."""
        return {n: p for n, p in self._model.named_parameters() if p.requires_grad}

    def save(self, folder: Path) -> None:
        """Write the adapter in peft's format."""
        self._model.save_pretrained(str(folder))


def _slice(body: Any, first: int, end: int, *, last: bool) -> Any:
    """Some layers of a model's body as a body of their own, sharing the weights."""
    import torch

    part = copy.copy(body)
    part._modules = dict(body._modules)
    part.layers = torch.nn.ModuleList(body.layers[first:end])
    if not last:
        part.norm = torch.nn.Identity()
    return part
