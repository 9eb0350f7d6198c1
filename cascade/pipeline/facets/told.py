"""Reads which words say which descriptor: `facets.yaml`, and a file of the user in its form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cascade.config import parse_yaml, read_yaml
from cascade.errors import ConfigError

FILE = "facets.yaml"


@dataclass(frozen=True)
class FacetWords:
    """What `facets.yaml` tells, and a file of the user in its form.

    Parameters
    ----------
    categories
        Those that may be said; of two with the same words the first.
    words
        By category and descriptor.
    never
        Descriptors whose other names say nothing.
    never_below
        Terms below which nothing is an ingredient by its other names: dishes.
    classes
        Categories that only file a food: what base terms imply of them hides nothing that is said.
    part_of_name
        By term, words that belong to the names of base terms at or below it.
    instead
        By a term, which category or facet stands for which for base terms at or below it.
    percent
        By a term, what a percentage is of in base terms at or below it: as descriptors are called,
        and then what else people say behind the sign.
    """

    categories: Sequence[str]
    words: Mapping[str, Mapping[str, Sequence[str]]]
    never: Collection[str] = ()
    never_below: Collection[str] = ()
    classes: Collection[str] = ()
    part_of_name: Mapping[str, Sequence[str]] | None = None
    instead: Mapping[str, Mapping[str, str]] | None = None
    percent: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def load(cls, own: Path | None = None) -> FacetWords:
        """The words that ship, with those of a file, which go before them.

        Raises
        ------
        ConfigError
            The file cannot be read, or has another form.
        """
        shipped = (resources.files("cascade.foodex2") / "data" / FILE).read_text("utf-8")
        told: dict[str, Any] = parse_yaml(shipped, FILE)
        if own is None:
            return _checked(told, FILE)
        more = read_yaml(own)
        if not isinstance(more, dict) or set(more) - {*told, "version"}:
            raise ConfigError(f"{own}: expected a mapping with some of: {', '.join(told)}")
        first, second = _checked({**_EMPTY, **more}, str(own)), _checked(told, FILE)
        categories = {*first.words, *second.words}
        return cls(
            more.get("categories") or second.categories,
            {c: _joined(first.words.get(c, {}), second.words.get(c, {})) for c in categories},
            {*first.never, *second.never} - {d for ws in first.words.values() for d in ws},
            {*first.never_below, *second.never_below},
            {*first.classes, *second.classes},
            {**(second.part_of_name or {}), **(first.part_of_name or {})},
            {**(second.instead or {}), **(first.instead or {})},
            {**(second.percent or {}), **(first.percent or {})},
        )


def _joined(
    first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The lists of both by their keys."""
    return {key: [*first.get(key, ()), *second.get(key, ())] for key in {**second, **first}}


_EMPTY: Mapping[str, Any] = {"categories": [], "words": {}}


def _checked(told: Mapping[str, Any], file: str) -> FacetWords:
    """What a file tells, if it has the form that `facets.yaml` has."""

    def texts(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)

    def mapping(value: object, of: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(k, str) and of(v) for k, v in value.items()
        )

    forms: Mapping[str, Callable[[object], bool]] = {
        "categories": texts,
        "words": lambda value: mapping(value, lambda own: mapping(own, texts)),
        "never": texts,
        "never_below": texts,
        "classes": texts,
        "part_of_name": lambda value: mapping(value, texts),
        "percent": lambda value: mapping(value, texts),
        "instead": lambda value: mapping(
            value, lambda own: mapping(own, lambda code: isinstance(code, str))
        ),
    }
    for name, fits in forms.items():
        if name in told and not fits(told[name]):
            raise ConfigError(f"{file}: {name} has another form than in the file that ships")
    return FacetWords(**{name: told[name] for name in forms if name in told})
