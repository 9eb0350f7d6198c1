import csv
import json
import os
from pathlib import Path

import pytest

GIVEN = {
    "good": ["CLO-HAT", "CLO-SHO", "GAR-RAK", "FOO-CHE", "FOO-CHE"],
    "bad": ["CLO-HAT", "GAR-HOS", "GAR", "FOO-CHE", "FOO-MIL"],
}


@pytest.fixture
def runs(cascade, folder):
    """Measures given answers: `run("good")` makes the folder `good`."""

    def run(name, *args, answers=None, out=None):
        lines = [code or "" for code in answers or GIVEN[name]]
        Path(f"{name}.csv").write_text("code\n" + "\n".join(lines) + "\n")
        done = cascade(
            "eval", "items.csv", "-t", "tax.csv", "--label", "label", "-o", out or name,
            "--predictions", f"{name}.csv", "--predicted", "code", "--resamples", 50, *args,
        )  # fmt: skip
        assert done.status in (0, 3), done.err

    return run


@pytest.fixture
def both(runs):
    runs("good")
    runs("bad")


def test_two_runs_stand_side_by_side_with_their_paired_difference(cascade, both):
    done = cascade("compare", "bad", "good", "-o", "cmp", "--resamples", 50)
    assert done.status == 0, done.err
    found = json.loads(Path("cmp/comparison.json").read_text("utf-8"))
    assert found["runs"] == ["bad", "good"]
    values = [figures["exact_match"]["value"] for figures in found["figures"]]
    difference = found["against_first"][0]["difference"]["exact_match"]["value"]
    assert difference == pytest.approx(values[1] - values[0]) == pytest.approx(1 / 5)
    assert "good less bad" in done.out and "5 rows, 3 answered differently" in done.err


def test_mcnemar_counts_the_rows_that_one_run_has_right_and_the_other_not(cascade, both):
    found = json.loads(cascade("compare", "bad", "good", "-o", "cmp", "--json").out)
    test = found["against_first"][0]["mcnemar"]["exact_match"]
    assert test == {"both": 2, "only_ours": 2, "only_theirs": 1, "neither": 0, "p_value": 1}


def test_the_rows_on_which_runs_differ_are_written_those_that_one_has_right_first(cascade, both):
    cascade("compare", "bad", "good", "-o", "cmp")
    with open("cmp/differences.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["line"] for row in rows] == ["3", "4", "6"]
    assert rows[0]["gold"] == "Clothing > Shoes"
    assert (rows[0]["bad: path"], rows[0]["bad: right"]) == ("Garden > Hoses", "no")
    assert (rows[0]["good: path"], rows[0]["good: right"]) == ("Clothing > Shoes", "yes")


def test_the_page_names_both_runs_and_shows_where_they_differ(cascade, both):
    cascade("compare", "bad", "good", "-o", "cmp")
    page = Path("cmp/comparison.html").read_text("utf-8")
    assert "Hoses" in page and "good" in page and "<script src" not in page


def test_runs_with_and_without_a_limit_are_compared_on_the_rows_they_share(cascade, runs):
    runs("good")
    runs("bad", "--limit", 3)
    done = cascade("compare", "bad", "good", "-o", "cmp")
    assert done.status == 0, done.err
    assert "2 rows of good are not in the others" in done.err
    assert json.loads(Path("cmp/comparison.json").read_text("utf-8"))["rows"] == 3


def test_three_runs_are_each_compared_with_the_first(cascade, both, runs):
    runs("none", answers=["FOO-MIL"] * 5)
    done = cascade("compare", "good", "bad", "none", "-o", "cmp", "--json")
    assert len(json.loads(done.out)["against_first"]) == 2


@pytest.mark.parametrize("said", ["label", "review"])
def test_rows_that_fit_nowhere_are_in_one_figure_of_a_comparison(cascade, folder, runs, said):
    items = Path("items.csv").read_text("utf-8").splitlines()
    rows = [line.rsplit(",", 1) for line in items[1:]]
    for row in rows[:2]:
        row[1] = "Nowhere" if said == "label" else ""
    action = ["nowhere", "nowhere", "accept", "accept", "accept"]
    lines = [",".join([*row, action[at]]) for at, row in enumerate(rows)]
    heading = "id,name,price,label," + ("review_action" if said == "review" else "other")
    Path("items.csv").write_text("\n".join([heading, *lines]) + "\n", "utf-8")
    right = ["GAR-RAK", "FOO-CHE", "FOO-MIL"]
    runs("sure", answers=["CLO-HAT", "CLO-SHO", *right])
    runs("knowing", answers=[None, "CLO-SHO", *right])
    done = cascade("compare", "sure", "knowing", "-o", "cmp", "--resamples", 50)
    assert done.status == 0, done.err
    found = json.loads(Path("cmp/comparison.json").read_text("utf-8"))
    name = "exact_match_with_nowhere"
    assert [own[name]["value"] for own in found["figures"]] == pytest.approx([3 / 5, 4 / 5])
    assert [own["exact_match"]["value"] for own in found["figures"]] == [1, 1]
    difference = found["against_first"][0]["difference"][name]
    assert difference["value"] == pytest.approx(1 / 5)
    assert difference["low"] <= 1 / 5 <= difference["high"]
    measured = json.loads(Path("knowing/metrics.json").read_text("utf-8"))["figures"][name]
    assert measured == found["figures"][1][name]
    assert name in Path("cmp/comparison.html").read_text("utf-8")


def test_runs_of_other_data_are_refused(cascade, runs):
    runs("good")
    Path("items.csv").write_text(Path("items.csv").read_text("utf-8").replace("boots", "boot"))
    runs("bad")
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and "their data is not the same" in refused.err
    assert not Path("cmp").exists()


def test_a_changed_taxonomy_is_told(cascade, both):
    Path("tax.csv").write_text(Path("tax.csv").read_text("utf-8") + "TOY,Toys,\n")
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and "has changed since the run" in refused.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["good"], "give two or more"),
        (["good", "gone"], "not the folder of a run"),
        (["good", "items.csv"], "not the folder of a run"),
        (["good", "bad", "-o", "items.csv"], "is a file"),
        (["good", "bad", "-o", "good"], "holds something else"),
    ],
)
def test_unusable_arguments_are_told(cascade, both, args, told):
    refused = cascade("compare", *args)
    assert refused.status == 2 and told in refused.err.replace("\n", " ")


