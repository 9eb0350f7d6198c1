import json

import numpy as np
import pytest
from prompted_encoders import change, made

from cascade.config import CascadeConfig
from cascade.errors import ConfigError, WeightsError
from cascade.models.sentence_encoder import PackedEncoder, PaddedEncoder
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.encoder_prompts import FAMILIES, Prompts, prompts_of
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy

TEXTS = ["straw hat", "", "a wide straw hat with a ribbon, for the summer " * 4, "oak table", "1"]
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages\nQuery: "

MODELS = {
    "as E5": {"kind": "bert", "prompts": {"query": "query: ", "passage": "passage: "}},
    "as multilingual E5": {
        "kind": "xlm-roberta",
        "prompts": {"query": "query: ", "passage": "passage: ", "document": ""},
    },
    "as BGE": {"kind": "bert", "pooling": "cls", "prompts": {"query": "Represent this: "}},
    "as ModernBERT": {
        "kind": "modernbert",
        "prompts": {"search_query": "search_query: ", "search_document": "search_document: "},
    },
    "as GTE of ModernBERT": {"kind": "modernbert", "pooling": "cls"},
    "as Qwen3": {
        "kind": "qwen3",
        "pooling": "lasttoken",
        "prompts": {"query": INSTRUCT, "document": ""},
    },
    "as Stella": {
        "kind": "bert",
        "prompts": {"s2p_query": INSTRUCT, "s2s_query": "Instruct: similar text\nQuery: "},
    },
    "as Instructor": {
        "kind": "bert",
        "include_prompt": False,
        "prompts": {"query": "Represent the title: ", "document": "Represent the name: "},
    },
    "with one for all": {"kind": "bert", "prompts": {"all": "text: "}, "usual": "all"},
}
NAMES = {
    "as E5": ("query", "passage"),
    "as multilingual E5": ("query", "passage"),
    "as BGE": ("query", None),
    "as ModernBERT": ("search_query", "search_document"),
    "as GTE of ModernBERT": (None, None),
    "as Qwen3": ("query", "document"),
    "as Stella": ("s2p_query", None),
    "as Instructor": ("query", "document"),
    "with one for all": ("all", "all"),
}


def of_the_library(folder, prompt_name):
    """Vectors by `encode` of sentence-transformers itself, one text at a time."""
    import torch
    from sentence_transformers import SentenceTransformer

    own = {"dtype": torch.float32}
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs=own)
    return np.vstack(
        [model.encode([text], prompt_name=prompt_name, normalize_embeddings=True) for text in TEXTS]
    )


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", MODELS)
def test_items_and_nodes_are_read_as_the_model_of_sentence_transformers_reads_them(tmp_path, name):
    folder = made(tmp_path / "model", **MODELS[name])
    encoder = Encoder.load(str(folder), device="cpu")
    query, document = NAMES[name]
    np.testing.assert_allclose(encoder.encode(TEXTS), of_the_library(folder, query), atol=1e-5)
    found = encoder.encode_documents(TEXTS)
    np.testing.assert_allclose(found, of_the_library(folder, document), atol=1e-5)
    if query != document:
        assert (encoder.encode(TEXTS) * found).sum(axis=1).min() < 0.999
    packed = MODELS[name]["kind"] != "qwen3" and name not in ("as Instructor",)
    packed = packed and MODELS[name]["kind"] != "modernbert"
    assert isinstance(encoder._model, PackedEncoder if packed else PaddedEncoder)


def test_an_encoder_of_half_precision_is_read_in_full(tmp_path):
    folder = made(tmp_path / "model", "qwen3", "lasttoken", {"query": INSTRUCT}, dtype="bfloat16")
    encoder = Encoder.load(str(folder), device="cpu")
    expected = of_the_library(folder, "query")
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_padding_on_either_side_leaves_the_last_token_what_it_is(tmp_path):
    folder = made(tmp_path / "model", "qwen3", "lasttoken", {"query": INSTRUCT})
    left = Encoder.load(str(folder), device="cpu").encode(TEXTS)
    change(folder / "tokenizer_config.json", padding_side="right")
    np.testing.assert_allclose(Encoder.load(str(folder)).encode(TEXTS), left, atol=1e-5)


