"""A scikit-learn estimator over packs: for pipelines, grid searches and cross-validation."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from cascade.api.fitting import fit
from cascade.api.packs import Pack
from cascade.errors import InputError, UsageError
from cascade.pipeline.doors.weighing import check_level
from cascade.pipeline.intake import names_of
from cascade.pipeline.labels.finding import LabelFinder
from cascade.pipeline.load import merge
from cascade.predictions import Prediction
from cascade.taxonomy import Taxonomy
from cascade.training.packs.recipe import Recipe
from cascade.values import reading_of

LABEL = "cascade_label"
WHOLE = {"calibration": {"least": 0.0, "nowhere": 0.0}}
"""Settings that answer every row with a leaf, however unsure, as scikit-learn expects."""


class EstimatorError(InputError, ValueError):
    """Data that an estimator cannot learn from: also a `ValueError`, as scikit-learn expects."""


def _has_neighbours(estimator: CascadeClassifier) -> bool:
    """Whether the recipe has labelled neighbours, which alone learn without a new fit."""
    recipe = _recipe(estimator.recipe)
    return any(stage and stage.neighbours for stage in (recipe.sentence, recipe.llama))


class CascadeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Files rows under the leaves of a taxonomy, after `cascade.fit` on labelled rows.

    Parameters
    ----------
    recipe
        As of `cascade.fit`: `fast` fine-tunes an encoder, `quick` takes words alone, in seconds,
        which is what a grid search with many fits wants; or the fields of a recipe.
    taxonomy
        A shipped name, a file or a `Taxonomy`; by default it is made of the labels. What is given
        to `fit` comes before it.
    text
        Columns of `X` that are read, all by default.
    random_state
        A whole number; of all that is random. None is 0: fits repeat.
    settings
        Fields of the config that answers, as the keyword arguments of `cascade.load`. Unless they
        say otherwise every row is answered with a leaf: `calibration.least` and `nowhere` are 0.
    allow_download
        Whether weights may be fetched from the hub.
    verbose
        Whether progress is shown.

    Attributes
    ----------
    classes_
        The labels, sorted, that can be answered: as `y` has them, and of leaves without rows their
        paths or codes, whichever `y` has more of.
    pack_
        The `Pack` that answers: to save, to explain with, to ask for whole predictions.
    n_features_in_, feature_names_in_
        Columns of `X`, where it has any: not of a list of texts.

    Notes
    -----
    `X` is a list, an array or a series of texts, or a table (data frame, array) each of whose
    columns is read as text. Numbers are read as the words that they are written with: this is no
    regression on features.

    A row without text is not refused: it is answered with the most frequent label, with a warning.

    A fitted estimator that is pickled, as joblib does between processes, brings the files of its
    pack (safetensors, JSON, YAML) as bytes, some hundred KB with `quick`, more with an encoder.
    Models that ship are loaded anew there. Unpickle only what you have pickled yourself.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> import cascade
    >>> X = [f"{colour} {what} {n}" for n in range(6) for colour in ("red", "blue")
    ...      for what in ("rake", "hat")]
    >>> y = [text.split()[1] for text in X]
    >>> clf = cascade.CascadeClassifier(recipe="quick").fit(X, y)
    >>> clf.predict(["a green hat"])
    array(['hat'], dtype='<U4')
    >>> cross_val_score(cascade.CascadeClassifier(recipe="quick"), X, y, cv=2).mean()
    np.float64(1.0)
    """

    def __init__(
        self,
        recipe: str | Mapping[str, Any] = "fast",
        *,
        taxonomy: str | Path | Taxonomy | None = None,
        text: str | Sequence[str] | None = None,
        random_state: int | None = None,
        settings: Mapping[str, Any] | None = None,
        allow_download: bool = False,
        verbose: bool = False,
    ) -> None:
        self.recipe = recipe
        self.taxonomy = taxonomy
        self.text = text
        self.random_state = random_state
        self.settings = settings
        self.allow_download = allow_download
        self.verbose = verbose

    def fit(self, X: Any, y: Any, taxonomy: str | Path | Taxonomy | None = None) -> Self:
        """Fit a pack to labelled rows.

        Parameters
        ----------
        X
            Texts [n], or a table [n, n_columns].
        y
            Labels [n]: codes, paths (`A > B > C`) or names.
        taxonomy
            In place of the parameter of that name.

        Raises
        ------
        EstimatorError
            The rows cannot be learnt from; it is a `ValueError` and a `CascadeError`.
        """
        columns = self._columns(X, reset=True)
        if y is None:
            raise EstimatorError(
                "This estimator requires y to be passed, but the target y is None: give a label "
                "for each row"
            )
        labels = self._labels(y, len(next(iter(columns.values()))))
        tree = taxonomy if taxonomy is not None else self.taxonomy
        try:
            pack = fit(
                {**columns, LABEL: [reading_of(label) for label in labels.tolist()]},
                label=LABEL,
                text=list(columns),
                taxonomy=tree,
                recipe=self.recipe,
                keep_case=True,
                seed=_seed(self.random_state),
                allow_download=self.allow_download,
                progress=self.verbose,
            )
            self.pack_: Pack = pack.with_settings(**merge(WHOLE, dict(self.settings or {})))
        except (InputError, UsageError) as error:
            kinds = len(np.unique(labels))
            told = "1 class" if kinds == 1 else f"{kinds:,} classes"
            size = f"n_samples={len(labels)}, n_features={len(columns)}, {told}"
            raise EstimatorError(f"{error} ({size})") from error
        self._learn_names(labels)
        return self

    @available_if(_has_neighbours)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Let more rows vote as labelled neighbours; nothing else is fitted again.

        The first call fits as `fit` does. It is there for recipes with neighbours (`fast`, `full`),
        since words and heads cannot learn in parts.

        Parameters
        ----------
        X, y
            As for `fit`; the labels must be of the taxonomy that was fitted to.
        classes
            Not needed: the classes are those of the taxonomy.

        Raises
        ------
        EstimatorError
            A label is not in the taxonomy.
        """
        if not hasattr(self, "pack_"):
            return self.fit(X, y)
        columns = self._columns(X)
        labels = self._labels(y, len(next(iter(columns.values()))))
        texts = [reading_of(label) for label in labels.tolist()]
        try:
            self.pack_ = self.pack_.with_examples({**columns, LABEL: texts}, label=LABEL)
        except (InputError, UsageError) as error:
            raise EstimatorError(str(error)) from error
        return self

    def predict(self, X: Any, *, level: int | None = None) -> NDArray[Any]:
        """The label of each row [n].

        Parameters
        ----------
        level
            1 is the top: then codes of nodes of that level, or of those above it that end there.
        """
        found = self.predictions(X)
        check_level(level, self.pack_.taxonomy.depth)
        if level is None:
            labels = [self._label(p) for p in found]
            known = {*self.classes_.tolist()}.issuperset(labels)
            return np.array(labels, dtype=self.classes_.dtype if known else None)
        usual = self._usual_path()
        whole = [p.climbed_from or p for p in found]
        paths = ([step.code for step in p.levels] or usual for p in whole)
        return np.array([path[min(level, len(path)) - 1] for path in paths])

    def predict_proba(self, X: Any, *, level: int | None = None) -> NDArray[np.float64]:
        """Probabilities [n, n_classes], in the order of `classes_`; each row sums to 1.

        The label of `predict` is the likeliest and has its calibrated confidence; others share the
        rest as the pack's own probabilities are.

        Parameters
        ----------
        level
            1 is the top: then in the order of `classes_at(level)`.
        """
        check_is_fitted(self, "pack_")
        codes, p = self.pack_.probabilities(self._columns(X), level=level)
        if level is None:
            place = {label: at for at, label in enumerate(self.classes_.tolist())}
            order = [place[self._names[code]] for code in codes]
            known = np.zeros((len(p), len(self.classes_)))
            np.add.at(known.T, order, p.T)
            p = known
        missing = np.isnan(p).any(axis=1)
        if missing.any():
            _warn_of_unread(np.flatnonzero(missing).tolist(), len(p))
            p[missing] = self._prior if level is None else 1 / p.shape[1]
        return p

    def predict_log_proba(self, X: Any, *, level: int | None = None) -> NDArray[np.float64]:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, level=level))

    def predictions(self, X: Any) -> list[Prediction]:
        """Whole answers: path, confidence by level, alternatives, status."""
        check_is_fitted(self, "pack_")
        found = list(self.pack_.classify_many(self._columns(X)))
        failed = [at for at, p in enumerate(found) if p.code is None]
        if failed:
            _warn_of_unread(failed, len(found), found[failed[0]].message)
        return found

    def classes_at(self, level: int) -> NDArray[Any]:
        """Codes of the nodes of a level, and of those above it that end there, as a column each."""
        check_is_fitted(self, "pack_")
        codes, _ = self.pack_.probabilities([], level=level)
        return np.array(codes)

    def _columns(self, X: Any, *, reset: bool = False) -> dict[str, list[Any]]:
        """The columns of text that are read, by name."""
        if isinstance(X, str | bytes | Mapping):
            raise EstimatorError(f"X is {X!r:.60}; expected texts of rows, or a table")
        dimensions = getattr(X, "ndim", None)
        if dimensions is None and not hasattr(X, "columns") and isinstance(X, Sequence):
            dimensions = 1 if all(_is_text(value) for value in X[:100]) else None
        if dimensions == 1:
            values = list(X.tolist() if hasattr(X, "tolist") else X)
            if not any(isinstance(value, str) for value in values):
                raise EstimatorError(
                    "X has one dimension and no texts. Reshape your data: expected texts, or a "
                    "table with a column for each feature (array.reshape(-1, 1))"
                )
            if not reset and hasattr(self, "n_features_in_") and self.n_features_in_ != 1:
                raise EstimatorError(
                    f"X has 1 features, but CascadeClassifier is expecting {self.n_features_in_}"
                )
            return {"text": values}
        names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
        validate_data(self, X, reset=reset, skip_check_array=True)
        try:
            table = check_array(
                X, dtype=None, ensure_all_finite="allow-nan", estimator=self, input_name="X"
            )
        except ValueError as error:
            raise EstimatorError(str(error)) from None
        named = names or [f"x{at}" for at in range(table.shape[1])]
        columns = dict(zip(named, table.T.tolist(), strict=True))
        wanted = names_of(self.text)
        if missing := [name for name in wanted if name not in columns]:
            raise EstimatorError(f"text={missing[0]!r} is no column of X ({', '.join(named)})")
        return {name: columns[name] for name in wanted or named}

    def _labels(self, y: Any, n: int) -> NDArray[Any]:
        """The labels [n] as they were given."""
        given = np.asarray(column_or_1d(y, warn=True))
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            raise EstimatorError("Input y contains NaN or infinity; each row needs a label")
        if given.dtype.kind == "O" and any(value is None or value != value for value in given):
            raise EstimatorError("Input y contains NaN; each row needs a label")
        check_classification_targets(given)
        check_consistent_length(range(n), given)
        return given

    def _learn_names(self, labels: NDArray[Any]) -> None:
        """What each class is called: as most rows call it, else by path or by code."""
        tree = self.pack_.taxonomy
        finder = LabelFinder(tree)
        values, counts = np.unique(labels, return_counts=True)
        called: dict[int, Counter[Any]] = {}
        paths = 0
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            node = finder.find(reading_of(value))
            if node >= 0:
                called.setdefault(node, Counter())[value] += count
                paths += count if tree.path(node) == str(value) else -count
        codes, _ = self.pack_.probabilities([])
        self._names: dict[str, Any] = {}
        prior: Counter[Any] = Counter()
        for code in codes:
            node = tree.index(code)
            known = called.get(node)
            other = tree.path(node) if paths > 0 else _of_kind(code, values)
            name = known.most_common(1)[0][0] if known else other
            self._names[code] = name
            prior[name] += sum(known.values()) if known else 0
        self.classes_ = _sorted([*self._names.values()], values)
        shares = np.array([prior[name] for name in self.classes_.tolist()], float)
        self._prior = (
            shares / shares.sum() if shares.sum() else np.full(len(shares), 1 / len(shares))
        )

    def _label(self, prediction: Prediction) -> Any:
        prediction = prediction.climbed_from or prediction
        if prediction.code is None:
            return self.classes_[self._prior.argmax()]
        return self._names.get(prediction.code, prediction.code)

    def _usual_path(self) -> list[str]:
        """Codes along the path of the most frequent label."""
        tree, usual = self.pack_.taxonomy, self.classes_[self._prior.argmax()]
        code = next(code for code, name in self._names.items() if name == usual)
        return [tree.codes[at] for at in tree.path_nodes(tree.index(code)).tolist()]

    def __sklearn_tags__(self) -> Tags:
        """Texts or tables of anything that is read as text; cells may be missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.classifier_tags.poor_score = True  # of tables of numbers, whose digits are its words
        return tags


