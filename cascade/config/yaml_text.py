"""YAML as settings are written in it: plain values, within bounds, each key once.

Files of settings are passed on. What a few lines can make of a YAML reader, such as lists of
aliases that stand for billions of values, is found in the events of the parser, before any value
is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError

MOST_BYTES = 8 << 20  # of a file of settings
DEEPEST = 60  # values inside one another
REPEATED = 100_000  # values that aliases may stand for, all together

_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises beside its own errors, where a tag does not fit its value."""


def read_yaml(path: Path) -> Any:
    """The values in a YAML file.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not YAML within the bounds; the line is named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a name that no file can have
        raise ConfigError(f"{str(path)!r}: cannot be read: {error}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path}: has more than {MOST_BYTES:,} bytes, too many for settings")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, origin: str, failure: str = "not YAML") -> Any:
    """The values in a YAML text; `origin` and `failure` are for messages.

    Raises
    ------
    ConfigError
        It is not YAML, repeats a key, is nested too deeply, or its aliases stand for too much.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check(text, origin, loader)
        return yaml.load(text, Loader=loader)  # both are safe loaders
    except (yaml.YAMLError, *_ERRORS) as error:
        problem = " ".join(str(error).replace(' in "<unicode string>"', "").split())
        raise ConfigError(f"{origin}: {failure}: {problem or type(error).__name__:.300}") from None


@dataclass
class _Open:
    """A list or mapping that has begun.

    Parameters
    ----------
    size
        Values in it so far, itself and what aliases stand for included.
    keys
        Keys of a mapping so far; None of a list.
    """

    anchor: str | None
    size: int = 1
    keys: set[tuple[str, bool]] | None = None
    is_key: bool = field(default=False)

    def takes(self, size: int) -> None:
        self.size += size
        self.is_key = self.keys is not None and not self.is_key


def _check(text: str, origin: str, loader: Any) -> None:
    """Refuse what would take too long or too much memory to make, and keys that repeat."""
    import yaml

    sizes: dict[str, int] = {}
    repeated = 0
    nested = [_Open(None)]
    for event in yaml.parse(text, Loader=loader):
        top = nested[-1]
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.CollectionStartEvent):
            if len(nested) > DEEPEST:
                raise ConfigError(f"{origin}, line {line}: nested more than {DEEPEST} levels deep")
            keys = set[tuple[str, bool]]() if isinstance(event, yaml.MappingStartEvent) else None
            nested.append(_Open(event.anchor, keys=keys, is_key=keys is not None))
        elif isinstance(event, yaml.CollectionEndEvent):
            nested.pop()
            if top.anchor is not None:
                sizes[top.anchor] = top.size
            nested[-1].takes(top.size)
        elif isinstance(event, yaml.AliasEvent):
            if any(one.anchor == event.anchor for one in nested):
                raise ConfigError(f"{origin}, line {line}: *{event.anchor} stands inside of itself")
            size = sizes.get(event.anchor or "", 1)
            repeated += size
            if repeated > REPEATED:
                raise ConfigError(
                    f"{origin}, line {line}: its aliases stand for more than {REPEATED:,} values"
                )
            top.takes(size)
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                sizes[event.anchor] = 1
            if top.keys is not None and top.is_key:
                key = event.value, event.implicit[0]
                if key in top.keys:
                    raise ConfigError(f"{origin}, line {line}: {event.value!r:.80} stands twice")
                top.keys.add(key)
            top.takes(1)
