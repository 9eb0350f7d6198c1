"""A student fitted to the encoder's similarities of some texts, by ridge regression.

In its dual form, as texts are few and words many: with the kernel K of texts, the outputs Y and the
penalty c, `(K + c)^-1 Y` are the weights of texts, of which those of words follow. What the student
would say of a text had it not learnt from it follows too: `y - a / d` with the text's weights a and
its diagonal element d of the inverse (Allen 1974, PRESS). So all texts that it learns from tell how
good it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import ssymm
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix, hstack

from cascade.retrieval.student.pieces import PieceVectors
from cascade.retrieval.student.student import Meaning, Student, word_means
from cascade.retrieval.student.vocabulary import (
    OF_MEANING,
    OF_PAIR,
    OF_RUNS,
    OF_WORD,
    Vocabulary,
    words_of,
)

Floats = NDArray[np.float32]

PENALTY = 0.1  # chosen on seven sets, as are the weights of words
BLOCK = 512  # texts that are compared with all others together
OUTPUTS = 384  # most that are fitted; with more leaves, the directions in which texts differ most


def fit_student(
    texts: Sequence[str], similarities: Floats, pieces: PieceVectors | None
) -> tuple[Student, Floats]:
    """A student of some texts, and what it says of each when it has not learnt from it.

    Parameters
    ----------
    similarities
        float32 [n_texts, n_leaves].

    Returns
    -------
    student
    left_out : float32 [n_texts, n_leaves]
    """
    split = [words_of(text) for text in texts]
    vocabulary = Vocabulary.of(split)
    number = {word: at for at, word in enumerate(vocabulary.words)}
    rows = vocabulary.rows(split, number.__getitem__)
    n, n_words = len(texts), len(vocabulary.words)
    scale = (1 / np.where(rows.length > 0, rows.length, 1)).astype(np.float32)

    def of_texts(entries: NDArray[np.int64], starts: NDArray[np.int64], width: int) -> csr_matrix:
        value = np.repeat(scale, np.diff(starts))
        return csr_matrix((value, entries, starts), shape=(n, width))

    of_words = of_texts(rows.words, rows.starts, n_words).multiply(vocabulary.rarity[:-1]).tocsr()
    word, run, weight = vocabulary.runs_of(vocabulary.words)
    word_runs = csr_matrix((weight, (word, run)), shape=(n_words, len(vocabulary.run)))
    starts = np.searchsorted(rows.pair_row, np.arange(n + 1))
    n_pairs = len(vocabulary.pair_key)
    of_pairs = of_texts(rows.pairs, starts, n_pairs).multiply(vocabulary.pair_rarity[:-1])
    has = hstack([OF_WORD * of_words, OF_RUNS * (of_words @ word_runs), OF_PAIR * of_pairs])
    has = has.tocsr().astype(np.float32)
    kernel = np.empty((n, n), dtype=np.float32)
    for start in range(0, n, BLOCK):  # nearly all texts share something: sparse it would be large
        part = slice(start, start + BLOCK)
        kernel[part] = (has[part] @ has.T).toarray()
    means = np.empty(0, np.float32)
    if pieces is not None:
        vectors = word_means(pieces.table, pieces.of_words(vocabulary.words))
        means = vectors.mean(axis=0)
        vectors = vectors - means
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        meant = np.asarray(np.float32(OF_MEANING) * (of_words @ vectors), dtype=np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            kernel[part] += meant[part] @ meant.T
    mean = similarities.mean(axis=0)
    outputs, basis = _outputs(similarities - mean)
    weights, left_out = _solved(kernel, outputs)
    of_all = has.T @ weights
    meaning = None
    if pieces is not None:
        meaning = Meaning(pieces, means, np.asarray(meant.T @ weights))
    words, runs, pairs = np.split(of_all, [n_words, n_words + len(vocabulary.run)])
    pairs *= np.float32(OF_PAIR) * vocabulary.pair_rarity[:-1, None]
    own = words.astype(np.float16), pairs.astype(np.float16), runs.astype(np.float16)
    student = Student(vocabulary, own[0], own[1], own[2], meaning, mean, basis)
    return student, mean + (left_out if basis is None else left_out @ basis)


def _outputs(similarities: Floats) -> tuple[Floats, Floats | None]:
    """What is fitted [n_texts, n_outputs], and what similarities it stands for.

    Of many leaves the directions of greatest variance, found by random projection with one power
    iteration (Halko, Martinsson and Tropp 2011).
    """
    n_leaves = similarities.shape[1]
    if n_leaves <= OUTPUTS:
        return similarities, None
    drawn = np.random.default_rng(0).standard_normal((n_leaves, OUTPUTS), dtype=np.float32)
    found, _ = np.linalg.qr(similarities.T @ (similarities @ drawn))
    return similarities @ found, np.ascontiguousarray(found.T)


def _solved(kernel: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """The weights of texts, and the outputs of each as the others tell; changes the kernel."""
    kernel[np.diag_indices_from(kernel)] += PENALTY
    factor, _ = spotrf(kernel.T, overwrite_a=1)
    inverse, _ = spotri(factor, overwrite_c=1)  # its upper triangle
    weights = np.ascontiguousarray(ssymm(1.0, inverse, outputs), dtype=np.float32)
    own = np.diag(inverse).astype(np.float32)
    return weights, outputs - weights / own[:, None]
