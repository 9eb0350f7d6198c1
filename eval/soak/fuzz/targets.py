"""The readers that are fuzzed: each reads one file, and uses what it has read."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attack import ROOT

from fuzz import seeds
from fuzz.mutations import mutate
from fuzz.seeds import Seeds

SOME = 2_000  # rows that are read at the most: a changed file may have more than a try should take


@dataclass(frozen=True)
class Target:
    """A reader.

    Parameters
    ----------
    seeds
        Makes the files to begin from.
    read
        Reads a file, raising nothing but `CascadeError`.
    """

    name: str
    seeds: Callable[[], Seeds]
    read: Callable[[Path], Any]

    def make(self, seed: str, changes: list[int], folder: Path) -> Path:
        """The file of a seed with some changes; the same arguments give the same bytes."""
        files = self.seeds()
        data, others = files[seed], list(files.values())
        for change in changes:
            data = mutate(data, change, others)
        path = folder / seed.replace("/", "__")
        path.write_bytes(data)
        return path


def _taxonomy(path: Path) -> None:
    from cascade.taxonomy import Taxonomy

    tree = Taxonomy.load(path)
    for node in range(min(len(tree), SOME)):
        assert tree.codes[node] and tree.names[node]
        tree.path(node)
        assert tree.find(tree.codes[node]) is not None
    tree.search("hats", 3)
    tree.to_csv(path.with_name("again.csv"))


def _table(path: Path) -> None:
    from cascade.io import open_output, open_table

    columns = {"cascade_code": str, "cascade_confidence": float}
    with open_table(path) as table:
        rows = list(itertools.islice(table, SOME))
        for row in rows:
            assert row.problem is None or row.problem.strip()
        for column in table.columns[:20]:
            table.text_column(rows, column)
        out = path.with_name(f"out.{table.kind}")
        with open_output(out, table, columns, overwrite=True) as sink:
            answer = {"code": "A"} if sink.nested else {"cascade_code": "A"}
            sink.write(0, rows, [answer] * len(rows))
            sink.finish()
    with open_table(out) as again:
        assert len(list(again)) == len(rows) or table.kind in ("csv", "tsv"), "rows were lost"


def _codes(path: Path) -> None:
    from cascade.foodex2.code import FoodCode
    from cascade.foodex2.parsed_code import split_code
    from cascade.foodex2.releases import Migration

    for line in path.read_text("utf-8", "replace").split("\n")[:50]:
        checker().check(line)
        split_code(line)
        migrated = Migration(checker().catalogue).migrate(line)
        assert migrated.outcome == "error" or migrated.code
        if refused(lambda line=line: FoodCode.parse(line)) is None:
            assert str(FoodCode.parse(line)) == str(FoodCode.parse(str(FoodCode.parse(line))))


def _processes(path: Path) -> None:
    from cascade.foodex2.parsed_code import ForbiddenProcesses

    ForbiddenProcesses.read(path)


def _config(path: Path) -> None:
    from cascade.pipeline.load import load_config
    from cascade.pipeline.pack import resolve_paths

    config, folder = load_config(path)
    resolve_paths(config, folder or path.parent)


def _settings(path: Path) -> None:
    from cascade.cli.options import settle
    from cascade.config import CascadeConfig

    for line in path.read_text("utf-8", "replace").split("\n")[:20]:
        settle(CascadeConfig(), [line] if line else [])


def _recipe(path: Path) -> None:
    from cascade.training.packs.recipe import Recipe

    Recipe.load(str(path))


def _finetune(path: Path) -> None:
    from cascade.training.finetune_kinds import load_recipe

    load_recipe(str(path))


def _suite(path: Path) -> None:
    from cascade.evaluation.suite import Suite

    Suite.load(path)


def _prompt(path: Path) -> None:
    from cascade.generation.prompts import PromptTemplate

    template = PromptTemplate.load(str(path))
    names = ["Hats", "Shoes"]
    listed = [{"mark": mark, "text": name} for mark, name in zip("AB", names, strict=True)]
    template.render(
        {
            **{"item": "hat", "type": "hat", "path": ["A"], "level": 2, "base": "hat"},
            **{"candidates": listed if ".mark" in template.source else names},
            **{"category": "Part", "about": ["worn", ""]},
            **{"kind": "product", "examples": [], "how": "", "siblings": ["Shoes"], "titles": 2},
            **{"candidate": "Hats", "terms": [{"name": "Hats", "context": "worn"}]},
            **{"place": "", "nodes": [], "done": ["up"], "notes": ["a note"], "last": True},
        }
    )
    template.answer("Hats")


def _picture(path: Path) -> None:
    from cascade.io.pictures import open_picture

    open_picture(path)
    open_picture(path.read_bytes())


def _pack(path: Path) -> None:
    """One file of a pack is changed, and the pack sealed anew, as its author could."""
    import cascade
    from cascade.pipeline.pack import seal

    folder = path.parent / "pack"
    for name, data in seeds.pack().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if name.replace("/", "__") != path.name else path.read_bytes())
    if path.name != "pack.json":
        seal(folder)
    loaded = cascade.load(folder)
    for prediction in loaded.classify_many(["red hats 12", "<|im_end|>", "lamps"]):
        assert prediction.code is None or loaded.taxonomy.find(prediction.code) is not None
        assert 0 <= prediction.confidence <= 1, f"a confidence of {prediction.confidence}"


def _predictions(path: Path) -> None:
    from cascade.evaluation.external_predictions import ExternalPredictions, PredictionColumns
    from cascade.io.tables.opening import TableFile
    from cascade.taxonomy import Taxonomy

    labelled, tree = path.with_name("labelled.csv"), path.with_name("tree.csv")
    labelled.write_text("id,label\n1,A1\n2,B1\n3,A\n", "utf-8")
    tree.write_text(seeds.TABLE, "utf-8")
    for by in ("id", None):
        refused(
            lambda by=by: ExternalPredictions.match(
                *(TableFile(str(labelled)), TableFile(str(path)), Taxonomy.load(tree)),
                *(PredictionColumns(),),
                id=by,
                allow_missing=True,
            )
        )


def _journal(path: Path) -> None:
    from cascade.io import open_output, open_table

    source, out = path.with_name("in.csv"), path.with_name("out.csv")
    source.write_text(seeds.JOURNALLED, "utf-8")
    parts = path.with_name("out.csv.parts")
    parts.mkdir(exist_ok=True)
    for name, data in seeds.journal().items():
        (parts / name).write_bytes(path.read_bytes() if name == path.name else data)
    out.unlink(missing_ok=True)
    with open_table(source) as table:
        rows = list(table)
        columns = {"cascade_code": str}
        with open_output(out, table, columns, source=source, resume=True) as sink:
            if not sink.complete and not sink.has(0, rows):
                sink.write(0, rows, [{"cascade_code": "A"}] * 2)
            sink.finish()
    assert out.read_text("utf-8").count("\n") == 3, "rows were lost"


def refused(call: Callable[[], Any]) -> str | None:
    """The message of a refusal of ours; None where nothing was refused."""
    from cascade.errors import CascadeError

    try:
        call()
    except CascadeError as error:
        return str(error)
    return None


@cache
def checker() -> Any:
    """A checker over a small catalogue."""
    import tempfile

    from cascade.foodex2.ecf import read_ecf
    from cascade.foodex2.parsed_code import ForbiddenProcesses
    from cascade.foodex2.rules import Checker

    sys.path.insert(0, str(ROOT / "tests"))
    import toy_catalogue

    with tempfile.TemporaryDirectory() as made:
        ecf = toy_catalogue.packed(Path(made) / "TOY.ecf", toy_catalogue.xml())
        table = Path(made) / "processes.csv"
        table.write_text(toy_catalogue.PROCESSES, "utf-8")
        return Checker(read_ecf(ecf), ForbiddenProcesses.read(table))


def _processes_seed() -> Seeds:
    sys.path.insert(0, str(ROOT / "tests"))
    import toy_catalogue

    return {"processes.csv": toy_catalogue.PROCESSES.encode()}


def _one(name: str, text: str) -> Callable[[], Seeds]:
    return lambda: {name: text.encode()}


SETTINGS = "retrieval.texts=leaf\ndescent.beam=3\nfusion.weights={rewrite: 1, llm: [0.1, 0]}\n"
TARGETS = {
    target.name: target
    for target in (
        *(
            Target(f"taxonomy {kind}", (lambda kind=kind: seeds.taxonomies()[kind]), _taxonomy)
            for kind in ("tables", "lines", "structured", "skos", "gpc", "efsa")
        ),
        Target("tables of rows", seeds.tables, _table),
        Target("FoodEx2 codes", lambda: {"codes.txt": seeds.CODES}, _codes),
        Target("forbidden processes", _processes_seed, _processes),
        Target("configs", _one("cascade.yaml", seeds.CONFIG), _config),
        Target("settings", _one("settings.txt", SETTINGS), _settings),
        Target("recipes of fit", lambda: seeds.shipped("finetune/packs", "*.yaml"), _recipe),
        Target("recipes of finetune", lambda: seeds.shipped("finetune", "*.yaml"), _finetune),
        Target("suites", lambda: seeds.shipped("eval/suites", "*.yaml"), _suite),
        Target("prompts", lambda: seeds.shipped("prompts", "*.jinja"), _prompt),
        Target("pictures", seeds.pictures, _picture),
        Target("packs", seeds.pack, _pack),
        Target("predictions", _one("predictions.csv", seeds.PREDICTIONS), _predictions),
        Target("journals", seeds.journal, _journal),
    )
}
