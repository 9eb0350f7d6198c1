"""Settings of confidences: how they are calibrated, and what is accepted at which."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cascade.config.base import LOCAL_FILE, Section

LEAST = 0.3


class CalibrationConfig(Section):
    """Calibration of confidences, as fitted on held-out rows, and what is accepted."""

    file: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of the calibration, relative to this one."
    )
    reference: Annotated[str | None, LOCAL_FILE] = Field(
        None,
        description="File of what the held-out rows looked like, relative to this one; new rows "
        "are tested against it.",
    )
    shift: bool = Field(
        True,
        description="Whether to warn where new rows are not like those that a pack was measured "
        "on, so that its confidences may not hold; see confidence.md.",
    )
    least: float = Field(
        LEAST,
        ge=0,
        le=1,
        description="Confidence that an answer needs. Where the leaf has less, the answer is the "
        "deepest node above it that has as much, with the status `partial`; where there is none "
        "either, the leaf stays as a suggestion, with the status `review`. 0 accepts every leaf.",
    )
    max_risk: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Highest share of accepted answers that may be wrong. The confidence that this "
        "needs takes the place of `least`; an answer above the right node is not wrong.",
    )
    review_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Whole answers with less confidence get the status `review`, and no node above "
        "them takes their place.",
    )
    nowhere: float | None = Field(
        None,
        ge=0,
        le=0.1,
        description="Items with less evidence for any node than all but this share of the rows "
        "that belong get the status `nowhere`, and no code. null: 0.01 in packs that can tell; 0: "
        "none is struck. Without a pack `retrieval` strikes where you set it: below what all but "
        "this share of the rows of twenty other taxonomies had: where names of nodes say little "
        "it may strike many times more.",
    )
    set_coverage: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Adds to each answer the smallest set of nodes, subtrees among them, that "
        "holds the right one with this probability. Needs a pack.",
    )
