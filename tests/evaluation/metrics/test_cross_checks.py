"""Our figures against those of other libraries: the same where conventions agree, and why not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.taxonomy import Taxonomy

from ..reference_metrics import answers, at_level, way

quick = settings(deadline=None, max_examples=60)

SHOP = Taxonomy.from_paths(["Food > Fruit", "Food > Oil", "Toys > Fruit", "Toys > Kites"])
FOOD_FRUIT, OIL, TOY_FRUIT, KITES = SHOP.leaves.tolist()
FOOD, TOYS = SHOP.level_nodes(1).tolist()


@pytest.fixture(scope="module")
def hiclass():
    return pytest.importorskip("hiclass.metrics")


@pytest.fixture(scope="module")
def hiereval():
    return pytest.importorskip("hiereval")


def codes(taxonomy, nodes):
    """The path of each node as codes, which no two nodes share."""
    return [[taxonomy.codes[step] for step in way(taxonomy, node)] for node in nodes]


def names(taxonomy, nodes):
    """The path of each node as names, which may repeat in other places."""
    return [[taxonomy.names[step] for step in way(taxonomy, node)] for node in nodes]


def micro_and_sample(hiclass, gold, predicted):
    """Pooled hF1, hP, hR and the mean hF1 of rows, as HiClass has them (it warns of each 0)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = [
            metric(gold, predicted, average="micro")
            for metric in (hiclass.f1, hiclass.precision, hiclass.recall)
        ]
        return *pooled, hiclass.f1(gold, predicted, average="macro")


HICLASS = ("hf1_micro", "hp_micro", "hr_micro", "hf1_sample")


@quick
@given(case=answers())
def test_answered_rows_measure_as_in_hiclass(hiclass, case):
    taxonomy, predicted, gold = case
    predicted = np.where(predicted < 0, gold, predicted)
    figures = all_metrics(GoldAndPredicted.of(taxonomy, predicted, gold))
    theirs = micro_and_sample(hiclass, codes(taxonomy, gold), codes(taxonomy, predicted))
    assert [figures[name] for name in HICLASS] == pytest.approx(theirs)


def test_hiclass_has_no_figure_for_rows_without_any_answer(hiclass):
    assert all_metrics(GoldAndPredicted.of(SHOP, [-1], [OIL]))["hp_micro"] == 0
    with pytest.raises(ZeroDivisionError):
        hiclass.precision(np.array([["Food", "Oil"]]), np.array([["", ""]]))


def test_a_row_without_an_answer_is_pooled_as_in_hiclass_but_counts_in_our_mean_of_rows(hiclass):
    gold, predicted = [OIL, OIL], [OIL, -1]
    figures = all_metrics(GoldAndPredicted.of(SHOP, predicted, gold))
    known, found = codes(SHOP, gold), codes(SHOP, predicted)
    pooled = [metric(known, found) for metric in (hiclass.f1, hiclass.precision, hiclass.recall)]
    assert [figures[name] for name in HICLASS[:3]] == pytest.approx(pooled)
    assert pooled == pytest.approx([2 / 3, 1, 1 / 2])
    assert figures["hf1_sample"] == 0.5
    with pytest.raises(ZeroDivisionError):
        hiclass.f1(known, found, average="macro")


def test_the_macro_average_of_hiclass_is_over_rows_and_not_over_classes(hiclass):
    gold, predicted = [OIL, TOYS], [FOOD, TOYS]
    figures = all_metrics(GoldAndPredicted.of(SHOP, predicted, gold))
    macro = hiclass.f1(codes(SHOP, gold), codes(SHOP, predicted), average="macro")
    assert figures["hf1_sample"] == pytest.approx(macro) == pytest.approx((2 / 3 + 1) / 2)
    assert figures["hf1_micro"] == pytest.approx(4 / 5)
    assert (figures["f1_macro_l1"], figures["f1_macro_l2"]) == (1, 0)


def test_a_root_that_every_path_shares_counts_as_a_hit_to_both_others_and_not_here(
    hiclass, hiereval
):
    gold, predicted = [OIL], [KITES]
    known, found = ([["Shop", *path] for path in codes(SHOP, n)] for n in (gold, predicted))
    assert all_metrics(GoldAndPredicted.of(SHOP, predicted, gold))["hp_micro"] == 0
    assert hiclass.precision(known, found) == pytest.approx(1 / 3)
    assert hiereval.hierarchical_prf(known, found).precision == pytest.approx(1 / 3)


def test_an_empty_cell_is_no_label_to_hiclass_but_any_other_padding_is(hiclass):
    figures = all_metrics(GoldAndPredicted.of(SHOP, [FOOD], [FOOD_FRUIT]))
    known = codes(SHOP, [FOOD_FRUIT])
    assert figures["hp_micro"] == hiclass.precision(known, [["Food", ""]]) == 1
    assert hiclass.precision(known, [["Food", "-"]]) == 0.5


def test_hiclass_leaves_levels_out_so_a_name_in_two_places_is_one_label_to_it(hiclass):
    gold, predicted = [FOOD_FRUIT], [TOY_FRUIT]
    assert all_metrics(GoldAndPredicted.of(SHOP, predicted, gold))["hp_micro"] == 0
    assert hiclass.precision(names(SHOP, gold), names(SHOP, predicted)) == 0.5


@quick
@given(case=answers())
def test_paths_measure_as_in_hiereval(hiereval, case):
    taxonomy, predicted, gold = case
    figures = all_metrics(GoldAndPredicted.of(*case))
    known, found = codes(taxonomy, gold), codes(taxonomy, predicted)
    theirs = hiereval.hierarchical_prf(known, found)
    assert [figures[name] for name in HICLASS[:3]] == pytest.approx(
        [theirs.f1, theirs.precision, theirs.recall]
    )
    assert figures["exact_match"] == pytest.approx(hiereval.full_path_accuracy(known, found))
    distance = hiereval.mean_taxonomic_distance(known, found)
    assert figures["lca_distance_mean"] == pytest.approx(distance)


