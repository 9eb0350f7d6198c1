"""File free text and pictures under a big taxonomy, validly, with a confidence for each level.

    >>> import cascade
    >>> clf = cascade.load("store")
    >>> clf.classify("Handwoven straw Panama hat with a cotton ribbon").path
    'Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps'

Names are imported when they are first used, so that `cascade --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cascade.version import __version__ as __version__

if TYPE_CHECKING:
    from cascade.api.estimator import CascadeClassifier
    from cascade.api.evaluating import Run, evaluate
    from cascade.api.fitting import fit
    from cascade.api.packs import Pack
    from cascade.api.sql import register_duckdb
    from cascade.api.starting import Start, start
    from cascade.config import CascadeConfig
    from cascade.errors import CascadeError
    from cascade.items import Item
    from cascade.pipeline.classifier import Classifier
    from cascade.pipeline.gallery import gallery
    from cascade.pipeline.load import load
    from cascade.predictions import Candidate, Level, Prediction
    from cascade.taxonomy import Node, Taxonomy

_HOME = {
    "Candidate": "cascade.predictions",
    "CascadeClassifier": "cascade.api.estimator",
    "CascadeConfig": "cascade.config",
    "CascadeError": "cascade.errors",
    "Classifier": "cascade.pipeline.classifier",
    "Item": "cascade.items",
    "Level": "cascade.predictions",
    "Node": "cascade.taxonomy",
    "Pack": "cascade.api.packs",
    "Prediction": "cascade.predictions",
    "Run": "cascade.api.evaluating",
    "Start": "cascade.api.starting",
    "Taxonomy": "cascade.taxonomy",
    "evaluate": "cascade.api.evaluating",
    "fit": "cascade.api.fitting",
    "gallery": "cascade.pipeline.gallery",
    "load": "cascade.pipeline.load",
    "register_duckdb": "cascade.api.sql",
    "start": "cascade.api.starting",
}

__all__ = [
    "Candidate",
    "CascadeClassifier",
    "CascadeConfig",
    "CascadeError",
    "Classifier",
    "Item",
    "Level",
    "Node",
    "Pack",
    "Prediction",
    "Run",
    "Start",
    "Taxonomy",
    "evaluate",
    "fit",
    "gallery",
    "load",
    "register_duckdb",
    "start",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'cascade' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
