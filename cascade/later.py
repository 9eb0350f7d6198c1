"""Fields of frozen data classes that may be worked out when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Later:
    """Stands in a field until it is asked for: the method of the field's name makes the value.

    It may stand in several fields and be asked more than once, by several threads at a time, so it
    always answers the same.
    """

    __slots__ = ()


class _Field:
    """A slot that gives the value, and keeps it, where a `Later` stands in it."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        self._name: str = slot.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = self._slot.__get__(instance, owner)
        if isinstance(value, Later):
            value = getattr(value, self._name)()
            self._slot.__set__(instance, value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        self._slot.__set__(instance, value)

    def as_it_stands(self, instance: Any) -> Any:
        """What is in the slot, a `Later` too."""
        return self._slot.__get__(instance)


def deferring(*names: str) -> Callable[[type[T]], type[T]]:
    """A class decorator: these fields of a data class with slots take a `Later` for their value.

    Whoever reads such a field, be it to compare, copy, pickle or print, gets the value.
    """

    def decorated(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, _Field(cls.__dict__[name]))
        return cls

    return decorated


def as_it_stands(instance: object, name: str) -> Any:
    """A field that `deferring` named, without asking for its value: to hand it on."""
    field: _Field = type(instance).__dict__[name]
    return field.as_it_stands(instance)
