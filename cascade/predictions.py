"""What the cascade answers: a prediction with its levels, candidates, facets and alternatives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from cascade.lazy import LazyPath, lazy_fields, peek

Status = Literal["ok", "review", "partial", "nowhere", "error"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that was considered at one level.

    Parameters
    ----------
    probability
        Share of belief among the candidates of this level, given the parent; they sum to 1. It is
        no confidence: see `confidences_of`.
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
        """A small table for notebooks: each level with its runners-up."""
        if self.code is None:
            return f"<b>{self.status}</b>: {escape(self.message)}"
        rows = []
        for level, beside, under in _with_confidences(self):
            others = _others(level.candidates, beside, level.code)
            if below := _others(level.below, under, None):
                others += f"{'; ' if others else ''}below it {below}"
            bar = (
                "<div style='background:#e6e6e6;width:100px;height:.6em;display:inline-block'>"
                "<div style='background:#4c78a8;height:100%;"
                f"width:{level.confidence * 100:.0f}px'></div></div>"
            )
            rows.append(
                f"<tr><td>{level.level}</td><td style='text-align:left'><b>{escape(level.name)}"
                f"</b> <code>{escape(level.code)}</code></td><td>{bar} {level.confidence:.0%}</td>"
                f"<td style='text-align:left;color:#777'>{others}</td></tr>"
            )
        for facet in self.facets:
            shares = [candidate.probability for candidate in facet.candidates]
            others = _others(facet.candidates, shares, facet.code)
            said = escape(facet.message)
            if facet.code:
                said = f"<b>{escape(facet.name)}</b> <code>{escape(facet.code)}</code>"
                if facet.words:
                    said += f", as the text says <q>{escape(' '.join(facet.words))}</q>"
            rows.append(
                f"<tr><td>{escape(facet.category)}</td><td style='text-align:left'>"
                f"{escape(facet.label)}: {said}</td><td>{facet.confidence:.0%}</td>"
                f"<td style='text-align:left;color:#777'>{others}</td></tr>"
            )
        note = "" if self.status == "ok" else f" &mdash; {self.status}: {escape(self.message)}"
        return (
            f"<div><b>{escape(self.path or '')}</b> by {escape(self.source)}{note}</div><table>"
            "<tr><th>level</th><th>node</th><th>confidence</th><th>also considered</th></tr>"
            f"{''.join(rows)}</table>"
        )


def _others(
    candidates: Sequence[Candidate], confidences: Sequence[float], chosen: str | None
) -> str:
    """Runners-up in HTML."""
    return ", ".join(
        f"{escape(c.name)} {sure:.0%}"
        for c, sure in list(zip(candidates, confidences, strict=True))[:4]
        if c.code != chosen and sure >= 0.005
    )


def confidences_of(
    candidates: Sequence[Candidate], above: float, chosen: str | None = None, sure: float = 0.0
) -> list[float]:
    """The probability that the item lies at or below each candidate, whatever its parent.

    The others share what the chosen one leaves of the parent's confidence, as they share the belief
    among the candidates.

    Parameters
    ----------
    above
        Confidence of the parent; 1 at the top.
    chosen, sure
        Code and confidence of the candidate on the path, if any.
    """
    taken = sum(c.probability for c in candidates if c.code == chosen)
    left = (above - sure) / (1 - taken) if chosen is not None and taken < 1 else above
    return [sure if c.code == chosen else c.probability * max(left, 0.0) for c in candidates]


def _with_confidences(prediction: Prediction) -> Iterator[tuple[Level, list[float], list[float]]]:
    """Each level with the confidences of its candidates, and of those below it."""
    above = 1.0
    for level in prediction.levels:
        beside = confidences_of(level.candidates, above, level.code, level.confidence)
        above = level.confidence
        yield level, beside, confidences_of(level.below, above)


def trace_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The walk of a prediction as plain values: each level, facet category, and agent's step."""
    return levels_as_dicts(prediction) + facets_as_dicts(prediction) + steps_as_dicts(prediction)


def levels_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The levels of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "level": level.level,
            "code": level.code,
            "name": level.name,
            "confidence": round(level.confidence, 6),
            "candidates": _of_level(level.candidates, beside),
        }
        | ({"below": _of_level(level.below, under)} if level.below else {})
        for level, beside, under in _with_confidences(prediction)
    ]


def facets_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The facets of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "category": facet.category,
            "label": facet.label,
            "code": facet.code,
            "name": facet.name,
            "confidence": round(facet.confidence, 6),
            "message": facet.message,
            "words": list(facet.words),
            "candidates": _plain(facet.candidates),
        }
        for facet in prediction.facets
    ]


def steps_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The steps of an agent as plain values."""
    return [
        {
            "step": at,
            "action": step.action,
            "shown": list(step.shown),
            "note": step.note,
            "answer": step.answer,
        }
        for at, step in enumerate(prediction.steps, 1)
    ]


def _plain(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {
            "code": c.code,
            "name": c.name,
            "probability": round(c.probability, 6),
            "scores": {k: round(v, 4) for k, v in c.scores.items()},
        }
        for c in candidates
    ]


def _of_level(candidates: Sequence[Candidate], sure: Sequence[float]) -> list[dict[str, Any]]:
    """Candidates with their confidences, and their probability given the parent."""
    return [
        {
            "code": plain["code"],
            "name": plain["name"],
            "confidence": round(confidence, 6),
            "given_parent": plain["probability"],
            "scores": plain["scores"],
        }
        for plain, confidence in zip(_plain(candidates), sure, strict=True)
    ]


def alternatives_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The alternatives of a prediction as plain values, best first."""
    return [
        {"code": a.code, "path": a.path, "confidence": round(a.confidence, 6)}
        for a in prediction.alternatives
    ]


def set_as_dicts(prediction: Prediction) -> list[dict[str, str]]:
    """The set of a prediction as plain values, likeliest first."""
    return [{"code": place.code, "path": place.path} for place in prediction.set]
