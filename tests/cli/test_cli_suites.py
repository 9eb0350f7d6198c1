import csv
import json
from collections import Counter
from pathlib import Path

import pytest

SUITE = """\
title: Five rows
data: items.csv
train: items.csv
taxonomy: tax.csv
columns: {text: [name], label: label}
metrics: [exact_match, accuracy_l1, accuracy_l2, recall_at_5]
baseline: leaf
floor: false
rows:
  - {name: leaf, family: retrieval, method: retrieval, settings: {retrieval: {texts: leaf}}}
  - {name: path, family: retrieval, method: retrieval, settings: {retrieval: {texts: path}}}
  - {name: top, method: retrieval, levels: 1, settings: {descent: {depth: 1}}}
  - {name: memory, family: fitted, script: memory.py, arguments: [--shout]}
  - {name: needy, family: fitted, script: needy.py}
  - {name: absent, method: rerank, settings: {rerank: {model: no-such-folder}}}
"""

MEMORY = """\
import argparse, csv, json
parser = argparse.ArgumentParser()
for name in ("train", "test", "taxonomy", "text", "label", "out"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--shout", action="store_true", required=True)
args = parser.parse_args()
known = {row[args.text]: row[args.label] for row in csv.DictReader(open(args.train))}
with open(args.out, "w") as file:
    file.write("cascade_code\\n")
    file.writelines(known[row[args.text]] + "\\n" for row in csv.DictReader(open(args.test)))
print(json.dumps({"fit_seconds": 1.5, "rows_per_second": 9.0}))
"""

