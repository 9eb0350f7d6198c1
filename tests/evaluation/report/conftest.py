"""What tests of pages share."""

from dataclasses import replace

import numpy as np
import pytest

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.taxonomy import Taxonomy

from .pages import metrics_of


@pytest.fixture(scope="module")
def shop():
    return Taxonomy.from_paths(
        ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys > Kites", "Garden"],
        name="shop",
    )


@pytest.fixture(scope="module")
def answers(shop):
    apple, pear, oil, kites = (
        shop.index(code)
        for code in ("Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys > Kites")
    )
    gold = [apple, apple, apple, pear, oil, kites, kites]
    predicted = [apple, pear, pear, oil, oil, shop.index("Toys"), -1]
    sure = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, np.nan]
    return GoldAndPredicted.of(shop, predicted, gold, confidence=sure)


@pytest.fixture(scope="module")
def metrics(answers):
    without = replace(answers, confidence=None)
    return metrics_of(without)
