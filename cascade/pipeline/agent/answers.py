"""Predictions of what the agent found, beside the answer that it looked at again."""

from __future__ import annotations

from dataclasses import replace

from cascade.predictions import Alternative, Level, Prediction
from cascade.taxonomy import Taxonomy

TRUST = 0.5
"""Share of belief that goes to the node that the agent chose; the rest stays as it was. A raw
confidence, not calibrated."""


def answer_with(
    taxonomy: Taxonomy, before: Prediction, node: int, source: str, coded: Prediction | None = None
) -> Prediction:
    """The prediction of a node that the agent chose.

    The confidence of each level is `TRUST + (1 - TRUST) * p`, where p is what the answer before
    gave that level.

    Parameters
    ----------
    before
        The answer that was in doubt.
    coded
        Of a faceted taxonomy: code and facets with the node as base term.
    """
    known = {level.code: level for level in before.levels}
    levels, parent = [], None
    for number, at in enumerate(taxonomy.path_nodes(node).tolist(), 1):
        code, path = taxonomy.codes[at], taxonomy.path(at)
        same_parent = parent is None or parent in known
        beside = before.levels[number - 1 : number] if same_parent else ()
        candidates = beside[0].candidates if beside else ()
        share = TRUST + (1 - TRUST) * _belief(before, code, path)
        levels.append(Level(number, code, taxonomy.names[at], share, candidates))
        parent = code
    code, path = taxonomy.codes[node], taxonomy.path(node)
    own = path == before.path
    others = () if own else (Alternative(before.code or "", before.path or "", before.confidence),)
    alternatives = [a for a in (*others, *before.alternatives) if a.path != path]
    return replace(
        before,
        code=code if coded is None else coded.code,
        path=path,
        confidence=levels[-1].confidence,
        source=source,
        status="ok",
        message="",
        levels=tuple(levels),
        alternatives=tuple(replace(a, confidence=(1 - TRUST) * a.confidence) for a in alternatives),
        facets=before.facets if coded is None else coded.facets,
        failure="",
    )


def fits_nowhere(before: Prediction) -> Prediction:
    """The answer before, for a person to look at, where the agent found no node that fits."""
    return replace(before, status="review", message="the agent finds no node that fits")


def asked(before: Prediction, question: str) -> Prediction:
    """The answer before, for a person to look at, with what the agent asks."""
    return replace(
        before, status="review", message=f'the agent asks: "{question}"', question=question
    )


def _belief(before: Prediction, code: str, path: str) -> float:
    """The probability that an item lies at or below a node, as the answer before tells it."""
    for level in before.levels:
        if level.code == code:
            return level.confidence
    inside = (path, f"{path} > ")
    return min(
        1.0,
        sum(
            a.confidence
            for a in before.alternatives
            if a.path == inside[0] or a.path.startswith(inside[1])
        ),
    )
