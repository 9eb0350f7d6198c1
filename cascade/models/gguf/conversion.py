"""A GGUF file as a folder of safetensors, made in the user's cache once."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
from cascade.io.files import cache_folder
from cascade.models.gguf.header import Header, checked
from cascade.models.gguf.settings import mend
from cascade.models.inspection import NO_CODE, check_complete, reading
from cascade.models.runtime import quiet_libraries

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

CONVERSION = 2  # raised when a conversion writes something else than before


def converted(file: Path, identity: str) -> Path:
    """The folder that `from_pretrained` reads, of a GGUF file.

    Two processes that start together convert once: the second waits for a lock. A folder
    appears whole or not at all.

    Parameters
    ----------
    identity
        Changes when the file changes.

    Raises
    ------
    WeightsError
        The file cannot be read, or holds no causal language model that transformers reads.
    """
    from filelock import FileLock

    key = hashlib.sha256(f"{CONVERSION}:{identity}".encode()).hexdigest()[:16]
    target = cache_folder() / "models" / f"{file.stem}-{key}"
    if _is_complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not _is_complete(target):
            _convert(file, target)
    return target


def _is_complete(target: Path) -> bool:
    """Whether a conversion is there with all its bytes."""
    try:
        size = json.loads((target / "conversion.json").read_text("utf-8"))["bytes"]
        return bool((target / "model.safetensors").stat().st_size == size)
    except (OSError, ValueError, KeyError):
        return False


def _convert(source: Path, target: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    logger.info("converting %s to %s (once)", source.name, target)
    header = checked(source)
    with (
        reading(source, "cannot be read as a GGUF language model"),
        quiet_libraries(),
        redirect_stderr(io.StringIO()),  # tqdm's bar, which knows no other way
    ):
        file = source.name
        config = AutoConfig.from_pretrained(source.parent, gguf_file=file, **NO_CODE)
        header.check_size(config)
        mend(config, header)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=file, **NO_CODE)
        _take_ends(tokenizer, header)
        model = _load(source, config, header)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
    try:
        with quiet_libraries():
            model.save_pretrained(staging, max_shard_size="1TB")
            tokenizer.save_pretrained(staging)
        size = (staging / "model.safetensors").stat().st_size
        note = {"source": source.name, "bytes": size}
        (staging / "conversion.json").write_text(json.dumps(note), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        staging.chmod(0o755)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _load(source: Path, config: Any, header: Header) -> Any:
    """The model in half precision, whose rounding is far below that of few bits.

    In the rarer half precision of a wider range where a weight is too large for the other.
    """
    import torch
    from transformers import AutoModelForCausalLM

    kind = AutoModelForCausalLM._model_mapping.get(type(config), None)
    if kind is None:
        raise WeightsError(
            f"{source}: holds a {config.model_type}, which is no causal language model"
        )
    for dtype in (torch.float16, torch.bfloat16):
        # With this much information it is a pair, which the library's types do not say.
        pair: Any = AutoModelForCausalLM.from_pretrained(
            source.parent,
            config=config,
            gguf_file=source.name,
            dtype=dtype,
            output_loading_info=True,
            **NO_CODE,
        )
        loaded, told = pair
        weights = loaded.state_dict()
        if all(torch.isfinite(weight).all() for weight in weights.values()):
            break
    header.check_complete(loaded)
    check_complete(told)
    return _fresh(loaded, weights, header)


def _fresh(loaded: Any, weights: dict[str, torch.Tensor], header: Header) -> Any:
    """A model of these weights that can be saved, which one that was read from GGUF refuses."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    kind, config = type(loaded), loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    window = header.values.get("attention.sliding_window")
    if config.model_type == "llama" and window and window < config.max_position_embeddings:
        # llama.cpp has one name for the two, which differ in this alone.
        told = {name: value for name, value in config.to_dict().items() if name != "model_type"}
        kind, config = MistralForCausalLM, MistralConfig(**told, sliding_window=window)
        config.architectures = [kind.__name__]
    with torch.device("meta"):
        model = kind(config)
    model.load_state_dict(weights, assign=True)
    model.tie_weights()
    return model


def _take_ends(tokenizer: Any, header: Header) -> None:
    """Take the first and last token of texts from the file: older transformers swap them."""
    for name in ("bos", "eos"):
        number = header.values.get(f"tokenizer.ggml.{name}_token_id")
        if number is not None:
            token = tokenizer.convert_ids_to_tokens(int(number))
            setattr(tokenizer, f"{name}_token", token)
