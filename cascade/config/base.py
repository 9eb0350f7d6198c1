"""The base class of all settings, and their problems in one line."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Section(BaseModel):
    """A group of settings: unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


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
