import numpy as np
import pytest

from cascade.items import Item
from cascade.taxonomy import Taxonomy
from cascade.training.packs.backbones import TrainableEncoder, TrainableLlama, short_columns
from cascade.training.packs.fine_tuning import TuningRecipe, fine_tune
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
STAGE = TunedStage(layers=2, max_chars=100)
RECIPE = TuningRecipe(epochs=1, least_steps=12, batch_size=8, checkpoint_every=5)


@pytest.fixture(params=["sentence", "llama"])
def backbone(request):
    if request.param == "sentence":
        return lambda: TrainableEncoder("minilm", ["name"], STAGE)
    return lambda: TrainableLlama("smollm2-135m", ["name"], STAGE)


def loaded(kind, folder):
    """The features that the rows have by what was trained."""
    from cascade.features.text_embeddings import HiddenStates, SentenceFeatures
    from cascade.retrieval.encoder import Encoder

    if kind == "sentence":
        return SentenceFeatures(Encoder.load(folder), ["name"], 100).rows(ITEMS)
    return HiddenStates.load("smollm2-135m", ["name"], 100, adapter=folder).rows(ITEMS)


@pytest.mark.weights
def test_a_tuning_that_was_killed_goes_on_and_ends_in_the_same_heads(backbone, tmp_path):
    class Killed(Exception):
        pass

    def dies(done, of):
        if done == 8:
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
        progress=lambda done, of: steps.append(done),
    )
    assert steps[0] == 6
    # Not to the last bit: in bf16 sums depend on where memory lies. A run that had lost what the
    # optimizer remembers would be off by 4e-3.
    assert np.allclose(whole.weights, resumed.weights, atol=5e-4)
    assert (tmp_path / "part" / "model").is_dir()
    assert not (tmp_path / "part" / "checkpoint.safetensors").exists()


@pytest.mark.weights
def test_what_was_trained_is_what_is_loaded(backbone, tmp_path):
    from cascade.scoring.ttc_heads import HierarchicalSoftmax

    trained = backbone()
    recipe = RECIPE.model_copy(update={"least_steps": 40, "learning_rate": 5e-4})
    heads = fine_tune(trained, ITEMS, NODES, TREE, recipe, tmp_path)
    folder = str(tmp_path / "model")
    rows = loaded("sentence" if isinstance(trained, TrainableEncoder) else "llama", folder)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-2)
    read = HierarchicalSoftmax(TREE, heads.form).log_probs(heads.logits(rows), heads.nodes)
    assert (TREE.leaves[read[TREE.leaves].argmax(axis=0)] == NODES).mean() > 0.9


def test_short_columns_are_read_beside_the_first():
    items = [Item({"name": "n" * 40, "brand": "b" * 8, "text": "t" * 900, "kind": "k" * 30})] * 3
    assert short_columns(items, ["name", "text", "brand", "kind"], 100, 150) == [
        "name",
        "brand",
        "kind",
    ]
    assert short_columns(items, ["text"], 100, 150) == ["text"]


@pytest.mark.weights
@pytest.mark.parametrize("kind", ["sentence", "llama"])
def test_a_tuned_backbone_goes_on_from_where_it_was(kind, tmp_path):
    def backbone(before=None):
        if kind == "sentence":
            return TrainableEncoder(str(before or "minilm"), ["name"], STAGE)
        return TrainableLlama("smollm2-135m", ["name"], STAGE, adapter=before)

    quick = RECIPE.model_copy(update={"learning_rate": 3e-3 if kind == "llama" else 1e-4})
    first = fine_tune(backbone(), ITEMS, NODES, TREE, quick, tmp_path / "first")
    model = tmp_path / "first" / "model"
    still = RECIPE.model_copy(update={"learning_rate": 1e-12, "head_learning_rate": 1e-12})
    same = fine_tune(backbone(model), ITEMS, NODES, TREE, still, tmp_path / "same", start=first)
    np.testing.assert_allclose(same.weights, first.weights, atol=1e-6)
    np.testing.assert_array_equal(same.nodes, first.nodes)
    learnt, kept = (loaded(kind, str(tmp_path / name / "model")) for name in ("first", "same"))
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
