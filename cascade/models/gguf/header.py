"""What a GGUF file says of itself, and whether transformers can read such a model at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import WeightsError
from cascade.models.inspection import reading

SAFETENSORS = "use the folder of safetensors that the model was published in"
SERVE = "serve the file with llama.cpp and name that in llm.server.url (llm.engine: server)"
OF_POSITIONS = "rope_f"  # begins tensors with factors of rotary embeddings, which are no weights
NO_MODELS = {
    "adapter": "an adapter; name a folder in llm.adapter, and the whole model in llm.model",
    "mmproj": "the part of a model that reads pictures; name the file of its language model",
    "imatrix": "statistics of a model; name the file of the model itself",
    "vocab": "a vocabulary without a model; name the file of the model itself",
}
"""What `general.type` says of files that hold no model, and the cure."""
ENCODER_DECODERS = ("t5", "umt5", "t5encoder")


@dataclass(frozen=True)
class Header:
    """What a GGUF file says.

    Parameters
    ----------
    architecture
        As llama.cpp calls it.
    values
        Settings by name, without lists; those of the architecture without its name before them.
    sizes
        Number of values of each tensor, by its name.
    factors
        Factors of the rotary embeddings' wavelengths, float32 [head size / 2]; None if not told.
    """

    file: Path
    architecture: str
    values: Mapping[str, Any]
    sizes: Mapping[str, int]
    factors: Any = None

    @classmethod
    def read(cls, file: Path) -> Header:
        """The header of a file.

        Raises
        ------
        ValueError, ...
            Whatever `gguf` raises over a file that is none.
        """
        from gguf import GGUFReader, GGUFValueType

        reader = GGUFReader(file)
        told = {
            name: field.contents()
            for name, field in reader.fields.items()
            if field.types and field.types[0] != GGUFValueType.ARRAY
        }
        architecture = str(told.get("general.architecture", ""))
        values = {name.removeprefix(f"{architecture}."): value for name, value in told.items()}
        sizes = {tensor.name: int(tensor.n_elements) for tensor in reader.tensors}
        factors = next(
            (t.data.copy() for t in reader.tensors if t.name == "rope_freqs.weight"), None
        )
        return cls(file, architecture, values, sizes, factors)

    def check(self) -> None:
        """Refuse a file of which transformers makes no causal language model.

        Raises
        ------
        WeightsError
            It holds something else, a part of a model, or an architecture that is not read.
        """
        if part := NO_MODELS.get(str(self.values.get("general.type"))):
            raise WeightsError(f"{self.file}: holds {part}")
        if (parts := int(self.values.get("split.count") or 1)) > 1:
            raise WeightsError(
                f"{self.file}: is one of {parts} parts of a model; join them with llama.cpp's "
                "`llama-gguf-split --merge`, and name the whole"
            )
        if not self.architecture:
            raise WeightsError(
                f"{self.file}: names no architecture, so it is no model; copy it again"
            )
        known = readable_architectures()
        if _plain(self.architecture) in ENCODER_DECODERS:
            raise WeightsError(
                f"{self.file}: is of the architecture {self.architecture!r}, which is no causal "
                "language model; name one that continues texts, such as a LLaMA, Qwen or Gemma"
            )
        if _plain(self.architecture) not in known:
            raise WeightsError(
                f"{self.file}: is of the architecture {self.architecture!r}, which transformers "
                f"does not read from GGUF (it reads {', '.join(sorted(known))}); {SAFETENSORS}, or "
                f"{SERVE}"
            )

    def check_size(self, config: Any) -> None:
        """Raise ValueError where the file declares a far larger model than it can hold.

        The model is made as it is declared before any tensor of the file is looked at.
        """
        layers, hidden, inner, words = (
            int(getattr(config, name, None) or 0)
            for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
        )
        declared = words * hidden + layers * (2 * hidden * hidden + 3 * hidden * inner)
        most = 8 * self.file.stat().st_size  # a weight takes a bit or more
        if min(layers, hidden, inner, words) < 0 or max(declared, layers * 1000) > most:
            raise ValueError(f"it declares {declared:,} weights, and has room for {most:,} at most")

    def check_complete(self, model: Any) -> None:
        """Refuse a model that did not take all weights of the file, or that has more.

        Raises
        ------
        WeightsError
            The file has another form of the architecture than transformers knows.
        """
        layers = model.config.num_hidden_layers
        tied = model.config.tie_word_embeddings
        used = {
            name: size
            for name, size in self.sizes.items()
            if not name.startswith(OF_POSITIONS)
            and not (tied and name == "output.weight")
            and not _is_of_later_block(name, layers)
        }
        there, taken = sum(used.values()), sum(p.numel() for p in model.parameters())
        if there != taken:
            raise WeightsError(
                f"{self.file}: has {there:,} weights, and transformers reads {taken:,} of a "
                f"{type(model).__name__}: this form of the architecture {self.architecture!r} is "
                f"not known to it; {SAFETENSORS}, or {SERVE}"
            )


def checked(file: Path) -> Header:
    """The header of a file that holds a causal language model which transformers reads.

    Raises
    ------
    WeightsError
        It is none.
    """
    with reading(file, "is no whole GGUF file; copy it again"):
        header = Header.read(file)
        header.check()
    return header


def readable_architectures() -> set[str]:
    """Names of the architectures that the installed transformers reads from GGUF files."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    more: Iterable[str] = ()
    with contextlib.suppress(ImportError):  # before 5.20
        from transformers.integrations import gguf

        more = getattr(gguf, "GGUF_CONFIG_ARCHS", ())
    found = {_plain(name) for name in (*GGUF_SUPPORTED_ARCHITECTURES, *more)}
    return found - {"general", "tokenizer", *ENCODER_DECODERS}


def _plain(architecture: str) -> str:
    """One spelling of names that llama.cpp and transformers spell in two."""
    return architecture.lower().replace("-", "").replace("_", "")


def _is_of_later_block(tensor: str, layers: int) -> bool:
    """Whether a tensor is of a block after the last, which predicts further tokens."""
    parts = tensor.split(".")
    return parts[0] == "blk" and len(parts) > 1 and parts[1].isdigit() and int(parts[1]) >= layers