def test_a_prompt_that_spells_a_special_token_is_plain_text(tmp_path):
    folder = made(tmp_path / "model", "qwen3", "lasttoken", {"query": "a </s> b"})
    plain = Encoder.load(str(folder), query_prompt="").encode(["a </s> bhat"])
    np.testing.assert_allclose(Encoder.load(str(folder)).encode(["hat"]), plain, atol=1e-5)


def weights(tmp_path, name="model", prompts=None, usual=None, **config):
    """Weights of which only the configs are there."""
    folder = tmp_path / name
    folder.mkdir(parents=True, exist_ok=True)
    told = {"prompts": prompts or {}, "default_prompt_name": usual}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(told), "utf-8")
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return Weights(str(folder), folder, "folder", "")


@pytest.mark.parametrize(
    ("prompts", "usual", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, None, ("q: ", "d: ")),
        ({"query": "q: ", "document": "", "passage": "p: "}, None, ("q: ", "p: ")),
        ({"query": "q: "}, "query", ("q: ", "")),
        ({"passage": "p: "}, None, ("", "p: ")),
        ({"passage": "p: "}, "passage", ("", "p: ")),
        ({"s2s_query": "s: ", "s2p_query": "p: "}, None, ("p: ", "")),
        ({"sts_query": "s: ", "bitext_query": "b: "}, None, ("s: ", "")),
        ({"all": "a: "}, "all", ("a: ", "a: ")),
        ({"classification": "c: ", "query": "q: "}, "classification", ("q: ", "")),
        ({"clustering": "c: "}, None, ("", "")),
        ({"query": None, "document": None}, None, ("", "")),
    ],
)
def test_prompts_are_found_whatever_their_makers_call_them(tmp_path, prompts, usual, expected):
    assert prompts_of(weights(tmp_path, prompts=prompts, usual=usual)) == Prompts(*expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("e5-small-v2", ("query: ", "passage: ")),
        ("multilingual-e5-base", ("query: ", "passage: ")),
        ("Multilingual_E5_Large_Instruct", ("Instruct: ", "")),
        ("bge-base-en-v1.5", ("Represent this sentence", "")),
        ("bge-small-zh-v1.5", ("为这个句子", "")),
        ("bge-m3", ("", "")),
        ("gte-base", ("", "")),
        ("gte-modernbert-base", ("", "")),
        ("gte-Qwen2-1.5B-instruct", ("Instruct: ", "")),
        ("stella_en_400M_v5", ("Instruct: ", "")),
        ("Qwen3-Embedding-0.6B", ("Instruct: ", "")),
        ("modernbert-embed-base", ("search_query: ", "search_document: ")),
        ("nomic-embed-text-v1.5", ("search_query: ", "search_document: ")),
        ("mxbai-embed-large-v1", ("Represent this sentence", "")),
        ("snowflake-arctic-embed-m", ("Represent this sentence", "")),
        ("snowflake-arctic-embed-l-v2.0", ("query: ", "")),
        ("embeddinggemma-300m", ("task: search result", "title: none")),
        ("all-MiniLM-L6-v2", ("", "")),
        ("he5-shop", ("", "")),
    ],
)
def test_a_family_is_known_by_its_name(tmp_path, name, expected):
    ways = (
        weights(tmp_path, name),
        weights(tmp_path, "mine", _name_or_path=f"somebody/{name}"),
        weights(tmp_path, f"models--somebody--{name}/snapshots/{'0' * 40}"),
    )
    for way in ways:
        found = prompts_of(way)
        for part, begins in zip((found.query, found.document), expected, strict=True):
            assert part.startswith(begins) and bool(part) == bool(begins)


def test_what_a_folder_says_comes_before_its_family(tmp_path):
    told = {"query": "ask: ", "document": ""}
    assert prompts_of(weights(tmp_path, "e5-mine", told)) == Prompts("ask: ")


def test_the_prompts_of_all_families_pass_the_gate(tmp_path):
    for _, known in FAMILIES:
        config = {"query_prompt": known.query, "document_prompt": known.document}
        assert CascadeConfig.parse({"retrieval": config}).retrieval.query_prompt == known.query


