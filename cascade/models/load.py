"""Found weights to models in memory, on the best device there is."""

from __future__ import annotations

import json
import warnings
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cascade.errors import UsageError, WeightsError
from cascade.models.convert import quiet, safetensors_folder
from cascade.models.find import Weights

if TYPE_CHECKING:
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    from cascade.models.seeing import PictureBank

SEEING = ("llava",)
"""Kinds of vision-language models whose pictures are plain tokens among others."""

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def best_device(wanted: str = "auto") -> str:
    """`wanted`, or with `auto` the first of cuda, mps and cpu that is there.

    Raises
    ------
    UsageError
        The device that was asked for is not there.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = wanted.split(":")[0]
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind != "cpu" and not present.get(kind, False):
        raise UsageError(f"device {wanted!r} is not available here; use auto or cpu")
    return wanted


def precision_dtype(precision: Precision, device: str) -> torch.dtype:
    """The number type to compute in; `auto` takes bfloat16 where the hardware multiplies it."""
    import torch

    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def autocast(device: str = "auto") -> AbstractContextManager[Any]:
    """Multiplication in bfloat16 where the hardware does it, with weights in float32."""
    import torch

    device = best_device(device)
    dtype = precision_dtype("auto", device)
    return torch.autocast(
        device.split(":")[0], dtype, enabled=dtype is torch.bfloat16 or device == "cuda"
    )


def load_encoder(weights: Weights, device: str = "auto") -> SentenceTransformer:
    """A sentence-transformers model, in float32, in evaluation mode."""
    from sentence_transformers import SentenceTransformer

    with quiet():
        model = SentenceTransformer(
            str(weights.path), device=best_device(device), local_files_only=True
        )
    reader: Any = model[0]
    config = getattr(reader, "config", None)
    if config is not None and config.model_type.startswith("siglip"):
        # It reads the vector of a text off the last place, so all texts must be as long as those
        # that it was trained on.
        length = config.text_config.max_position_embeddings
        reader.processing_kwargs = {"text": {"padding": "max_length", "max_length": length}}
    return model


def load_llm(
    weights: Weights, device: str, precision: Precision, *, adapter: str | Path | None = None
) -> tuple[Any, Any]:
    """A causal language model in evaluation mode, and its tokenizer.

    Of a vision-language model it is the language model, with a `models.seeing.PictureBank`.

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

    from cascade.models.seeing import load_seeing

    folder = safetensors_folder(weights)
    device = best_device(device)
    dtype = precision_dtype(precision, device)
    tokenizer = load_tokenizer(folder)
    with quiet():
        if is_seeing(folder):
            try:
                model = load_seeing(folder, dtype)
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


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder of weights."""
    from transformers import AutoTokenizer

    with quiet():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def plain_backend(tokenizer: Any) -> Any:
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


def is_seeing(folder: Path) -> bool:
    """Whether the weights in a folder are of a vision-language model whose pictures are read."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return config.model_type in SEEING


def picture_bank(model: Any) -> PictureBank | None:
    """The bank of a language model that reads pictures; None of another."""
    from cascade.models.seeing import PictureBank

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


def load_sequence_classifier(
    weights: Weights, device: str, precision: Precision
) -> tuple[Any, Any]:
    """A model that sorts texts, or pairs of them, in evaluation mode, and its tokenizer.

    Returns
    -------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerFast

    Raises
    ------
    WeightsError
        The weights cannot be read, or are those of another kind of model.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    device = best_device(device)
    try:
        found = AutoConfig.from_pretrained(weights.path, local_files_only=True).architectures or []
        # A model of another kind would get a head of random numbers.
        if not any("ForSequenceClassification" in name for name in found):
            raise WeightsError(
                f"the weights {weights.name!r} are of {', '.join(found) or 'no named kind'}; "
                "expected a sequence classifier (...ForSequenceClassification)"
            )
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(weights.path, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(
                weights.path,
                dtype=precision_dtype(precision, device),
                local_files_only=True,
                use_safetensors=True,
            )
    except (OSError, ValueError, ImportError) as error:
        problem = " ".join(str(error).split())
        raise WeightsError(f"{weights.path}: no sequence classifier: {problem:.300}") from error
    if not tokenizer.is_fast:
        raise WeightsError(f"{weights.path}: its tokenizer is slow; expected a tokenizer.json")
    model.to(device)
    return model.eval(), tokenizer


def load_cross_encoder(weights: Weights, device: str = "auto") -> CrossEncoder:
    """A cross-encoder with one output, to be trained: of an encoder the output is new.

    Raises
    ------
    WeightsError
        The weights cannot be read, or have several outputs.
    """
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(0)  # of a new output
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: CrossEncoder = CrossEncoder(
                str(weights.path),
                num_labels=1,
                device=best_device(device),
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        raise WeightsError(f"{weights.path}: no cross-encoder: {problem:.300}") from error
    return model
