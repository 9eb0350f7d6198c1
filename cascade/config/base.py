"""The base class of all settings, and their problems in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cascade.errors import ConfigError, did_you_mean

MOST_PROBLEMS = 8  # of a file that are told at once
MOST_SHOWN = 80  # characters of a value in a message
LONGEST_PART = 255  # bytes between two slashes of a file's name
LONGEST_NAME = 3000

LOCAL_FILE = "names a file from the folder of the config"
LOCAL_FOLDER = "names a folder from that of the config where there is one, else something else"
NAMED = "names something that ships, is on a hub, or is a file from the working folder"


MARKS = frozenset({LOCAL_FILE, LOCAL_FOLDER, NAMED})


class Section(BaseModel):
    """A group of settings: unknown fields, NaN and infinity are refused.

    A field that names something beside the config is annotated with `LOCAL_FILE` or `LOCAL_FOLDER`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _names_can_be_opened(self) -> Self:
        for field, name in self.names():
            if not is_file_name(name):
                raise ValueError(f"{field} holds a name that no file can have")
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """Fields of this section alone that name a file, folder or weights, with what they name."""
        for field, info in type(self).model_fields.items():
            name = getattr(self, field)
            if isinstance(name, str | Path) and not MARKS.isdisjoint(map(str, info.metadata)):
                yield field, str(name)

    def sections(self) -> Iterator[Section]:
        """Itself, then all sections below."""
        yield self
        for value in dict(self).values():
            for part in value.values() if isinstance(value, dict) else [value]:
                if isinstance(part, Section):
                    yield from part.sections()

    def local_files(self) -> Iterator[str]:
        """The files that this section and those below it name."""
        for section in self.sections():
            for field, info in type(section).model_fields.items():
                name = getattr(section, field)
                if LOCAL_FILE in info.metadata and name is not None:
                    yield name

    def resolve(self, folder: Path, *, named: bool = False) -> None:
        """Name files and folders from where we are, in place of from the folder of the config.

        Parameters
        ----------
        named
            Whether what is marked `NAMED` is taken from the folder too where it is there: of a
            pack, which brings all that it names. Not the taxonomy, which is read from there.
        """
        for section in self.sections():
            for field, info in type(section).model_fields.items():
                name = getattr(section, field)
                is_file = LOCAL_FILE in info.metadata and name is not None
                is_folder = LOCAL_FOLDER in info.metadata and name and (folder / name).is_dir()
                is_part = named and section is not self and NAMED in info.metadata and name
                if is_file or is_folder or (is_part and (folder / name).exists()):
                    setattr(section, field, str(folder / name))


def is_file_name(name: str) -> bool:
    """Whether a file can have a name: neither NUL nor lone surrogates, and not too long."""
    try:
        parts = name.encode().replace(b"\\", b"/").split(b"/")
    except UnicodeEncodeError:
        return False
    longest = max(map(len, parts))
    return b"\0" not in b"".join(parts) and longest <= LONGEST_PART and len(name) <= LONGEST_NAME


def check_name(what: str, name: object) -> None:
    """Raise ConfigError where no file can have a name, which is of a `what` for the message."""
    if not is_file_name(str(name)):
        raise ConfigError(f"no {what} {shown(str(name))}: no file can have this name")


def describe_problems(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """A pydantic error as one line that names each field.

    Parameters
    ----------
    model
        What was validated, to name fields like one that there is not.
    """
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        loc = problem["loc"]
        where = ".".join(map(_short, loc)) or "the file"
        if problem["type"] == "extra_forbidden":
            close = did_you_mean(str(loc[-1])[:80], _fields(model, loc[:-1]))
            problems.append(f"{where}: there is no such field{close}")
        else:
            problems.append(f"{where}: {problem['msg']:.300}, found {shown(problem['input'])}")
    more = len(problems) - MOST_PROBLEMS
    told = problems[:MOST_PROBLEMS] + ([f"and {more:,} more"] if more > 0 else [])
    return "; ".join(told)


def shown(value: Any) -> str:
    """A value for a message: at most some eighty characters of it, whatever it is."""
    if isinstance(value, str):
        return repr(value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}...")
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length():,} bits"
    if isinstance(value, Mapping) and len(value) > 3:
        return f"{len(value):,} fields, {', '.join(_short(key) for key in islice(value, 3))}, ..."
    if isinstance(value, list | tuple | set | frozenset) and len(value) > 8:
        return f"a list of {len(value):,}"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits, or too deep
        return f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _short(part: Any) -> str:
    text = part if isinstance(part, str) else shown(part)
    printable = "".join(c if c.isprintable() else "?" for c in text[:60])
    return printable if len(text) <= 60 else f"{printable}..."


def _fields(model: Any, loc: Sequence[Any]) -> list[str]:
    """Names of the fields of the section at a place; none where it has none."""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part in fields:  # else the key of a mapping, or the place in a list, of sections
            model = _section_in(fields[part].annotation)
    return list(getattr(model, "model_fields", ()))


def _section_in(annotation: Any) -> Any:
    """The section in an annotation such as `dict[str, Section] | None`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(part) for part in get_args(annotation))
    return next((section for section in found if section is not None), None)
