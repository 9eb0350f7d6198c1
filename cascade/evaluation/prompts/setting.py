"""Which setting and which method a prompt belongs to, by what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.config import CascadeConfig
from cascade.errors import ConfigError, UsageError
from cascade.evaluation.suite import slug
from cascade.generation.prompts import OF_ALL, PromptTemplate
from cascade.pipeline.load import merge
from cascade.scoring.item_prompts import make_question
from cascade.scoring.listed.channel import channel_questions
from cascade.scoring.listed.choice import listed_question
from cascade.taxonomy import Taxonomy

AGENT_PLACE = {
    **{"item": '"item"', "place": "", "nodes": [], "done": [], "notes": [], "last": False},
}  # what a prompt of the agent is given


@dataclass(frozen=True)
class PromptSetting:
    """A prompt with the setting that it is.

    Parameters
    ----------
    name
        What people call it, unlike that of the others beside it.
    method
        The method that reads it.
    key
        Section and field of the config: `llm.prompt`.
    value
        Shipped name or file.
    """

    name: str
    method: str
    key: str
    value: str

    def config(self, base: CascadeConfig) -> CascadeConfig:
        """A config that uses it."""
        section, field = self.key.split(".")
        over: dict[str, Any] = {"method": self.method, section: {field: self.value}}
        return CascadeConfig.parse(merge(base.model_dump(), over), f"prompt {self.name!r}")


def prompt_settings(
    prompts: Sequence[str], taxonomy: Taxonomy, method: str | None = None
) -> list[PromptSetting]:
    """The setting that each prompt is, tried on an item, so that a mistake is told before any run.

    Parameters
    ----------
    prompts
        Shipped names, or files.
    method
        The method that asks; None for `choose` of prompts that list candidates of the whole
        taxonomy, `agent` of those that show what was done, and else `llm`.

    Raises
    ------
    ConfigError
        One is no prompt, or asks for what the method does not know.
    UsageError
        One is given twice.
    """
    found: list[PromptSetting] = []
    sources: dict[str, str] = {}
    for value in prompts:
        template = PromptTemplate.load(value)
        if (other := sources.get(template.source)) is not None:
            raise UsageError(f"{value} is the same prompt as {other}; give different ones")
        sources[template.source] = value
        own = _setting(value, template, taxonomy, method)
        taken = {setting.name for setting in found}
        name = next(name for name in _names(own.name) if name not in taken)
        found.append(PromptSetting(name, own.method, own.key, own.value))
    return found


def _names(name: str) -> Any:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _setting(
    value: str, template: PromptTemplate, taxonomy: Taxonomy, method: str | None
) -> PromptSetting:
    variables = template.head.variables.keys()
    name = slug(Path(value).stem if Path(value).is_file() else value)
    if method is None:
        method = (
            "choose"
            if variables & {"how", "candidate"}
            else "agent"
            if "done" in variables
            else "llm"
        )
    if method == "agent":
        _tried(value, method, lambda: template.render(AGENT_PLACE))
        return PromptSetting(name, method, "agent.prompt", value)
    if method == "choose":
        one = "candidates" not in variables
        ask: Any = channel_questions if one else listed_question
        _tried(value, method, lambda: ask(template, "item", ["A > B", "C"]))
        return PromptSetting(name, method, "choose.prompt", value)
    if variables - {*OF_ALL} == {"item"}:  # a type is written before anything is chosen
        return PromptSetting(name, method, "llm.type_prompt", value)
    top = taxonomy.children(-1)
    _tried(
        *(value, method),
        lambda: make_question(template, taxonomy, "item", "type", -1, np.asarray(top)),
    )
    return PromptSetting(name, method, "llm.prompt", value)


def _tried(value: str, method: str, render: Any) -> None:
    try:
        render()
    except ConfigError as error:
        raise ConfigError(
            f"{value} cannot be asked by --method {method}: {error}; see `cascade prompts list` "
            "for what each prompt is for"
        ) from None
