"""Backbones that can be fine-tuned: a sentence encoder, a LLaMA through LoRA, a vision model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.features.pictures import decoding_pool
from cascade.features.text_embeddings import HiddenStates, joined_fields
from cascade.io.pictures import open_picture
from cascade.items import Item, as_text
from cascade.models.language_models import load_llm
from cascade.models.packed.saving import save_like
from cascade.models.packed.upper import Kept, UpperLayers
from cascade.models.runtime import best_device, quiet_libraries
from cascade.models.sentence_encoder import (
    PackedEncoder,
    load_sentence_encoder,
    load_sentence_transformer,
    remember_packed,
)
from cascade.models.vision import load_vision
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder_prompts import prompts_of
from cascade.training.adapters.lora import LoraRecipe, attach_lora, load_adapter
from cascade.training.packs.recipe import AugmentRecipe, PictureStage, TunedStage

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

LONGEST = 1 << 20  # tokens; the tokenizer cuts earlier
LONG = 30  # average characters from which a column must be prose to be read
SPACES = 0.05  # share of a text that is spaces, from which it is prose
TRIES = 10  # boxes that are drawn before the whole picture is taken
SHAPE = 4 / 3  # of a box that is cut out, the longer side to the shorter at the most


def with_prompt(model: str, *, allow_download: bool = False) -> dict[str, str]:
    """The field `prompt` of a backbone's config, where a sentence encoder wants one for items."""
    prompt = prompts_of(find_weights(model, allow_download=allow_download)).query
    return {"prompt": prompt} if prompt else {}


def trainable_encoder(
    model: str,
    columns: Sequence[str],
    stage: TunedStage,
    *,
    prompt: str = "",
    allow_download: bool = False,
    kept: Kept | None = None,
) -> TrainableEncoder | TrainablePackedEncoder:
    """A sentence encoder to train, in the quickest form that its kind and the device allow.

    Parameters
    ----------
    prompt
        What is read before each item.
    kept
        What lower layers made of texts in an earlier training.
    """
    weights = find_weights(model, allow_download=allow_download)
    encoder = load_sentence_encoder(weights)
    if isinstance(encoder, PackedEncoder):
        return TrainablePackedEncoder(encoder, weights, columns, stage, prompt, kept or Kept())
    return TrainableEncoder(weights, columns, stage, prompt=prompt)


