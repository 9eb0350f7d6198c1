import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cascade.confidence.unlabelled import Evidence

shares = st.floats(0, 1, width=32)
leads = st.floats(0, 1, width=32)


def lift(cover, entropy, lead, margin):
    told = Evidence(*(np.array([x], dtype=np.float32) for x in (cover, entropy, lead, margin)))
    return float(told.lift()[0])


@given(shares, shares, st.floats(0, 9), leads, st.floats(0, 30))
def test_more_of_the_name_and_a_greater_lead_never_make_an_answer_less_sure(
    less, more, entropy, lead, margin
):
    less, more = sorted((less, more))
    assert lift(more, entropy, lead, margin) >= lift(less, entropy, lead, margin)
    assert lift(less, entropy, lead + 0.1, margin) >= lift(less, entropy, lead, margin)


@given(shares, st.floats(0, 9), leads, st.floats(0, 30))
def test_the_likeliest_leaf_stays_the_likeliest(cover, entropy, lead, margin):
    assert margin + lift(cover, entropy, lead, margin) >= 0


def test_doubt_among_few_that_the_text_does_not_name_is_less_sure_than_it_looks():
    assert lift(0.0, 0.5, 0.02, 5.0) < 0 < lift(1.0, 3.0, 0.1, 5.0)
