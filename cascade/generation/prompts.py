r"""Prompt templates: a YAML head that says what they are, and a Jinja2 body.

    ---
    id: file-under
    version: 1
    task: choose a child
    about: one line for `cascade prompts list`
    variables: {item: text of the item, path: names above, top first}
    answer: {lead: " ", end: "\n"}
    ---
    [system]
    ...
    [user]
    ...
    [assistant]
    Department:

A line of the form `[role]` begins a turn; the text of `[assistant]` is what the answer
continues. A body without such lines is plain text, which the answer continues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jinja2
import jinja2.meta
import jinja2.sandbox
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cascade.config import describe_problems
from cascade.errors import ConfigError
from cascade.generation.engine import Message, Prompt
from cascade.shipped import shipped_folder, shipped_names

SUFFIX = ".jinja"
_ROLE_LINE = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


class AnswerForm(BaseModel):
    """How an answer joins the prompt and ends."""

    model_config = ConfigDict(extra="forbid")

    lead: str = Field(" ", description="Stands between the prompt and the answer.")
    end: str | None = Field(None, description="Ends an answer; null is the model's end of turn.")


class PromptHead(BaseModel):
    """The YAML head of a prompt file."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="The name of the file without its suffix.")
    version: int = Field(ge=1, description="Raised with every change of the wording.")
    task: str = Field(description="What the answer is, in a few words.")
    about: str = Field(description="One line for the list of prompts.")
    variables: dict[str, str] = Field(description="What the body uses, each with its meaning.")
    answer: AnswerForm = Field(default_factory=AnswerForm, description="Form of an answer.")


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt file, parsed: `render` makes prompts of it."""

    head: PromptHead
    source: str
    sections: tuple[tuple[str, jinja2.Template], ...]

    @classmethod
    def load(cls, name: str) -> PromptTemplate:
        """The template in the file `name`, or the shipped one of that name.

        Raises
        ------
        ConfigError
            No such file or shipped prompt, or the file does not hold a prompt.
        """
        path = Path(name)
        if not path.is_file():
            path = shipped_folder("prompts") / f"{name}{SUFFIX}"
            if name not in prompt_names():
                raise ConfigError(
                    f"no prompt {name!r}: it is neither a file nor a shipped prompt "
                    f"({', '.join(prompt_names())})"
                )
        try:
            return cls.parse(path.read_text("utf-8"), str(path))
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None

    @classmethod
    def parse(cls, text: str, origin: str = "prompt") -> PromptTemplate:
        """The template in `text`; `origin` is for messages.

        Raises
        ------
        ConfigError
            The head or the body does not hold what it should.
        """
        parts = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
        if len(parts) != 3 or parts[0].strip():
            raise ConfigError(f"{origin}: expected a YAML head between two lines of ---")
        try:
            head = PromptHead.model_validate(yaml.safe_load(parts[1]))
        except yaml.YAMLError as error:
            raise ConfigError(f"{origin}: the head is not YAML: {error}") from None
        except ValidationError as error:
            raise ConfigError(f"{origin}: {describe_problems(error)}") from None
        return cls(head, text, _sections(parts[2], head, origin))

    def render(self, variables: Mapping[str, Any]) -> Prompt:
        """The prompt for these variables.

        Raises
        ------
        ConfigError
            A variable that the body uses is missing.
        """
        messages, start = [], ""
        for role, template in self.sections:
            try:
                content = template.render(variables)
            except jinja2.UndefinedError as error:
                raise ConfigError(f"prompt {self.head.id}: {error.message}") from None
            if role in ("system", "user"):
                messages.append(Message(role, content))  # type: ignore[arg-type]
            else:
                start = content
        return Prompt(tuple(messages), start, self.head.answer.end)

    def answer(self, name: str) -> str:
        """A node's name in the form in which it continues this prompt."""
        return self.head.answer.lead + name


def prompt_names() -> list[str]:
    """Names of the shipped prompts."""
    return shipped_names("prompts", SUFFIX)


def _sections(body: str, head: PromptHead, origin: str) -> tuple[tuple[str, jinja2.Template], ...]:
    """Role and template of each turn; the role of a plain body is `text`."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False
    )
    pieces = _ROLE_LINE.split(body)
    before, turns = pieces[0], list(zip(pieces[1::2], pieces[2::2], strict=True))
    if turns and before.strip():
        raise ConfigError(f"{origin}: text before the first [{'|'.join(_roles())}] line")
    if "assistant" in [role for role, _ in turns[:-1]]:
        raise ConfigError(f"{origin}: [assistant] must be the last turn")
    sections = []
    for role, source in turns or [("text", before)]:
        try:
            template = environment.from_string(source.strip("\n"))
            used = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(f"{origin}: line {error.lineno} of {role}: {error.message}") from None
        if unknown := sorted(used - head.variables.keys()):
            raise ConfigError(f"{origin}: uses {unknown[0]!r}, which the head does not describe")
        sections.append((role, template))
    return tuple(sections)


def _roles() -> tuple[str, ...]:
    return get_args(Message.__annotations__["role"]) or ("system", "user", "assistant")
