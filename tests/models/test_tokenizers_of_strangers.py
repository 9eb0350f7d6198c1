"""Tokenizers that no library can use, or that would need all memory, in folders of weights."""

import json
import shutil

import pytest
from tiny_encoder import save_tiny_encoder
from tiny_llm import tiny_model, tiny_tokenizer

import cascade
from cascade.errors import WeightsError
from cascade.models.weights import find_weights

TEXT = "straw hat " + "a" * 150 + "!"
TREE = cascade.Taxonomy.from_paths(["Hats > Straw hats", "Hats > Felt hats", "Rakes"])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A sentence encoder and a language model, by how they are named in a config."""
    place = tmp_path_factory.mktemp("models")
    llm = place / "llm"
    tiny_model().save_pretrained(llm)
    tiny_tokenizer().save_pretrained(llm)
    return {"encoder": save_tiny_encoder(place, ["straw hats", "rakes"]), "llm": llm}


@pytest.fixture(params=["encoder", "llm"])
def used(request, models, tmp_path):
    """A copy of a model, and a function that classifies with it."""
    folder = tmp_path / "model"
    shutil.copytree(models[request.param], folder)
    field = {
        "encoder": {"retrieval": {"encoder": str(folder)}},
        "llm": {"llm": {"model": str(folder)}},
    }
    method = {"encoder": "retrieval", "llm": "llm"}[request.param]

    def answer():
        clf = cascade.load("store", taxonomy=TREE, method=method, **field[request.param])
        return clf.classify(TEXT)

    return folder, answer


def change(folder, **sections):
    for file in folder.rglob("tokenizer.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), **sections}))


def replacing(pattern, content, times):
    step = {"type": "Replace", "pattern": pattern, "content": content}
    return {"type": "Sequence", "normalizers": [step] * times}


def split(pattern):
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "\0", "{}", "null", '{"model": {"type": "X"}}']
)
def test_a_tokenizer_that_is_none_is_refused(used, text):
    folder, answer = used
    for file in folder.rglob("tokenizer.json"):
        file.write_text(text)
    with pytest.raises(WeightsError, match=str(folder)):
        answer()


@pytest.mark.parametrize("pattern", ["((", "[a-", "(?<a>", "*"])
def test_a_pattern_that_is_none_is_refused(used, pattern):
    folder, answer = used
    change(folder, pre_tokenizer=split(pattern))
    with pytest.raises(WeightsError, match=str(folder)):
        answer()


@pytest.mark.parametrize(
    "normalizer",
    [
        replacing({"Regex": "."}, "x" * 100, 1),
        replacing({"String": "a"}, "aa", 7),
        {"type": "Sequence", "normalizers": [replacing({"String": "a"}, "aaaa", 4)]},
        {"type": "Prepend", "prepend": "x" * 10_000},
    ],
)
def test_a_tokenizer_that_makes_texts_far_longer_is_refused(used, normalizer):
    folder, _ = used
    change(folder, normalizer=normalizer)
    with pytest.raises(WeightsError, match=r"tokenizer\.json: its normalizer makes texts up to"):
        find_weights(str(folder))


def test_a_tokenizer_that_puts_many_tokens_around_a_text_is_refused(used):
    folder, _ = used
    ids = {"id": "x", "ids": [1] * 3_000, "tokens": ["x"] * 3_000}
    piece = [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    change(
        folder,
        post_processor={
            "type": "TemplateProcessing",
            "single": piece,
            "pair": piece,
            "special_tokens": {"x": ids},
        },
    )
    with pytest.raises(WeightsError, match="more than 64 tokens around a text"):
        find_weights(str(folder))


@pytest.mark.parametrize("longest", [-5, 0, 1, "512", 10**12, 1.5, [512]])
def test_a_length_that_no_encoder_has_is_refused(models, tmp_path, longest):
    folder = tmp_path / "model"
    shutil.copytree(models["encoder"], folder)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest}))
    with pytest.raises(WeightsError, match=r"sentence_bert_config\.json: max_seq_length is"):
        find_weights(str(folder))


def test_what_tokenizers_replace_is_accepted(used):
    folder, _ = used
    change(folder, normalizer=replacing({"String": " "}, "\u2581", 20))
    find_weights(str(folder))


def test_a_pattern_that_would_take_for_ever_is_given_up(used):
    folder, answer = used
    change(folder, pre_tokenizer=split("(a+)+$"))
    try:
        found = answer()
    except WeightsError as error:
        assert "Regex search error" in str(error)  # what an encoder cannot read
    else:
        assert found.status == "ok" or "Regex search error" in found.message


def test_tokens_without_an_embedding_are_told(used):
    folder, answer = used
    for file in folder.rglob("tokenizer.json"):
        told = json.loads(file.read_text())
        vocabulary = told["model"]["vocab"]
        told["model"]["vocab"] = {word: at + 100_000 * (at > 10) for word, at in vocabulary.items()}
        file.write_text(json.dumps(told))
    try:
        found = answer()
    except WeightsError as error:
        assert str(folder) in str(error)
    else:
        assert (found.status, "out of " in found.message) == ("partial", True)


@pytest.mark.parametrize(
    "section",
    [
        {"padding": {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None,
                     "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}},
        {"truncation": {"max_length": 0, "strategy": "LongestFirst", "stride": 0,
                        "direction": "Right"}},
    ],
)  # fmt: skip
def test_how_a_tokenizer_pads_and_cuts_is_not_what_the_folder_says(used, section):
    folder, answer = used
    change(folder, **section)
    assert answer().status == "ok"
