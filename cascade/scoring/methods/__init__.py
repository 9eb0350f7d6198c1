"""The methods: what `--method` can name, one module each.

A module in this folder is a method. Its file name is the name of the method, the first line of its
docstring is the help that people read, and its function `make(components)` returns the scorer. So a
new method is one new module, and nothing else names it. No module is imported before its method is
asked for.

Belongs here: scorers that answer by themselves. Does not: what several of them share (`scoring`),
and the walk that asks them (`pipeline`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from cascade.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cascade.scoring.components import Components
    from cascade.scoring.scorer import Scorer

DEFAULT = "retrieval"  # where no method is named; see `scoring.components.settle_defaults`
HEADS = "ttc."  # then the name of some heads of a pack: a scorer of those alone


@cache
def method_names() -> tuple[str, ...]:
    """All methods, the default first, then by name."""
    found = sorted(module.name for module in iter_modules(__path__))
    return (DEFAULT, *(name for name in found if name != DEFAULT))


def describe(method: str) -> str:
    """What a method does: the first line of its module, which is read, not imported."""
    spec = find_spec(f"{__name__}.{method}")
    assert spec is not None and spec.origin is not None
    with Path(spec.origin).open(encoding="utf-8") as source:
        return source.readline().strip().strip('"')


def check_method(name: str, heads: Iterable[str] = ()) -> str:
    """`name`, if it is a method, or `ttc.` with the name of one of these heads.

    Raises
    ------
    UsageError
        It is none; the message names a close one.
    """
    known = [*method_names(), *(f"{HEADS}{head}" for head in heads)]
    if name in known:
        return name
    raise UsageError(
        f"unknown method {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}"
    )


def make_scorer(name: str, components: Components) -> Scorer:
    """The scorer of a method, or of some heads alone.

    Raises
    ------
    UsageError
        There is no such method, or what it needs was not fitted.
    WeightsError
        Weights that it needs are not found.
    """
    check_method(name, components.config.heads)
    method, _, heads = name.partition(".")
    module = import_module(f"{__name__}.{method}")
    scorer: Scorer = module.make_single(components, heads) if heads else module.make(components)
    return scorer
