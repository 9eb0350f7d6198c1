"""Fits classifiers of facet categories to descriptions with codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.foodex2.code import FoodCode
from cascade.io.files import write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import (
    CLASSIFIER_FILE,
    LEXICAL_FILE,
    MAX_CHARS,
    NEVER,
    NetworkClassifier,
    TextClassifier,
    text_features,
)
from cascade.pipeline.facets.evidence import FEATURES, FacetFeatureExtractor
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.retrieval.encoder import Encoder
from cascade.training.foodex2.synthetic import Description

BATCH = 64
HIDDEN = 24
EPOCHS = 30
ROWS = 128  # in a step of the optimiser
LEARNING_RATE = 0.01
WEIGHT_DECAY = 1e-4
BETA = 0.7  # of the F score that thresholds are chosen by
COST = 20.0  # of liblinear, inverse of the regularisation


def features_and_labels(
    extractor: FacetFeatureExtractor,
    descriptions: Sequence[Description],
    bases: Sequence[str] | BaseTermRanker,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features of each category, and whether the code has a facet of it beyond its base term.

    Parameters
    ----------
    bases
        Code of the base term of each description, empty where it is unknown; or what finds them,
        wrongly at times, as in use.

    Returns
    -------
    float32 [n, n_categories, n_features], bool [n, n_categories]
    """
    parts, codes = [], []
    for start in range(0, len(descriptions), BATCH):
        rows = descriptions[start : start + BATCH]
        batch = Batch([Item({"text": row.text}) for row in rows])
        if isinstance(bases, BaseTermRanker):
            nodes = bases.rank(batch, 1).nodes[:, 0].tolist()
            own = [extractor.taxonomy.codes[node] for node in nodes]
        else:
            own = list(bases[start : start + BATCH])
        parts.append(extractor.extract(batch, own).values)
        codes += [
            row.code.normalised(extractor.taxonomy.implied(base) if base else ())
            for base, row in zip(own, rows, strict=True)
        ]
    return np.concatenate(parts), category_labels(extractor.codes, codes)


def category_labels(categories: Sequence[str], codes: Sequence[FoodCode]) -> NDArray[np.bool_]:
    """bool [n_codes, n_categories], whether a code has a facet of a category."""
    return np.array(
        [[own in {f.category for f in code.facets} for own in categories] for code in codes]
    )


def fit_network(
    features: NDArray[np.float32],
    labels: NDArray[np.bool_],
    held_out: NDArray[np.float32],
    held_out_labels: NDArray[np.bool_],
    codes: Sequence[str],
    *,
    seed: int = 0,
) -> NetworkClassifier:
    """A network by binary cross-entropy, with each category's threshold from held-out rows.

    Categories that no row has are never taken.

    Parameters
    ----------
    features, held_out
        float32 [n, n_categories, n_features]
    labels, held_out_labels
        bool [n, n_categories]
    """
    import torch

    torch.manual_seed(seed)
    mean = features.mean(axis=(0, 1))
    scale = np.maximum(features.std(axis=(0, 1)), 1e-3)
    width = len(codes)

    def with_category(values: NDArray[np.float32]) -> Any:
        standard = (values - mean) / scale
        one_hot = np.broadcast_to(np.eye(width, dtype=np.float32), (len(values), width, width))
        return torch.from_numpy(np.concatenate([standard, one_hot], axis=2).astype(np.float32))

    inputs, targets = with_category(features), torch.from_numpy(labels.astype(np.float32))
    first, last = torch.nn.Linear(len(FEATURES) + width, HIDDEN), torch.nn.Linear(HIDDEN, 1)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    steps = EPOCHS * -(-len(features) // ROWS)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    loss = torch.nn.BCEWithLogitsLoss()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(features)).split(ROWS):
            optimiser.zero_grad()
            loss(net(inputs[rows])[..., 0], targets[rows]).backward()
            optimiser.step()
            schedule.step()
    with torch.inference_mode():
        probabilities = torch.sigmoid(net(with_category(held_out))[..., 0]).numpy()
    return NetworkClassifier(
        list(codes),
        mean,
        scale.astype(np.float32),
        hidden=first.weight.detach().numpy().T.copy(),
        hidden_bias=first.bias.detach().numpy(),
        out=last.weight.detach().numpy()[0],
        bias=last.bias.detach().numpy(),
        thresholds=best_thresholds(probabilities, held_out_labels, np.asarray(labels.any(axis=0))),
    )


def fit_text_classifier(
    texts: Sequence[str],
    labels: NDArray[np.bool_],
    held_out: Sequence[str],
    held_out_labels: NDArray[np.bool_],
    codes: Sequence[str],
    encoder: Encoder,
    folder: Path,
) -> TextClassifier:
    """A logistic regression for each category, written to files in a folder."""
    from sklearn.linear_model import LogisticRegression

    items = [Item({"text": text}) for text in texts]
    lexical = LexicalFeatures.fit(items, ["text"], LexicalRecipe(max_chars=MAX_CHARS))
    backbone = text_features(lexical, encoder)
    rows = backbone.rows(items)
    weights = np.zeros((backbone.width, len(codes)), dtype=np.float32)
    bias = np.full(len(codes), -20, dtype=np.float32)
    for column, own in enumerate(labels.T):
        if own.all():
            bias[column] = 20
        elif own.any():
            model = LogisticRegression(C=COST, solver="liblinear").fit(rows, own)
            weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    fitted = TextClassifier(backbone, weights, bias, np.zeros(len(codes), np.float32))
    probabilities = fitted.of([Item({"text": text}) for text in held_out])
    fitted.thresholds = best_thresholds(
        probabilities, held_out_labels, np.asarray(labels.any(axis=0))
    )
    lexical.save(folder / LEXICAL_FILE)
    write_tensors(
        folder / CLASSIFIER_FILE,
        {"codes": list(codes)},
        {"weights": weights, "bias": bias, "thresholds": fitted.thresholds},
    )
    return fitted


def best_thresholds(
    probabilities: NDArray[np.float32], labels: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The threshold with the highest F0.7 for each category; of several the median.

    Precision counts for more than recall, since a facet too many makes a right code wrong.

    Parameters
    ----------
    known
        bool [n_categories]; others are never taken. Where no row has a known one it is 0.5.
    """
    steps = np.linspace(0.05, 0.95, 91)
    found = np.full(labels.shape[1], NEVER, dtype=np.float32)
    for column in np.flatnonzero(known):
        truth = labels[:, column]
        if not truth.any():
            found[column] = 0.5
            continue
        taken = probabilities[:, column][None] >= steps[:, None]
        hits = (taken & truth).sum(axis=1)
        score = (1 + BETA**2) * hits / (taken.sum(axis=1) + BETA**2 * truth.sum())
        found[column] = np.median(steps[score == score.max()])
    return found


def category_figures(taken: NDArray[np.bool_], labels: NDArray[np.bool_]) -> dict[str, float]:
    """Precision, recall and F1 over all answers (micro), and the mean over categories (macro).

    Parameters
    ----------
    taken, labels
        bool [n, n_categories]; the macro figures leave out categories that no row has.
    """
    from sklearn.metrics import precision_recall_fscore_support

    found: dict[str, float] = {}
    for average, columns in (("micro", None), ("macro", np.flatnonzero(labels.any(axis=0)))):
        figures = precision_recall_fscore_support(
            labels, taken, labels=columns, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), figures, strict=False):
            found[f"{name}_{average}"] = round(float(value), 4)
    return found
