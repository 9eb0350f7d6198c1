"""The base class of all settings, and their problems in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

LOCAL_FILE = "names a file from the folder of the config"
LOCAL_FOLDER = "names a folder from that of the config where there is one, else something else"


class Section(BaseModel):
    """A group of settings: unknown fields, NaN and infinity are refused.

    A field that names something beside the config is annotated with `LOCAL_FILE` or `LOCAL_FOLDER`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

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

    def resolve(self, folder: Path) -> None:
        """Name files and folders from where we are, in place of from the folder of the config."""
        for section in self.sections():
            for field, info in type(section).model_fields.items():
                name = getattr(section, field)
                is_file = LOCAL_FILE in info.metadata and name is not None
                is_folder = LOCAL_FOLDER in info.metadata and name and (folder / name).is_dir()
                if is_file or is_folder:
                    setattr(section, field, str(folder / name))


def describe_problems(error: ValidationError) -> str:
    """A pydantic error as one line that names each field."""
    problems = []
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"])) or "the file"
        if problem["type"] == "extra_forbidden":
            problems.append(f"{where}: there is no such field")
        else:
            problems.append(f"{where}: {problem['msg']}, found {problem['input']!r}")
    return "; ".join(problems)