NEEDY = """\
import sys
print("needs a crystal ball", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def suite(cascade, loaded, folder):
    Path("suite.yaml").write_text(SUITE)
    Path("memory.py").write_text(MEMORY)
    Path("needy.py").write_text(NEEDY)

    def run(*args):
        return cascade("eval", "--suite", "suite.yaml", "-o", "run", "--resamples", 20, *args)

    return run


def board():
    found = json.loads(Path("run/leaderboard.json").read_text("utf-8"))
    return {row["name"]: row for row in found["rows"]}


def test_every_row_is_measured_on_the_same_rows_and_stands_in_one_leaderboard(suite):
    done = suite()
    assert done.status == 0, done.err
    rows = board()
    assert list(rows) == ["leaf", "path", "top", "memory", "needy", "absent"]
    assert rows["memory"]["figures"]["exact_match"]["value"] == 1
    assert (rows["memory"]["fit_seconds"], rows["memory"]["rows_per_second"]) == (1.5, 9.0)
    assert Path("run/leaf/report.html").is_file()
    page = Path("run/leaderboard.md").read_text("utf-8")
    assert "cascade eval --suite suite.yaml" in page and "| memory | 1.0000 (" in page


def test_what_is_absent_is_skipped_with_its_reason(suite):
    suite()
    rows = board()
    assert rows["needy"]["skipped"] == "needs a crystal ball"
    assert "no-such-folder" in rows["absent"]["skipped"]
    assert "skipped: needs a crystal ball" in Path("run/leaderboard.md").read_text("utf-8")


def test_rows_are_compared_with_the_baseline_in_pairs(suite):
    suite()
    rows = board()
    figures = {name: rows[name]["figures"]["exact_match"]["value"] for name in ("leaf", "memory")}
    over = rows["memory"]["over_baseline"]
    assert over["value"] == pytest.approx(figures["memory"] - figures["leaf"])
    assert "over_baseline" not in rows["leaf"]


def test_a_suite_counts_rows_that_fit_nowhere_in_a_column_of_their_own(suite):
    items = Path("items.csv").read_text("utf-8")
    Path("items.csv").write_text(items + "6,a piano,5,nowhere\n", "utf-8")
    text = SUITE.replace("[exact_match, ", "[exact_match_with_nowhere, exact_match, ")
    Path("suite.yaml").write_text(text.partition("  - {name: memory")[0])
    done = suite()
    assert done.status == 0, done.err
    rows = board()
    for row in (rows["leaf"], rows["path"]):
        figures = {name: figure["value"] for name, figure in row["figures"].items()}
        whole = figures["exact_match"] * 5 / 6
        assert figures["exact_match_with_nowhere"] == pytest.approx(whole)
    assert rows["path"]["over_baseline"]["value"] == pytest.approx(
        rows["path"]["figures"]["exact_match_with_nowhere"]["value"]
        - rows["leaf"]["figures"]["exact_match_with_nowhere"]["value"]
    )
    assert "exact_match_with_nowhere (95%)" in Path("run/leaderboard.md").read_text("utf-8")


def test_a_row_for_the_top_level_shows_no_figures_of_others(suite):
    suite()
    lines = Path("run/leaderboard.md").read_text("utf-8").splitlines()
    cells = next(line for line in lines if "| top |" in line).split("|")
    exact, top, below = (cell.strip() for cell in cells[3:6])
    assert (exact, below) == ("", "") and float(top) > 0


def test_small_models_stand_in_for_weights_that_are_not_there_and_the_row_says_so(suite):
    text = SUITE.replace(
        "{rerank: {model: no-such-folder}}}",
        "{rerank: {model: no-such-folder}}, small: {rerank: {model: 'small:cross-encoder'}}}",
    )
    Path("suite.yaml").write_text(text)
    assert suite().status == 0
    row = board()["absent"]
    assert row["small"] and "figures" in row and "over_baseline" not in row
    page = Path("run/leaderboard.md").read_text("utf-8")
    assert "untrained model of the same architecture made small" in page


def test_an_interrupted_suite_goes_on_and_ends_in_the_same_leaderboard(suite):
    suite()
    whole = board()
    Path("run/path/manifest.json").unlink()
    for file in Path("run/path").iterdir():
        file.unlink()
    Path("run/memory.predictions.csv").unlink()
    refused = suite()
    assert refused.status == 2 and "--resume" in refused.err
    finished = Path("run/leaf/manifest.json").read_text("utf-8")
    assert suite("--resume").status == 0
    again = board()
    assert {n: r.get("figures") for n, r in again.items()} == {
        n: r.get("figures") for n, r in whole.items()
    }
    started = [
        json.loads(text)["started"]
        for text in (finished, Path("run/leaf/manifest.json").read_text("utf-8"))
    ]
    assert started[0] == started[1]


def test_missing_data_skips_every_row_and_says_which_file(suite):
    Path("suite.yaml").write_text(SUITE.replace("data: items.csv", "data: far/away.csv"))
    done = suite()
    assert done.status == 3
    assert "far/away.csv" in board()["leaf"]["skipped"]


def test_data_is_found_in_the_folder_of_public_data(suite, monkeypatch, tmp_path):
    there = tmp_path / "public" / "set"
    there.mkdir(parents=True)
    Path("items.csv").rename(there / "rows.csv")
    text = SUITE.replace("data: items.csv", "data: set/rows.csv").replace(
        "train: items.csv", "train: set/rows.csv"
    )
    Path("suite.yaml").write_text(text)
    monkeypatch.setenv("CASCADE_DATA", str(tmp_path / "public"))
    assert suite().status == 0
    assert board()["memory"]["figures"]["exact_match"]["value"] == 1


def test_without_a_taxonomy_one_is_made_of_the_labels_of_data_and_train(suite):
    Path("more.csv").write_text("name,label\nkite,Toys > Kites\n")
    text = SUITE.replace("taxonomy: tax.csv\n", "").replace("train: items.csv", "train: more.csv")
    Path("suite.yaml").write_text(text.partition("  - {name: memory")[0])
    assert suite().status == 0
    made = Path("run/taxonomy.csv").read_text("utf-8")
    assert "Toys > Kites" in made and "Garden > Rakes" in made
    assert board()["leaf"]["figures"]["accuracy_l1"]["value"] > 0


def test_a_script_that_changed_runs_again_when_the_suite_goes_on(suite):
    suite()
    blind = MEMORY.replace("known[row[args.text]]", "'Garden'")
    Path("memory.py").write_text(blind)
    assert suite("--resume").status == 0
    assert board()["memory"]["figures"]["exact_match"]["value"] == 0
    text = Path("suite.yaml").read_text().replace("[--shout]", "[--shout, --shout]")
    Path("suite.yaml").write_text(text)
    Path("memory.py").write_text(MEMORY)
    assert suite("--resume").status == 0
    assert board()["memory"]["figures"]["exact_match"]["value"] == 1


def test_scripts_of_rows_with_like_names_keep_their_own_predictions(suite):
    text = SUITE.replace("name: memory", "name: svm 1.5").replace("name: needy", "name: svm 1.6")
    Path("suite.yaml").write_text(text)
    Path("needy.py").write_text(
        MEMORY.replace("known[row[args.text]]", "'Garden'").replace(
            ", required=True)\nargs", ")\nargs"
        )
    )
    assert suite().status == suite("--resume").status == 0
    values = [board()[name]["figures"]["exact_match"]["value"] for name in ("svm 1.5", "svm 1.6")]
    assert values == [1, 0]


def test_a_script_that_says_no_json_is_told(suite):
    Path("needy.py").write_text(
        MEMORY.replace("print(json", "print('Fitting', json").replace(
            ", required=True)\nargs", ")\nargs"
        )
    )
    assert suite().status == 3
    assert "expected JSON" in board()["needy"]["skipped"]
    assert not list(Path("run").glob("*partial*"))


def test_a_row_that_fails_is_told_and_the_others_are_measured(suite):
    Path("needy.py").write_text("raise ValueError('boom')")
    failed = suite()
    assert failed.status == 3
    rows = board()
    assert rows["needy"]["skipped"] == "needy.py failed with status 1: ValueError: boom"
    assert "figures" in rows["memory"] and "figures" in rows["leaf"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "method: retrieval, settings: {retrieval: {texts: path}}",
            "",
            "either a method or a script",
        ),
        ("name: path", "name: leaf", "rows of the same name, or folder: leaf, leaf"),
        ("name: path", "name: Leaf", "rows of the same name, or folder: leaf, Leaf"),
        ("baseline: leaf", "baseline: root", "baseline 'root' is none of the rows"),
        ("metrics:", "figures:", "figures: there is no such field"),
        ("recall_at_5", "recall_at_fifty", "no such metrics: recall_at_fifty"),
        ("method: retrieval, levels", "method: magic, levels", "unknown method 'magic'"),
        ("{texts: leaf}", "{text: leaf}", "there is no such field"),
    ],
)
def test_suites_that_cannot_be_run_are_told(suite, before, after, told):
    Path("suite.yaml").write_text(SUITE.replace(before, after, 1))
    refused = suite()
    assert refused.status == 2 and told in refused.err.replace("\n", " ")
    assert not Path("run").exists()


def test_the_suites_of_the_repository_are_whole():
    from cascade.evaluation.suite import Suite
    from cascade.scoring.methods import check_method

    files = sorted((Path(__file__).parents[2] / "eval" / "suites").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        suite = Suite.load(file)
        assert all(
            row.script.is_file() if row.script else row.floor or check_method(row.method)
            for row in suite.rows
        )


def test_a_suite_says_how_its_taxonomy_is_read_and_scripts_get_it_as_it_was_read(cascade, folder):
    Path("items.csv").write_text("name,label\nfrog,1\ntoad,2\n", "utf-8")
    Path("polish.csv").write_bytes("code,name,parent\n1,Żaby,\n2,Ropuchy,\n".encode("cp1250"))
    Path("memory.py").write_text(
        MEMORY + "assert 'Żaby' in open(args.taxonomy, encoding='utf-8').read()\n", "utf-8"
    )
    Path("suite.yaml").write_text(
        "data: items.csv\ntrain: items.csv\ntaxonomy: polish.csv\ntaxonomy_encoding: cp1250\n"
        "columns: {text: [name], label: label}\nmetrics: [exact_match]\n"
        "rows: [{name: memory, script: memory.py, arguments: [--shout]}]\n"
    )
    done = cascade("eval", "--suite", "suite.yaml", "-o", "run", "--resamples", 20)
    assert done.status == 0, done.err
    assert board()["memory"]["figures"]["exact_match"]["value"] == 1
    assert "Żaby" in Path("run/taxonomy.csv").read_text("utf-8")


def test_a_suite_shows_what_knows_next_to_nothing_before_all_others(suite):
    text = SUITE.replace("floor: false", "floor: true").split("  - {name: path")[0]
    Path("suite.yaml").write_text(text)
    done = suite("--seed", 5)
    assert done.status == 0, done.err
    rows = board()
    floor = ["most frequent class", "uniform over leaves", "TF-IDF of characters, names"]
    assert list(rows) == [*floor, "leaf"]
    with open("items.csv", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    known = Counter(filter(None, labels))
    best = max(known.values()) / sum(known.values())
    figures = {name: rows[name]["figures"]["exact_match"] for name in floor}
    assert figures[floor[0]]["value"] == pytest.approx(best)
    assert all(own["low"] <= own["value"] <= own["high"] for own in figures.values())
    assert all("over_baseline" in rows[name] for name in floor)
    assert all("recall_at_5" in rows[name]["figures"] for name in floor)
    page = Path("run/leaderboard.md").read_text("utf-8")
    assert "a draw with seed 5; expected: hf1_micro" in page
    assert "always " in page and "training rows" in page
    assert "a draw with seed 5" in done.err
    assert suite("--resume", "--seed", 5).status == 0
    assert {n: r["figures"] for n, r in board().items()} == {
        n: r["figures"] for n, r in rows.items()
    }


def test_a_row_of_the_same_name_takes_the_place_of_a_floor(suite):
    text = SUITE.replace("floor: false", "floor: true").split("  - {name: path")[0]
    own = "  - {name: Uniform over Leaves, method: retrieval}\n"
    more = "  - {name: drawn, family: mine, floor: uniform}\n"
    Path("suite.yaml").write_text(
        (text + own + more).replace("baseline: leaf", "baseline: most frequent class")
    )
    assert suite().status == 0
    names = ["most frequent class", "TF-IDF of characters, names"]
    assert list(board()) == [*names, "leaf", "Uniform over Leaves", "drawn"]
    assert board()["drawn"]["family"] == "mine"


@pytest.mark.parametrize("row", ["{name: a}", "{name: a, method: llm, floor: uniform}"])
def test_a_row_is_of_one_kind(suite, row):
    Path("suite.yaml").write_text(SUITE + f"  - {row}\n")
    done = suite()
    assert done.status == 2 and "either a method or a script" in done.err


def test_a_suite_cuts_taxonomy_labels_and_other_answers_to_its_depth(suite):
    text = SUITE[: SUITE.index("rows:")].replace("floor: false", "depth: 1\nfloor: true")
    text = text.replace("label: label}", "label: label, also: [more]}").replace(
        "accuracy_l2", "hf1_micro_lenient"
    )
    text += "rows:\n  - {name: leaf, method: retrieval}\n"
    text += "  - {name: memory, script: memory.py, arguments: [--shout]}\n"
    Path("suite.yaml").write_text(text)
    rows = list(csv.DictReader(Path("items.csv").read_text("utf-8").splitlines()))
    with Path("items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "more"])
        writer.writeheader()
        writer.writerows({**row, "more": rows[0]["label"]} for row in rows)
    done = suite()
    assert done.status == 0, done.err
    found = board()
    assert found["memory"]["figures"]["exact_match"]["value"] == 1
    assert "accuracy_l1" in found["leaf"]["figures"]
    assert "accuracy_l2" not in found["leaf"]["figures"]
    assert found["leaf"]["figures"]["hf1_micro_lenient"]["value"] > 0
    assert suite("--resume").status == 0
    assert board()["leaf"] == {**found["leaf"], "finished": board()["leaf"]["finished"]}