def test_settings_come_before_the_model_and_an_empty_one_is_none(tmp_path):
    folder = str(made(tmp_path / "model", prompts={"query": "query: ", "passage": "passage: "}))
    assert Encoder.load(folder).prompts == Prompts("query: ", "passage: ")
    assert Encoder.load(folder, query_prompt="").prompts == Prompts("", "passage: ")
    own = Encoder.load(folder, query_prompt="query: ", document_prompt="title: ")
    np.testing.assert_array_equal(own.encode(TEXTS), Encoder.load(folder).encode(TEXTS))
    bare = Encoder.load(folder, query_prompt="", document_prompt="")
    prompted = [f"title: {text}" for text in TEXTS]
    np.testing.assert_allclose(own.encode_documents(TEXTS), bare.encode(prompted), atol=1e-6)


def test_an_index_is_of_one_prompt_of_documents(tmp_path):
    folder = str(made(tmp_path / "model"))
    taxonomy = Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes"])
    vectors = {}
    for prompt in ("", "passage: ", "passage:"):
        encoder = Encoder.load(folder, query_prompt="query: ", document_prompt=prompt)
        found = Retriever(taxonomy, encoder, "leaf", folder=tmp_path / "indexes")
        vectors[prompt] = np.array(found._index.vectors)
        np.testing.assert_array_equal(
            vectors[prompt], encoder.encode_documents(taxonomy.names, half=True)
        )
    assert len(list((tmp_path / "indexes").iterdir())) == 3
    other = Encoder.load(folder, query_prompt="ask: ", document_prompt="passage: ")
    Retriever(taxonomy, other, "leaf", folder=tmp_path / "indexes")
    assert len(list((tmp_path / "indexes").iterdir())) == 3  # nodes are as they were


HOSTILE = [
    "x" * 10_000,
    "a\0b",
    "a\x1b[2Jb",
    "a\x7f",
    "a\r\n",
    "\u202etxt",
    "\ufeffquery: ",
    "\x85",
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_hostile_prompt_is_refused_wherever_it_comes_from(tmp_path, prompt):
    for field in ("query_prompt", "document_prompt"):
        with pytest.raises(ConfigError, match=f"retrieval.{field}: .*prompt|character") as told:
            CascadeConfig.parse({"retrieval": {field: prompt}})
        assert len(str(told.value)) < 400 and str(told.value).isprintable()
    backbones = {"b": {"kind": "sentence", "prompt": prompt}}
    with pytest.raises(ConfigError, match=r"backbones\.b\.prompt"):
        CascadeConfig.parse({"backbones": backbones})
    for prompts in ({"query": prompt}, {prompt: "query: "}):
        folder = weights(tmp_path, prompts=prompts).name
        with pytest.raises(WeightsError, match=r"sentence_transformers\.json: the prompt") as told:
            find_weights(folder)
        assert len(str(told.value)) < 500 and str(told.value).isprintable()


@pytest.mark.parametrize("prompts", [{"query": 3}, {"query": ["query: "]}, ["query: "], "query: "])
def test_prompts_that_are_no_texts_by_name_are_refused(tmp_path, prompts):
    folder = weights(tmp_path, prompts=prompts).name
    with pytest.raises(WeightsError, match=r"config_sentence_transformers\.json: .*prompt"):
        find_weights(folder)


@pytest.mark.parametrize("usual", ["nothing", 3, ["query"], "a\0b"])
def test_a_default_prompt_that_there_is_not_is_refused(tmp_path, usual):
    folder = weights(tmp_path, prompts={"query": "query: "}, usual=usual).name
    with pytest.raises(WeightsError, match=r"default_prompt_name is .*'query'"):
        find_weights(folder)


def test_prompts_of_more_lines_and_of_any_language_are_taken():
    for prompt in ("Instruct: x\nQuery:\t", "为这个句子", "می\u200cخواهم: ", "क्\u200dष "):
        assert CascadeConfig.parse({"retrieval": {"query_prompt": prompt}})


def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(tmp_path):
    folder = str(made(tmp_path / "model"))
    with pytest.raises(ConfigError, match="leaves no room for a text"):
        Encoder.load(folder, query_prompt="words " * 200)


def test_the_config_reaches_items_and_nodes(tmp_path):
    import cascade

    folder = str(made(tmp_path / "model", prompts={"query": "query: ", "passage": "passage: "}))
    (tmp_path / "tax.csv").write_text("path\nClothing > Hats\nGarden > Rakes\n")
    retrieval = {"encoder": folder, "document_prompt": "title: "}
    clf = cascade.load(tmp_path / "tax.csv", method="retrieval", retrieval=retrieval)
    assert clf._components.encoder.prompts == Prompts("query: ", "title: ")
