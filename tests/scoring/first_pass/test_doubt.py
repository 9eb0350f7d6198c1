import numpy as np
import pytest

from cascade.scoring.first_pass.doubt import Doubt, fit_doubt


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    signs = rng.random((1200, 4), np.float32)
    risky = (signs[:, 1] > 0.7) & (signs[:, 2] < 0.5)
    return signs, np.where(risky, 0.6, 0.0) + 0.05 * rng.standard_normal(1200)


def test_rows_that_lose_much_are_told_from_others(rows):
    signs, loss = rows
    doubt, left_out = fit_doubt(signs, loss)
    risky = loss > 0.3
    for told in (doubt.of(signs), left_out):
        assert told[risky].mean() > 0.5
        assert told[~risky].mean() < 0.05
        assert told.mean() == pytest.approx(loss.mean(), abs=0.01)


def test_what_is_told_of_a_row_left_out_does_not_depend_on_its_own_loss(rows):
    signs, _ = rows
    noise = np.random.default_rng(1).standard_normal(len(signs))
    doubt, left_out = fit_doubt(signs, noise)
    assert abs(np.corrcoef(left_out, noise)[0, 1]) < 0.06
    assert np.corrcoef(doubt.of(signs), noise)[0, 1] > 0.1


def test_a_row_is_judged_alone_as_among_others(rows):
    signs, loss = rows
    doubt, _ = fit_doubt(signs[:500], loss[:500])
    among = doubt.of(signs)
    assert all(doubt.of(signs[row : row + 1])[0] == among[row] for row in range(20))


@pytest.mark.parametrize("n", [5, 20])
def test_few_rows_make_no_trouble(n):
    doubt, left_out = fit_doubt(np.zeros((n, 3), np.float32), np.full(n, 0.25))
    assert left_out == pytest.approx(np.full(n, 0.25))
    assert doubt.of(np.ones((2, 3), np.float32)) == pytest.approx([0.25, 0.25])


def test_arrays_make_the_same_again_and_others_are_refused(rows):
    signs, loss = rows
    doubt, _ = fit_doubt(signs[:500], loss[:500])
    arrays = doubt.arrays()
    assert (Doubt.of_arrays(arrays, 4).of(signs) == doubt.of(signs)).all()
    with pytest.raises(ValueError, match="no trees"):
        Doubt.of_arrays(arrays, 2)
    with pytest.raises(ValueError, match="no trees"):
        Doubt.of_arrays({**arrays, "value": arrays["value"][:, :4]}, 4)
    with pytest.raises(KeyError):
        Doubt.of_arrays({}, 4)
