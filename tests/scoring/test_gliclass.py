"""GLiClass models: one that is made small here, against the pipeline of their own library."""

import json
import shutil
import sys

import numpy as np
import pytest
from scipy.special import log_softmax

import cascade
from cascade.errors import MissingExtraError, WeightsError
from cascade.items import Batch, Choices, Item
from cascade.models.classifiers import load_gliclass
from cascade.models.small import make_small
from cascade.models.weights import find_weights
from cascade.scoring.methods.nli import GLiClassScorer, LabelReader
from cascade.taxonomy import Taxonomy

gliclass = pytest.importorskip("gliclass")

TAXONOMY = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes", "Food"])
TEXTS = ["straw hat for summer", "leather shoes", "garden tools: rake, hose"]
SHAPE = {
    "model_type": "deberta-v2",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 64,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "initializer_range": 0.4,
    "pad_token_id": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A GLiClass model of random numbers, as its library saves one."""
    import torch
    from transformers import AutoTokenizer

    place = tmp_path_factory.mktemp("gliclass")
    make_small("nli", place / "nli", TEXTS)  # for its tokenizer
    tokenizer = AutoTokenizer.from_pretrained(place / "nli")
    tokenizer.add_tokens(["<<LABEL>>", "<<SEP>>", "<<EXAMPLE>>"], special_tokens=True)
    ids = tokenizer.convert_tokens_to_ids(["<<LABEL>>", "<<SEP>>", "<<EXAMPLE>>"])
    config = gliclass.GLiClassModelConfig(
        encoder_config={**SHAPE, "vocab_size": len(tokenizer)},
        encoder_model="nowhere/to-be-found",
        class_token_index=ids[0],
        text_token_index=ids[1],
        example_token_index=ids[2],
        vocab_size=len(tokenizer),
        prompt_first=True,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        gliclass.GLiClassModel(config).save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    return place / "model"


@pytest.fixture(scope="module")
def reader(folder):
    return LabelReader.load(
        find_weights(str(folder)), device="cpu", precision="float32", batch_tokens=4096
    )


@pytest.fixture(scope="module")
def theirs(folder):
    """What the pipeline of the library says of the labels of a text: log-probabilities."""
    model, tokenizer = load_gliclass(find_weights(str(folder)), "cpu", "float32")
    pipeline = gliclass.ZeroShotClassificationPipeline(
        model, tokenizer, classification_type="single-label", device="cpu", progress_bar=False
    )

    def ask(text, labels):
        found = pipeline.get_embeddings([text], labels)[0]["logits"][: len(labels)]
        return log_softmax(found.astype(np.float64))

    return ask


def changed(folder, target, **values):
    """A copy of a model with other values in its config; its path as text."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps({**config, **values}), "utf-8")
    return find_weights(str(target))


def batch_of(*texts):
    return Batch([Item.of(text) for text in texts])


def test_scores_are_those_of_the_pipeline_of_its_own_library(reader, theirs):
    scorer = GLiClassScorer(reader, TAXONOMY)
    children = [TAXONOMY.children(parent) for parent in (-1, -1, -1, 0)]
    choices = Choices(
        np.array([0, 1, 2, 1], np.int32),
        np.array([-1, -1, -1, 0], np.int32),
        np.cumsum([0, *map(len, children)]).astype(np.int64),
        np.concatenate(children).astype(np.int32),
    )
    found = scorer.score(batch_of(*TEXTS), choices)
    for at, (row, nodes) in enumerate(zip((0, 1, 2, 1), children, strict=True)):
        expected = theirs(TEXTS[row], [TAXONOMY.names[node] for node in nodes.tolist()])
        span = slice(*choices.offsets[at : at + 2])
        np.testing.assert_allclose(found[span], expected, rtol=1e-4, atol=1e-4)
        assert np.ptp(expected) > 0.01


def test_markers_in_an_item_are_characters_and_no_labels(reader):
    told = reader.tokens("a hat <<LABEL>>Food<<SEP>> and more")
    marks = {reader.tokens(mark)[0] for mark in ("<<LABEL>>", "<<SEP>>")}
    assert reader._label not in told and reader._end not in told
    assert reader._label not in marks and reader._end not in marks


def test_more_labels_than_fit_are_asked_in_several_passes_and_none_is_lost(reader, monkeypatch):
    labels = [reader.tokens(f"label number {i}") for i in range(40)]
    text = reader.tokens("straw hat " * 500)
    few = reader.logits([text], [labels[:3]])[0]
    monkeypatch.setattr(reader, "_max_tokens", 90)
    [many] = reader.logits([text], [labels])
    assert many.shape == (40,) and np.isfinite(many).all() and few.shape == (3,)
    assert all(len(group) < 40 for group in reader._divided(labels))
    assert sum(map(len, reader._divided(labels))) == 40


def test_the_method_nli_reads_such_a_folder_and_answers(folder):
    clf = cascade.load(TAXONOMY, method="nli", nli={"model": str(folder)})
    answers = list(clf.classify_many(TEXTS))
    assert all(p.source == "nli" and p.code in TAXONOMY.codes for p in answers)


def test_an_encoder_that_would_run_code_is_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text("utf-8"))["encoder_config"]
    strange = {**config, "model_type": "strange"}
    weights = changed(folder, tmp_path / "a", encoder_config=strange)
    with pytest.raises(WeightsError, match="its encoder is 'strange', which is not known"):
        load_gliclass(weights, "cpu", "float32")
    weights = changed(folder, tmp_path / "b", encoder_config=None)
    with pytest.raises(WeightsError, match="its encoder is None"):
        load_gliclass(weights, "cpu", "float32")


def test_other_kinds_of_gliclass_are_refused_with_their_kind(folder, tmp_path):
    weights = changed(folder, tmp_path / "a", architecture_type="bi-encoder")
    with pytest.raises(WeightsError, match="of the kind 'bi-encoder'; expected 'uni-encoder'"):
        load_gliclass(weights, "cpu", "float32")


def test_a_tokenizer_without_the_markers_is_refused(folder, tmp_path):
    weights = changed(folder, tmp_path / "a", class_token_index=3)
    with pytest.raises(WeightsError, match="has no <<LABEL>> and <<SEP>>"):
        LabelReader.load(weights, device="cpu", precision="float32", batch_tokens=4096)


def test_without_the_library_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "gliclass", None)
    with pytest.raises(MissingExtraError, match="needs gliclass, which is not installed"):
        load_gliclass(find_weights(str(folder)), "cpu", "float32")
