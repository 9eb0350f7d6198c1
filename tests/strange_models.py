"""Folders of weights that would have code of their own run, which leaves a file."""

import json

from tiny_llm import tiny_model, tiny_tokenizer

CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, LlamaModel
class Config(LlamaConfig):
    model_type = "of-a-stranger"
class Model(LlamaForCausalLM): config_class = Config
class Reader(LlamaModel): config_class = Config
class Tokenizer: from_pretrained = AutoTokenizer.from_pretrained
"""
ASKS = {
    "config": {"AutoConfig": "mine.Config", "AutoModel": "mine.Reader"},
    "tokenizer_config": {"AutoTokenizer": ["mine.Tokenizer", None]},
    "generation_config": {"AutoModelForCausalLM": "mine.Model"},
    "preprocessor_config": {"AutoImageProcessor": "mine.Reader"},
}
"""The files of a folder that can name code, and how each names it."""


def save_model(folder):
    """Write a whole model, of random weights, to a folder; returns the folder."""
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def ask_for_code(folder, file, mark):
    """Have one file of a model's folder, a name of `ASKS`, ask for code that leaves `mark`."""
    (folder / "mine.py").write_text(CODE.format(mark=str(mark)), "utf-8")
    path = folder / f"{file}.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**told, "auto_map": ASKS[file]}), "utf-8")
