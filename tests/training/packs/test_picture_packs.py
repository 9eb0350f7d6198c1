"""Packs that are fitted to pictures, to text and pictures, and used where one is missing."""

import csv

import numpy as np
import pytest
from PIL import Image
from tiny_vision import save_tiny_vision

import cascade
from cascade.config import Columns
from cascade.errors import InputError
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.models.vision import load_vision
from cascade.models.weights import find_weights
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.training.packs.backbones.vision import TrainableVision, augmented
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import AugmentRecipe, PictureStage, Recipe

LABELS = {
    "Fruit > Apple": (200, 30, 30),
    "Fruit > Lime": (40, 190, 40),
    "Dairy > Milk": (235, 235, 240),
    "Dairy > Cream": (240, 220, 130),
}
WORDS = {
    "Fruit > Apple": "crisp red apple",
    "Fruit > Lime": "sour lime",
    "Dairy > Milk": "fresh whole milk",
    "Dairy > Cream": "double cream",
}


def photo(label, rng):
    """A picture in the colour of its label, with some noise and a stripe."""
    pixels = np.array(LABELS[label]) + rng.normal(0, 12, (48, 48, 3))
    pixels[rng.integers(48)] = 0
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with labelled rows: text and picture, one row without each, and a broken picture."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "photo", "label"])
        for at in range(60):
            label = list(LABELS)[at % 4]
            (folder / label.replace(" > ", "/")).mkdir(parents=True, exist_ok=True)
            name = f"{label.replace(' > ', '/')}/{at}.png"
            photo(label, rng).save(folder / name)
            writer.writerow([f"{WORDS[label]} {at} pieces", name, label])
        (folder / "broken.png").write_bytes(b"no picture")
        writer.writerow(["crisp red apple of autumn", "broken.png", "Fruit > Apple"])
        writer.writerow(["sour lime by the sea", "", "Fruit > Lime"])
        writer.writerow(["", "broken.png", "Fruit > Lime"])
    return folder


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    return str(save_tiny_vision(tmp_path_factory.mktemp("vision")))


def fitted(shop, out, recipe, *, text=(), image="photo", file="rows.csv", label="label"):
    """The pack, its report, and what was said."""
    source = TableFile(str(shop / file))
    columns = Columns(text=list(text), image=image, label=label)
    tree = taxonomy_of_labels([source], label)
    said = []
    job = Fit(source, tree, columns, Recipe.parse(recipe), out, notify=said.append)
    job.prepare()
    report = job.run(lambda *_: None)
    return cascade.load(out), report, said


NOTHING = {"lexical": None, "sentence": None, "llama": None, "both": None, "routing": None}
HEADS = {"epochs": 40}


@pytest.fixture(scope="module")
def frozen(shop, vision, tmp_path_factory):
    picture = {"model": vision, "frozen": True, "heads": HEADS, "forms": ["leaf", "conditional"]}
    out = tmp_path_factory.mktemp("packs") / "frozen"
    return fitted(shop, out, {**NOTHING, "picture": picture})


def test_a_pack_of_pictures_alone_knows_what_they_show(frozen):
    clf, report, said = frozen
    assert report["pack"]["exact"] > 0.8
    assert set(report["scorers"]) == {"ttc.picture-leaf", "ttc.picture-conditional", "cascade"}
    # One without any picture, and two whose picture is broken.
    assert any("without text or picture" in sentence for sentence in said)
    assert any("broken.png cannot be read" in sentence for sentence in said)
    rng = np.random.default_rng(9)
    for label in LABELS:
        assert clf.classify(Item({}, image=photo(label, rng))).path == label
        assert clf.classify({"photo": photo(label, rng)}).path == label


def test_an_item_without_a_picture_is_told_so(frozen):
    found = frozen[0].classify("crisp red apple")
    assert found.status == "error" and "reads pictures only" in found.message


def test_a_broken_picture_is_an_error_of_its_item(frozen, shop):
    clf, _, _ = frozen
    good, bad = shop / "Fruit/Apple/0.png", shop / "broken.png"
    found = clf.classify_batch([Item({}, image=p) for p in (good, bad, good)])
    assert [p.status == "error" for p in found] == [False, True, False]
    assert "broken.png cannot be read" in found[1].message