@quick
@given(case=answers())
def test_levels_measure_as_in_hiereval_but_for_its_class_of_missing_labels(hiereval, case):
    taxonomy, predicted, gold = case
    figures = all_metrics(GoldAndPredicted.of(*case))
    for theirs in hiereval.per_level_scores(codes(taxonomy, gold), codes(taxonomy, predicted)):
        found, known = at_level(*case, theirs.level)
        assert figures[f"accuracy_l{theirs.level}"] == pytest.approx(theirs.accuracy)
        # Where a prediction ends above the level, its padding is one more class, with F1 0.
        classes = len({*found, *known} - {-1})
        macro = theirs.f1_macro * (classes + (-1 in found)) / classes
        assert figures[f"f1_macro_l{theirs.level}"] == pytest.approx(macro)


@quick
@given(case=answers())
def test_a_missing_label_is_no_class_here_and_one_to_scikit_learn_unless_told(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    figures = all_metrics(GoldAndPredicted.of(*case))
    for level in range(1, int(case[0].level[case[2]].max()) + 1):
        found, known = at_level(*case, level)
        with_missing = sklearn.f1_score(known, found, average="macro", zero_division=0)
        told = sklearn.f1_score(
            known, found, labels=sorted({*found, *known} - {-1}), average="macro", zero_division=0
        )
        assert figures[f"f1_macro_l{level}"] == pytest.approx(told)
        assert with_missing <= told + 1e-12
        assert (with_missing < told - 1e-12) == (-1 in found and told > 0)


def test_labels_by_level_are_consistent_as_in_hiereval_while_no_level_is_left_out(hiereval):
    tree = hiereval.Taxonomy.from_paths(codes(SHOP, SHOP.leaves))
    rows = [[FOOD, OIL], [FOOD, KITES], [TOYS, KITES], [TOYS, -1]]
    figures = all_metrics(GoldAndPredicted.of(SHOP, [r[0] for r in rows], [OIL] * 4, levels=rows))
    paths = [[SHOP.codes[node] if node >= 0 else hiereval.UNK for node in row] for row in rows]
    assert figures["consistency"] == 1 - hiereval.inconsistency_rate(paths, tree) == 0.75


def test_hiereval_does_not_look_below_a_gap_or_at_the_level_of_a_lone_label(hiereval):
    tree = hiereval.Taxonomy.from_paths(codes(SHOP, SHOP.leaves))
    for row in ([-1, OIL], [OIL, -1]):
        path = [SHOP.codes[node] if node >= 0 else hiereval.UNK for node in row]
        assert tree.is_consistent(path)
        assert (
            all_metrics(GoldAndPredicted.of(SHOP, [OIL], [OIL], levels=[row]))["consistency"] == 0
        )


def test_hiereval_counts_rows_without_an_answer_as_consistent(hiereval):
    tree = hiereval.Taxonomy.from_paths(codes(SHOP, SHOP.leaves))
    rows, predicted = [[FOOD, KITES], [-1, -1]], [KITES, -1]
    figures = all_metrics(GoldAndPredicted.of(SHOP, predicted, [OIL] * 2, levels=rows))
    paths = [[SHOP.codes[node] if node >= 0 else hiereval.UNK for node in row] for row in rows]
    assert figures["consistency"] == 0
    assert hiereval.inconsistency_rate(paths, tree) == 0.5


@quick
@given(case=answers())
def test_squared_errors_of_confidences_are_those_of_scikit_learn(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    taxonomy, predicted, gold = case
    predicted = np.where(predicted < 0, gold, predicted)
    sure = np.round(np.linspace(0, 1, len(gold)), 3)
    below = (predicted <= gold) & (gold < taxonomy.end[predicted])
    theirs = sklearn.brier_score_loss(below, sure, labels=[False, True])
    figures = all_metrics(GoldAndPredicted.of(taxonomy, predicted, gold, confidence=sure))
    assert figures["brier"] == pytest.approx(theirs)


def test_confidences_are_measured_as_written_to_four_digits_where_scikit_learn_takes_all():
    sklearn = pytest.importorskip("sklearn.metrics")
    sure, right = [0.50004, 0.50004], [True, False]
    figures = all_metrics(GoldAndPredicted.of(SHOP, [OIL, KITES], [OIL, OIL], confidence=sure))
    assert figures["brier"] == 0.25
    assert sklearn.brier_score_loss(right, sure) == pytest.approx(0.25 + 0.00004**2, abs=1e-15)
    # 0.69996 and 0.70004 are both written as 0.7, so the two rows are accepted together.
    near = all_metrics(
        GoldAndPredicted.of(SHOP, [OIL, KITES], [OIL, OIL], confidence=[0.70004, 0.69996])
    )
    assert near["aurc"] == 0.5
    apart = all_metrics(
        GoldAndPredicted.of(SHOP, [OIL, KITES], [OIL, OIL], confidence=[0.7001, 0.7])
    )
    assert apart["aurc"] == 0.25


def test_a_row_without_a_confidence_is_left_out_of_the_squared_error_and_refused_by_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    sure = [0.8, np.nan]
    figures = all_metrics(GoldAndPredicted.of(SHOP, [OIL, KITES], [OIL, OIL], confidence=sure))
    assert figures["brier"] == pytest.approx(0.04)
    with pytest.raises(ValueError, match="NaN"):
        sklearn.brier_score_loss([True, False], sure)
