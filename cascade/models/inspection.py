"""What a folder of weights may hold, looked at before any library opens it.

Model folders are passed on, and a file in one can tell the libraries that read it to run code:
`auto_map` in any config, a class of one's own in `modules.json`, weights that are pickles. None of
this is ever done here. A folder that asks for it is refused, with the file that asks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade.config import prompt_problem, shown
from cascade.errors import CascadeError, WeightsError

NO_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""What every call of `from_pretrained`, and of the like, is given."""

os.environ.setdefault("USE_HUB_KERNELS", "NO")  # transformers would fetch programs for attention

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".npy", ".npz"})
"""Refused wherever a library may look: nothing that is read here is kept so."""

PICKLED_WEIGHTS = frozenset({".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack"})
"""Refused where no safetensors lie beside them, which are read in their place."""

TOKENIZER = "tokenizer.json"
VOCABULARIES = (TOKENIZER, "vocab.json", "added_tokens.json")
MOST_BYTES = 16 << 20  # of a config
MOST_VOCABULARY = 256 << 20  # bytes of a tokenizer
MOST_GROWTH = 64  # characters that a tokenizer makes of one
MOST_FILES = 10_000  # that a folder of weights has
MOST_SPECIAL = 10_000  # tokens that a tokenizer's config adds; their number squared takes time
MOST_LAYERS = 256
MOST_WIDE = 10**8  # rows of an embedding, tokens of a context, ...
SAFE_MODULES = "sentence_transformers."
SAFE_FUNCTIONS = "torch.nn."
ADAPTER = "adapter_config.json"

_TOKENIZER = re.compile(r"\w*(Tokenizer|TokenizerFast|Backend)")
_LAYERS = re.compile(r"^(num|n)_(\w+_)?layers?$|^depth$")
_WIDE = re.compile(r"_(size|dim|dims|positions|embeddings|heads|experts|length)$")


def check_folder(folder: Path) -> None:
    """Refuse a folder of weights that names code, or whose weights are pickles or are damaged.

    Raises
    ------
    WeightsError
        It does; the message names the file and the cure.
    """
    check_configs(folder)
    for place in _places(folder):
        if (place / ADAPTER).is_file():  # libraries would read its base, wherever that is
            raise WeightsError(
                f"{place / ADAPTER}: is of an adapter, and a folder of weights has a whole model; "
                "name the adapter of a language model in llm.adapter and its base in llm.model, "
                "or merge the two with peft's merge_and_unload"
            )
        _check_weights(place)
        if (place / TOKENIZER).is_file():
            _check_tokenizer(place / TOKENIZER)


def check_configs(folder: Path) -> None:
    """Refuse a folder in which a config names code; the folders below are looked at too."""
    for file in _configs(folder):
        check_config(file)


def check_config(file: Path) -> None:
    """Refuse a config that names code."""
    values = read_object(file)
    _check_values(values, file)
    if file.name in ("modules.json", "router_config.json"):
        _check_modules(values, file)
    if file.name == "tokenizer_config.json" and isinstance(values, dict):
        _check_tokenizer_config(values, file)
    if file.name == "config_sentence_transformers.json":
        _check_prompts(values, file)


