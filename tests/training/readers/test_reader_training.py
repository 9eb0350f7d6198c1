import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tuned_sets import made, save_encoder_of_sets, weights, write_sets

from cascade import Taxonomy
from cascade.errors import ConfigError, WeightsError
from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import find_weights
from cascade.scoring.pair_reader import PairReader
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.finetune_kinds import load_recipe
from cascade.training.readers import experiment
from cascade.training.readers.lists import ListSource
from cascade.training.readers.recipe import ReaderLoopRecipe

PLAIN = AugmentationRecipe(typos=0, lost_words=0, shortened=0)
TREE = Taxonomy.from_paths(
    [f"{top} > {top} {middle} > {top} {middle} {leaf}"
     for top in ("garden", "kitchen") for middle in "pq" for leaf in ("a", "b", "c")]
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return save_encoder_of_sets(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def recipe(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sets(tmp_path)
    (tmp_path / "mine.yaml").write_text(
        f"""\
kind: reader
about: For tests.
sets:
- {{name: tools, file: tools.csv}}
held:
- {{name: work, file: work.csv}}
model: {{weights: {tiny}, finders: [{tiny}], joint: 1, learnt: 1}}
training: {{steps: 6, items: 8, candidates: 4, learning_rate: 0.001,
  checkpoint_every: 2, half: false, device: cpu}}
""",
        "utf-8",
    )
    return "mine.yaml"


def test_a_reader_learns_from_sets_and_is_measured_on_others(recipe):
    metrics = made(recipe, "out", training={"steps": 60})
    assert metrics["sets"] == {"tools": 48}
    assert metrics["after"].keys() == metrics["before"].keys() == {"work"}
    losses = metrics["loss_by_step"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert {f.name for f in Path("out").iterdir()} == {
        "model", "recipe.yaml", "metrics.json", "README.md", "manifest.json", "metrics.jsonl",
        "curves.png",
    }  # fmt: skip
    told = Path("out/README.md").read_text("utf-8")
    assert "For tests." in told and "rerank.model=out/model" in told
    assert PairReader.open(find_weights("out/model")).joint == 1


def test_weights_of_another_model_are_no_reader(tiny):
    assert PairReader.open(find_weights(str(tiny))) is None


@pytest.mark.parametrize("shape", [(9, 4), (1, 3), (0, 4), (1,)])
def test_a_reader_of_other_sizes_is_refused(tiny, tmp_path, shape):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny, tmp_path / "odd")
    (own,) = (tmp_path / "odd").glob("**/model.safetensors")
    first = PairReader(PackedEncoder.open(find_weights(str(tiny))), 1).first_weights(0)
    save_file(load_file(own) | first | {"reader.cross": torch.zeros(shape)}, own)
    with pytest.raises(WeightsError, match=r"odd: reader.cross has the shape"):
        PairReader.open(find_weights(str(tmp_path / "odd")))


def test_a_run_that_was_killed_ends_in_the_same_weights(recipe, monkeypatch):
    made(recipe, "whole")
    losses = experiment.ReaderLoop.losses

    def dies(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return losses(self, step)

    monkeypatch.setattr(experiment.ReaderLoop, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        made(recipe, "killed")
    monkeypatch.setattr(experiment.ReaderLoop, "losses", losses)
    metrics = made(recipe, "killed", resume=True)
    whole = json.loads(Path("whole/metrics.json").read_text())
    assert metrics["loss_by_step"] == whole["loss_by_step"]
    for name, value in weights("whole").items():
        assert torch.equal(value, weights("killed")[name]), name


def test_a_pair_has_the_same_score_beside_any_others(tiny):
    reader = PairReader(PackedEncoder.open(find_weights(str(tiny))), 1)
    reader.begin()
    reader.encoder.weights["reader.outer.weight"] += 0.1
    items, nodes = (
        ["zorba plim", "care ward class of a school"],
        ["Garden > Rakes", "Nurse", "Pans"],
    )
    rows, columns = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    together = reader.score(items, nodes, rows, columns)
    alone = [reader.score([items[r]], [nodes[c]], np.array([0]), np.array([0]))[0]
             for r, c in zip(rows, columns, strict=True)]  # fmt: skip
    assert np.allclose(together, alone, atol=0.05)
    assert len(set(together.tolist())) == 6


def test_training_begins_with_what_the_encoder_says(tiny):
    """With the way from one text to the other shut the score is the cosine."""
    encoder = PackedEncoder.open(find_weights(str(tiny)))
    reader = PairReader(encoder, 1)
    reader.begin()
    encoder.weights["reader.cross"].fill_(-1e4)
    items, nodes = ["zorba plim", "care ward"], ["Garden > Rakes", "Nurse"]
    rows, columns = np.repeat([0, 1], 2), np.tile([0, 1], 2)
    found = reader.score(items, nodes, rows, columns).reshape(2, 2)
    assert np.allclose(found, 20 * encoder.encode(items) @ encoder.encode(nodes).T, atol=0.3)


def lists(**settings):
    leaves = np.repeat(TREE.leaves, 3)
    texts = [f"thing {at} of {TREE.names[node]}" for at, node in enumerate(leaves)]
    goods = EncoderSet("goods", TREE, texts, leaves, 1.0, PLAIN)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(TREE), 4)).astype(np.float32)
    forms = {"leaf": 0, "parent": 0, "path": 1, "upward": 0, "more": 0}
    options = {"items": 6, "candidates": 4, "upper_rows": 0, "forms": forms, **settings}
    encoders = [lambda texts: np.ones((len(texts), 4), np.float32)]
    return ListSource([goods], ReaderLoopRecipe(**options), 5, encoders, {"goods": [vectors]})


def test_each_item_has_its_node_in_its_list_and_never_as_a_wrong_one():
    source = lists()
    for step in range(20):
        drawn = source.draw(step)
        assert drawn.lists.shape == (6, 4)
        at = np.arange(6)
        assert not drawn.wrong[at, drawn.gold].any()
        for item, place in zip(drawn.items, drawn.lists[at, drawn.gold], strict=True):
            assert item.split(" of ")[1] in drawn.nodes[place]


def test_lists_depend_on_their_step_alone_and_hold_what_is_found():
    one, other = lists(noise=0), lists(noise=0)
    _ = one.draw(3)
    assert one.draw(7).items == other.draw(7).items
    assert one.draw(7).nodes == other.draw(7).nodes
    # All items are alike here, so all lists but for the right nodes are, too.
    drawn = one.draw(7)
    assert len(np.unique(np.where(drawn.wrong, drawn.lists, -1))) <= 4 + 1


def test_items_may_be_judged_without_the_cosine():
    assert not lists(alone=1).draw(0).cosine.any()
    assert lists(alone=0).draw(0).cosine.all()


def test_labels_may_be_cut_to_a_level_above():
    leaves = {TREE.names[n] for n in TREE.leaves}
    source = lists(upper_rows=1)
    for step in range(10):
        drawn = source.draw(step)
        right = {drawn.nodes[at].split(" > ")[-1] for at in drawn.lists[np.arange(6), drawn.gold]}
        assert not right & leaves


def test_a_kind_that_there_is_not_is_refused(recipe):
    with pytest.raises(ConfigError, match="encoder or reader"):
        load_recipe(recipe, {"kind": "oracle"})