class TrainablePackedEncoder:
    """A packed encoder of which the upper layers are trained, or all.

    What the layers below make of an item never changes, so it is computed once; see
    `models.packed.upper`. Its own dropout stays off: drawing the masks takes long on CPUs, and
    vectors that heads see have theirs.
    """

    def __init__(
        self,
        encoder: PackedEncoder,
        weights: Weights,
        columns: Sequence[str],
        stage: TunedStage,
        prompt: str,
        kept: Kept,
    ) -> None:
        self._encoder, self._weights, self._prompt = encoder, weights, prompt
        self._columns, self._max_chars = tuple(columns), stage.max_chars
        self._upper = UpperLayers(encoder, stage.layers, kept)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._encoder.width

    def inputs(self, item: Item) -> list[int]:
        """What is read of an item, as plain text between the encoder's own marks."""
        text = self._prompt + as_text(joined_fields(item, self._columns, self._max_chars))
        return self._encoder.tokens([text], LONGEST)[0]

    def vectors(self, inputs: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors of token lists, with gradients."""
        return self._upper.vectors(inputs)

    def encode(
        self, items: Sequence[Item], progress: Callable[[int, int], None]
    ) -> NDArray[np.float32]:
        """Unit vectors [n_items, width] as they are in use."""
        return self._upper.encode([self.inputs(item) for item in items], progress)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return self._upper.trained

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder."""
        save_like(self._weights, self._upper.tensors, folder)
        remember_packed(find_weights(str(folder)))


class TrainableEncoder:
    """A sentence encoder of another kind, or on a GPU, of which all weights are trained.

    Its own dropout stays off: drawing the masks takes long on CPUs, and vectors that
    heads see have theirs.

    Parameters
    ----------
    prompt
        What is read before each item.
    """

    def __init__(
        self,
        weights: Weights,
        columns: Sequence[str],
        stage: TunedStage,
        *,
        prompt: str = "",
    ) -> None:
        self._model = load_sentence_transformer(weights).eval()
        self._model.set_pooling_include_prompt(True)  # as here, in use too
        self._prompt = prompt
        self._model.tokenizer.split_special_tokens = True
        with_plain_attention(getattr(self._model[0], "auto_model", None))
        self._columns, self._max_chars = tuple(columns), stage.max_chars
        self._pad = self._model.tokenizer.pad_token_id or 0

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    def inputs(self, item: Item) -> list[int]:
        """What is read of an item, as plain text between the encoder's own marks."""
        text = self._prompt + joined_fields(item, self._columns, self._max_chars)
        longest = self._model.max_seq_length
        encoded = self._model.tokenizer(text, truncation=True, max_length=longest)
        return list(encoded["input_ids"])

    def vectors(self, inputs: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors of token lists, with gradients."""
        import torch

        device = self._model.device
        ids = padded([torch.tensor(own) for own in inputs], self._pad).to(device)
        mask = padded([torch.ones(len(own), dtype=torch.long) for own in inputs]).to(device)
        made = self._model({"input_ids": ids, "attention_mask": mask})
        return torch.nn.functional.normalize(made["sentence_embedding"].float(), dim=1)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All weights."""
        return dict(self._model.named_parameters())

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder."""
        with quiet_libraries():
            self._model.save(str(folder), create_model_card=False)


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


def padded(rows: Sequence[torch.Tensor], value: float = 0) -> torch.Tensor:
    """Rows of different length as one tensor, with padding behind them."""
    import torch

    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def with_plain_attention(model: Any) -> None:
    """On a CPU, have attention computed step by step: its backward pass is faster there."""
    if model is not None and model.device.type == "cpu":
        model.set_attn_implementation("eager")


def _slice(body: Any, first: int, end: int, *, last: bool) -> Any:
    """Some layers of a model's body as a body of their own, sharing the weights."""
    import torch

    part = copy.copy(body)
    part._modules = dict(body._modules)
    part.layers = torch.nn.ModuleList(body.layers[first:end])
    if not last:
        part.norm = torch.nn.Identity()
    return part


def short_columns(
    items: Sequence[Item], columns: Sequence[str], chars: int, most: int
) -> list[str]:
    """The first column, and the others from the shortest on while the average item stays short.

    Columns of long values without spaces, as addresses are, say little to a language model for
    their many tokens, and are left to others.

    An average item may have `chars` characters, of which `most` are read of a column.
    """
    if not columns:
        return []
    read = {
        column: [item.fields.get(column, "").strip()[:most] for item in items] for column in columns
    }
    sizes = {column: sum(map(len, texts)) / max(1, len(texts)) for column, texts in read.items()}
    first, *others = columns
    kept, total = {first}, sizes[first]
    for column in sorted(others, key=lambda name: sizes[name]):
        spaces = sum(text.count(" ") for text in read[column])
        if sizes[column] > LONG and spaces <= SPACES * sizes[column] * len(items):
            continue
        total += sizes[column]
        if total > chars:
            break
        kept.add(column)
    return [column for column in columns if column in kept]


class TrainableVision:
    """A vision model of which the last blocks, or all, are trained.

    Statistics of batch norms stay as they were: the batches are small.
    """

    def __init__(self, model: str, stage: PictureStage, *, allow_download: bool = False) -> None:
        import torch

        self._model = load_vision(find_weights(model, allow_download=allow_download))
        self._side = stage.side or self._model.preparation.side
        self._look = stage.look or 32 * round(self._side * 9 / 8 / 32)
        self._augment = stage.augment
        module = self._model.module.to(memory_format=torch.channels_last)
        for parameter in _below(self._model.blocks, module, stage.layers):
            parameter.requires_grad_(False)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._model.width

    def inputs(self, item: Item) -> list[Any]:
        """The picture of an item."""
        return [item.image]

    def vectors(self, inputs: Sequence[list[Any]]) -> torch.Tensor:
        """Unit vectors of pictures, each changed as chance has it, with gradients."""
        import torch

        seeds = torch.randint(2**31, (len(inputs),)).tolist()
        pictures = [picture for (picture,) in inputs]
        squares = list(decoding_pool().map(self._seen, pictures, seeds))
        device = next(self._model.module.parameters()).device
        pixels = self._model.preparation.pixels(squares, device)
        return torch.nn.functional.normalize(self._model.module(pixels).float(), dim=1)

    def _seen(self, picture: Any, seed: int) -> NDArray[np.uint8]:
        return augmented(open_picture(picture), self._side, self._augment, seed)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return {n: p for n, p in self._model.module.named_parameters() if p.requires_grad}

    def save(self, folder: Path) -> None:
        """Write a folder that `models.vision` loads."""
        # The middle square as a whole: training has seen what lies at its edges too.
        seen = replace(self._model.preparation, side=self._look, shorter=self._look)
        replace(self._model, preparation=seen).save(folder)


def _below(blocks: Sequence[Any], module: Any, layers: int | None) -> list[torch.nn.Parameter]:
    """The parameters before the first of the last blocks."""
    if layers is None or layers > len(blocks):
        return []
    ends = {id(parameter) for parameter in blocks[len(blocks) - layers].parameters()}
    found: list[torch.nn.Parameter] = []
    for parameter in module.parameters():
        if id(parameter) in ends:
            break
        found.append(parameter)
    return found


def augmented(picture: Image, side: int, recipe: AugmentRecipe, seed: int) -> NDArray[np.uint8]:
    """A part of a picture, perhaps in a mirror, in other light.

    Random resized crops as in Szegedy et al. (2015), and changes of brightness, contrast and
    saturation.

    Returns
    -------
    uint8 [side, side, 3]
    """
    from PIL import Image, ImageEnhance

    rng = np.random.default_rng(seed)
    made = picture.resize(
        (side, side), Image.Resampling.BILINEAR, box=_box(*picture.size, recipe.least_area, rng)
    )
    if recipe.mirror and rng.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        made = change(made).enhance(1 + recipe.colour * rng.uniform(-1, 1))
    return np.array(made)


def _box(
    width: int, height: int, least: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of what is cut out."""
    for _ in range(TRIES):
        area = rng.uniform(least, 1) * width * height
        shape = math.exp(rng.uniform(-math.log(SHAPE), math.log(SHAPE)))
        w, h = max(1, round(math.sqrt(area * shape))), max(1, round(math.sqrt(area / shape)))
        if w <= width and h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    return 0, 0, width, height
