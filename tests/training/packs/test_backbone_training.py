import numpy as np
import pytest
import torch
from tiny_encoder import save_tiny_encoder
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.config import BackboneConfig
from cascade.io.files import write_text
from cascade.items import Item
from cascade.scoring.ttc_heads import Heads
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled
from cascade.training.packs.backbone_training import TuningRecipe, fine_tune
from cascade.training.packs.backbones.encoders import trainable_encoder
from cascade.training.packs.backbones.llama import TrainableLlama
from cascade.training.packs.backbones.reading import short_columns, with_prompt
from cascade.training.packs.fine_tuned_parts import FineTunedPart
from cascade.training.packs.parts import FitContext
from cascade.training.packs.recipe import TunedStage

TREE = Taxonomy.from_paths(["Home > Garden", "Home > Kitchen", "Clothing > Hats"])
ROWS = [
    ("garden rake", "Home > Garden"),
    ("hose reel", "Home > Garden"),
    ("chef knife", "Home > Kitchen"),
    ("frying pan", "Home > Kitchen"),
    ("straw hat", "Clothing > Hats"),
    ("wool beanie", "Clothing > Hats"),
] * 4
ITEMS = [Item({"name": name}) for name, _ in ROWS]
NODES = np.array([TREE.find(label) for _, label in ROWS], dtype=np.int32)
STAGE = TunedStage(layers=1, max_chars=100)
RECIPE = TuningRecipe(epochs=1, least_steps=12, batch_size=8, checkpoint_every=5)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny sentence encoder, and a tiny LLaMA of which the upper layer is trained."""
    folder = tmp_path_factory.mktemp("models")
    tiny_model().save_pretrained(folder / "llama")
    tiny_tokenizer().save_pretrained(folder / "llama")
    encoder = save_tiny_encoder(folder, [name for name, _ in ROWS])
    return {"sentence": str(encoder), "llama": str(folder / "llama")}


@pytest.fixture(params=["sentence", "llama"])
def backbone(request, models):
    """Makes the backbone, or the one in a folder as it goes on."""

    def make(before=None):
        if request.param == "sentence":
            return trainable_encoder(str(before or models["sentence"]), ["name"], STAGE)
        return TrainableLlama(models["llama"], ["name"], STAGE, adapter=before)

    make.kind = request.param
    return make


def loaded(kind, folder, llama):
    """The features that the rows have by what was trained."""
    from cascade.features.text_embeddings import HiddenStates, SentenceFeatures
    from cascade.retrieval.encoder import Encoder

    if kind == "sentence":
        return SentenceFeatures(Encoder.load(folder), ["name"], 100).rows(ITEMS)
    return HiddenStates.load(llama, ["name"], 100, adapter=folder).rows(ITEMS)


def test_a_tuning_that_was_killed_goes_on_and_ends_in_the_same_heads(backbone, tmp_path):
    class Killed(Exception):
        pass

    def dies(tick):
        if tick.step == 8:
            raise Killed

    whole = fine_tune(backbone(), ITEMS, NODES, TREE, RECIPE, tmp_path / "whole")
    with pytest.raises(Killed):
        fine_tune(backbone(), ITEMS, NODES, TREE, RECIPE, tmp_path / "part", progress=dies)
    steps = []
    resumed = fine_tune(
        backbone(),
        ITEMS,
        NODES,
        TREE,
        RECIPE,
        tmp_path / "part",
        progress=lambda tick: steps.append(tick.step),
    )
    assert steps[0] == 6
    # Not to the last bit: in bf16 sums depend on where memory lies. A run that had lost what the
    # optimizer remembers would be off by 4e-3.
    assert np.allclose(whole.weights, resumed.weights, atol=5e-4)
    assert (tmp_path / "part" / "model").is_dir()
    assert not (tmp_path / "part" / "checkpoint.safetensors").exists()


def test_what_is_watched_on_the_way_changes_nothing(backbone, tmp_path):
    ticks = []
    plain = fine_tune(
        backbone(), ITEMS, NODES, TREE, RECIPE, tmp_path / "plain", progress=lambda tick: None
    )
    watched = fine_tune(
        *(backbone(), ITEMS, NODES, TREE, RECIPE, tmp_path / "watched"),
        held=(ITEMS[:2], NODES[:2]),
        progress=ticks.append,
    )
    assert np.allclose(plain.weights, watched.weights, atol=5e-4)
    seen = [tick.figures["validation_loss"] for tick in ticks if tick.observes]
    assert len(seen) >= 2 and seen[-1] < seen[0]
    assert "validation loss" in ticks[-1].words and ticks[-1].words.endswith("left")


def test_what_was_trained_is_what_is_loaded(backbone, models, tmp_path):
    from cascade.scoring.ttc_heads import HierarchicalSoftmax

    trained = backbone()
    recipe = RECIPE.model_copy(update={"least_steps": 120, "learning_rate": 3e-3})
    heads = fine_tune(trained, ITEMS, NODES, TREE, recipe, tmp_path)
    folder = str(tmp_path / "model")
    rows = loaded(backbone.kind, folder, models["llama"])
    with torch.no_grad():
        expected = trained.vectors([trained.inputs(item) for item in ITEMS])
    np.testing.assert_allclose(rows, expected.float().cpu().numpy(), atol=2e-2)
    read = HierarchicalSoftmax(TREE, heads.form).log_probs(heads.logits(rows), heads.nodes)
    assert (TREE.leaves[read[TREE.leaves].argmax(axis=0)] == NODES).mean() > 0.9


def test_an_encoder_that_wants_a_prompt_is_trained_and_read_with_it(models, tmp_path):
    from cascade.features.backbone import make_backbone

    folder = tmp_path / "e5-small"
    folder.symlink_to(models["sentence"], target_is_directory=True)
    context = FitContext(TREE, ["name"], 0, False, lambda *_: None)
    part = FineTunedPart("sentence", TunedStage(model=str(folder), max_chars=100), context)
    trained = part._trainable(["name"], None)
    write_text(tmp_path / "columns.json", '["name"]')
    trained.save(tmp_path / "model")
    config = part._backbone(tmp_path, str(tmp_path / "model"))
    assert config["prompt"] == "query: "
    with torch.no_grad():
        expected = trained.vectors([trained.inputs(item) for item in ITEMS]).cpu().numpy()
    found = make_backbone(BackboneConfig.model_validate(config)).rows(ITEMS)
    np.testing.assert_allclose(found, expected, atol=2e-2)  # half precision
    bare = make_backbone(BackboneConfig.model_validate(config | {"prompt": ""})).rows(ITEMS)
    assert (found * bare).sum(axis=1).max() < 0.999
    assert with_prompt(models["sentence"]) == {}


def test_short_columns_are_read_beside_the_first():
    items = [Item({"name": "n" * 40, "brand": "b" * 8, "text": "t" * 900, "kind": "k" * 30})] * 3
    assert short_columns(items, ["name", "text", "brand", "kind"], 100, 150) == [
        "name",
        "brand",
        "kind",
    ]
    assert short_columns(items, ["text"], 100, 150) == ["text"]


def test_a_tuned_backbone_goes_on_from_where_it_was(backbone, models, tmp_path):
    kind = backbone.kind
    quick = RECIPE.model_copy(update={"learning_rate": 3e-3})
    first = fine_tune(backbone(), ITEMS, NODES, TREE, quick, tmp_path / "first")
    model = tmp_path / "first" / "model"
    still = RECIPE.model_copy(update={"learning_rate": 1e-12, "head_learning_rate": 1e-12})
    same = fine_tune(backbone(model), ITEMS, NODES, TREE, still, tmp_path / "same", start=first)
    np.testing.assert_allclose(same.weights, first.weights, atol=1e-6)
    np.testing.assert_array_equal(same.nodes, first.nodes)
    learnt, kept = (
        loaded(kind, str(tmp_path / name / "model"), models["llama"]) for name in ("first", "same")
    )
    np.testing.assert_allclose(kept, learnt, atol=1e-5)
    # Rows of one label only: the others' heads stay known.
    few = fine_tune(
        backbone(model), ITEMS[:2], NODES[:2], TREE, RECIPE, tmp_path / "few", start=first
    )
    assert few.nodes.tolist() == first.nodes.tolist()


def test_long_columns_without_spaces_are_left_to_others():
    address = "www.example.com/shop/garden-tools/rakes-and-hoes/leaf-rake-22"
    items = [
        Item({"name": "leaf rake", "url": address, "text": "a rake " * 9, "brand": "Acme"})
    ] * 3
    kept = short_columns(items, ["name", "url", "text", "brand"], 200, 120)
    assert kept == ["name", "text", "brand"]


@pytest.mark.parametrize("balanced", [1, 0])
@pytest.mark.parametrize("kind", ["sentence", "llama"])
def test_in_two_stages_heads_learn_all_rows_and_the_backbone_a_balanced_subset(
    models, tmp_path, kind, balanced
):
    from cascade.features.backbone import make_backbone

    told = []
    context = FitContext(TREE, ["name"], 0, False, lambda what, *_: told.append(what))
    tuning = RECIPE.model_copy(update={"form": "published"})
    stage = TunedStage(
        model=models[kind], max_chars=100, balanced=balanced, tuning=tuning, again_below=0
    )
    part = FineTunedPart(kind, stage, context)
    rows = Labelled(ITEMS, NODES, {})
    new = np.arange(len(ITEMS)) == 0
    part.fit(rows.part(~new), tmp_path / "part")
    part.refit(rows, new, tmp_path / "part", tmp_path / "whole")
    subset = len(np.unique(NODES[~new]))
    assert any(f"training on {subset} rows" in what for what in told) == bool(balanced)
    for folder in ("part", "whole"):
        place = tmp_path / folder / kind
        assert {path.name for path in place.iterdir()} >= {"heads.safetensors", "columns.json"}
        assert (place / "model").is_dir() == bool(balanced)
        assert not (place / "first").exists()
    heads = Heads.load(tmp_path / "whole" / kind / "heads.safetensors", TREE)
    assert heads.form == "published"
    assert set(NODES.tolist()) <= set(heads.nodes.tolist())
    found = part.config(tmp_path / "whole").backbones[kind]
    assert ("adapter" in found) == (kind == "llama" and bool(balanced))
    if not balanced:
        features = make_backbone(BackboneConfig.model_validate(found)).rows(ITEMS)
        assert len(ITEMS) in heads.logits(features).shape
