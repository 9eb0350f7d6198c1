"""What the tools give back; their fields are the schemas that assistants see."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from cascade.pipeline.runs.answer_form import DIGITS
from cascade.predictions import Candidate, FacetChoice, Level, Prediction
from cascade.taxonomy import Node, Taxonomy

WARNING = (
    "Why confidences may promise too much: the items so far differ from those that the pack was "
    "tested on. Empty where they do not."
)


class NodeValue(BaseModel):
    """A node of the taxonomy."""

    code: str = Field(description="What other tools take to name the node.")
    name: str
    path: str = Field(description="Names from the top, such as `A > B > C`.")
    level: int = Field(description="1 is the top.")
    children: int = Field(description="How many nodes are directly below it; 0 for a leaf.")
    description: str = ""
    synonyms: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, node: Node, taxonomy: Taxonomy) -> NodeValue:
        """A node as a value."""
        return cls(
            code=node.code,
            name=node.name,
            path=node.path,
            level=node.level,
            children=len(taxonomy.children(node.index)),
            description=node.description,
            synonyms=list(node.synonyms),
        )


class AlternativeValue(BaseModel):
    """Another node that the item may belong to."""

    code: str
    path: str
    confidence: float


class FacetValue(BaseModel):
    """A facet of the code, or a facet category that was considered."""

    category: str
    label: str
    code: str | None = Field(description="The descriptor; null where none could be added.")
    name: str
    confidence: float
    message: str = ""
    words: list[str] = Field([], description="The words of the text that say it.")

    @classmethod
    def of(cls, facet: FacetChoice) -> FacetValue:
        """A facet as a value."""
        return cls(
            category=facet.category,
            label=facet.label,
            code=facet.code,
            name=facet.name,
            confidence=round(facet.confidence, DIGITS),
            message=facet.message,
            words=list(facet.words),
        )


class AnswerValue(BaseModel):
    """Where an item belongs."""

    code: str | None = Field(
        description="The node; null only where the status is `nowhere` or `error`."
    )
    path: str | None
    confidence: float = Field(description="Probability that the item lies at or below the node.")
    status: Literal["ok", "review", "partial", "nowhere", "error"] = Field(
        description="`partial`: a node above, since none below is sure enough, or answered by the "
        "fallback; `review`: not even that is sure, a person should look at it; `nowhere`: it "
        "belongs to no node, the nearest is the first of the alternatives; `error`: not answered, "
        "see the message."
    )
    message: str = Field(description="Why the status is not `ok`.")
    source: str = Field(description="The method that answered.")
    alternatives: list[AlternativeValue] = Field(description="Other nodes, best first.")
    facets: list[FacetValue] = Field(description="Of a code of FoodEx2; else none.")
    warning: str = Field("", description=WARNING)

    @classmethod
    def of(cls, prediction: Prediction, warning: str = "") -> AnswerValue:
        """A prediction as a value."""
        return cls(
            warning=warning,
            code=prediction.code,
            path=prediction.path,
            confidence=round(prediction.confidence, DIGITS),
            status=prediction.status,
            message=prediction.message,
            source=prediction.source,
            alternatives=[
                AlternativeValue(code=a.code, path=a.path, confidence=round(a.confidence, DIGITS))
                for a in prediction.alternatives
            ],
            facets=[FacetValue.of(facet) for facet in prediction.facets],
        )


class AnswersValue(BaseModel):
    """Answers in the order of the texts."""

    answers: list[AnswerValue]
    warning: str = Field("", description=WARNING)


class CandidateValue(BaseModel):
    """A node that was considered."""

    code: str
    name: str
    path: str
    probability: float = Field(
        description="Among the candidates of its level, given the node above."
    )

    @classmethod
    def of(cls, candidate: Candidate) -> CandidateValue:
        """A candidate as a value."""
        return cls(
            code=candidate.code,
            name=candidate.name,
            path=candidate.path,
            probability=round(candidate.probability, DIGITS),
        )


class LevelValue(BaseModel):
    """What was decided at one level."""

    level: int
    code: str
    name: str
    confidence: float = Field(description="Probability that the item lies at or below the node.")
    candidates: list[CandidateValue] = Field(description="What it was chosen from, best first.")
    below: list[CandidateValue] = Field(
        description="Where the answer is an inner node: what was considered below it."
    )

    @classmethod
    def of(cls, level: Level) -> LevelValue:
        """A level as a value."""
        return cls(
            level=level.level,
            code=level.code,
            name=level.name,
            confidence=round(level.confidence, DIGITS),
            candidates=[CandidateValue.of(candidate) for candidate in level.candidates],
            below=[CandidateValue.of(candidate) for candidate in level.below],
        )


class ExplanationValue(BaseModel):
    """An answer with the walk that led to it."""

    answer: AnswerValue
    levels: list[LevelValue] = Field(description="From the top to the answer.")


class StepValue(BaseModel):
    """An action of the agent."""

    action: str = Field(description="Such as `open 2`.")
    shown: list[str] = Field(description="Codes of the nodes that were shown, the number 1 first.")
    note: str
    answer: str = Field(description="What a person answered to a question.")


class WalkValue(BaseModel):
    """Where an item belongs, as the agent found it."""

    answer: AnswerValue
    question: str = Field(description="What the agent asks and nobody has answered; or empty.")
    steps: list[StepValue] = Field(description="What it did; none where it had no doubt.")

    @classmethod
    def of(cls, prediction: Prediction) -> WalkValue:
        """A prediction as a value."""
        return cls(
            answer=AnswerValue.of(prediction),
            question=prediction.question,
            steps=[
                StepValue(
                    action=step.action, shown=list(step.shown), note=step.note, answer=step.answer
                )
                for step in prediction.steps
            ],
        )


class FoundValue(BaseModel):
    """Nodes that a search found."""

    nodes: list[NodeValue] = Field(description="Best first.")


class ChildrenValue(BaseModel):
    """The nodes directly below a node."""

    node: NodeValue | None = Field(description="The node itself; null above the top.")
    children: list[NodeValue]
    total: int = Field(description="All children that there are.")
    next_offset: int | None = Field(description="To go on with; null where no more are left.")


class RuleValue(BaseModel):
    """A business rule of EFSA that a code breaks."""

    rule: str = Field(description="Such as BR08; empty where no rule says it.")
    severity: Literal["LOW", "HIGH", "ERROR"]
    text: str
    facet: str = Field(description="The facet that it is about; empty for the whole code.")


class CheckValue(BaseModel):
    """What EFSA's rules say of a code."""

    code: str
    accepted: bool = Field(description="Whether no message is HIGH or ERROR.")
    messages: list[RuleValue]
