"""What the cascade answers: a prediction with its levels, candidates, facets and alternatives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cascade.lazy import LazyPath, lazy_fields, peek
from cascade.predictions.notebook import prediction_html
from cascade.predictions.plain import (
    alternatives_as_dicts,
    facets_as_dicts,
    levels_as_dicts,
    set_as_dicts,
    steps_as_dicts,
)

Status = Literal["ok", "review", "partial", "nowhere", "error"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that was considered at one level.

    Parameters
    ----------
    probability
        Share of belief among the candidates of this level, given the parent; they sum to 1. It is
        no confidence: see `plain.confidences_of`.
    scores
        Log-probability by scorer, for example `{"retrieval": -0.4, "llm": -2.1}`.
    """

    code: str
    name: str
    path: str
    probability: float
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)


@lazy_fields("candidates", "below")
@dataclass(frozen=True, slots=True)
class Level:
    """What was decided at one level of a prediction's path.

    Parameters
    ----------
    level
        1 is the top.
    code, name
        The node that the prediction's path takes at this level.
    confidence
        Probability that the item lies at or below this node.
    candidates
        What it was chosen from, best first; a single child has itself alone.
    below
        At an inner node that is the answer: what was considered below it, best first. Where an item
        may be filed at the node itself, the node is among them.
    """

    level: int
    code: str
    name: str
    confidence: float
    candidates: tuple[Candidate, ...] = ()
    below: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetChoice:
    """A facet of a prediction's code, or a facet category that was considered.

    Parameters
    ----------
    category, label
        The facet category, such as F28, and what people call it.
    code, name
        The descriptor; the code is None where none could be added.
    confidence
        Probability that the category is told about, and by this descriptor.
    candidates
        Descriptors that it was chosen from, best first.
    message
        Why there is none.
    words
        Those of the text that say it, as far as words decided.
    """

    category: str
    label: str
    code: str | None
    name: str
    confidence: float
    candidates: tuple[Candidate, ...] = ()
    message: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """An action of the agent.

    Parameters
    ----------
    action
        As the model wrote it, such as `open 2`.
    shown
        Codes of the nodes that were shown then: the number 1 is the first.
    note
        What came of it, where that is no list of nodes.
    answer
        What a person answered to a question.
    """

    action: str
    shown: tuple[str, ...] = ()
    note: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another node that the item may belong to, with its confidence."""

    code: str
    path: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a set: the item may lie at it or anywhere below."""

    code: str
    path: str


@lazy_fields("levels", "alternatives")
@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The answer for one item: always a node of the taxonomy, or a status that says why not.

    Parameters
    ----------
    code, path
        The node; None only where `status` is `nowhere` or `error`, or `facets.base.tau` says so.
    confidence
        Probability that the item lies at or below this node.
    source
        The scorer that answered.
    status
        `ok`; `partial` (an upper node, since none below it is sure enough, or answered by the
        fallback); `review` (sure of no level, or less than was asked for); `nowhere` (the item
        belongs to no node; what was nearest is the first of the alternatives) or `error`.
    message
        Why the status is not `ok`.
    levels
        The walk, from the top to `code`.
    alternatives
        Other ends of the walk, best first.
    ranking
        Codes of the likeliest leaves of the whole taxonomy, best first, whatever the walk did;
        empty unless `retrieval.ranking` asks for it.
    facets
        Of a faceted taxonomy: what the code says beyond its base term, and what was considered.
    steps
        Of the agent: what it did, in order.
    question
        What the agent asks and nobody has answered; the status is `review`.
    failure
        Where the fallback answered: how the method failed, in few words that are the same for all
        that failed so.
    climbed_from
        The best answer as a whole, where `code` is only as much of its path as is sure enough, or
        None since the item fits nowhere; it is the first of the alternatives, too.
    set
        Where `calibration.set_coverage` asks for it: nodes, likeliest first, one of which is the
        right one or above it with that probability.
    """

    code: str | None
    path: str | None
    confidence: float
    source: str
    status: Status = "ok"
    message: str = ""
    id: str | None = None
    levels: tuple[Level, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    ranking: tuple[str, ...] = ()
    facets: tuple[FacetChoice, ...] = ()
    failure: str = ""
    steps: tuple[Step, ...] = ()
    question: str = ""
    climbed_from: Prediction | None = None
    set: tuple[Place, ...] = ()

    @classmethod
    def failed(cls, message: str, id: str | None = None) -> Prediction:
        """The prediction of an item that could not be read or answered."""
        return cls(None, None, 0.0, "", "error", message, id)

    @property
    def path_confidences(self) -> Sequence[float]:
        """The confidence of each of the levels; quicker than reading `levels`."""
        held = peek(self, "levels")
        lazy = isinstance(held, LazyPath)
        return held.confidences() if lazy else [level.confidence for level in self.levels]

    @property
    def path_nodes(self) -> Sequence[tuple[str, str]]:
        """Code and name of each of the levels; quicker than reading `levels`."""
        held = peek(self, "levels")
        lazy = isinstance(held, LazyPath)
        return held.nodes() if lazy else [(level.code, level.name) for level in self.levels]

    @property
    def names(self) -> tuple[str, ...]:
        """Names along the path, top first."""
        return tuple([name for _, name in self.path_nodes])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, strings and numbers (probabilities to 6 digits)."""
        return {
            "id": self.id,
            "code": self.code,
            "path": self.path,
            "confidence": round(self.confidence, 6),
            "source": self.source,
            "status": self.status,
            "message": self.message,
            "levels": levels_as_dicts(self),
            "alternatives": alternatives_as_dicts(self),
            "ranking": list(self.ranking),
            "facets": facets_as_dicts(self),
            "steps": steps_as_dicts(self),
            "question": self.question,
            "set": set_as_dicts(self),
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __str__(self) -> str:
        if self.code is None:
            return f"{self.status}: {self.message}"
        note = "" if self.status == "ok" else f", {self.status}: {self.message}"
        return f"{self.path}  [{self.code}]  {self.confidence:.0%} by {self.source}{note}"

    def __repr__(self) -> str:
        return f"Prediction({self})"

    def _repr_html_(self) -> str:
        return prediction_html(self)
