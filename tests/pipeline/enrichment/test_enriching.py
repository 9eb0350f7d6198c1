import json
from pathlib import Path

import pytest
from hash_encoder import HashEncoder
from typer.testing import CliRunner

from cascade.errors import EngineError
from cascade.generation.prompts import PromptTemplate
from cascade.pipeline.enrichment.checks import check
from cascade.pipeline.enrichment.writing import BATCH, NodeWriter
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.draft import MachineTexts

TREE = Taxonomy.from_records(
    [
        ("h", "Hats"),
        ("s", "Straw Hats", "h", "", ("panamas",)),
        ("f", "Felt Hats", "h"),
        *((f"x{at}", f"Thing {at}") for at in range(20)),
    ]
)
STRAW = TREE.index("s")
TEMPLATE = PromptTemplate.load("enrich-node")


class Writes:
    """An engine that writes of each prompt what it was asked about; fails where it is told to."""

    def __init__(self, fails=lambda text: False, dies_after=None):
        self.asked, self.fails, self.dies_after = [], fails, dies_after

    def write_records(self, prompts, fields, lead=""):
        found = []
        for prompt in prompts:
            path = prompt.start.splitlines()[0].removeprefix("Category: ")
            self.asked.append(path)
            if self.dies_after is not None and len(self.asked) > self.dies_after:
                raise KeyboardInterrupt
            record = {
                "description": f"About {path[-9:]}.",
                "synonyms": [],
                "titles": [f"my {path}"],
            }
            found.append(EngineError("out of memory") if self.fails(path) else record)
        return found


def writer_of(folder, engine, model="m"):
    return NodeWriter(lambda: engine, model, TEMPLATE, folder)


def all_of(tree=TREE):
    return list(range(len(tree)))


def test_each_node_is_asked_about_with_its_path_and_those_beside_it(tmp_path):
    found = writer_of(tmp_path, engine := Writes()).write(TREE, [STRAW])
    assert engine.asked == ["Hats > Straw Hats"]
    assert found == {STRAW: MachineTexts("About traw Hats.", (), ("my Hats > Straw Hats",))}
    start = writer_of(tmp_path, engine)._prompt(TREE, STRAW).start
    assert start == "Category: Hats > Straw Hats\nNot: Felt Hats\n"


def test_what_was_written_is_not_asked_again_and_a_stopped_run_goes_on(tmp_path):
    whole = writer_of(tmp_path / "whole", Writes()).write(TREE, all_of())
    with pytest.raises(KeyboardInterrupt):
        writer_of(tmp_path / "cut", Writes(dies_after=BATCH + 2)).write(TREE, all_of())
    engine = Writes()
    assert writer_of(tmp_path / "cut", engine).write(TREE, all_of()) == whole
    assert len(engine.asked) == len(TREE) - BATCH
    assert writer_of(tmp_path / "cut", engine).write(TREE, all_of()) == whole
    assert len(engine.asked) == len(TREE) - BATCH


@pytest.mark.parametrize("damage", ["torn", "odd"])
def test_a_line_that_was_broken_is_asked_for_again(tmp_path, damage):
    writer_of(tmp_path, Writes()).write(TREE, all_of())
    (file,) = tmp_path.iterdir()
    lines = file.read_text().splitlines()
    lines[-1] = lines[-1][:40] if damage == "torn" else '{"key": 1, "record": ["x"]}'
    file.write_text("\n".join(lines))
    engine = Writes()
    assert len(writer_of(tmp_path, engine).write(TREE, all_of())) == len(TREE)
    assert len(engine.asked) == 1
    assert len(writer_of(tmp_path, Writes()).write(TREE, all_of())) == len(TREE)


def test_another_model_or_another_name_is_asked_anew(tmp_path):
    writer_of(tmp_path, Writes()).write(TREE, [STRAW])
    engine = Writes()
    writer_of(tmp_path, engine, model="other").write(TREE, [STRAW])
    renamed = Taxonomy.from_records([("h", "Hats"), ("s", "Straw", "h"), ("f", "Felt Hats", "h")])
    writer_of(tmp_path, engine).write(renamed, [1])
    assert len(engine.asked) == 2


