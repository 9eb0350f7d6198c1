import pytest
from sklearn.metrics import precision_recall_fscore_support
from toy_catalogue import packed, xml

from cascade.evaluation.foodex2.code_figures import category_rows, code_figures
from cascade.evaluation.foodex2.coverage import category_coverage, coverage
from cascade.foodex2.code import FoodCode
from cascade.taxonomy import Taxonomy

GOLD = ["STEW0#F28.BAKED$F04.SALT0", "STEW0", "OATS0#F04.SALT0", "WHEAT", "STEW0#F28.BAKED"]
SAID = ["STEW0#F28.BAKED$F04.SALT0", "STEW0#F03.LIQUD", "OATS0", "OATS0", "STEW0#F28.MILL0"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Taxonomy.load(packed(tmp_path_factory.mktemp("toy") / "TOY.ecf", xml()))


@pytest.fixture(scope="module")
def codes():
    return [FoodCode.parse(c) for c in SAID], [FoodCode.parse(c) for c in GOLD]


def test_shares_of_rows_are_those_that_a_person_counts(tree, codes):
    found = {name: v.value for name, v in code_figures(tree, *codes, resamples=20).items()}
    assert found["base_term"] == pytest.approx(4 / 5)
    assert found["whole_code"] == pytest.approx(1 / 5)
    assert found["facet_set"] == pytest.approx(2 / 5)
    assert found["category_set"] == pytest.approx(3 / 5)
    assert found["facet_precision_micro"] == pytest.approx(2 / 4)
    assert found["facet_recall_micro"] == pytest.approx(2 / 4)
    unanswered = code_figures(tree, [None] * 5, codes[1], resamples=20)
    assert unanswered["base_term"].value == 0
    assert unanswered["facet_f1_macro"].value == 0


def test_categories_agree_with_scikit_learn(tree, codes):
    names = list(tree.categories)
    predicted, gold = (
        [[name in {f.category for f in code.facets} for name in names] for code in own]
        for own in codes
    )
    known = [at for at in range(len(names)) if any(row[at] for row in gold)]
    found = code_figures(tree, *codes, resamples=20)
    for average in ("micro", "macro"):
        labels = known if average == "macro" else None
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )
        assert found[f"category_precision_{average}"].value == pytest.approx(precision)
        assert found[f"category_recall_{average}"].value == pytest.approx(recall)
        assert found[f"category_f1_{average}"].value == pytest.approx(f1)


def test_a_category_has_a_row_with_its_descriptors_beside_it(tree, codes):
    rows = {row["code"]: row for row in category_rows(tree, *codes)}
    assert list(rows) == ["F03", "F04", "F28"]
    assert (rows["F28"]["category_f1"], rows["F28"]["facet_f1"]) == (1.0, 0.5)
    assert rows["F04"]["facet_recall"] == 0.5


def test_coverage_tells_what_of_the_catalogue_is_used(tree, codes):
    found = {row["what"]: row for row in coverage(tree, codes[1])}
    assert found["base terms"]["used"] == 3
    assert found["base terms"]["share"] == round(3 / int(tree.reportable.sum()), 4)
    assert found["base terms"]["rows_most"] == 3
    assert found["descriptors"]["used"] == 2
    assert found["whole codes"]["once"] == 5
    by_category = {row["code"]: row for row in category_coverage(tree, codes[1])}
    assert by_category["F28"]["rows"] == 2
    assert by_category["F03"]["used"] == 0
