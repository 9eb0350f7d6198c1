import numpy as np
import pytest

from cascade.errors import ConfigError
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import NEVER, NetworkClassifier, TextClassifier
from cascade.pipeline.facets.evidence import FEATURES
from cascade.training.foodex2.categories import best_thresholds, fit_network, fit_text_classifier


def drawn(n, seed):
    """Rows of two categories; the first is said where its first feature is high."""
    rows = np.random.default_rng(seed).random((n, 3, len(FEATURES)), dtype=np.float32)
    right = np.zeros((n, 3), dtype=bool)
    right[:, 0] = rows[:, 0, 0] > 0.5
    right[:, 1] = rows[:, 1, 1] > 0.8
    return rows, right


def test_the_network_learns_and_is_kept(tmp_path):
    fitted = fit_network(*drawn(1000, 0), *drawn(300, 1), ["F01", "F02", "F03"])
    rows, right = drawn(300, 2)
    taken = fitted.of(rows) >= fitted.thresholds
    assert (taken == right).mean() > 0.95
    assert fitted.thresholds[2] == pytest.approx(NEVER)  # nobody ever said it
    fitted.save(tmp_path / "net.safetensors")
    again = NetworkClassifier.load(tmp_path / "net.safetensors", ["F02", "F09", "F01"])
    assert again.thresholds[1] == pytest.approx(NEVER)
    other = again.of(rows[:, [1, 2, 0]])
    np.testing.assert_allclose(other[:, [2, 0]], fitted.of(rows)[:, [0, 1]], atol=1e-6)
    (tmp_path / "net.safetensors").write_bytes(b"no")
    with pytest.raises(ConfigError, match=r"net\.safetensors"):
        NetworkClassifier.load(tmp_path / "net.safetensors", ["F01"])


def test_thresholds_are_the_best_on_held_out_rows():
    likely = np.array([[0.9, 0.2], [0.6, 0.3], [0.4, 0.4], [0.1, 0.1]], dtype=np.float32)
    right = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=bool)
    found = best_thresholds(likely, right, np.array([True, True]))
    assert 0.4 < found[0] <= 0.6
    assert found[1] == 0.5
    assert best_thresholds(likely, right, np.array([False, True]))[0] == pytest.approx(NEVER)


@pytest.mark.weights
def test_the_classifier_learns_words_and_is_kept(minilm, tmp_path):
    texts = [
        f"{food} {how}" for food in ("bread", "fish", "milk") for how in ("baked", "in a jar", "")
    ]
    right = np.array([["baked" in t, "jar" in t, True, False] for t in texts])
    codes = ["F28", "F18", "F02", "F04"]
    fitted = fit_text_classifier(texts, right, texts, right, codes, minilm, tmp_path)
    again = TextClassifier.load(tmp_path / "categories.safetensors", minilm, codes)
    items = [Item({"text": text}) for text in ("beans in a jar", "baked beans")]
    likely = again.of(items)
    np.testing.assert_allclose(likely, fitted.of(items), atol=1e-5)
    assert likely[0, 1] > likely[0, 0]
    assert likely[1, 0] > likely[1, 1]
    assert (likely[:, 2] > 0.99).all()
    batch = Batch([Item({"description": item.text}) for item in items])
    np.testing.assert_allclose(again.probabilities(batch, None, ()), likely)
    assert again.thresholds[3] == pytest.approx(NEVER)