def test_a_comparison_is_replaced_only_when_that_is_asked_for(cascade, both):
    assert cascade("compare", "good", "bad", "-o", "cmp").status == 0
    assert cascade("compare", "good", "bad", "-o", "cmp").status == 2
    assert cascade("compare", "good", "bad", "-o", "cmp", "--overwrite").status == 0


def test_a_perfect_run_is_compared_with_one_that_is_wrong_everywhere(cascade, runs):
    runs("good", answers=["CLO-HAT", "CLO-SHO", "GAR-RAK", "FOO-CHE", "FOO-MIL"], out="perfect")
    runs("bad", answers=["FOO-MIL", "FOO-MIL", "FOO-MIL", "CLO-HAT", "CLO-HAT"], out="wrong")
    done = cascade("compare", "perfect", "wrong", "-o", "cmp")
    assert done.status == 0, done.err
    assert "lca_distance_mean" in Path("cmp/comparison.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("manifest.json", "{", "not JSON"),
        ("manifest.json", '{"finished": true, "taxonomy": null}', "does not tell its taxonomy"),
        ("manifest.json", "[" * 200_000, "not JSON"),
        ("predictions.parquet", "PAR1", "cannot be read"),
        ("metrics.json", "[]", "expected a JSON object"),
        ("metrics.json", "{}", "does not hold what a run writes"),
        ("manifest.json", "\xff", "not JSON"),
        ("config.yaml", "[" * 200_000, "config.yaml"),
        ("config.yaml", "method: [", "config.yaml"),
    ],
)
def test_a_damaged_run_is_told_with_its_file(cascade, both, file, content, told):
    Path("bad", file).write_text(content)
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and told in refused.err and "bad" in refused.err
    assert not Path("cmp").exists()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("bootstrap", None),
        ("bootstrap.resamples", "many"),
        ("bootstrap.seed", {}),
        ("command", [[]]),
        ("data.columns.text", "name"),
        ("data.file", 3),
        ("data.limit", "ten"),
        ("finished", {"a": 1}),
        ("machine", True),
        ("machine.cores", [2]),
        ("method", None),
        ("predictions", "\ud800"),
        ("predictions.file", 3),
        ("taxonomy.nodes", None),
        ("versions", ["x"]),
    ],
)
def test_a_manifest_with_values_of_another_kind_is_told(cascade, both, place, value):
    manifest = json.loads(Path("bad/manifest.json").read_text())
    *sections, last = place.split(".")
    at = manifest
    for section in sections:
        at = at[section]
    at[last] = value
    Path("bad/manifest.json").write_text(json.dumps(manifest))
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and "bad/manifest.json" in refused.err
    assert place in refused.err


@pytest.mark.parametrize(
    "name", ["manifest.json", "metrics.json", "config.yaml", "predictions.parquet"]
)
def test_a_pipe_in_a_run_is_not_waited_for(cascade, both, name):
    Path("bad", name).unlink()
    os.mkfifo(Path("bad", name))
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and f"bad/{name}: is no file" in refused.err


def test_half_a_file_of_predictions_and_numbers_that_are_no_probability_are_told(cascade, both):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path("bad/predictions.parquet")
    whole, data = pq.read_table(file), file.read_bytes()
    footer = (2**31 - 1).to_bytes(4, "little") + b"PAR1"  # its declared size
    for damaged in (b"", data[:-1], data[: len(data) // 2], data[:-8] + footer):
        file.write_bytes(damaged)
        refused = cascade("compare", "good", "bad", "-o", "cmp")
        assert refused.status == 2 and str(file) in refused.err
    at = whole.column_names.index("cascade_confidence")
    for number in (float("inf"), -0.5, 1.5):
        pq.write_table(whole.set_column(at, "cascade_confidence", pa.array([number] * 5)), file)
        refused = cascade("compare", "good", "bad", "-o", "cmp")
        assert refused.status == 2 and f"{file}: holds a confidence of" in refused.err


def test_predictions_with_other_columns_or_types_are_told_as_damaged(cascade, both):
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pq.read_table("bad/predictions.parquet")
    for name, values in (
        ("cascade_line", ["x"] * 5),
        ("cascade_confidence", ["x"] * 5),
        ("cascade_code", [1, 2, 3, 4, 5]),
        ("cascade_status", None),
    ):
        at = whole.column_names.index(name)
        kept = whole.remove_column(at)
        table = kept if values is None else kept.append_column(name, pa.array(values))
        pq.write_table(table, "bad/predictions.parquet")
        refused = cascade("compare", "good", "bad", "-o", "cmp")
        assert refused.status == 2 and "bad/predictions.parquet" in refused.err, name


def test_a_taxonomy_that_is_gone_is_told_with_where_a_run_looks_for_it(cascade, both):
    Path("tax.csv").unlink()
    refused = cascade("compare", "good", "bad", "-o", "cmp")
    assert refused.status == 2 and "finds it from its own folder" in refused.err


def test_one_run_is_nothing_to_compare(cascade, both):
    done = cascade("compare", "good", "-o", "good")  # however it is to be called
    assert done.status == 2
    assert "give two or more to compare" in done.err