def test_a_folder_sorted_into_folders_is_learnt_from(shop, vision, tmp_path):
    picture = {"model": vision, "heads": HEADS}
    clf, report, _ = fitted(
        shop,
        tmp_path / "pack",
        {**NOTHING, "picture": picture},
        image="image",
        file=".",
        label="folder",
    )
    assert report["rows"]["labels"] == 4
    assert clf.classify(Item({}, image=shop / "Dairy/Milk/2.png")).path == "Dairy > Milk"


@pytest.fixture(scope="module")
def both(shop, vision, tmp_path_factory):
    recipe = {
        **NOTHING,
        "lexical": {"forms": ["leaf"]},
        "picture": {"model": vision, "heads": HEADS},
        "both": {"text_model": None, "picture_model": vision, "missing": 0.5, "heads": HEADS},
        "routing": {"loss": 0.0005},
    }
    out = tmp_path_factory.mktemp("packs") / "both"
    return fitted(shop, out, recipe, text=["name"])


@pytest.mark.weights
class TestTextAndPicture:
    def test_a_file_without_pictures_is_measured_by_its_text(self, both, shop, tmp_path):
        from cascade.evaluation.evaluation_task import EvaluationTask, settle_columns

        lines = [f"{words},{label}" for label, words in WORDS.items()]
        (tmp_path / "text.csv").write_text("\n".join(["name,label", *lines]))
        clf = both[0]
        settled = settle_columns(
            EvaluationTask(TableFile(str(tmp_path / "text.csv")), clf.taxonomy, clf.config)
        )
        assert (settled.columns.text, settled.columns.image) == (["name"], None)

    def test_one_model_of_two_backbones_looks_once(self, both):
        components = both[0]._components
        assert components.backbone("both.picture") is components.backbone("picture")

    def test_each_part_is_fitted(self, both):
        _, report, _ = both
        assert {"ttc.leaf", "ttc.picture", "ttc.both"} <= set(report["scorers"])

    def test_an_item_may_lack_the_one_or_the_other(self, both, shop):
        clf, _, _ = both
        rng = np.random.default_rng(5)
        for label in LABELS:
            whole = Item({"name": WORDS[label]}, image=photo(label, rng))
            blind, mute = Item({"name": WORDS[label]}), Item({}, image=photo(label, rng))
            assert [p.path for p in clf.classify_batch([whole, blind, mute])] == [label] * 3
        assert clf.classify(Item({})).status == "error"

    def test_its_heads_alone_read_what_there_is(self, both, shop):
        config = both[0].config
        fast = cascade.load(
            "both",
            taxonomy=both[0].taxonomy,
            **{**config.model_dump(exclude={"taxonomy", "method"}), "method": "ttc"},
        )
        picture = shop / "Fruit/Lime/1.png"
        assert fast.classify(Item({"name": "sour lime"}, image=picture)).path == "Fruit > Lime"
        assert fast.classify(Item({}, image=picture)).path == "Fruit > Lime"

    def test_nobody_answers_before_pictures_were_looked_at(self, both):
        assert not both[0].config.routing.fast

    def test_items_that_lack_something_have_weights_of_their_own(self, both):
        fusion = both[0].config.fusion
        assert set(fusion.without_text) == {"ttc.picture", "ttc.both"}
        assert set(fusion.without_picture) == {"ttc.leaf", "ttc.both"}

    def test_a_scorer_is_not_asked_about_what_it_cannot_see(self, both):
        clf, _, _ = both
        for item, unseen in (
            (Item({"name": "sour lime"}), "ttc.picture"),
            (Item({}, image=photo("Fruit > Lime", np.random.default_rng(1))), "ttc.leaf"),
        ):
            for candidate in clf.classify(item).levels[0].candidates:
                assert np.isnan(candidate.scores.get(unseen, np.nan))

    def test_heads_over_both_learn_from_each_alone(self, both, shop):
        config = both[0].config
        heads = cascade.load(
            "both",
            taxonomy=both[0].taxonomy,
            **{**config.model_dump(exclude={"taxonomy", "method"}), "method": "ttc.both"},
        )
        mute = [
            Item({}, image=photo(label, np.random.default_rng(at)))
            for at, label in enumerate(LABELS)
        ]
        blind = [Item({"name": words}) for words in WORDS.values()]
        for items in (mute, blind):
            right = [
                p.path == label
                for p, label in zip(heads.classify_batch(items), LABELS, strict=True)
            ]
            assert sum(right) >= 3


