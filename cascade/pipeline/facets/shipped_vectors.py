"""Vectors of a catalogue's texts that ship, so that the first answer need not wait for an index.

They stand under hashes of their texts: the file holds no text, and serves every release of the
catalogue as far as its texts are the same. Each number is one of a few levels. What is searched for
base terms and descriptors has 64 levels; the names of plants and animals, which are far more and
only say where a food is from, have 8. What that costs is in `eval/results/foodex2_first_answer.md`.
A supplement has the texts that came later, in the levels of the file, so that a few new words need
not ship all vectors again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.io.files import read_tensors, sha256_of, write_tensors
from cascade.resources import shipped_folder
from cascade.retrieval.encoder import Encoder

FILE = "foodex2-vectors-1/vectors.safetensors"
SHA256 = "1fda96866e7777970c215a2c257a6421cb9c45c3bb553fbd60c4c6c89891a3d3"
SUPPLEMENT = "foodex2-vectors-1/supplement.safetensors"
# Empty where there is no supplement.
SUPPLEMENT_SHA256 = "53643ed0322e9164846c20c8502fe4b2a4cd8fe276793d86d054d06fcd157246"
ROWS = 8192  # vectors that are unpacked together

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class VectorPart:
    """Vectors of one precision.

    Parameters
    ----------
    hashes
        uint64 [n], of the texts; ascending.
    packed
        uint8 [n, width * bits / 8], the level of each number, in `bits` bits.
    levels
        float32 [2 ** bits]
    """

    hashes: NDArray[np.uint64]
    packed: NDArray[np.uint8]
    levels: NDArray[np.float32]

    @property
    def bits(self) -> int:
        """Of each number."""
        return len(self.levels).bit_length() - 1


@dataclass(frozen=True)
class ShippedVectors:
    """Vectors of texts by hashes of the texts.

    Parameters
    ----------
    encoder
        Identity of the encoder that computed them.
    mean, scale
        float32 [width], of each dimension; a level is a number of scales beside the mean.
    identity
        Changes with the vectors; part of the key of an index that holds some.
    """

    encoder: str
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    parts: Sequence[VectorPart]
    identity: str

    def of(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], Vectors]:
        """Which of some texts are known, int64 [n_known], and their unit vectors."""
        wanted = text_hashes(texts)
        out = np.empty((len(texts), len(self.mean)), dtype=np.float32)
        known = np.zeros(len(texts), dtype=bool)
        for part in self.parts:
            at = np.searchsorted(part.hashes, wanted)
            rows = np.flatnonzero(part.hashes[np.minimum(at, len(part.hashes) - 1)] == wanted)
            known[rows] = True
            for start in range(0, len(rows), ROWS):
                some = rows[start : start + ROWS]
                out[some] = self._unpacked(part, at[some])
        return np.flatnonzero(known), out[known]

    def _unpacked(self, part: VectorPart, rows: NDArray[np.int64]) -> Vectors:
        vectors = part.levels[unpacked(part.packed[rows], part.bits)]
        vectors *= self.scale
        vectors += self.mean
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def shipped_vectors(encoder: Encoder) -> ShippedVectors | None:
    """The vectors that ship for an encoder; None where there are none.

    Raises
    ------
    ConfigError
        The file is not what it was pinned to be.
    """
    file = shipped_folder("weights") / FILE
    if encoder.prompts.document or not file.is_file():
        return None
    found = _read(file)
    if found.encoder != encoder.identity:
        return None
    return supplemented(found, file.parent / Path(SUPPLEMENT).name) if SUPPLEMENT_SHA256 else found


@cache
def _read(file: Path) -> ShippedVectors:
    _check(file, SHA256)
    about, arrays = read_tensors(file)
    parts = [
        VectorPart(arrays[f"hashes{i}"], arrays[f"packed{i}"], arrays[f"levels{i}"])
        for i in range(about["parts"])
    ]
    return ShippedVectors(about["encoder"], arrays["mean"], arrays["scale"], parts, SHA256)


def supplemented(shipped: ShippedVectors, file: Path) -> ShippedVectors:
    """Vectors with those of a supplement."""
    _check(file, SUPPLEMENT_SHA256)
    _, arrays = read_tensors(file)
    levels = next(part.levels for part in shipped.parts if part.bits == arrays["bits"][0])
    part = VectorPart(arrays["hashes"], arrays["packed"], levels)
    identity = f"{shipped.identity} {SUPPLEMENT_SHA256}"
    return replace(shipped, parts=[*shipped.parts, part], identity=identity)


def _check(file: Path, pinned: str) -> None:
    found = sha256_of(file) if file.is_file() else "none"
    if found != pinned:
        raise ConfigError(
            f"{file}: its SHA-256 is {found[:12]}..., pinned is {pinned[:12]}...; install cascade "
            "again, or in a checkout: git checkout weights"
        )


def write_shipped(
    file: Path, encoder: str, groups: Sequence[tuple[Sequence[str], Vectors, int]]
) -> None:
    """Write vectors as `shipped_vectors` reads them.

    Parameters
    ----------
    encoder
        Identity of the encoder.
    groups
        Texts, their unit vectors [n, width], and the bits of each number.
    """
    every = np.concatenate([vectors for _, vectors, _ in groups])
    mean, scale = every.mean(axis=0), every.std(axis=0)
    scale[scale == 0] = 1  # a dimension that says nothing
    arrays = {"mean": mean, "scale": scale}
    for i, (texts, vectors, bits) in enumerate(groups):
        hashes = text_hashes(texts)
        order = np.argsort(hashes)
        numbers = (vectors[order] - mean) / scale
        levels = fitted_levels(numbers, bits)
        borders = (levels[1:] + levels[:-1]) / 2
        arrays[f"hashes{i}"] = hashes[order]
        arrays[f"levels{i}"] = levels
        arrays[f"packed{i}"] = packed(np.searchsorted(borders, numbers).astype(np.uint8), bits)
    write_tensors(file, {"encoder": encoder, "parts": len(groups)}, arrays)


def write_supplement(
    file: Path, shipped: ShippedVectors, texts: Sequence[str], vectors: Vectors
) -> None:
    """Write vectors that came later as `shipped_vectors` reads them, in the finest levels.

    Parameters
    ----------
    shipped
        Whose levels are used.
    texts, vectors
        Some, and their unit vectors [n, width].
    """
    finest = max(shipped.parts, key=lambda part: part.bits)
    hashes = text_hashes(texts)
    order = np.argsort(hashes)
    numbers = (vectors[order] - shipped.mean) / shipped.scale
    borders = (finest.levels[1:] + finest.levels[:-1]) / 2
    codes = np.searchsorted(borders, numbers).astype(np.uint8)
    arrays = {
        "hashes": hashes[order],
        "packed": packed(codes, finest.bits),
        "bits": np.array([finest.bits], np.uint8),
    }
    write_tensors(file, {"encoder": shipped.encoder}, arrays)


def text_hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """uint64 [n_texts], the first eight bytes of BLAKE2b of each."""
    joined = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in texts
    )
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def fitted_levels(numbers: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Ascending levels float32 [2 ** bits] with the least squared distance to numbers.

    By Lloyd's algorithm (IEEE Transactions on Information Theory 28, 1982, page 129).
    """
    sample = np.sort(numbers.ravel()[:: max(1, numbers.size // 1_000_000)]).astype(np.float64)
    count = 2**bits
    levels = np.quantile(sample, (np.arange(count) + 0.5) / count)
    sums = np.concatenate([[0.0], np.cumsum(sample)])
    for _ in range(100):
        ends = np.searchsorted(sample, (levels[1:] + levels[:-1]) / 2)
        ends = np.concatenate([[0], ends, [len(sample)]])
        size = np.diff(ends)
        levels = np.where(size > 0, np.diff(sums[ends]) / np.maximum(size, 1), levels)
    return np.sort(levels).astype(np.float32)


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """uint8 [n, width * bits / 8]: eight codes [n, width] of `bits` bits each in `bits` bytes."""
    groups = codes.reshape(len(codes), -1, 8).astype(np.uint64)
    together = np.zeros(groups.shape[:2], dtype=np.uint64)
    for at in range(8):
        together = together << np.uint64(bits) | groups[:, :, at]
    octets = [together >> np.uint64(8 * at) & np.uint64(255) for at in reversed(range(bits))]
    return np.stack(octets, axis=2).astype(np.uint8).reshape(len(codes), -1)


def unpacked(octets: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Codes uint8 [n, width], as `packed` took them."""
    if bits == 8:
        return octets
    groups = octets.reshape(len(octets), -1, bits).astype(np.uint64)
    together = np.zeros(groups.shape[:2], dtype=np.uint64)
    for at in range(bits):
        together = together << np.uint64(8) | groups[:, :, at]
    mask = np.uint64(2**bits - 1)
    codes = [together >> np.uint64(bits * at) & mask for at in reversed(range(8))]
    return np.stack(codes, axis=2).astype(np.uint8).reshape(len(octets), -1)
