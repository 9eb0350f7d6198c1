"""What pictures show, in words: the classes of ImageNet that a built-in vision model tells.

With them an encoder of texts reads pictures, without any that was trained on both: ConSE (Norouzi
et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings", arXiv 1312.5650).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import WeightsError
from cascade.features.pictures import inference_module
from cascade.models.inspection import reading
from cascade.models.vision import VisionModel, load_vision, tensors_of_wheel
from cascade.models.weights import find_weights
from cascade.resources import shipped_folder

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = "imagenet-classes.tsv"  # beside the weights that ship: id, names and definition of each
LIKELIEST = 50  # classes of a picture that count; the paper has 1, 10 and 1,000
BLOCK = 8  # pictures in one forward pass


class ImageNetWords:
    """The thousand classes of ImageNet in words, and how likely a picture shows each.

    Parameters
    ----------
    model
        A network from a wheel.
    classifier
        Its vectors to logits [n, 1000].

    Attributes
    ----------
    texts
        The first name and the definition of each class, from WordNet 3.0.
    """

    def __init__(self, model: VisionModel, classifier: Any) -> None:
        self._preparation, self._module = model.preparation, inference_module(model)
        self._classifier = classifier
        lines = (shipped_folder("weights") / CLASSES).read_text("utf-8").splitlines()
        parts = [line.split("\t") for line in lines]
        self.texts: Sequence[str] = [f"{names.split(', ')[0]}: {told}" for _, names, told in parts]

    @classmethod
    def load(cls, name: str) -> ImageNetWords:
        """The classes by the built-in network called `name`.

        Raises
        ------
        WeightsError
            It is not found, or is none of the built-in networks.
        """
        from cascade.models.efficientnet import classifier_in

        weights = find_weights(name)
        with reading(weights.path, "no network with classes of ImageNet"):
            if weights.origin != "package" or weights.path.suffix != ".pth":
                raise WeightsError(
                    f"{name!r} tells no classes of ImageNet; retrieval.vision names a built-in "
                    "network, such as efficientnet-lite0"
                )
            model = load_vision(weights)
            state = tensors_of_wheel(weights)
            device = next(model.module.parameters()).device
            return cls(model, classifier_in(state).to(device))

    def probabilities(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """float32 [n_pictures, n_classes]: of the likeliest classes, which sum to 1; else 0."""
        import torch

        out = np.zeros((len(pictures), len(self.texts)), dtype=np.float32)
        device = self._classifier.weight.device
        with torch.inference_mode():
            for start in range(0, len(pictures), BLOCK):
                squares = [self._preparation.square(p) for p in pictures[start : start + BLOCK]]
                logits = self._classifier(self._module(self._preparation.pixels(squares, device)))
                best, at = logits.float().topk(LIKELIEST, dim=1)
                shares = best.softmax(dim=1).cpu().numpy()
                np.put_along_axis(out[start : start + BLOCK], at.cpu().numpy(), shares, axis=1)
        return out
