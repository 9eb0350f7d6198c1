"""Causal language models and their tokenizers: found in folders, with adapters, and loaded."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
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

MARKUP = re.compile(r"[<>\[\]{}|\uff1c\uff1e\uff5c]")  # of which control tokens are made
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


def safetensors_folder(weights: Weights) -> Path:
    """The folder that `from_pretrained` reads; a GGUF file is converted into the cache once.

    Raises
    ------
    WeightsError
        The GGUF file cannot be read, or holds no causal language model that transformers reads.
    """
    if weights.path.suffix != ".gguf":
        return weights.path
    from cascade.models.gguf.conversion import converted

    return converted(weights.path, weights.identity)


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
    keep_softcap(model)
    model.to(device)  # type: ignore[arg-type]
    if bank := picture_bank(model):
        bank.to_device(device)
    return model.eval(), tokenizer


def keep_softcap(model: Any) -> None:
    """Give a model that bounds its attention's logits (Gemma 2) an attention that does so.

    PyTorch's scaled dot-product attention cannot, and transformers takes it before 5.22 all the
    same, which changes scores.
    """
    bounded = getattr(model.config, "attn_logit_softcapping", None) is not None
    if bounded and getattr(model.config, "_attn_implementation", None) == "sdpa":
        model.set_attn_implementation("eager")


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
    """What encodes in a fast tokenizer, for plain text: control tokens are spelled out.

    Many makers leave some (`<tool_call>`, `<think>`) unmarked; see `is_control`. A copy, neither
    padded nor cut short, since transformers sets these at each call of its own. None of a slow
    tokenizer.
    """
    from tokenizers import AddedToken

    backend = deepcopy(getattr(tokenizer, "backend_tokenizer", None))
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        unmarked = [
            token
            for token in backend.get_added_tokens_decoder().values()
            if is_control(token) and not token.special
        ]
        backend.add_special_tokens(
            [AddedToken(token.content, normalized=token.normalized) for token in unmarked]
        )
    return backend


def is_control(token: Any) -> bool:
    """Whether a token that was added to a vocabulary is for control, and is no word or blanks."""
    return bool(token.special or MARKUP.search(token.content))


def puts_blank(backend: Any) -> bool:
    """Whether a tokenizer puts a blank before each text, as those of SentencePiece do."""
    return bool(_blank_putters(backend))


def put_no_blank(backend: Any) -> None:
    """Have a tokenizer put no blank before each text."""
    for part, field, nothing in _blank_putters(backend):
        setattr(part, field, nothing)
    backend.normalizer, backend.pre_tokenizer = backend.normalizer, backend.pre_tokenizer


def _steps(sequence: Any) -> Iterator[Any]:
    """The steps of a sequence of tokenizers, which does not tell how many it has."""
    for at in count():
        try:
            yield sequence[at]
        except IndexError:
            return


def _blank_putters(backend: Any) -> list[tuple[Any, str, Any]]:
    """Parts of a tokenizer that put a blank before texts, the field that says so, and its none."""
    from tokenizers import normalizers, pre_tokenizers

    parts = [backend.normalizer, backend.pre_tokenizer]
    for sequence in list(parts):
        if isinstance(sequence, normalizers.Sequence | pre_tokenizers.Sequence):
            parts += _steps(sequence)
    found: list[tuple[Any, str, Any]] = []
    for part in parts:
        if isinstance(part, normalizers.Prepend) and part.prepend:
            found.append((part, "prepend", ""))
        elif isinstance(part, pre_tokenizers.Metaspace) and part.prepend_scheme != "never":
            found.append((part, "prepend_scheme", "never"))
        elif isinstance(part, pre_tokenizers.ByteLevel) and part.add_prefix_space:
            found.append((part, "add_prefix_space", False))
    return found


def keeps_keys(config: Any) -> bool:
    """Whether all layers are of attention, whose keys and values can be kept and masked.

    State-space layers and convolutions read all tokens before one, in one state.
    """
    return not odd_layers(config)


def odd_layers(config: Any) -> list[str]:
    """Kinds of layers that are not of attention, or of one that sees neither all nor a window."""
    kinds = set(getattr(config, "layer_types", None) or ())
    return sorted(kinds - {"full_attention", "sliding_attention"})


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