def check_safetensors(file: Path) -> None:
    """Refuse a file that is no whole safetensors file; only its header is read.

    Raises
    ------
    WeightsError
        It is cut short, or something else under that name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            pass
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError) as error:
        with file.open("rb") as stream:
            if stream.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
                raise _pickled(file) from None
        raise WeightsError(
            f"{file}: is no whole safetensors file ({error!s:.120}); copy it again"
        ) from None


def read_object(file: Path, most: int = MOST_BYTES) -> Any:
    """The values in a JSON file beside weights, of at most so many bytes.

    Raises
    ------
    WeightsError
        It cannot be read, or is no JSON.
    """
    try:
        if file.stat().st_size > most:
            raise WeightsError(
                f"{file}: has {file.stat().st_size:,} bytes; such a file has {most:,} at most"
            )
        return json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: is no JSON ({error!s:.120}); copy it again") from None


def check_complete(told: Mapping[str, Any]) -> None:
    """Raise ValueError where weights were missing, for which transformers takes random numbers.

    Parameters
    ----------
    told
        What `from_pretrained` tells with `output_loading_info`.
    """
    if missing := sorted(told["missing_keys"]):
        raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]:.100}")


@contextmanager
def reading(
    path: Path | str, failure: str, kind: type[CascadeError] = WeightsError
) -> Iterator[None]:
    """Whatever a library raises over the files at `path` becomes an error of a kind.

    Parameters
    ----------
    failure
        What to say of them, for example `no tokenizer that can be used`.
    """
    try:
        yield
    except CascadeError:
        raise
    # The files of strangers make libraries raise anything: AttributeError, RecursionError, and from
    # tokenizers a plain Exception. Its panics are no Exception at all.
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        problem = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{path}: {failure}: {problem:.300}") from error


def _configs(folder: Path) -> Iterator[Path]:
    """Files of JSON in a folder and below, less vocabularies."""
    seen = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(files)
        if seen > MOST_FILES:
            raise WeightsError(
                f"{folder}: holds more than {MOST_FILES:,} files; name the folder of one model"
            )
        for name in sorted(files):
            path = Path(place, name)
            if path.exists() and not path.is_file():  # a named pipe is waited for without end
                raise WeightsError(f"{path}: is no file, and a folder of weights has files only")
            if path.suffix == ".json" and name not in VOCABULARIES and path.is_file():
                yield path


def _check_values(values: Any, file: Path) -> None:
    """Refuse values that name code, files elsewhere, or sizes that no model has."""
    todo = [values]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        if not isinstance(value, dict):
            continue
        todo += value.values()
        for name in ("auto_map", "custom_generate", "custom_pipelines"):
            if value.get(name):
                raise _code(file, name, value[name])
        for name in ("attn_implementation", "_attn_implementation", "experts_implementation"):
            if "/" in json.dumps(value.get(name)):  # a program of the hub, of which there are many
                raise _code(file, name, value[name])
        for name in ("activation_fn", "activation_function"):
            told = value.get(name)
            if isinstance(told, str) and "." in told and not told.startswith(SAFE_FUNCTIONS):
                raise _code(file, name, told)
        mapping = value.get("auto_mapping")
        library = mapping.get("parent_library", "") if isinstance(mapping, dict) else mapping
        if library and not str(library).startswith(("transformers.", "peft.")):
            raise _code(file, "auto_mapping", mapping)
        if isinstance(shards := value.get("weight_map"), dict):
            _check_shards(shards, file)
        _check_sizes(value, file)


def _check_sizes(values: Mapping[str, Any], file: Path) -> None:
    if file.name == "sentence_bert_config.json":
        longest = values.get("max_seq_length")
        if longest is not None and (type(longest) is not int or not 3 <= longest <= MOST_WIDE):
            raise WeightsError(
                f"{file}: max_seq_length is {longest!r:.40}; expected a number of tokens, from 3 on"
            )
    if file.name != "config.json":  # others say of a length that it has no end
        return
    for name, value in values.items():
        if not isinstance(value, int):
            continue
        most = MOST_LAYERS if _LAYERS.search(name) else MOST_WIDE if _WIDE.search(name) else None
        if most is not None and value > most:
            raise WeightsError(
                f"{file}: {name} is {value:.3g}, which no model has (at most {most:,})"
            )


def _check_shards(shards: Mapping[str, Any], file: Path) -> None:
    for name in {str(value) for value in shards.values()}:
        if _leads_away(name):
            raise WeightsError(f"{file}: names weights outside of its folder, {name!r:.80}")
        if file.name.startswith("model.safetensors") and not name.endswith(".safetensors"):
            raise _pickled(file.parent / name)


def _check_modules(values: Any, file: Path) -> None:
    """Refuse modules of sentence-transformers that are not that library's own."""
    modules = values if isinstance(values, list) else []
    types = [module.get("type") for module in modules if isinstance(module, dict)]
    if isinstance(values, dict) and isinstance(values.get("types"), dict):
        types += values["types"].values()
    for kind in types:
        if not isinstance(kind, str) or not kind.startswith(SAFE_MODULES):
            raise _code(file, "type", kind)
    for module in modules:
        path = module.get("path") if isinstance(module, dict) else None
        if isinstance(path, str) and _leads_away(path):
            raise WeightsError(f"{file}: names a module outside of its folder, {path!r:.80}")