def _warn_of_unread(rows: Sequence[int], n: int, why: str = "") -> None:
    """Warn of rows that have no answer of their own."""
    first = f"row {rows[0]}, {why}" if why else f"row {rows[0]}"
    warnings.warn(
        f"{len(rows):,} of {n:,} rows cannot be read and get the most frequent label (first: "
        f"{first})",
        stacklevel=4,
    )


def _of_kind(code: str, labels: NDArray[Any]) -> Any:
    """A code as labels of these are written: a whole number among whole numbers."""
    return int(code) if labels.dtype.kind in "iu" and code.isdecimal() else code


def _sorted(names: Sequence[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Names [n_classes], each once, in the type of the labels where they are among them."""
    if {*names} <= {*labels.tolist()}:
        return np.unique(np.array(names, dtype=labels.dtype))
    if len({type(name) for name in names}) == 1:
        return np.unique(np.array(names))
    return np.array(sorted({*names}, key=str), dtype=object)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or value is None or value != value


def _recipe(recipe: str | Mapping[str, Any]) -> Recipe:
    return Recipe.parse(dict(recipe)) if isinstance(recipe, Mapping) else Recipe.load(str(recipe))


def _seed(random_state: Any) -> int:
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        raise UsageError(f"random_state={random_state!r:.40}: expected a whole number or None")
    return int(random_state)
