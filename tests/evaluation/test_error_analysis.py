import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.evaluation.error_analysis import Example, analyse_errors
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.taxonomy import Taxonomy

from .reference_metrics import answers, at_level, way

quick = settings(deadline=None, max_examples=60)


def broken_down(taxonomy, predicted, gold, confidence=None, **options):
    rows = GoldAndPredicted.of(taxonomy, predicted, gold, confidence=confidence)

    def example_of(row):
        sure = None if confidence is None or np.isnan(confidence[row]) else confidence[row]
        return Example(row + 2, f"text {row}", sure)

    return analyse_errors(rows, example_of, **options)


@quick
@given(answers())
def test_counts_of_a_class_are_those_of_the_rows_that_are_as_deep(case):
    taxonomy, predicted, gold = case
    classes = broken_down(*case).classes
    seen = {}
    for i, node in enumerate(classes.node.tolist()):
        found, known = at_level(*case, int(taxonomy.level[node]))
        both = sum(f == k == node for f, k in zip(found, known, strict=True))
        seen[node] = (known.count(node), found.count(node))
        assert (classes.support[i], classes.predicted[i], classes.right[i]) == (*seen[node], both)
        rows = [row for row, k in enumerate(gold) if node in way(taxonomy, k)]
        assert classes.exact[i] == sum(predicted[row] == gold[row] for row in rows)
    assert all(any(counts) for counts in seen.values())
    assert {node for k in gold for node in way(taxonomy, k)} <= set(seen)


@quick
@given(answers())
def test_the_f1_of_classes_averaged_by_support_is_that_of_their_level(case):
    classes = broken_down(*case).classes
    level_of = case[0].level[classes.node]
    figures = all_metrics(GoldAndPredicted.of(*case))
    for level in set(level_of[classes.support > 0].tolist()):
        here = level_of == level
        f1 = np.average(classes.f1[here], weights=classes.support[here])
        assert figures[f"f1_weighted_l{level}"] == pytest.approx(f1)


@quick
@given(answers())
def test_a_class_is_most_confused_with_what_most_of_its_wrong_rows_have(case):
    classes = broken_down(*case).classes
    for node, other, rows in zip(
        classes.node.tolist(), classes.confused, classes.confused_rows, strict=True
    ):
        found, known = at_level(*case, int(case[0].level[node]))
        wrong = Counter(f for f, k in zip(found, known, strict=True) if k == node != f)
        best = min(wrong.items(), key=lambda pair: (-pair[1], pair[0]), default=(-1, 0))
        assert (other, rows) == best


@quick
@given(answers())
def test_every_row_has_one_outcome(case):
    taxonomy, predicted, gold = case
    expected = Counter()
    for p, g in zip(predicted, gold, strict=True):
        found, known = way(taxonomy, p), way(taxonomy, g)
        if not found:
            expected["unanswered"] += 1
        elif found == known:
            expected["exact"] += 1
        elif found == known[: len(found)]:
            expected["above"] += 1
        elif known == found[: len(known)]:
            expected["below"] += 1
        else:
            expected[next(i for i, (a, b) in enumerate(zip(found, known)) if a != b)] += 1  # noqa: B905
    outcomes = broken_down(*case).outcomes
    for name in ("exact", "above", "below", "unanswered"):
        assert getattr(outcomes, name) == expected[name]
    assert list(outcomes.parted) == [expected[i] for i in range(len(outcomes.parted))]
    assert sum(expected.values()) == len(gold)


@quick
@given(answers(), st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_worst_pairs_come_first_with_their_surest_rows(case, most, examples, random):
    taxonomy, predicted, gold = case
    sure = np.array([random.choice([np.nan, 0.2, 0.5, 0.9]) for _ in gold])
    found = broken_down(*case, sure, confusions=most, examples=examples)
    pairs = Counter((g, p) for p, g in zip(predicted, gold, strict=True) if -1 != p != g)
    assert found.pairs == len(pairs)
    expected = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    assert [((c.gold, c.predicted), c.rows) for c in found.confusions] == expected
    for pair in found.confusions:
        known, instead = way(taxonomy, pair.gold), way(taxonomy, pair.predicted)
        assert known[: pair.parts - 1] == instead[: pair.parts - 1]
        assert known[pair.parts - 1 : pair.parts] != instead[pair.parts - 1 : pair.parts]
        rows = [
            r for r in range(len(gold)) if (gold[r], predicted[r]) == (pair.gold, pair.predicted)
        ]
        rows.sort(key=lambda row: (-sure[row] if sure[row] == sure[row] else 0, row))
        assert [(e.line, e.text, e.confidence) for e in pair.examples] == [
            (row + 2, f"text {row}", sure[row] if sure[row] == sure[row] else None)
            for row in rows[:examples]
        ]


def test_only_the_examples_that_are_shown_are_asked_for():
    taxonomy = Taxonomy.from_paths(["A", "B", "C"])
    asked = []
    gold, predicted = np.zeros(50, dtype=int), np.arange(50) % 3
    rows = GoldAndPredicted.of(taxonomy, predicted, gold)
    analyse_errors(rows, lambda row: asked.append(row) or "", examples=2)
    assert asked == [1, 4, 2, 5]


def test_three_hundred_thousand_rows_over_ten_thousand_classes_take_moments():
    taxonomy = Taxonomy.from_paths(f"{i // 1000} > {i // 30} > {i}" for i in range(10_000))
    rng = np.random.default_rng(0)
    gold, predicted = rng.choice(taxonomy.leaves, (2, 300_000))
    started = time.process_time()
    found = broken_down(taxonomy, predicted, gold, rng.random(len(gold)))
    assert time.process_time() - started < 5
    assert found.pairs > 290_000
