"""Sentence encoders: texts to unit vectors, the fastest way that their kind and the device allow.

Encoders of the BERT kind run on a CPU in plain torch, over texts that lie one after another,
without padding: all linear layers over the tokens of all texts as one row, attention over texts of
one length at a time (as the "unpadding" of ModernBERT, arXiv 2412.13663, for processors without a
kernel for it). Others, and any on a GPU, run in sentence-transformers, whose import takes seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.io.files import cache_folder
from cascade.models.inspection import NO_CODE, reading
from cascade.models.packed.layers import WORDS, PackedLayers, name_today
from cascade.models.runtime import autocast, best_device, divided, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]

KINDS = ("bert", "roberta", "xlm-roberta")
POOLING = ("mean", "cls")
TOKENS = 3200  # of one forward pass; as many as are fastest in half precision
CHARACTERS = 6000  # that a CPU encodes together in half precision; a token has about four
CHARACTERS_ON_GPU = 64_000
UNLIKE = 1e-5  # of a cosine to the vectors of sentence-transformers, at the most
SAMPLE = ("straw hat", "a wide straw hat, for the summer [SEP]", "", "oak table " * 600)
FORMAT = 1  # raised when the packed forward pass changes


class SentenceEncoder(Protocol):
    """A loaded encoder whose inputs are plain text, even where they spell `[SEP]`.

    Attributes
    ----------
    width
        Numbers in a vector.
    reads_pictures
        Whether pictures have vectors that can be compared with those of texts.
    """

    width: int
    reads_pictures: bool

    def encode(self, texts: Sequence[str], *, half: bool = False, prompt: str = "") -> Vectors:
        """Unit vectors float32 [n_texts, width].

        Parameters
        ----------
        half
            With weights in half precision where the hardware multiplies it.
        prompt
            What is read before each text; plain text too.
        """
        ...

    def encode_pictures(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Unit vectors float32 [n_pictures, width]."""
        ...


def load_sentence_encoder(weights: Weights, device: str = "auto") -> SentenceEncoder:
    """The encoder in found weights, in evaluation mode.

    Built-in weights are pinned, and a test compares their packed vectors with those of
    sentence-transformers. Other weights are compared once on each machine.
    """
    device = best_device(device)
    packed = PackedEncoder.open(weights) if device == "cpu" else None
    if packed is None:
        return PaddedEncoder(load_sentence_transformer(weights, device))
    compared = _compared(weights)
    if weights.origin == "package" or compared.is_file():
        return packed
    padded = PaddedEncoder(load_sentence_transformer(weights, device))
    with reading(weights.path, "no sentence encoder that can be used"):
        alike = (packed.encode(SAMPLE) * padded.encode(SAMPLE)).sum(axis=1).min() >= 1 - UNLIKE
    if not alike:
        return padded
    remember_packed(weights)
    return packed


def remember_packed(weights: Weights) -> None:
    """Let weights be read packed on this machine: they were compared, or were trained so."""
    compared = _compared(weights)
    with suppress(OSError):  # a cache that cannot be written: compared again the next time
        compared.parent.mkdir(parents=True, exist_ok=True)
        compared.touch()


def _compared(weights: Weights) -> Path:
    """The file in the user's cache that says so."""
    key = hashlib.sha256(f"{FORMAT}:{weights.identity}".encode()).hexdigest()[:16]
    return cache_folder() / "models" / f"packed-{key}"


