import numpy as np
import pytest

from cascade.retrieval.array_ops import run_max


@pytest.mark.parametrize("axis", [0, 1])
def test_the_greatest_of_runs_are_those_of_numpy(axis):
    rng = np.random.default_rng(3)
    for sizes in ([1, 1, 1], [4], [2, 1, 5, 1, 1, 3], [1, 7, 1]):
        starts = np.cumsum([0, *sizes])[:-1]
        shape = (sum(sizes), 6) if axis == 0 else (6, sum(sizes))
        values = rng.standard_normal(shape).astype(np.float32)
        found = run_max(values, starts, axis)
        assert (found == np.maximum.reduceat(values, starts, axis=axis)).all()
