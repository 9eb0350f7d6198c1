"""GGUF to a folder of safetensors, once for each file and safely beside other processes."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
import struct
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

from cascade.errors import WeightsError
from cascade.io.files import cache_folder
from cascade.models.runtime import quiet_libraries
from cascade.models.weights import Weights

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when a conversion writes something else than before


_UNREADABLE = (ValueError, OSError, KeyError, IndexError, NotImplementedError, struct.error)


def safetensors_folder(weights: Weights) -> Path:
    """The folder that `from_pretrained` reads; a GGUF file is converted into the cache once.

    Two processes that start together convert once: the second waits for a lock. A folder
    appears whole or not at all.

    Raises
    ------
    WeightsError
        The GGUF file cannot be read, or is not of the LLaMA architecture.
    """
    if weights.path.suffix != ".gguf":
        return weights.path
    from filelock import FileLock

    key = hashlib.sha256(f"{FORMAT}:{weights.identity}".encode()).hexdigest()[:16]
    target = cache_folder() / "models" / f"{weights.path.stem}-{key}"
    if _complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not _complete(target):
            _convert(weights.path, target)
    return target


def _complete(target: Path) -> bool:
    """Whether a conversion is there with all its bytes."""
    try:
        size = json.loads((target / "conversion.json").read_text("utf-8"))["bytes"]
        return bool((target / "model.safetensors").stat().st_size == size)
    except (OSError, ValueError, KeyError):
        return False


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    logger.info("converting %s to %s (once)", source.name, target)
    options = {"gguf_file": source.name, "local_files_only": True}
    with quiet_libraries(), redirect_stderr(io.StringIO()):  # tqdm's bar, which knows no other way
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
            loaded = AutoModelForCausalLM.from_pretrained(
                source.parent, dtype=torch.float32, **options
            )
        except _UNREADABLE as error:
            raise WeightsError(
                f"{source}: cannot be read as a GGUF language model: {error}"
            ) from error
    if not isinstance(loaded, LlamaForCausalLM):
        raise WeightsError(
            f"{source}: holds a {type(loaded).__name__}; only the LLaMA architecture is converted"
        )
    # A model loaded from GGUF refuses save_pretrained, so its tensors go into a fresh one.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
    try:
        with quiet_libraries():
            # Half precision: its rounding is far below that of the 4-bit source.
            model.half().save_pretrained(staging, max_shard_size="100GB")
            tokenizer.save_pretrained(staging)
        size = (staging / "model.safetensors").stat().st_size
        note = {"source": source.name, "bytes": size}
        (staging / "conversion.json").write_text(json.dumps(note), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        staging.chmod(0o755)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
