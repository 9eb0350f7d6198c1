import json
import os

import pytest

from cascade.errors import ConfigError, InputError
from cascade.tracking.curves import series
from cascade.tracking.run_catalogue import (
    best_of,
    differing_settings,
    find_runs,
    is_lower_better,
    read_run,
)


@pytest.fixture
def runs(tmp_path):
    """Folders of runs of all kinds, as versions with and without manifests left them."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if isinstance(text, str) else json.dumps(text))

    def evaluated(name, hf1, sha="a" * 64, finished="2026-01-02T00:00:00+00:00"):
        write(
            f"{name}/manifest.json",
            {
                "command": f"cascade eval -o {name}",
                "started": "2026-01-01T00:00:00+00:00",
                "finished": finished,
                "method": "retrieval",
                "data": {"file": "rows/labelled.csv", "sha256": sha},
                "taxonomy": {"name": "store", "sha256": "t"},
                "bootstrap": {"resamples": 9, "seed": 7},
            },
        )
        figure = {"value": hf1, "low": 0, "high": 1}
        time = {"rows_per_second": 10.0}
        write(
            f"{name}/metrics.json",
            {"figures": {"hf1_micro": figure}, "ranking": {}, "time": time},
        )
        write(f"{name}/config.yaml", f"retrieval: {{texts: {name[-1]}}}\n")

    def tuned(name, loss):
        write(f"{name}/recipe.yaml", "seed: 3\ndata: {file: ../rows.csv}\nlora: {rank: 4}\n")
        write(f"{name}/metrics.json", {"validation_loss": loss, "loss_by_step": [3, 2, 1]})

    evaluated("a", 0.5)
    evaluated("deep/er/b", 0.75)
    evaluated("other", 0.9, sha="b" * 64)
    evaluated("begun", 0.1, finished=None)
    tuned("sweep/rank=4", 1.5)
    tuned("sweep/rank=8", 1.25)
    write("pack/pack.json", "{}")
    write("pack/cascade.yaml", "taxonomy: taxonomy.yaml")
    write("pack/metrics.json", {"pack": {"exact": 0.5}, "seconds": 3.0})
    write("pack/model/recipe.yaml", "of: something else")
    write("damaged/manifest.json", "{")
    write("thesis/chapter.txt", "years of work")
    return tmp_path


def test_runs_of_every_kind_are_found_wherever_they_lie(runs):
    found = {str(run.path.relative_to(runs)): run for run in find_runs(runs)}
    assert {name: (run.kind, run.status) for name, run in found.items()} == {
        "a": ("eval", "finished"),
        "begun": ("eval", "unfinished"),
        "damaged": ("eval", "broken"),
        "deep/er/b": ("eval", "finished"),
        "other": ("eval", "finished"),
        "pack": ("pack", "finished"),
        "sweep/rank=4": ("adapter", "finished"),
        "sweep/rank=8": ("adapter", "finished"),
    }
    assert found["a"].headline == ("hf1_micro", 0.5)
    assert (found["a"].seed, found["a"].data) == (7, "labelled.csv")
    assert found["sweep/rank=4"].headline == ("validation_loss", 1.5)
    assert (found["sweep/rank=4"].seed, found["sweep/rank=4"].data) == (3, "rows.csv")
    assert found["pack"].headline == ("pack.exact", 0.5)
    assert "damaged/manifest.json: is no JSON" in found["damaged"].problem


def test_the_best_is_that_of_its_kind_data_and_taxonomy(runs):
    groups = {
        (name, *(r.path.name for r in found)) for name, found in best_of(find_runs(runs), None)
    }
    assert groups == {
        ("hf1_micro", "b", "a"),
        ("hf1_micro", "other"),
        ("validation_loss", "rank=8", "rank=4"),
        ("pack.exact", "pack"),
    }
    by_end = best_of(find_runs(runs), "exact")
    assert [(name, found[0].path.name) for name, found in by_end] == [("pack.exact", "pack")]
    with pytest.raises(ConfigError, match=r"'hf1_mico' \(did you mean 'hf1_micro'"):
        best_of(find_runs(runs), "hf1_mico")


def test_settings_that_differ_are_told_apart(runs):
    settings = differing_settings([read_run(runs / "a"), read_run(runs / "deep/er/b")])
    assert settings == {"retrieval.texts": ["a", "b"]}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a/metrics.json", "[]"),
        ("a/metrics.json", '{"figures": {"hf1_micro": 3}}'),
        ("a/manifest.json", '{"data": 3, "finished": "x"}'),
        ("a/config.yaml", "- 1"),
        ("sweep/rank=4/recipe.yaml", "kind: [cake]"),
        ("sweep/rank=4/metrics.json", ""),
        ("pack/metrics.json", "nonsense"),
        ("a/metrics.json", '{"figures": {"hf1_micro": {"value": 1' + 400 * "0" + "}}}"),
        ("a/manifest.json", '{"data": {"sha256": ["x"]}, "finished": "x"}'),
        ("a/manifest.json", '{"data": {}, "started": 5}'),
        ("a/manifest.json", '{"data": {}, "seed": {"of": [1]}}'),
        ("a/manifest.json", '{"data": {}, "git": {"commit": 5}}'),
    ],
)
def test_a_damaged_run_is_listed_with_why_and_hides_no_other(runs, file, content):
    (runs / file).write_text(content)
    found = find_runs(runs)
    broken = [run for run in found if run.path == (runs / file).parent]
    assert [run.status for run in broken] == ["broken"]
    assert str((runs / file).parent) in broken[0].problem
    assert len(found) == 8


def test_pipes_in_a_run_are_not_waited_for(runs):
    (runs / "a/metrics.json").unlink()
    os.mkfifo(runs / "a/metrics.json")
    os.mkfifo(runs / "a/metrics.jsonl")
    run = read_run(runs / "a")
    assert "a/metrics.json: is no file" in run.problem
    assert run.curves == []


def test_what_a_manifest_says_steers_no_terminal(runs):
    told = {"data": {"file": "\x1b[2Ja.csv"}, "command": "\x1b[31mcascade eval", "finished": None}
    (runs / "a/manifest.json").write_text(json.dumps(told))
    run = read_run(runs / "a")
    assert (run.data, run.command) == (" [2Ja.csv", " [31mcascade eval")


def test_odd_numbers_and_headlines_hide_nothing(runs):
    huge = "1" + 400 * "0"
    (runs / "sweep/rank=4/metrics.json").write_text(f'{{"validation_loss": 1.5, "x": {huge}}}')
    (runs / "sweep/rank=4/metrics.jsonl").write_text(f'{{"step": 1, "loss": {huge}}}')
    (runs / "sweep/rank=4/manifest.json").write_text('{"headline": [["a"], 2]}')
    run = read_run(runs / "sweep/rank=4")
    assert (run.status, run.headline) == ("finished", ("validation_loss", 1.5))
    assert series(run.curves, "loss") == ([], [])


def test_a_folder_without_runs_is_refused(runs):
    assert find_runs(runs / "thesis") == []
    with pytest.raises(InputError, match="holds no run"):
        read_run(runs / "thesis")
    with pytest.raises(InputError, match="there is no such folder"):
        find_runs(runs / "gone")


def test_losses_and_errors_are_better_low():
    names = ("validation_loss", "pack.seconds", "ece", "mistake_severity", "hf1_micro", "precedent")
    assert [is_lower_better(name) for name in names] == [True, True, True, True, False, False]