def load_sentence_transformer(weights: Weights, device: str = "auto") -> SentenceTransformer:
    """A model of sentence-transformers in float32, in evaluation mode.

    Raises
    ------
    WeightsError
        The weights cannot be read, or are of no such model.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    with reading(weights.path, "no sentence encoder that can be used"), quiet_libraries():
        model = SentenceTransformer(
            str(weights.path),
            device=best_device(device),
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            **NO_CODE,
        )
        weights.change(model.transformers_model)
    reader: Any = model[0]
    config = getattr(reader, "config", None)
    if config is not None and config.model_type.startswith("siglip"):
        # It reads the vector of a text off the last place, so all texts must be as long as those
        # that it was trained on.
        length = config.text_config.max_position_embeddings
        reader.processing_kwargs = {"text": {"padding": "max_length", "max_length": length}}
    return model


class PaddedEncoder:
    """Any model of sentence-transformers; texts of nearly one length are padded together."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.width = int(model.get_embedding_dimension() or 0)
        self.reads_pictures = "image" in getattr(model, "modalities", ())
        self._model = model
        model.tokenizer.split_special_tokens = True

    def encode(self, texts: Sequence[str], *, half: bool = False, prompt: str = "") -> Vectors:
        """Unit vectors of texts; see `SentenceEncoder.encode`."""
        device = self._model.device.type
        half = half and precision_dtype("auto", device).itemsize < 4
        most, many = (CHARACTERS, 64) if device == "cpu" else (CHARACTERS_ON_GPU, 256)
        most = most if half else most // 2
        lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + len(prompt)
        if self._model.max_seq_length:
            lengths = lengths.clip(max=4 * self._model.max_seq_length)
        order = np.argsort(-lengths, kind="stable")
        out = np.empty((len(texts), self.width), dtype=np.float32)
        with autocast(device) if half else nullcontext():
            for batch in divided(order, lengths.clip(min=most // many), most):
                out[batch] = self._encoded([texts[at] for at in batch], len(batch), prompt)
        return out

    def encode_pictures(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Unit vectors of pictures; see `SentenceEncoder.encode_pictures`."""
        return self._encoded(pictures, 32)

    def _encoded(self, inputs: Sequence[Any], batch_size: int, prompt: str = "") -> Vectors:
        if not len(inputs):
            return np.empty((0, self.width), dtype=np.float32)
        vectors: Vectors = self._model.encode(
            list(inputs),
            prompt=prompt,  # an empty one keeps the default of the model away
            batch_size=batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return vectors


def _tokenizer(file: Path) -> Any:
    """The tokenizer in a file; WeightsError where it holds none, for which a library panics."""
    from tokenizers import Tokenizer

    if not file.is_file():
        raise FileNotFoundError(file)
    with reading(file, "no tokenizer that can be used"):
        return Tokenizer.from_file(str(file))


class PackedEncoder:
    """A transformer of the BERT kind (Devlin et al., arXiv 1810.04805) and the pooling after it.

    Parameters
    ----------
    weights
        float32 tensors by their names in the files of transformers.
    tokenizer
        Of the library tokenizers.
    config
        The config of the transformer.
    pooling
        `mean` or `cls`.
    longest
        Most tokens of a text that are read.
    """

    reads_pictures = False

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        tokenizer: Any,
        config: dict[str, Any],
        pooling: str,
        longest: int,
    ) -> None:
        self.width = int(config["hidden_size"])
        self._weights = weights
        self._half: dict[str, torch.Tensor] = {}
        self._tokenizer = tokenizer
        tokenizer.encode_special_tokens = True  # as plain text
        tokenizer.no_padding()
        tokenizer.enable_truncation(longest)
        self.transformer = PackedLayers(config)
        self._pooling = pooling

    @classmethod
    def open(cls, weights: Weights) -> PackedEncoder | None:
        """The encoder in a folder of sentence-transformers; None where it is of another form."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = weights.path
        try:
            modules = _json(folder / "modules.json")
            kinds = [module["type"].rpartition(".")[2] for module in modules]
            own = folder / modules[0]["path"]
            config = _json(own / "config.json")
            pool = _json(folder / modules[1]["path"] / "config.json")
            pooling = _pooling(pool)
            if (
                kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
                or _of_another_form(config)
                or pooling not in POOLING
                or pool.get("include_prompt") is False
                or (own / "adapter_config.json").is_file()
            ):
                return None
            longest = _json(own / "sentence_bert_config.json").get("max_seq_length") or min(
                _json(own / "tokenizer_config.json")["model_max_length"],
                config["max_position_embeddings"],
            )
            tensors = load_file(own / "model.safetensors")
            prefix = next(n for n in tensors if n.endswith(WORDS)).removesuffix(WORDS)
            tensors = {name_today(n.removeprefix(prefix)): x.float() for n, x in tensors.items()}
            return cls(
                tensors | weights.changed_tensors(tensors),
                _tokenizer(own / "tokenizer.json"),
                config,
                pooling,
                int(longest),
            )
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            StopIteration,
            SafetensorError,
        ):
            return None  # sentence-transformers may know the form, or says what is wrong

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the machine that reads it may have no half precision."""
        return {**vars(self), "_half": {}}

    def encode(self, texts: Sequence[str], *, half: bool = False, prompt: str = "") -> Vectors:
        """Unit vectors of texts; see `SentenceEncoder.encode`."""
        import torch

        weights, most = self._weights, TOKENS // 2
        if half and precision_dtype("auto", "cpu").itemsize < 4:
            weights, most = self.halved(weights), TOKENS
        out = np.empty((len(texts), self.width), dtype=np.float32)
        prompted = [prompt + text for text in texts]
        ids = [row.ids for row in self._tokenizer.encode_batch_fast(prompted)]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        order = np.argsort(lengths, kind="stable")
        with torch.inference_mode():
            for batch in divided(order, lengths, most):
                some = [ids[at] for at in batch]
                out[batch] = self._vectors(weights, some, lengths[batch]).cpu().numpy()
        return out

    def encode_pictures(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """None are read; see `SentenceEncoder.reads_pictures`."""
        raise TypeError("this encoder reads no pictures")

    def halved(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights in half precision where the hardware multiplies it; its own are kept so."""
        dtype = precision_dtype("auto", "cpu")
        if weights is not self._weights:
            return {name: value.detach().to(dtype) for name, value in weights.items()}
        self._half = self._half or {name: value.to(dtype) for name, value in weights.items()}
        return self._half

    @property
    def n_pieces(self) -> int:
        """How many pieces of words the tokenizer knows."""
        return int(self._tokenizer.get_vocab_size())

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The ids of the pieces of each word, without what stands around a text."""
        return [r.ids for r in self._tokenizer.encode_batch_fast(words, add_special_tokens=False)]

    def piece_vectors(self, first: int, last: int) -> Vectors:
        """Unit vectors float32 [last - first, width] of pieces, each read as a text of its own."""
        import torch

        whole, own = self._tokenizer.encode("a").ids, self.pieces(["a"])[0]
        at = whole.index(own[0])
        before, behind = whole[:at], whole[at + len(own) :]
        ids = [[*before, piece, *behind] for piece in range(first, last)]
        with torch.inference_mode():
            lengths = np.full(len(ids), len(before) + 1 + len(behind))
            return np.asarray(self._vectors(self._weights, ids, lengths).cpu().numpy())

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The float32 tensors that vectors are computed with, by name; for training."""
        return self._weights

    def to(self, device: str) -> None:
        """Move the weights to a device, for training."""
        self._weights = {name: value.to(device) for name, value in self._weights.items()}
        self._half = {}

    def tokens(self, texts: Sequence[str], most: int) -> list[list[int]]:
        """The ids of each text's tokens, of at most `most`: the last of them stays the end."""
        rows = self._tokenizer.encode_batch_fast(list(texts))
        return [r.ids if len(r.ids) <= most else [*r.ids[: most - 1], r.ids[-1]] for r in rows]

    def forward(self, ids: list[list[int]]) -> torch.Tensor:
        """Unit vectors float32 [n_texts, width] of texts as `tokens`; gradients flow through."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        self._half = {}  # weights that have gradients will change
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        order = np.argsort(lengths, kind="stable")
        # The gradient of the fused kernel takes a third of a step where texts are short.
        with sdpa_kernel(SDPBackend.MATH):
            found = self._vectors(self._weights, [ids[at] for at in order], lengths[order])
        return found[torch.from_numpy(np.argsort(order)).to(found.device)]

    def _vectors(
        self, weights: dict[str, torch.Tensor], ids: list[list[int]], lengths: NDArray[np.int64]
    ) -> torch.Tensor:
        """float32 [n_texts, width] of texts in the order of their lengths."""
        return self.pooled(self.transformer(weights, ids, lengths), lengths)

    def pooled(self, states: torch.Tensor, lengths: NDArray[np.int64]) -> torch.Tensor:
        """Unit vectors float32 [n_texts, width] of hidden states [n_tokens, width]."""
        import torch

        starts, device = np.cumsum(lengths) - lengths, states.device
        if self._pooling == "cls":
            pooled = states[torch.from_numpy(starts).to(device)].float()
        else:
            pooled = torch.segment_reduce(
                states.float(), "mean", lengths=torch.from_numpy(lengths).to(device), axis=0
            )
        return torch.nn.functional.normalize(pooled, dim=1)


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _pooling(config: dict[str, Any]) -> str:
    """The one mode of a pooling, in the words of today's files or of those before."""
    if isinstance(mode := config.get("pooling_mode"), str):
        return mode
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    return known.get(modes[0], "") if len(modes) == 1 else ""


def _of_another_form(config: dict[str, Any]) -> bool:
    """Whether a transformer is other than the plain one that is computed here."""
    return bool(
        config["model_type"] not in KINDS
        or config.get("hidden_act") != "gelu"
        or config.get("position_embedding_type", "absolute") != "absolute"
        or config.get("is_decoder")
        or config.get("add_cross_attention")
    )
