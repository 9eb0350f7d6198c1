"""What the pages show of runs: predictions and figures put into words and order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cascade.evaluation.breakdown import break_down
from cascade.evaluation.comparing import Comparison
from cascade.evaluation.measuring import Measures
from cascade.evaluation.metrics.meanings import describe
from cascade.evaluation.predictions import Predictions
from cascade.evaluation.report import (
    DIFFERING,
    AgainstFirst,
    Answered,
    ComparedRun,
    ComparisonView,
    DifferingRow,
    RunView,
    Split,
)


def view_of(
    predictions: Predictions,
    measures: Measures,
    manifest: Mapping[str, Any],
    picture_of: Callable[[int], str] = lambda _: "",
) -> RunView:
    """What the report of a run shows.

    Parameters
    ----------
    picture_of
        A small picture of a row as a data URI, empty where there is none.
    """
    measured = predictions.measured
    return RunView(
        title=f"{Path(manifest['data']['file']).name}, {method_of(manifest)}",
        facts=_facts(manifest),
        counts=_counts(measures),
        figures=measures.figures,
        ranking=measures.ranking,
        meanings={name: describe(name) for name in (*measures.figures, *measures.ranking)},
        reliability=measures.reliability,
        risk_coverage=measures.risk_coverage,
        breakdown=break_down(
            predictions.taxonomy,
            predictions.predicted[measured],
            predictions.gold[measured],
            predictions.confidence[measured],
            lambda row: predictions.text(int(measured[row])),
            line_of=lambda row: predictions.line(int(measured[row])),
            picture_of=lambda row: picture_of(int(measured[row])),
        ),
        seconds=measures.seconds,
        stages=measures.stages,
        rows_per_second=measures.rows_per_second,
    )


def method_of(manifest: Mapping[str, Any]) -> str:
    """The method of a run, or the name of the file that its answers were given in."""
    given = manifest.get("predictions")
    return Path(given["file"]).name if given else str(manifest["method"])


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    data, taxonomy = manifest["data"], manifest["taxonomy"]
    columns = data["columns"]
    bootstrap = manifest["bootstrap"]
    made = ", made of the labels" if taxonomy["made_of_labels"] else ""
    facts = {
        "Data": data["file"] + (f", first {data['limit']:,} rows" if data["limit"] else ""),
        "Columns": f"text: {', '.join(columns['text']) or 'none'}; "
        + (f"picture: {columns['image']}; " if columns.get("image") else "")
        + f"label: {columns['label']}",
        "Taxonomy": f"{taxonomy['name']}, {taxonomy['nodes']:,} nodes{made}",
        "Method": method_of(manifest),
        "Intervals": f"95%, {bootstrap['resamples']:,} bootstrap resamples, "
        f"seed {bootstrap['seed']}",
        "Finished": manifest["finished"],
        "Versions": ", ".join(f"{k} {v}" for k, v in manifest["versions"].items()),
        "Machine": f"{manifest['machine']['cores']} cores, {manifest['machine']['system']}",
        "Data SHA-256": data["sha256"],
    }
    return facts | ({"Command": manifest["command"]} if manifest["command"] else {})


def _counts(measures: Measures) -> dict[str, int]:
    rows = measures.rows
    counts = {"rows": rows["all"], "measured": rows["measured"]}
    left_out = {
        "without a label": rows["without_label"],
        "label not in the taxonomy": rows["label_not_in_taxonomy"],
    }
    return counts | {what: n for what, n in left_out.items() if n} | dict(rows["status"])


def comparison_view(comparison: Comparison) -> ComparisonView:
    """What the page of a comparison shows."""
    first = comparison.runs[0]
    names = list(dict.fromkeys(name for figures in comparison.figures for name in figures))
    return ComparisonView(
        title=" and ".join(run.name for run in comparison.runs),
        compared=comparison.rows.shape[1],
        taxonomy=first.predictions.taxonomy,
        runs=[
            ComparedRun(run.name, _facts(run.manifest), figures)
            for run, figures in zip(comparison.runs, comparison.figures, strict=True)
        ],
        against=[
            AgainstFirst(
                other.difference,
                {
                    name: Split(
                        test.both, test.only_theirs, test.only_ours, test.neither, test.p_value
                    )
                    for name, test in other.mcnemar.items()
                },
            )
            for other in comparison.against
        ],
        rows=[_differing(comparison, row) for row in comparison.differing[:DIFFERING].tolist()],
        differing=len(comparison.differing),
        meanings={name: describe(name) for name in names},
    )


def _differing(comparison: Comparison, shared: int) -> DifferingRow:
    """One of the shared rows, with what each run says of it."""
    answers = []
    for run, rows in zip(comparison.runs, comparison.rows, strict=True):
        row, predictions = int(rows[shared]), run.predictions
        node, confidence = int(predictions.predicted[row]), float(predictions.confidence[row])
        answers.append(
            Answered(
                node,
                None if math.isnan(confidence) else confidence,
                node == int(predictions.gold[row]),
            )
        )
    row, predictions = int(comparison.rows[0, shared]), comparison.runs[0].predictions
    return DifferingRow(
        predictions.line(row), predictions.text(row), int(predictions.gold[row]), answers
    )
