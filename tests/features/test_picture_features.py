import numpy as np
import pytest
from PIL import Image
from tiny_vision import save_tiny_vision

from cascade.features import pictures
from cascade.features.picture_cache import PictureVectorCache
from cascade.features.pictures import PictureFeatures
from cascade.items import Item
from cascade.models.vision import load_vision
from cascade.models.weights import find_weights


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_tiny_vision(tmp_path_factory.mktemp("vision"))
    return load_vision(find_weights(str(folder)), "cpu")


@pytest.fixture
def files(tmp_path):
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    return tmp_path


def items(files, *names):
    return [Item({}, image=files / name) if name else Item({"text": "hat"}) for name in names]


def test_rows_are_unit_vectors_and_zero_without_a_picture(model, files, monkeypatch):
    monkeypatch.setattr(pictures, "BLOCK", 2)
    features = PictureFeatures(model)
    problems = {}
    asked = items(files, "0.png", None, "bad.png", "1.png", "0.png", "2.png")
    rows = features.rows(asked, problems)
    assert list(problems) == [2] and "bad.png" in problems[2]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 0, 0, 1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[4], atol=1e-6)
    alone = np.concatenate([features.rows([item]) for item in asked])
    np.testing.assert_allclose(rows, alone, atol=1e-5)


def test_bytes_and_opened_pictures_are_read_too(model, files):
    features = PictureFeatures(model)
    file = files / "0.png"
    asked = [Item({}, image=value) for value in (file, file.read_bytes(), Image.open(file))]
    rows = features.rows(asked)
    np.testing.assert_allclose(rows[1:], rows[[0, 0]], atol=1e-6)


def test_a_picture_that_was_fetched_ahead_is_decoded_once(model, files, monkeypatch):
    opened = []
    open_picture = pictures.open_picture
    monkeypatch.setattr(pictures, "open_picture", lambda p: opened.append(p) or open_picture(p))
    features = PictureFeatures(model)
    features.prefetch(items(files, "0.png", "1.png"))
    features.rows(items(files, "2.png"))
    features.rows(items(files, "0.png", "1.png"))
    assert sorted(p.name for p in opened) == ["0.png", "1.png", "2.png"]
    assert not features._decoder._begun


def test_no_more_than_some_pictures_are_held(model, files, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_DECODED", 2)
    features = PictureFeatures(model)
    features.prefetch(items(files, *(f"{n}.png" for n in range(5))))
    assert len(features._decoder._begun) == 2
    assert np.all(features.rows(items(files, *(f"{n}.png" for n in range(5)))).any(axis=1))


def test_vectors_are_kept_until_the_file_changes(model, files, tmp_path, monkeypatch):
    features = PictureFeatures(model, PictureVectorCache(tmp_path / "vectors.sqlite", model.width))
    asked = [*items(files, "0.png"), Item({}, image=(files / "1.png").read_bytes())]
    first = features.rows(asked)
    again = PictureFeatures(model, PictureVectorCache(tmp_path / "vectors.sqlite", model.width))
    monkeypatch.setattr(again, "vectors", lambda squares: pytest.fail("looked again"))
    np.testing.assert_array_equal(again.rows(asked), first)
    monkeypatch.undo()
    Image.new("RGB", (20, 30), "red").save(files / "0.png")
    assert np.abs(again.rows(asked)[0] - first[0]).max() > 1e-3


def test_the_oldest_vectors_go_first(tmp_path, monkeypatch):
    from cascade.features import picture_cache

    monkeypatch.setattr(picture_cache, "MAX_VECTORS", 3)
    store = PictureVectorCache(tmp_path / "vectors.sqlite", 2)
    for value in range(6):
        store.put([bytes([value])], np.full((1, 2), value, dtype=np.float32))
    assert [value for value in range(6) if store.has(bytes([value]))] == [3, 4, 5]


def test_a_cache_that_is_damaged_is_done_without(model, files, tmp_path, caplog):
    (tmp_path / "vectors.sqlite").write_bytes(b"no database" * 100)
    features = PictureFeatures(model, PictureVectorCache(tmp_path / "vectors.sqlite", model.width))
    assert features.rows(items(files, "0.png")).any()
    assert "not kept" in caplog.text


def test_a_cache_that_was_not_used_for_long_goes(tmp_path):
    import os

    for name in ("old.sqlite", "young.sqlite"):
        PictureVectorCache(tmp_path / name, 2).put([b"a"], np.ones((1, 2), dtype=np.float32))
    os.utime(tmp_path / "old.sqlite", (0, 0))
    PictureVectorCache(tmp_path / "new.sqlite", 2)
    assert not list(tmp_path.glob("old.sqlite*"))
    assert PictureVectorCache(tmp_path / "young.sqlite", 2).has(b"a")
