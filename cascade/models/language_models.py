"""Causal language models and their tokenizers: loading them, with adapters, on the best device."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
from cascade.models.gguf import safetensors_folder
from cascade.models.runtime import Precision, best_device, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    from cascade.models.vision_language import PictureBank

VISION_LANGUAGE = ("llava",)
"""Kinds of vision-language models whose pictures are plain tokens among others."""


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
    with quiet_libraries():
        if is_vision_language(folder):
            try:
                model = load_vision_language(folder, dtype)
            except (OSError, ValueError, ImportError) as error:
                problem = " ".join(str(error).split())
                raise WeightsError(
                    f"{folder}: no vision-language model that can be used: {problem:.300}"
                ) from error
        else:
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
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
    """The tokenizer in a folder of weights."""
    import transformers

    # Named in the folder, it need not be looked for, which imports models.
    named = json_of(folder / "tokenizer_config.json").get("tokenizer_class")
    plain = named in ("TokenizersBackend", "PreTrainedTokenizerFast")
    kind = transformers.PreTrainedTokenizerFast if plain else transformers.AutoTokenizer
    with quiet_libraries():
        return kind.from_pretrained(folder, local_files_only=True)


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
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def picture_bank(model: Any) -> PictureBank | None:
    """The bank of a language model that reads pictures; None of another."""
    from cascade.models.vision_language import PictureBank

    found = model.get_input_embeddings()
    return found if isinstance(found, PictureBank) else None


def adapter_rank(folder: Path) -> int:
    """The rank of the LoRA adapter in a folder.

    Raises
    ------
    WeightsError
        The folder holds none.
    """
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).is_file():
            raise WeightsError(
                f"{folder}: holds no {file}, so it is no adapter; name a folder that "
                "`cascade finetune` or peft has made"
            )
    try:
        return int(json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder}: its adapter_config.json names no rank: {error}") from None


def _adapted(model: Any, folder: Path, name: str) -> Any:
    """The model with a LoRA adapter merged into its weights."""
    adapter_rank(folder)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "adapter_model.safetensors", framework="numpy") as file:
            there = set(file.keys())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # told below
            warnings.simplefilter("ignore", FutureWarning)  # peft's way of asking transformers
            adapted = PeftModel.from_pretrained(model, str(folder))
        # Not "auto", with which peft looks for the model on the hub.
        expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        if odd := sorted(there ^ expected):
            raise ValueError(f"{len(odd)} weights do not fit, such as {odd[0]}")
        return adapted.merge_and_unload()
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError, LookupError) as error:
        problem = " ".join(str(error).split())
        raise WeightsError(
            f"{folder}: is no adapter of {name!r}: {problem:.200}; name the weights that it was "
            "made for, see its adapter_config.json"
        ) from error
