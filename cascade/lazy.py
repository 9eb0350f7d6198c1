"""Fields of frozen data classes that are computed when they are first read.

A run over a file asks most predictions for their answer alone; making levels and candidates as
objects for each would cost more than the walk. So a field may hold a `Lazy` in place of its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class Lazy:
    """Stands in for the value of a field; its method of the field's name computes the value.

    One may stand in several fields and be read by several threads, so the method must always
    return the same.
    """

    __slots__ = ()


class LazyPath(Lazy):
    """Stands in the levels and alternatives of a prediction until they are read."""

    __slots__ = ()

    def confidences(self) -> Sequence[float]:
        """The confidence of each level, from the top, without the levels being made."""
        raise NotImplementedError

    def nodes(self) -> Sequence[tuple[str, str]]:
        """Code and name of the node of each level, from the top, without the levels being made."""
        raise NotImplementedError

    def levels(self) -> tuple[Any, ...]:
        """What `Prediction.levels` is."""
        raise NotImplementedError

    def alternatives(self) -> tuple[Any, ...]:
        """What `Prediction.alternatives` is."""
        raise NotImplementedError


class _LazyField:
    """A descriptor over a slot: reading it replaces a `Lazy` by its value."""

    def __init__(self, slot: Any) -> None:
        self.slot = slot

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = self.slot.__get__(instance, owner)
        if isinstance(value, Lazy):
            value = getattr(value, self.slot.__name__)()
            self.slot.__set__(instance, value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        self.slot.__set__(instance, value)


def lazy_fields(*names: str) -> Callable[[type[T]], type[T]]:
    """A class decorator: these fields of a data class with slots may hold a `Lazy`.

    Whoever reads such a field, to compare, copy, pickle or print, gets the value.
    """

    def decorated(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, _LazyField(cls.__dict__[name]))
        return cls

    return decorated


def peek(instance: object, name: str) -> Any:
    """What a lazy field holds, without computing it."""
    return type(instance).__dict__[name].slot.__get__(instance)


def replace(instance: T, **changes: Any) -> T:
    """As `dataclasses.replace`, and fields that nobody has read yet stay lazy; twice as quick."""
    cls: Any = type(instance)
    made: T = object.__new__(cls)
    for name, get, put in _slots(cls):
        put(made, changes[name] if name in changes else get(instance))
    return made


def settle(instance: object, **values: Any) -> None:
    """Change fields of an instance that nobody else has seen yet, although it is frozen.

    A copy takes ten times as long, and there may be one for each row.
    """
    cls: Any = type(instance)
    setters = _setters(cls)
    for name, value in values.items():
        setters[name](instance, value)


@cache
def _setters(cls: Any) -> dict[str, Callable[..., None]]:
    """What sets each field of a data class with slots."""
    return {name: put for name, _, put in _slots(cls)}


@cache
def _slots(cls: Any) -> tuple[tuple[str, Callable[..., Any], Callable[..., None]], ...]:
    """Each field of a data class with slots: how to read it as it is held, and how to set it."""
    held = {name: cls.__dict__[name] for name in cls.__slots__}
    slots = {name: getattr(field, "slot", field) for name, field in held.items()}
    return tuple([(name, slot.__get__, slot.__set__) for name, slot in slots.items()])
