"""What each metric is, in a line: the first of its function's docstring."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cascade.evaluation.metrics import (
    calibration,
    facet_f1,
    given,
    hierarchical_f1,
    per_level,
    risk_coverage,
)
from cascade.evaluation.metrics.ranking import MEANINGS

_LEVEL = re.compile(
    r"(accuracy|exact_to|f1_weighted|f1_macro)_l(\d+)(_lenient)?|(coverage_at_risk)_(\d+)"
)


def describe_metric(name: str) -> str:
    """What a metric is, in one line; empty for a name that is none.

    Examples
    --------
    >>> describe_metric("exact_match")
    'Share of rows whose predicted node is the known answer, neither above nor below it.'
    """
    if name in MEANINGS:
        return MEANINGS[name]
    found = _LEVEL.fullmatch(name)
    function = _function(name if found is None else (found[1] or found[4]) + (found[3] or ""))
    if function is None or not function.__doc__:
        return ""
    line = function.__doc__.strip().partition("\n")[0].replace("`", "")
    return line if found is None else line.replace("{level}", found[2] or found[5])


def _function(name: str) -> Callable[..., Any] | None:
    for module in (hierarchical_f1, given, facet_f1, per_level, calibration, risk_coverage):
        function = getattr(module, name, None)
        if callable(function):
            return function  # type: ignore[no-any-return]
    return None
