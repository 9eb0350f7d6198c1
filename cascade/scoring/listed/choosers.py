"""The chooser for what a model answers with."""

from __future__ import annotations

from cascade.config import ChoiceBy, ChooseConfig
from cascade.errors import UsageError
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.listed.candidates import CandidateTexts
from cascade.scoring.listed.channel import ChannelChooser
from cascade.scoring.listed.choice import ListwiseChooser

Chooser = ListwiseChooser | ChannelChooser


def choice_by(choose: ChooseConfig, template: PromptTemplate) -> ChoiceBy:
    """What the model answers with: as set, or as its prompt asks."""
    return choose.answer or ("letter" if "candidates" in template.head.variables else "item")


def make_chooser(
    engine: Engine,
    template: PromptTemplate,
    texts: CandidateTexts,
    by: ChoiceBy,
    *,
    generates: bool = False,
) -> Chooser:
    """The chooser for what is answered with.

    Raises
    ------
    UsageError
        The prompt is of the other kind; or the model is to write its answer, but it is its
        likelihood that counts.
    """
    lists = "candidates" in template.head.variables
    if lists == (by == "item"):
        wanted = "names one of them" if by == "item" else "lists candidates"
        raise UsageError(
            f"choose.answer is {by}, but the prompt {template.head.id} does not fit: name one that "
            f"{wanted} ({'item-of' if by == 'item' else 'choose-listed'}), or leave out one of both"
        )
    if by != "item":
        return ListwiseChooser(engine, template, texts, by=by, generates=generates)
    if generates:
        raise UsageError(
            "--method choose reads how likely a text is, which llm.answer=generate does not tell; "
            "leave that out, or set choose.answer=letter"
        )
    return ChannelChooser(engine, template, texts)
