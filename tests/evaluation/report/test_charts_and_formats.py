import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from cascade.evaluation.error_analysis import analyse_errors
from cascade.evaluation.report import number_format
from cascade.evaluation.report.charts import Plot, along, share_end, share_interval, thin, upper_end
from cascade.evaluation.report.icicle import icicle_of

from ..reference_metrics import answers

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (number_format.figure, 0.81249, "0.812"),
        (number_format.figure, 1234.5, "1,234.500"),
        (number_format.figure, float("nan"), "–"),
        (number_format.figure, None, "–"),
        (number_format.difference, 0.0213, "+0.021"),
        (number_format.difference, -0.0213, "−0.021"),
        (number_format.difference, -0.0001, "0.000"),
        (number_format.count, 1234567, "1,234,567"),
        (number_format.percent, 0.1234, "12.3%"),
        (number_format.chance, 0.0004, "< 0.001"),
        (number_format.chance, 0.0414, "0.041"),
        (number_format.duration, 0.0123, "12 ms"),
        (number_format.duration, 32.6, "32.6 s"),
        (number_format.duration, 59.96, "1 min 0 s"),
        (number_format.duration, 7384, "2 h 3 min"),
    ],
)
def test_numbers_have_one_form(form, value, text):
    assert form(value) == text


def test_a_long_text_is_cut_on_one_line_and_a_short_one_is_not():
    assert number_format.shorten("a\nb   c") == "a b c"
    assert number_format.shorten("word " * 100, 12) == "word word wo …"


@given(st.integers(1, 500), st.data())
def test_the_interval_of_a_share_is_that_of_scipy(rows, data):
    right = data.draw(st.integers(0, rows))
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    assert share_interval(right / rows, rows) == pytest.approx(tuple(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("greatest", "end"),
    [(0, 1), (0.4, 1), (1, 1), (1.2, 2), (2.1, 5), (7, 10), (10, 10), (11, 20), (float("nan"), 1)],
)
def test_a_scale_of_figures_ends_at_a_round_number(greatest, end):
    assert upper_end(greatest) == end


def test_an_axis_of_shares_is_no_longer_than_it_need_be():
    assert [share_end(most) for most in (0, 0.03, 0.2, 0.3, 1)] == [0.05, 0.05, 0.25, 0.5, 1]


def test_a_plot_turns_values_into_places_with_nought_at_the_lower_left():
    plot = Plot(10, 20, 100, 50, y_max=0.5)
    assert (plot.x(0), plot.y(0), plot.x(1), plot.y(0.5)) == (10, 70, 110, 20)
    assert plot.y_ticks == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [along(value, 0.2) for value in (-0.4, -0.1, 0, 0.2)] == [0, 25, 50, 100]


@given(st.lists(st.integers(), min_size=1, max_size=50), st.integers(2, 20))
def test_thinned_points_keep_their_order_and_both_ends(points, most):
    kept = thin(points, most)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) == min(most, len(points))
    rest = iter(points)
    assert all(point in rest for point in kept)


@quick
@given(answers(), st.integers(1, 30))
def test_every_cell_lies_in_its_parent_and_beside_its_siblings(case, most):
    taxonomy, _, gold = case
    breakdown = analyse_errors(*case, None, str, line_of=int)
    icicle = icicle_of(breakdown, most)
    assert icicle.rows == len(gold)
    used = int((breakdown.classes.support > 0).sum())
    assert (len(icicle.cells), icicle.left_out) == (min(most, used), max(0, used - most))
    ends = {}
    for cell in icicle.cells:
        assert cell.level == taxonomy.level[cell.node]
        subtree = taxonomy.subtree(cell.node)
        assert cell.rows == np.isin(gold, subtree).sum()
        parent = icicle.cells[cell.above] if cell.above >= 0 else None
        assert (parent.node if parent else -1) == taxonomy.parent[cell.node]
        outer = (parent.start, parent.start + parent.rows) if parent else (0, icicle.rows)
        assert cell.start == ends.get(cell.above, outer[0])
        ends[cell.above] = cell.start + cell.rows
        assert ends[cell.above] <= outer[1]
