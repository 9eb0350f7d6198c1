"""Causal language models and their tokenizers: converted from GGUF, with adapters, and loaded.

A GGUF file is converted to safetensors once, safely beside other processes.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import shutil
import tempfile
import warnings
from contextlib import redirect_stderr
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
from cascade.io.files import cache_folder
from cascade.models.inspection import (
    ADAPTER,
    NO_CODE,
    check_complete,
    check_configs,
    check_safetensors,
    read_object,
    reading,
)
from cascade.models.runtime import Precision, best_device, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    from cascade.models.vision_language import PictureBank

VISION_LANGUAGE = ("llava",)
"""Kinds of vision-language models whose pictures are plain tokens among others."""

logger = logging.getLogger(__name__)

MOST_RANK = 1 << 24  # of an adapter

_ADAPTER_FIELDS = frozenset(
    {
        "alpha_pattern",
        "base_model_name_or_path",
        "bias",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_bias",
        "lora_dropout",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "r",
        "rank_pattern",
        "revision",
        "target_modules",
        "task_type",
        "use_dora",
        "use_rslora",
    }
)
"""What is read of an `adapter_config.json`; others name files, modules or ways of training."""

CONVERSION = 1  # raised when a conversion writes something else than before


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

    key = hashlib.sha256(f"{CONVERSION}:{weights.identity}".encode()).hexdigest()[:16]
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


def _take_ends(tokenizer: Any, source: Path) -> None:
    """Take the first and last token of texts from the file: older transformers swap them."""
    from gguf import GGUFReader

    fields = GGUFReader(source).fields
    for name in ("bos", "eos"):
        if (field := fields.get(f"tokenizer.ggml.{name}_token_id")) is not None:
            token = tokenizer.convert_ids_to_tokens(int(field.parts[field.data[0]][0]))
            setattr(tokenizer, f"{name}_token", token)


def _check_declared(config: dict[str, Any], file: Path) -> None:
    """Raise ValueError where a GGUF file declares a far larger model than it can hold.

    The model is made as it is declared before any tensor of the file is looked at.
    """
    layers, hidden, inner, words = (
        int(config.get(name) or 0)
        for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
    )
    declared = words * hidden + layers * (2 * hidden * hidden + 3 * hidden * inner)
    most = 8 * file.stat().st_size  # a weight takes a bit or more
    if min(layers, hidden, inner, words) < 0 or max(declared, layers * 1000) > most:
        raise ValueError(f"it declares {declared:,} weights, and has room for {most:,} at most")


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    logger.info("converting %s to %s (once)", source.name, target)
    with (
        reading(source, "cannot be read as a GGUF language model"),
        quiet_libraries(),
        redirect_stderr(io.StringIO()),  # tqdm's bar, which knows no other way
    ):
        told = AutoConfig.from_pretrained(source.parent, gguf_file=source.name, **NO_CODE)
        _check_declared(told.to_dict(), source)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, **NO_CODE)
        _take_ends(tokenizer, source)
        loaded = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, **NO_CODE
        )
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


def load_llm(
    weights: Weights, device: str, precision: Precision, *, adapter: str | Path | None = None
) -> tuple[Any, Any]:
    """A causal language model in evaluation mode, and its tokenizer.

    Of a vision-language model it is the language model, with a `PictureBank`.

    Parameters
    ----------
    adapter
        Folder of a LoRA adapter, as `cascade finetune` makes it; it becomes part of the weights.

    Returns
    -------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerFast

    Raises
    ------
    WeightsError
        The adapter is not there, or is of another model.
    """
    from transformers import AutoModelForCausalLM

    from cascade.models.vision_language import load_vision_language

    folder = safetensors_folder(weights)
    device = best_device(device)
    dtype = precision_dtype(precision, device)
    tokenizer = load_tokenizer(folder)
    if is_vision_language(folder):
        with reading(folder, "no vision-language model that can be used"):
            model = load_vision_language(folder, dtype)
    else:
        with reading(folder, "no language model that can be used"), quiet_libraries():
            found: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **NO_CODE
            )
            model, told = found
            check_complete(told)
    if adapter is not None:
        model = _adapted(model, Path(adapter), weights.name)
    model.to(device)  # type: ignore[arg-type]
    if bank := picture_bank(model):
        bank.to_device(device)
    return model.eval(), tokenizer


def load_for_inference(
    weights: Weights, device: str, precision: Precision, *, adapter: str | Path | None = None
) -> tuple[Any, Any]:
    """As `load_llm`, but on a CPU a plain LLaMA is a `models.llama.Llama`, and layers are fused."""
    from cascade.models.fused import fuse
    from cascade.models.llama import Llama

    if adapter is None and best_device(device) == "cpu":
        folder = safetensors_folder(weights)
        model = Llama.open(folder, precision_dtype(precision, "cpu"))
        if model is not None:
            return model, load_tokenizer(folder)
    loaded, tokenizer = load_llm(weights, device, precision, adapter=adapter)
    fuse(loaded)
    return loaded, tokenizer


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder of weights.

    Raises
    ------
    WeightsError
        There is none that can be read.
    """
    import transformers

    # Named in the folder, it need not be looked for, which imports models.
    named = json_of(folder / "tokenizer_config.json").get("tokenizer_class")
    plain = named in ("TokenizersBackend", "PreTrainedTokenizerFast")
    kind = transformers.PreTrainedTokenizerFast if plain else transformers.AutoTokenizer
    with reading(folder, "no tokenizer that can be used"), quiet_libraries():
        found = kind.from_pretrained(folder, **NO_CODE)
        if not isinstance(found, transformers.PreTrainedTokenizerBase):
            raise TypeError(f"a {type(found).__name__} is none")
        return found


