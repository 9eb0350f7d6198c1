import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from cascade.errors import ConfigError, InputError, OutputError, UsageError
from cascade.io.files import write_json
from cascade.training.sweep import Sweep, SweptField, best_of, folder_name, table_of

RECIPE = "kind: retriever\ndata: {file: rows.csv, label: label}\n"


@dataclass
class Stub:
    """An experiment without a model: its figure follows from its recipe."""

    recipe: object
    folder: Path
    ran: list
    fails: tuple = ()

    identity = property(lambda self: json.dumps(self.recipe.model_dump(exclude={"report_to"})))

    def check(self):
        if self.recipe.data.label == "lable":
            raise InputError("column 'lable' is not in rows.csv")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def prepare(self, *, resume=False, overwrite=False):
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "manifest.json", {"fingerprint": self.identity})

    def run(self, *, resume=False):
        seed, rate = self.recipe.seed, self.recipe.training.learning_rate
        self.ran.append((seed, rate))
        if (seed, rate) in self.fails:
            raise UsageError("the loss is nan")
        metrics = {"accuracy": seed + rate, "seconds": 1.0}
        write_json(self.folder / "metrics.json", metrics)
        return metrics

    def headline(self, metrics):
        return "accuracy_at_1", metrics["accuracy"]


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE)
    ran = []

    def make(*fields, over=None, fails=()):
        swept = [SweptField.parse(text) for text in fields]
        return Sweep(
            str(tmp_path / "mine.yaml"),
            over or {},
            swept,
            tmp_path / "runs",
            lambda recipe, folder: Stub(recipe, folder, ran, fails),
        )

    return SimpleNamespace(make=make, ran=ran, folder=tmp_path / "runs")


def test_every_combination_is_run_in_a_folder_of_its_own(sweep):
    runs = sweep.make("seed=1,2", "training.learning_rate=1e-3,0.5").run()
    assert sweep.ran == [(1, 0.001), (1, 0.5), (2, 0.001), (2, 0.5)]
    assert best_of(runs).point == (("seed", 2), ("training.learning_rate", 0.5))
    kept = json.loads((sweep.folder / "sweep.json").read_text())
    assert kept["best"] == "seed=2,training.learning_rate=0.5"
    assert {path.name for path in sweep.folder.iterdir() if path.is_dir()} == {
        run["folder"] for run in kept["runs"]
    }
    heading, rows = table_of(runs)
    assert heading[:3] == ["seed", "training.learning_rate", "accuracy_at_1"]
    assert [row[-1] for row in rows] == ["", "", "", "best"]
    assert (sweep.folder / "sweep.md").read_text().count("|") > 20


def test_a_sweep_goes_on_where_it_stopped_and_repeats_nothing(sweep):
    sweep.make("seed=1,2").run()
    with pytest.raises(OutputError, match="go on with --resume"):
        sweep.make("seed=1,2,3").run()
    runs = sweep.make("seed=1,2,3").run(resume=True)
    assert sweep.ran == [(1, 0.0001), (2, 0.0001), (3, 0.0001)]
    assert len(runs) == 3
    other = sweep.make("seed=1,2", over={"training": {"epochs": 3}}).run(resume=True)
    assert all("other data or another recipe" in run.problem for run in other)


def test_a_run_that_fails_is_told_and_stops_no_other(sweep):
    runs = sweep.make("seed=1,2,3", fails=[(2, 0.0001)]).run()
    assert [run.problem for run in runs] == ["", "the loss is nan", ""]
    assert table_of(runs)[1][1][-1] == "failed: the loss is nan"
    assert best_of(runs).point == (("seed", 3),)


@pytest.mark.parametrize(
    ("fields", "over", "problem"),
    [
        (["lora.rank=4,8"], {}, "lora"),
        (["seed=1,x"], {}, "seed"),
        (["data.label=label,lable"], {}, "column 'lable' is not in rows.csv"),
        (["seed=1,2", "seed=3,4"], {}, "seed: stands twice"),
        (["seed=1,2"], {"seed": 3}, "in --sweep and in --set"),
        (["data.label=a,b"], {"data": 3}, "data has a value"),
        (["seed=" + ",".join(map(str, range(501)))], {}, "has 501 runs"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_any_run(sweep, fields, over, problem):
    with pytest.raises((UsageError, ConfigError, InputError), match=problem):
        sweep.make(*fields, over=over).run()
    assert sweep.ran == []
    assert not sweep.folder.exists()


@pytest.mark.parametrize("text", ["seed", "=1,2", "seed=", "seed=1", "seed=1,1"])
def test_a_sweep_of_one_value_is_none(text):
    with pytest.raises(UsageError, match="expected"):
        SweptField.parse(text)


def test_values_are_yaml_and_lists_stand_in_brackets():
    assert SweptField.parse("tasks=[path],[child, path]").values == (["path"], ["child", "path"])
    assert SweptField.parse("lora.layers=null,4").values == (None, 4)
    assert folder_name((("tasks", ["child", "path"]), ("data.file", "a b/c.csv"))) == (
        "tasks=child+path,data.file=a_b_c.csv"
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [("metrics.json", "[]"), ("metrics.json", '{"accuracy": "x"}'), ("manifest.json", "3")],
)
def test_a_run_that_was_damaged_is_told_and_stops_no_other(sweep, file, content):
    sweep.make("seed=1,2").run()
    (sweep.folder / "seed=1" / file).write_text(content)
    first, second = sweep.make("seed=1,2").run(resume=True)
    assert "begin anew with --overwrite" in first.problem and "damaged" in first.problem
    assert second.figure == ("accuracy_at_1", 2.0001)
