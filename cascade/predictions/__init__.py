"""What the cascade answers: predictions as objects, columns, plain values and HTML.

Here is what an answer says, nothing of how it is found.
"""

from cascade.predictions.answers import (
    Alternative,
    Candidate,
    FacetChoice,
    Level,
    Place,
    Prediction,
    Status,
    Step,
)
from cascade.predictions.plain import (
    alternatives_as_dicts,
    levels_as_dicts,
    set_as_dicts,
    steps_as_dicts,
    trace_as_dicts,
)

__all__ = [
    "Alternative",
    "Candidate",
    "FacetChoice",
    "Level",
    "Place",
    "Prediction",
    "Status",
    "Step",
    "alternatives_as_dicts",
    "levels_as_dicts",
    "set_as_dicts",
    "steps_as_dicts",
    "trace_as_dicts",
]
