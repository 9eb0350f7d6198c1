import csv

import numpy as np
import pytest
import torch
from PIL import Image

import cascade
from cascade.errors import UsageError, WeightsError
from cascade.features.picture_words import LIKELIEST, ImageNetWords
from cascade.items import Batch, Item
from cascade.models.efficientnet import SHAPES, EfficientNetLite, from_wheel
from cascade.models.vision import load_vision
from cascade.models.weights import find_weights
from cascade.retrieval.encoder import WORDS_WEIGHT, Encoder, item_vectors
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def words():
    return ImageNetWords.load("efficientnet-lite0")


@pytest.fixture(scope="module")
def pictures():
    """Noise, a disc like an orange on white, and stripes; wider than high and the other way."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (90, 140, 3), dtype=np.uint8)
    y, x = np.mgrid[:200, :200]
    disc = np.full((200, 200, 3), 255, np.uint8)
    disc[(y - 100) ** 2 + (x - 100) ** 2 < 80**2] = (240, 140, 20)
    stripes = np.zeros((160, 100, 3), np.uint8)
    stripes[::8] = (20, 120, 40)
    return [Image.fromarray(pixels) for pixels in (noise, disc, stripes)]


class FewWords:
    """Words of two things, a picture of which shows as much of the one as it is bright."""

    texts = ("straw hat", "garden rake")

    def probabilities(self, pictures):
        bright = [np.asarray(picture).mean() / 255 for picture in pictures]
        return np.array([[share, 1 - share] for share in bright], np.float32).reshape(-1, 2)


def test_classes_are_those_of_the_network_computed_step_by_step(words, pictures):
    weights = find_weights("efficientnet-lite0")
    state = torch.load(weights.path, map_location="cpu", weights_only=True)
    network = EfficientNetLite(SHAPES["efficientnet-lite0"])
    network.load_state_dict(from_wheel(state, SHAPES["efficientnet-lite0"]))
    prepared = load_vision(weights, "cpu").preparation
    found = words.probabilities(pictures)
    assert found.shape == (3, 1000) and len(words.texts) == 1000
    with torch.inference_mode():
        vectors = network.eval()(prepared.pixels([prepared.square(p) for p in pictures]))
        logits = (vectors @ state["_fc.weight"].T + state["_fc.bias"]).numpy().astype(float)
    for row, own in zip(found, logits, strict=True):
        best = np.argsort(-own)[:LIKELIEST]
        expected = np.zeros(1000)
        expected[best] = np.exp(own[best]) / np.exp(own[best]).sum()
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_what_a_picture_shows_is_told_in_words(words, pictures):
    shown = words.texts[int(words.probabilities([pictures[1]])[0].argmax())]
    assert any(round_thing in shown for round_thing in ("orange", "lemon", "ball", "bubble")), shown


def test_classes_stand_in_the_order_of_the_network(words):
    expected = {0: "tench", 1: "goldfish", 281: "tabby", 468: "cab", 954: "banana", 999: "toilet"}
    for at, name in expected.items():
        assert words.texts[at].startswith(name) and ": " in words.texts[at]


def without_mean(vectors):
    return vectors - vectors.mean(axis=0)


def test_a_picture_is_the_convex_combination_of_its_words_less_what_all_share(minilm):
    encoder = Encoder(minilm._model, "minilm", words=FewWords())
    assert encoder.reads_pictures and not minilm.reads_pictures
    grey = Image.new("RGB", (30, 20), (51, 51, 51))
    hat, rake = without_mean(minilm.encode(FewWords.texts))
    expected = 0.2 * hat + 0.8 * rake
    found = encoder.encode_pictures([grey])
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert encoder.encode_pictures([]).shape == (0, minilm.width)


def test_beside_a_text_a_picture_weighs_little(minilm):
    encoder = Encoder(minilm._model, "minilm", words=FewWords())
    black, white = (Image.new("RGB", (9, 9), colour) for colour in ("black", "white"))
    told, (hat, rake) = (
        minilm.encode(["straw hat"])[0],
        without_mean(minilm.encode(FewWords.texts)),
    )
    hat, rake = hat / np.linalg.norm(hat), rake / np.linalg.norm(rake)
    items = [Item({"a": "straw hat"}, image=black), Item({"a": ""}, image=white), Item({"a": "x"})]
    found = item_vectors(encoder, Batch(items))
    both = told + WORDS_WEIGHT * rake
    np.testing.assert_allclose(found[0], both / np.linalg.norm(both), atol=1e-6)
    np.testing.assert_allclose(found[1], hat, atol=1e-6)
    np.testing.assert_allclose(found[2], minilm.encode(["x"])[0], atol=1e-6)


def test_an_encoder_of_pictures_reads_them_itself():
    own = Encoder.load("small:clip", words=FewWords())
    grey = Image.new("RGB", (30, 20), (51, 51, 51))
    expected = Encoder.load("small:clip").encode_pictures([grey])
    np.testing.assert_allclose(own.encode_pictures([grey]), expected, atol=1e-6)
    assert own.picture_weight == 1


@pytest.mark.parametrize("name", ["minilm", "small:clip", "no-such-network"])
def test_what_tells_no_classes_is_refused(name):
    with pytest.raises(WeightsError, match=name):
        ImageNetWords.load(name)


def test_pictures_alone_are_classified_and_bad_ones_are_told(tmp_path, pictures):
    pictures[1].save(tmp_path / "disc.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    tree = Taxonomy.from_paths(["Fruit > Orange", "Tools > Rake"])
    settings = {"method": "retrieval", "columns": {"image": "photo"}}
    with pytest.raises(UsageError, match=r"retrieval\.vision=efficientnet-lite0"):
        cascade.load("two", taxonomy=tree, **settings)
    vision = {"vision": "efficientnet-lite0"}
    clf = cascade.load("two", taxonomy=tree, retrieval=vision, **settings)
    good, bad, text = clf.classify_batch(
        [
            Item({}, image=tmp_path / "disc.png"),
            Item({}, image=tmp_path / "bad.png"),
            Item({"name": "garden rake"}),
        ]
    )
    assert good.path == "Fruit > Orange" and text.path == "Tools > Rake"
    assert bad.status == "error" and "bad.png" in bad.message


def test_the_words_ship_whole():
    from cascade.resources import shipped_folder

    with (shipped_folder("weights") / "imagenet-classes.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(rows) == 1000 and {len(row) for row in rows} == {3}
    synsets = [row[0] for row in rows]
    assert synsets == sorted(synsets)  # as ImageNet numbers its classes
    assert all(cell.strip() for row in rows for cell in row)
