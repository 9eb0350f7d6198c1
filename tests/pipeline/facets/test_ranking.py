"""What reranking does where a model fails on some items, or altogether."""

import numpy as np

from cascade.errors import EngineError
from cascade.items import Batch, Item
from cascade.pipeline.facets.reranking import Reranker

ITEMS = [Item.of(text) for text in ("milk", "bread", "tea")]
NAMES = [["Milk", "Cream"]] * 2


def test_where_the_model_fails_on_an_item_its_candidates_are_equally_likely():
    own = np.log([0.9, 0.1])
    batch = Batch(ITEMS)
    judge = Reranker("llm", lambda *_: [own, EngineError("refused")]).judge
    found = judge(batch, [0, 2], NAMES, ["", ""])
    np.testing.assert_allclose(found, [own, np.log([0.5, 0.5])])
    assert {row: str(error) for row, error in batch.failures.items()} == {2: "refused"}


def test_where_the_model_fails_altogether_all_are_left_to_evidence():
    def logprobs(*_):
        raise EngineError("gone")

    batch = Batch(ITEMS)
    found = Reranker("llm", logprobs).judge(batch, [1, 2], NAMES, ["", ""])
    np.testing.assert_allclose(found, np.log(0.5))
    assert sorted(batch.failures) == [1, 2]
