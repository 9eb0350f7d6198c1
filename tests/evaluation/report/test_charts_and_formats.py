import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.evaluation.error_analysis import analyse_errors
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.risk_coverage import RiskCoverage
from cascade.evaluation.report import number_format
from cascade.evaluation.report.charts import risk_coverage_curve
from cascade.evaluation.report.icicle import icicle_of

from ..reference_metrics import answers

quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (number_format.metric, 0.81249, "0.812"),
        (number_format.metric, 1234.5, "1,234.500"),
        (number_format.metric, float("nan"), "–"),
        (number_format.metric, None, "–"),
        (number_format.difference, 0.0213, "+0.021"),
        (number_format.difference, -0.0213, "−0.021"),
        (number_format.difference, -0.0001, "0.000"),
        (number_format.count, 1234567, "1,234,567"),
        (number_format.percent, 0.1234, "12.3%"),
        (number_format.p_value, 0.0004, "< 0.001"),
        (number_format.p_value, 0.0414, "0.041"),
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


@pytest.mark.parametrize(
    ("greatest", "end"),
    [(0, 1), (0.4, 1), (1, 1), (1.2, 2), (2.1, 5), (7, 10), (10, 10), (11, 20), (float("nan"), 1)],
)
def test_a_scale_of_figures_ends_at_a_round_number(greatest, end):
    assert number_format.upper_end(greatest) == end


def test_a_bar_around_zero_is_at_most_as_long_as_its_scale():
    assert [number_format.along(value, 0.2) for value in (-0.4, -0.1, 0, 0.2)] == [0, 25, 50, 100]


def test_a_chart_of_the_same_values_is_the_same_whatever_the_style_of_the_user():
    points = [RiskCoverage(0.5, 0.1, 0.9), RiskCoverage(1.0, 0.3, 0.2)]
    before = risk_coverage_curve(points)
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.hashsalt": None}):
        assert risk_coverage_curve(points) == before
    assert "<metadata" not in before


@quick
@given(answers(), st.integers(1, 30))
def test_every_cell_lies_in_its_parent_and_beside_its_siblings(case, most):
    taxonomy, _, gold = case
    breakdown = analyse_errors(GoldAndPredicted.of(*case), lambda row: None)
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