def test_fine_tuning_makes_a_model_that_tells_colours_apart(shop, vision, tmp_path):
    tuning = {"epochs": 6, "least_steps": 40, "batch_size": 16, "learning_rate": 1e-3}
    picture = {
        "model": vision,
        "frozen": False,
        "layers": 1,
        "again_below": 0,
        "again_epochs": 1,
        "augment": {"colour": 0.1},
        "tuning": {**tuning, "smoothing": 0.1, "importance": [1.0]},
    }
    _, report, _ = fitted(shop, tmp_path / "pack", {**NOTHING, "picture": picture})
    assert report["scorers"]["ttc.picture"]["exact"] > 0.8
    tuned = load_vision(find_weights(str(tmp_path / "pack" / "picture" / "model")), "cpu")
    first = load_vision(find_weights(vision), "cpu")
    before, after = (dict(m.module.named_parameters()) for m in (first, tuned))
    changed = {name for name in before if not before[name].equal(after[name])}
    # The last block and what stands behind it, and nothing below.
    assert any(".layers.1." in name or ".layer.1." in name for name in changed)
    assert not any(".layers.0." in name or ".layer.0." in name for name in changed)
    assert not any("embeddings" in name for name in changed)


def test_a_run_of_tuning_sees_the_same_pictures_again(vision, shop):
    import torch

    tunable = TrainableVision(vision, PictureStage())
    shots = [tunable.inputs(Item({}, image=shop / f"Fruit/Apple/{at}.png")) for at in (0, 4)]
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(tunable.vectors(shots).detach())
    torch.testing.assert_close(found[0], found[1])
    assert (found[0] - found[2]).abs().max() > 1e-4


def test_augmentation_stays_inside_the_picture_and_as_bright_as_told():
    made = Image.new("RGB", (60, 40), (100, 100, 100))
    plain = AugmentRecipe(least_area=1.0, mirror=False, colour=0.0)
    assert (augmented(made, 16, plain, 0) == 100).all()
    loud = AugmentRecipe(colour=0.5)
    values = {int(augmented(made, 16, loud, seed).mean()) for seed in range(20)}
    assert min(values) >= 50 and max(values) <= 150 and len(values) > 5


def test_no_readable_picture_and_no_text_is_nothing_to_learn_from(tmp_path, vision):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "rows.csv").write_text("photo,label\na.png,Fruit\na.png,Dairy\n")
    with pytest.raises(InputError, match=r"no picture can be read .*a\.png"):
        fitted(tmp_path, tmp_path / "pack", {**NOTHING, "picture": {"model": vision}})


def test_a_gallery_shows_pictures_beside_predictions(frozen, shop):
    clf, _, _ = frozen
    items = [Item({"name": "<b>"}, image=shop / "Fruit/Lime/1.png")]
    page = cascade.gallery(items, clf.classify_batch(items))._repr_html_()
    assert "data:image/jpeg;base64," in page and "Lime" in page and "&lt;b&gt;" in page


def test_nothing_is_fetched_for_a_gallery(frozen, monkeypatch):
    from cascade.io.web import fetching

    monkeypatch.setattr(fetching, "fetch", lambda *_: pytest.fail("fetched"))
    clf = frozen[0]
    items = [Item({}, image="http://127.0.0.1:9/a.jpg")]
    found = clf.classify_batch(items)
    assert "--allow-urls" in found[0].message
    assert "<img" not in cascade.gallery(items, found)._repr_html_()


def test_a_name_that_no_file_can_have_is_an_error_of_its_item(frozen):
    found = frozen[0].classify({"photo": "a\0b.jpg"})
    assert found.status == "error"
