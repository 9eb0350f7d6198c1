"""Folders of weights whose code would leave a file, by every way in which a folder can come."""

import builtins
import io
import sys

import pytest
import yaml
from safetensors.torch import save_file
from strange_models import ASKS, ask_for_code, save_model


@pytest.fixture
def yes(monkeypatch):
    """Whoever asks gets a yes, from standard input and from Python's own `input`."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    monkeypatch.setattr(builtins, "input", lambda *_: "y")


@pytest.fixture(params=ASKS)
def stranger(request, tmp_path_factory):
    """A folder of weights in which one file names code, and the file that this code leaves."""
    folder = tmp_path_factory.mktemp("stranger")
    mark = folder.with_name(f"{folder.name}-ran")
    ask_for_code(save_model(folder), request.param, mark)
    return folder, mark


CLASSIFY = ("classify", "items.csv", "-t", "tax.csv", "--text", "name", "-o", "out.csv")
WAYS = {
    "encoder": ("retrieval", "retrieval.encoder"),
    "llm": ("llm", "llm.model"),
    "adapter": ("llm", "llm.adapter"),
    "reranker": ("rerank", "rerank.model"),
    "inference": ("nli", "nli.model"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_into_classify_runs_code(cascade, folder, yes, stranger, way):
    weights, mark = stranger
    method, field = WAYS[way]
    if way == "adapter":
        save_file({}, weights / "adapter_model.safetensors")
        (weights / "adapter_config.json").write_text('{"r": 4, "peft_type": "LORA"}')
    done = cascade(*CLASSIFY, "--method", method, "--set", f"{field}={weights}")
    assert done.status != 0
    assert "asks to run code" in done.err + done.out
    assert not mark.exists()


@pytest.mark.parametrize(
    ("kind", "field"),
    [("sentence", "model"), ("llama", "model"), ("llama", "adapter"), ("picture", "model")],
)
def test_no_part_of_a_pack_runs_code(cascade, folder, yes, stranger, kind, field):
    weights, mark = stranger
    config = {
        "taxonomy": "tax.csv",
        "method": "ttc",
        "columns": {"text": ["name"]},
        "backbones": {"b": {"kind": kind, field: str(weights)}},
        "heads": {"h": {"file": "h.safetensors", "backbone": "b"}},
    }
    (folder / "cascade.yaml").write_text(yaml.safe_dump(config))
    done = cascade("classify", "items.csv", "-c", "cascade.yaml", "-o", "out.csv")
    assert done.status != 0
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["adapter", "retriever", "reranker"])
def test_no_fine_tuning_runs_code(cascade, folder, yes, stranger, kind):
    weights, mark = stranger
    recipe = {
        "kind": kind,
        "data": {"file": "items.csv", "label": "label", "text": ["name"], "taxonomy": "tax.csv"},
        "validation": {"share": 0},
        "model": {"weights": str(weights)},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = cascade("finetune", "recipe.yaml", "-o", "out")
    assert done.status == 2
    assert "asks to run code" in done.err
    assert not mark.exists()


@pytest.mark.parametrize("stage", ["sentence", "llama"])
def test_no_fit_runs_code(cascade, folder, yes, stranger, stage):
    weights, mark = stranger
    recipe = {**dict.fromkeys(("lexical", "sentence", "llama")), stage: {"model": str(weights)}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    rows = [f"{n},thing {n},{label}" for n in range(10) for label in ("CLO-HAT", "GAR-RAK")]
    (folder / "rows.csv").write_text("\n".join(["id,name,label", *rows]))
    fit = ("fit", "rows.csv", "-t", "tax.csv", "--text", "name", "--label", "label", "-o", "pack")
    done = cascade(*fit, "--recipe", "recipe.yaml")
    assert done.status == 2
    assert "asks to run code" in done.err
    assert not mark.exists()
