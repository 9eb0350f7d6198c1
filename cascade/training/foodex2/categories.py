"""Fitting of the second stage of the walk: in which facet categories something is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.foodex2.code import FoodCode
from cascade.io.files import write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.base import BaseTerms
from cascade.pipeline.facets.categories import (
    CLASSIFIER,
    LEXICAL,
    MAX_CHARS,
    NEVER,
    ClassifierCategories,
    PairCategories,
    joined,
)
from cascade.pipeline.facets.features import NAMES, FacetFeatures
from cascade.retrieval.encoder import Encoder
from cascade.training.foodex2.composing import Described

BLOCK = 64
HIDDEN = 24
EPOCHS = 30
RATE = 0.01
DECAY = 1e-4
BETA = 0.7  # of the F score that thresholds are chosen by
COST = 20.0  # of liblinear, inverse of the regularisation


def gathered(
    features: FacetFeatures,
    described: Sequence[Described],
    bases: Literal["told", "hidden"] | BaseTerms = "told",
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features of each category, and whether the code has a facet of it.

    Parameters
    ----------
    bases
        Whether base terms are known, so that nothing counts that they say already; or who finds
        them, wrongly at times, as in use. What a base term implies is not to be said.

    Returns
    -------
    float32 [n, n_categories, n_features], bool [n, n_categories]
    """
    parts, codes = [], []
    for start in range(0, len(described), BLOCK):
        some = described[start : start + BLOCK]
        batch = Batch([Item({"text": one.text}) for one in some])
        if isinstance(bases, BaseTerms):
            nodes = bases.ranked(batch, 1).nodes[:, 0].tolist()
            own = [features.taxonomy.codes[node] for node in nodes]
        else:
            own = [one.code.base if bases == "told" else "" for one in some]
        parts.append(features.found(batch, own).features)
        codes += [
            one.code.normalised(features.taxonomy.implied(base) if base else ())
            for base, one in zip(own, some, strict=True)
        ]
    return np.concatenate(parts), said(features.codes, codes)


def said(categories: Sequence[str], codes: Sequence[FoodCode]) -> NDArray[np.bool_]:
    """bool [n_codes, n_categories], whether a code has a facet of a category."""
    return np.array(
        [[own in {f.category for f in code.facets} for own in categories] for code in codes]
    )


def fit_pairs(
    rows: NDArray[np.float32],
    right: NDArray[np.bool_],
    held: NDArray[np.float32],
    held_right: NDArray[np.bool_],
    codes: Sequence[str],
    *,
    seed: int = 0,
) -> PairCategories:
    """The network by binary cross-entropy, with each category's threshold from held-out rows.

    Categories that no row has are never taken.

    Parameters
    ----------
    rows, held
        float32 [n, n_categories, n_features]
    right, held_right
        bool [n, n_categories]
    """
    import torch

    torch.manual_seed(seed)
    mean = rows.mean(axis=(0, 1))
    scale = np.maximum(rows.std(axis=(0, 1)), 1e-3)
    width = len(codes)

    def made(values: NDArray[np.float32]) -> Any:
        plain = (values - mean) / scale
        which = np.broadcast_to(np.eye(width, dtype=np.float32), (len(values), width, width))
        return torch.from_numpy(np.concatenate([plain, which], axis=2).astype(np.float32))

    inputs, targets = made(rows), torch.from_numpy(right.astype(np.float32))
    first, last = torch.nn.Linear(len(NAMES) + width, HIDDEN), torch.nn.Linear(HIDDEN, 1)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    steps = EPOCHS * -(-len(rows) // 128)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    loss = torch.nn.BCEWithLogitsLoss()
    for _ in range(EPOCHS):
        for some in torch.randperm(len(rows)).split(128):
            optimiser.zero_grad()
            loss(net(inputs[some])[..., 0], targets[some]).backward()
            optimiser.step()
            schedule.step()
    fitted = PairCategories(
        list(codes),
        mean,
        scale.astype(np.float32),
        hidden=first.weight.detach().numpy().T.copy(),
        hidden_bias=first.bias.detach().numpy(),
        out=last.weight.detach().numpy()[0],
        bias=last.bias.detach().numpy(),
        thresholds=np.zeros(width, np.float32),
    )
    with torch.inference_mode():
        probabilities = torch.sigmoid(net(made(held))[..., 0]).numpy()
    fitted.thresholds = best_thresholds(probabilities, held_right, np.asarray(right.any(axis=0)))
    return fitted


def fit_classifier(
    texts: Sequence[str],
    right: NDArray[np.bool_],
    held: Sequence[str],
    held_right: NDArray[np.bool_],
    codes: Sequence[str],
    encoder: Encoder,
    folder: Path,
) -> ClassifierCategories:
    """Logistic regression of each category, written to the files of a folder."""
    from sklearn.linear_model import LogisticRegression

    items = [Item({"text": text}) for text in texts]
    lexical = LexicalFeatures.fit(items, ["text"], LexicalRecipe(max_chars=MAX_CHARS))
    backbone = joined(lexical, encoder)
    rows = backbone.rows(items)
    weights = np.zeros((backbone.width, len(codes)), dtype=np.float32)
    bias = np.full(len(codes), -20, dtype=np.float32)
    for column in range(len(codes)):
        own = right[:, column]
        if own.all() or not own.any():
            bias[column] = 20 if own.all() else -20
            continue
        model = LogisticRegression(C=COST, solver="liblinear").fit(rows, own)
        weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    fitted = ClassifierCategories(backbone, weights, bias, np.zeros(len(codes), np.float32))
    probabilities = fitted.of([Item({"text": text}) for text in held])
    fitted.thresholds = best_thresholds(probabilities, held_right, np.asarray(right.any(axis=0)))
    lexical.save(folder / LEXICAL)
    write_tensors(
        folder / CLASSIFIER,
        {"codes": list(codes)},
        {"weights": weights, "bias": bias, "thresholds": fitted.thresholds},
    )
    return fitted


def best_thresholds(
    probabilities: NDArray[np.float32], right: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The threshold of each category that has the highest F0.7 on some rows; of several the middle.

    Precision counts for more than recall, since a facet too many makes a right code wrong.

    Parameters
    ----------
    known
        bool [n_categories]; others are never taken. Where no row has a known one it is 0.5.
    """
    steps = np.linspace(0.05, 0.95, 91)
    found = np.full(right.shape[1], NEVER, dtype=np.float32)
    for column in np.flatnonzero(known):
        truth = right[:, column]
        if not truth.any():
            found[column] = 0.5
            continue
        taken = probabilities[:, column][None] >= steps[:, None]
        hits = (taken & truth).sum(axis=1)
        score = (1 + BETA**2) * hits / (taken.sum(axis=1) + BETA**2 * truth.sum())
        found[column] = np.median(steps[score == score.max()])
    return found
