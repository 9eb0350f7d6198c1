import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tuned_sets import made, save_encoder_of_sets, weights, write_sets

from cascade.errors import InputError, WeightsError
from cascade.models.packed.layers import name_today
from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import find_weights
from cascade.training.encoders import experiment
from cascade.training.encoders.recipe import SetRecipe
from cascade.training.encoders.sets import read_set
from cascade.training.encoders.training import learnt


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return save_encoder_of_sets(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def recipe(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sets(tmp_path)
    (tmp_path / "mine.yaml").write_text(
        f"""\
kind: encoder
about: For tests.
sets:
- {{name: tools, file: tools.csv}}
held:
- {{name: work, file: work.csv}}
model: {{weights: {tiny}}}
training: {{steps: 6, items: 8, candidates: 8, seeds: 1, family: 2, learning_rate: 0.01,
  checkpoint_every: 2, refresh: 4, half: false, device: cpu}}
""",
        "utf-8",
    )
    return "mine.yaml"


def opened(folder):
    return PackedEncoder.open(find_weights(str(folder)))


def test_an_encoder_learns_from_sets_and_is_measured_on_others(recipe, tiny):
    metrics = made(recipe, "out", training={"steps": 40})
    assert metrics["sets"] == {"tools": 48}
    assert metrics["after"].keys() == metrics["before"].keys() == {"work"}
    losses = metrics["loss_by_step"]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert {f.name for f in Path("out").iterdir()} == {
        "model", "recipe.yaml", "metrics.json", "README.md", "manifest.json", "metrics.jsonl",
        "curves.png",
    }  # fmt: skip
    assert "For tests." in Path("out/README.md").read_text("utf-8")
    assert "retrieval.encoder=out/model" in Path("out/README.md").read_text("utf-8")
    before, after = opened(tiny), opened("out/model")
    assert not np.allclose(before.encode(["zorba"]), after.encode(["zorba"]), atol=1e-3)
    kept = "embeddings.word_embeddings.weight"
    assert torch.equal(before.weights[kept], after.weights[kept])


def test_an_encoder_that_wants_prompts_is_refused_as_training_reads_none(recipe, tiny):
    Path("e5-small").symlink_to(tiny, target_is_directory=True)
    with pytest.raises(WeightsError, match=r"e5-small wants prompts .* kind retriever"):
        made(recipe, "out", model={"weights": "e5-small"})


def test_a_run_that_was_killed_ends_in_the_same_weights(recipe, monkeypatch):
    made(recipe, "whole")
    losses = experiment.EncoderLoop.losses

    def dies(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return losses(self, step)

    monkeypatch.setattr(experiment.EncoderLoop, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        made(recipe, "killed")
    monkeypatch.setattr(experiment.EncoderLoop, "losses", losses)
    metrics = made(recipe, "killed", resume=True)
    assert len(metrics["loss_by_step"]) == 6
    assert (
        metrics["loss_by_step"]
        == json.loads(Path("whole/metrics.json").read_text())["loss_by_step"]
    )
    for name, value in weights("whole").items():
        assert torch.equal(value, weights("killed")[name]), name


def test_measured_texts_are_not_learnt(recipe):
    metrics = made(
        recipe,
        "out",
        held=[{"name": "same", "file": "tools.csv"}],
        held_rows=20,
        training={"steps": 1},
    )
    assert metrics["sets"] == {"tools": 48 - 20}


def test_the_result_lies_between_the_first_weights_and_those_learnt(recipe, tiny):
    for folder, share in (("none", 0), ("half", 0.5), ("all", 1)):
        made(recipe, folder, training={"share": share})
    first = {name_today(n.split("0.auto_model.")[-1]): v for n, v in weights("none").items()}
    for name, value in opened(tiny).weights.items():
        assert torch.equal(first[name], value)
    for name, value in weights("half").items():
        both = (weights("none")[name] + weights("all")[name]) / 2
        assert torch.allclose(value, both, atol=1e-6)


def test_only_upper_layers_may_be_learnt(tiny):
    encoder = opened(tiny)
    names = set(learnt(encoder, 1, words=False))
    assert names
    assert all(name.startswith("encoder.layer.1.") for name in names)
    assert "embeddings.word_embeddings.weight" in learnt(encoder, None, words=True)


def test_a_forward_pass_for_training_gives_the_vectors_of_use(tiny):
    encoder = opened(tiny)
    texts = ["plim", "garden rakes and zorba", "", "care ward care"]
    vectors = encoder.forward(encoder.tokens(texts, 64)).detach().numpy()
    assert np.allclose(vectors, encoder.encode(texts), atol=1e-6)
    assert [len(ids) for ids in encoder.tokens(texts, 4)] == [
        min(4, len(ids)) for ids in encoder.tokens(texts, 64)
    ]
    assert encoder.tokens(texts, 4)[1][-1] == encoder.tokens(texts, 64)[1][-1]


def test_a_column_tells_taxonomies_apart(tmp_path):
    (tmp_path / "rows.csv").write_text(
        "text,label,list\na,X > Y,one\nb,X > Z,one\nc,X > Y,two\nd,Q,two\ne,Q,lonely\n", "utf-8"
    )
    said = []
    recipe = SetRecipe(name="lists", file=str(tmp_path / "rows.csv"), by="list")
    found = read_set(recipe, notify=said.append)
    assert [(part.name, len(part)) for part in found] == [("lists/one", 2), ("lists/two", 2)]
    assert {part.taxonomy.depth for part in found} == {2}
    assert said == [
        "lists: 1 rows are left out: of a taxonomy with one label alone (first: line 6)"
    ]


def test_rows_that_teach_nothing_are_counted_by_reason(tmp_path):
    (tmp_path / "tax.csv").write_text("code,name,parent\n1,Hats,\n2,Caps,\n", "utf-8")
    (tmp_path / "rows.csv").write_text("text,label\na,1\nb,2\n,1\nc,\nd,77\ne,78\nf,1\n", "utf-8")
    said = []
    recipe = SetRecipe(
        name="hats", file=str(tmp_path / "rows.csv"), taxonomy=str(tmp_path / "tax.csv")
    )
    (found,) = read_set(recipe, frozenset({"f"}), notify=said.append)
    assert list(found.texts) == ["a", "b"]
    assert said == [
        "hats: 1 rows are left out: without a text (first: line 4)",
        "hats: 1 rows are left out: without a label (first: line 5)",
        "hats: 1 rows are left out: measured, so not learnt (first: line 8)",
        "hats: 2 rows are left out: label not in the taxonomy (first: line 6)",
    ]


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        ("text,label\n,A > B\n", {}, "1 without a text"),
        ("text,label\nx,A > B\n", {}, "no two rows"),
        ("text,answer\nx,A > B\n", {}, "label"),
        ("text,label\nx,A > B\n", {"text": ["label"]}, "must not hold the answer"),
        ("text,label\nx,A > B\n", {"taxonomy": "nowhere.csv"}, "taxonomy"),
        (None, {}, "there is no file"),
    ],
)
def test_a_set_that_cannot_be_used_is_refused_by_its_file(tmp_path, content, settings, words):
    file = tmp_path / "rows.csv"
    if content is not None:
        file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=words) as caught:
        read_set(SetRecipe(name="mine", file=str(file), **settings))
    assert "rows.csv" in str(caught.value) or "mine" in str(caught.value)


def test_a_set_says_how_its_taxonomy_is_read(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\nfrog,1\ntoad,2\n" * 3, "utf-8")
    tree = "code,name,parent\n1,Żaby,\n2,Ropuchy,\n"
    (tmp_path / "tree.csv").write_bytes(tree.encode("cp1250"))
    file, taxonomy = str(tmp_path / "rows.csv"), str(tmp_path / "tree.csv")
    recipe = SetRecipe(file=file, taxonomy=taxonomy, taxonomy_encoding="cp1250")
    assert read_set(recipe)[0].taxonomy.names == ("Żaby", "Ropuchy")
