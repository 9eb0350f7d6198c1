"""A vision model that can be trained, and how pictures are changed meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.features.pictures import decoding_pool
from cascade.io.pictures import open_picture
from cascade.items import Item
from cascade.models.vision import load_vision
from cascade.models.weights import find_weights
from cascade.training.packs.recipe import AugmentRecipe, PictureStage

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

TRIES = 10  # boxes that are drawn before the whole picture is taken
SHAPE = 4 / 3  # of a box that is cut out, the longer side to the shorter at the most


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
