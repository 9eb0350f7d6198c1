r"""Prompt templates: a YAML head that says what they are, and a Jinja2 body.

    ---
    id: file-under
    version: 1
    task: choose a child
    about: one line for `cascade prompts list`
    variables: {item: text of the item, path: names above, top first}
    answer: {lead: " ", end: "\n"}
    ---
    [shared]
    ...
    [text]
    Product: {{ item }}
    Type:

A line of the form `[name]` begins a section. Plain text has `[shared]`, which is the same for
all items and computed once (it may use `kind`, what an item is, `examples` of the taxonomy, and its
facet `categories`), and `[text]`, which the answer continues; without any such line all is
`[text]`. Chat form has `[system]`, `[user]` and `[assistant]`, of which the last is the beginning
of the answer's turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jinja2
import jinja2.meta
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cascade.config import NEUTRAL, describe_problems, parse_yaml
from cascade.errors import ConfigError
from cascade.generation.bounded_templates import BoundedEnvironment, render
from cascade.generation.engine import Message, Prompt
from cascade.generation.prompt_files import find_prompt, read_prompt

OF_ALL = ("kind", "examples", "categories")  # variables that are the same for all items of a run
_CHAT = ("system", "user", "assistant")
_PLAIN = ("shared", "text")
_SECTION_LINE = re.compile(rf"^\[({'|'.join(_CHAT + _PLAIN)})\]\n", re.MULTILINE)


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
    values: Mapping[str, Any] = field(
        default_factory=lambda: {"kind": NEUTRAL, "examples": [], "categories": []}
    )

    @classmethod
    def load(cls, name: str) -> PromptTemplate:
        """The template in the file `name`, or the shipped one of that name.

        Raises
        ------
        ConfigError
            No such file or shipped prompt, or the file does not hold a prompt.
        """
        path = find_prompt(name)
        return cls.parse(read_prompt(path), str(path))

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
            head = PromptHead.model_validate(parse_yaml(parts[1], origin, "the head is not YAML"))
        except ValidationError as error:
            raise ConfigError(f"{origin}: {describe_problems(error, PromptHead)}") from None
        return cls(head, text, _sections(parts[2], head, origin))

    def given(self, **values: Any) -> PromptTemplate:
        """The same with values of `OF_ALL`."""
        return replace(self, values={**self.values, **values})

    @property
    def kind(self) -> str:
        """What an item is."""
        return str(self.values["kind"])

    def render(self, variables: Mapping[str, Any]) -> Prompt:
        """The prompt for these variables.

        Raises
        ------
        ConfigError
            The body uses a variable that is missing, or does with it what cannot be done.
        """
        messages: list[Message] = []
        text = {"shared": "", "start": ""}
        for section, template in self.sections:
            try:
                content = render(template, {**self.values, **variables})
            except (
                *(jinja2.TemplateError, TypeError, ValueError, ArithmeticError),
                *(LookupError, AttributeError, RecursionError),
            ) as error:
                raise ConfigError(f"prompt {self.head.id}: [{section}]: {error}") from None
            if section in ("system", "user"):
                messages.append(Message(section, content))  # type: ignore[arg-type]
            else:
                text["shared" if section == "shared" else "start"] = content
        return Prompt(tuple(messages), text["shared"], text["start"], self.head.answer.end)

    def answer(self, name: str) -> str:
        """A node's name in the form in which it continues this prompt."""
        return self.head.answer.lead + name


def _sections(body: str, head: PromptHead, origin: str) -> tuple[tuple[str, jinja2.Template], ...]:
    """Name and template of each section."""
    environment = BoundedEnvironment()
    before, *rest = _SECTION_LINE.split(body)
    found = list(zip(rest[::2], rest[1::2], strict=True)) or [("text", before)]
    if rest and before.strip():
        raise ConfigError(f"{origin}: text before the first section line")
    _check_order([section for section, _ in found], origin)
    sections = []
    for section, source in found:
        # The shared part ends in its blank line; elsewhere the file's last newline is no text.
        source = source if section == "shared" else source.strip("\n")
        try:
            template = environment.from_string(source)
            used = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(
                f"{origin}: [{section}], line {error.lineno}: {error.message}"
            ) from None
        except (RecursionError, MemoryError, SyntaxError):  # of Python, for which it is compiled
            raise ConfigError(f"{origin}: [{section}]: nested too deep to be read") from None
        if unknown := sorted(used - head.variables.keys()):
            raise ConfigError(f"{origin}: uses {unknown[0]!r}, which the head does not describe")
        if section == "shared" and (own := used - {*OF_ALL}):
            raise ConfigError(
                f"{origin}: [shared] uses {min(own)!r}, but it is the same for all items"
            )
        sections.append((section, template))
    return tuple(sections)


def _check_order(sections: list[str], origin: str) -> None:
    """Raise ConfigError unless the sections are one plain text or one conversation."""
    if sections in (["text"], ["shared", "text"]):
        return
    chat = sections[:-1] if sections[-1] == "assistant" else sections
    if chat and chat[-1] == "user" and all(section in ("system", "user") for section in chat):
        return
    raise ConfigError(
        f"{origin}: sections {', '.join(sections)}; expected [text], [shared] and [text], or a "
        "conversation of [system] and [user] that may end in [assistant]"
    )
