"""How a prediction looks in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from cascade.predictions.plain import levels_with_confidences

if TYPE_CHECKING:
    from cascade.predictions.answers import Candidate, FacetChoice, Prediction


def prediction_html(prediction: Prediction) -> str:
    """A small table: each level and facet with its runners-up."""
    if prediction.code is None:
        return f"<b>{prediction.status}</b>: {escape(prediction.message)}"
    rows = [*_level_rows(prediction), *map(_facet_row, prediction.facets)]
    note = f"<b>{escape(prediction.path or '')}</b> by {escape(prediction.source)}"
    if prediction.status != "ok":
        note += f" &mdash; {prediction.status}: {escape(prediction.message)}"
    return (
        f"<div>{note}</div><table>"
        "<tr><th>level</th><th>node</th><th>confidence</th><th>also considered</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _level_rows(prediction: Prediction) -> Iterator[str]:
    for level, beside, under in levels_with_confidences(prediction):
        others = _others(level.candidates, beside, level.code)
        if below := _others(level.below, under, None):
            others += f"{'; ' if others else ''}below it {below}"
        bar = (
            "<div style='background:#e6e6e6;width:100px;height:.6em;display:inline-block'>"
            "<div style='background:#4c78a8;height:100%;"
            f"width:{level.confidence * 100:.0f}px'></div></div>"
        )
        yield (
            f"<tr><td>{level.level}</td><td style='text-align:left'><b>{escape(level.name)}"
            f"</b> <code>{escape(level.code)}</code></td><td>{bar} {level.confidence:.0%}</td>"
            f"<td style='text-align:left;color:#777'>{others}</td></tr>"
        )


def _facet_row(facet: FacetChoice) -> str:
    shares = [candidate.probability for candidate in facet.candidates]
    others = _others(facet.candidates, shares, facet.code)
    said = escape(facet.message)
    if facet.code:
        said = f"<b>{escape(facet.name)}</b> <code>{escape(facet.code)}</code>"
        if facet.words:
            said += f", as the text says <q>{escape(' '.join(facet.words))}</q>"
    return (
        f"<tr><td>{escape(facet.category)}</td><td style='text-align:left'>"
        f"{escape(facet.label)}: {said}</td><td>{facet.confidence:.0%}</td>"
        f"<td style='text-align:left;color:#777'>{others}</td></tr>"
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