def test_a_node_that_the_model_failed_on_is_left_without_and_told(tmp_path, caplog):
    found = writer_of(tmp_path, Writes(lambda path: "Felt" in path)).write(TREE, all_of())
    assert len(found) == len(TREE) - 1
    assert "1 of 23 nodes (first: Hats > Felt Hats: out of memory)" in caplog.text
    with pytest.raises(EngineError):
        writer_of(tmp_path / "b", Writes(lambda _: True)).write(TREE, all_of())


class Files(HashEncoder):
    """Texts with the same first word are alike."""

    def vector(self, text):
        return super().vector(text.split()[0].casefold())


@pytest.fixture
def retriever(tmp_path):
    return Retriever(TREE, Files(), "leaf", folder=tmp_path)


def kept(retriever, description="", synonyms=(), titles=()):
    found = check(
        TREE, {STRAW: MachineTexts(description, tuple(synonyms), tuple(titles))}, retriever
    )
    return found.texts.get(STRAW, MachineTexts()), dict(found.dropped)


def test_what_is_new_and_filed_here_is_kept(retriever):
    texts = MachineTexts(
        "Hats of straw.", ("boaters", "sun hats"), ("Straw fedora size 58", "straw boater")
    )
    assert kept(retriever, *texts) == (texts, {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Straw hats", "is the name, or was there already"),
        ("STRAW-HATS!", "is the name, or was there already"),
        ("Panamas", "is the name, or was there already"),
        ("Straw <b>bold</b>", "has markup"),
        ("Straw <|im_end|>", "has markup"),
        ("Straw https://a.example", "has markup"),
        ("Hats > Straw", "has markup"),
        ("9", "has too few letters"),
        ("Straw шляпа", "is written in another script (cyrillic)"),
    ],
)
def test_what_is_of_no_use_is_dropped_with_the_reason(retriever, text, why):
    assert kept(retriever, titles=[text]) == (MachineTexts(), {why: 1})
    assert kept(retriever, synonyms=[text]) == (MachineTexts(), {why: 1})


def test_repeated_texts_and_synonyms_that_are_other_nodes_are_dropped(retriever):
    found, dropped = kept(
        retriever, "", ["boaters", "felt hats"], ["Straw one", "straw ONE", "boaters"]
    )
    assert found == MachineTexts("", ("boaters",), ("Straw one",))
    assert dropped == {"is the name, or was there already": 2, "names another node": 1}


def test_titles_that_the_encoder_files_elsewhere_are_dropped(retriever):
    found, dropped = kept(retriever, titles=["Straw fedora", "Thing of felt"])
    assert found.titles == ("Straw fedora",)
    assert dropped == {"is filed elsewhere by the encoder": 1}


@pytest.mark.weights
def test_the_command_writes_a_taxonomy_that_can_be_used_and_goes_on(tmp_path, monkeypatch):
    from tiny_llm import tiny_model, tiny_tokenizer

    from cascade.cli.app import app_of

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    tiny_model().save_pretrained("llm")
    tiny_tokenizer().save_pretrained("llm")
    Path("t.csv").write_text("code,name,parent\nh,Hats,\ns,Straw,h\nf,Felt,h\n")
    words = ["taxonomy", "enrich", "t.csv", "-o", "rich.csv", "--set", "llm.model=llm", "--json"]
    first = CliRunner().invoke(app_of(["taxonomy"]), words)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["nodes"]["asked"] == 3
    assert Taxonomy.load("rich.csv").codes == ("h", "s", "f")
    assert "replace it with --overwrite" in str(
        CliRunner().invoke(app_of(["taxonomy"]), words).exception
    )
    again = CliRunner().invoke(app_of(["taxonomy"]), [*words, "--overwrite"])
    assert json.loads(again.stdout) == told
