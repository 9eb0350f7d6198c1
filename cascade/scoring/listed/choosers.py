"""The chooser for what a model answers with."""

from __future__ import annotations

from typing import Literal

from cascade.errors import UsageError
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.listed.candidates import CandidateTexts
from cascade.scoring.listed.channel import ChannelChooser
from cascade.scoring.listed.choice import AnswerBy, ListwiseChooser

Chooser = ListwiseChooser | ChannelChooser


def make_chooser(
    engine: Engine,
    template: PromptTemplate,
    texts: CandidateTexts,
    answer: AnswerBy | Literal["item"],
    *,
    generates: bool = False,
) -> Chooser:
    """The chooser of `choose.answer`.

    Raises
    ------
    UsageError
        The model is to write its answer, but it is its likelihood that counts.
    """
    if answer != "item":
        return ListwiseChooser(engine, template, texts, by=answer, generates=generates)
    if generates:
        raise UsageError(
            "choose.answer=item reads how likely a text is, which llm.answer=generate does not "
            "tell; leave one of them out"
        )
    return ChannelChooser(engine, template, texts)