def _check_prompts(values: Any, file: Path) -> None:
    """Refuse prompts that are no texts, or texts that no prompt is."""
    told = values if isinstance(values, dict) else {}
    prompts, usual = told.get("prompts") or {}, told.get("default_prompt_name")
    if not isinstance(prompts, dict):
        raise WeightsError(f"{file}: prompts is {shown(prompts)}; expected texts by name")
    for name, prompt in prompts.items():
        problem = "is no text" if prompt is not None else ""
        if isinstance(prompt, str):
            problem = prompt_problem(prompt)
        if problem := problem or prompt_problem(name):
            raise WeightsError(
                f"{file}: the prompt {shown(name)} {problem}; mend a copy of the folder, or use "
                "another model"
            )
    known = {"query", "document", *prompts}  # these two the library always has
    if usual is not None and (not isinstance(usual, str) or usual not in known):
        raise WeightsError(
            f"{file}: default_prompt_name is {shown(usual)}, which is none of the prompts "
            f"({', '.join(map(shown, list(prompts)[:8])) or 'there are none'})"
        )


def _places(folder: Path) -> Iterator[Path]:
    """The folders that weights may be read from: the folder itself, and those with a config."""
    yield folder
    for file in _configs(folder):
        if file.name == "config.json" and file.parent != folder:
            yield file.parent


def _check_weights(folder: Path) -> None:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be read: {error.strerror}") from None
    safe = [path for path in files if path.suffix == ".safetensors"]
    read = any(path.name.startswith(("model", "adapter_model")) for path in safe)
    for path in files:
        suffix = path.suffix.lower()
        unread = read or path.name.startswith("openvino_")
        if suffix in PICKLES or (suffix in PICKLED_WEIGHTS and not unread):
            raise _pickled(path)
    for path in safe:
        check_safetensors(path)


def _check_tokenizer_config(values: Mapping[str, Any], file: Path) -> None:
    kind, longest = values.get("tokenizer_class"), values.get("model_max_length")
    if kind is not None and not (isinstance(kind, str) and _TOKENIZER.fullmatch(kind)):
        raise WeightsError(f"{file}: tokenizer_class is {kind!r:.80}, which is no tokenizer")
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, int | float)):
        raise WeightsError(
            f"{file}: model_max_length is {longest!r:.40}; expected a number of tokens"
        )
    for name in ("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens"):
        if isinstance(values.get(name), list | dict) and len(values[name]) > MOST_SPECIAL:
            raise WeightsError(
                f"{file}: {name} has {len(values[name]):,} tokens; the most is {MOST_SPECIAL:,}"
            )


def _check_tokenizer(file: Path) -> None:
    """Refuse a tokenizer that makes a text of a million characters out of one of a hundred."""
    values = read_object(file, MOST_VOCABULARY)
    told = values.get("normalizer") if isinstance(values, dict) else None
    growth, todo = 1, [told]
    while todo:
        one = todo.pop()
        if not isinstance(one, dict):
            continue
        steps = one.get("normalizers")
        todo += steps if isinstance(steps, list) else []
        written = one.get("content", one.get("prepend"))
        if isinstance(written, str) and one.get("type") in ("Replace", "Prepend"):
            growth *= max(1, len(written))
    if _longest_list(values.get("post_processor") if isinstance(values, dict) else None) > 64:
        raise WeightsError(
            f"{file}: its post_processor puts more than 64 tokens around a text, which no "
            "tokenizer needs; use another model"
        )
    if growth > MOST_GROWTH:
        raise WeightsError(
            f"{file}: its normalizer makes texts up to {growth:.3g} times as long, which no "
            "tokenizer needs; use another model"
        )


def _longest_list(value: Any) -> int:
    """Entries of the longest list or mapping in some values."""
    longest, todo = 0, [value]
    while todo:
        part = todo.pop()
        if isinstance(part, list | dict):
            longest = max(longest, len(part))
            todo += part.values() if isinstance(part, dict) else part
    return longest


def _leads_away(name: str) -> bool:
    """Whether a relative name leads out of its folder."""
    return Path(name).is_absolute() or ".." in Path(name.replace("\\", "/")).parts


def _code(file: Path, name: str, value: Any) -> WeightsError:
    return WeightsError(
        f"{file}: {name} asks to run code that is not part of a library ({value!r:.120}), and "
        "cascade runs none. If the architecture is one that the libraries know, take that entry "
        "out of a copy of the folder; else use another model"
    )


def _pickled(file: Path) -> WeightsError:
    return WeightsError(
        f"{file}: is a pickle (or another format that can hold code), which is never read; "
        "convert it to safetensors where you trust its makers, "
        "https://huggingface.co/docs/safetensors/convert-weights, or remove it if it is not needed"
    )