def plain_text_tokenizer(tokenizer: Any) -> Any:
    """What encodes in a fast tokenizer, for plain text: special tokens are spelled out.

    A copy, neither padded nor cut short, since transformers sets these at each call of its own;
    None of a slow tokenizer.
    """
    backend = deepcopy(getattr(tokenizer, "backend_tokenizer", None))
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
    return backend


def is_vision_language(folder: Path) -> bool:
    """Whether the weights in a folder are of a vision-language model whose pictures are read."""
    return json_of(folder / "config.json").get("model_type") in VISION_LANGUAGE


def json_of(file: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where there is none that can be read."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def picture_bank(model: Any) -> PictureBank | None:
    """The bank of a language model that reads pictures; None of another."""
    from cascade.models.vision_language import PictureBank

    found = model.get_input_embeddings()
    return found if isinstance(found, PictureBank) else None


def adapter_config(folder: Path) -> dict[str, Any]:
    """The fields of the LoRA adapter in a folder, of which none names code or other files.

    Raises
    ------
    WeightsError
        The folder holds no LoRA adapter in safetensors, or one that asks for more.
    """
    check_configs(folder)
    file = folder / ADAPTER
    for needed in (file, folder / "adapter_model.safetensors"):
        if not needed.is_file():
            if needed != file and (folder / "adapter_model.bin").is_file():
                raise WeightsError(
                    f"{folder}: holds no {needed.name} but adapter_model.bin, a pickle, which can "
                    "hold code and is never read; where you trust its makers load it with peft, "
                    "and save it with safe_serialization=True"
                )
            raise WeightsError(
                f"{folder}: holds no {needed.name}, so it is no adapter; name a folder that "
                "`cascade finetune` or peft has made"
            )
    check_safetensors(folder / "adapter_model.safetensors")
    values = read_object(file)
    if not isinstance(values, dict) or values.get("peft_type", "LORA") != "LORA":
        raise WeightsError(f"{file}: is not of a LoRA adapter, which is what is read here")
    rank = values.get("r")
    if type(rank) is not int or not 1 <= rank <= MOST_RANK:
        raise WeightsError(f"{file}: names no rank: expected a whole number r, found {rank!r:.80}")
    targets = values.get("target_modules")
    if isinstance(targets, str) and re.search(r"[*+}]\)?[*+{]|\([^)]*[*+|][^)]*\)[*+{]", targets):
        raise WeightsError(
            f"{file}: target_modules is a pattern that could take for ever, {targets!r:.80}; "
            "write the names of the modules as a list"
        )
    return {name: value for name, value in values.items() if name in _ADAPTER_FIELDS}


def adapter_rank(folder: Path) -> int:
    """The rank of the LoRA adapter in a folder.

    Raises
    ------
    WeightsError
        The folder holds none.
    """
    return int(adapter_config(folder)["r"])


def _adapted(model: Any, folder: Path, name: str) -> Any:
    """The model with a LoRA adapter merged into its weights."""
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    # Not read by peft: some fields of the file name modules to import, or pickles.
    told = adapter_config(folder)
    misfit = (
        f"is no adapter of {name!r} (name the weights that it was made for, see its "
        "adapter_config.json)"
    )
    with reading(folder, misfit), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found missing adapter keys")  # told below
        warnings.simplefilter("ignore", FutureWarning)  # peft's way of asking transformers
        with safe_open(folder / "adapter_model.safetensors", framework="numpy") as file:
            there = set(file.keys())
        config = LoraConfig(**{**told, "peft_type": "LORA", "inference_mode": True})
        adapted = PeftModel.from_pretrained(model, str(folder), config=config)
        # Not "auto", with which peft looks for the model on the hub.
        expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        if odd := sorted(there ^ expected):
            raise ValueError(f"{len(odd)} weights do not fit, such as {odd[0]}")
        return adapted.merge_and_unload()
