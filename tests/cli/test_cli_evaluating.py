import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cascade.evaluation.run_folder import RunFolder


@pytest.fixture
def measure(cascade, loaded, folder):
    """`cascade eval items.csv` with the small taxonomy and retrieval, run in this process."""

    def run(*args, out="run", **options):
        return cascade(
            "eval", "items.csv", "-t", "tax.csv", "--text", "name", "--label", "label",
            "--method", "retrieval", "--resamples", 50, "-o", out, *args, **options,
        )  # fmt: skip

    return run


def metrics(run="run"):
    return json.loads(Path(run, "metrics.json").read_text("utf-8"))


def test_a_run_is_a_folder_of_config_predictions_metrics_report_and_manifest(measure):
    done = measure()
    assert done.status == 0, done.err
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "config.yaml",
        "curves.png",
        "manifest.json",
        "metrics.json",
        "metrics.jsonl",
        "predictions.parquet",
        "report.html",
    ]
    assert "hf1_micro" in done.out and "run/report.html" in done.err


def test_every_figure_has_a_value_inside_its_interval(measure):
    measure()
    figures = metrics()["figures"]
    assert {
        "hf1_micro",
        "hf1_sample",
        "exact_match",
        "f1_weighted_l2",
        "f1_macro_l1",
        "ece",
    } <= set(figures)
    assert figures["exact_match"]["low"] <= figures["exact_match"]["value"]
    assert {"accuracy_at_1", "mrr_at_10", "ndcg_at_10", "map_at_100"} <= set(metrics()["ranking"])


def test_the_figures_are_those_of_the_predictions_beside_them(measure):
    measure()
    table = pq.read_table("run/predictions.parquet").to_pylist()
    right = [row["cascade_path"] == row["label"] for row in table]
    assert metrics()["figures"]["exact_match"]["value"] == pytest.approx(sum(right) / len(right))
    first = [json.loads(row["cascade_ranking"])[0] for row in table]
    assert len(first) == 5


def test_what_is_accepted_changes_no_figure_of_the_likeliest_answers(measure):
    measure("--set", "calibration.least=0", out="all")
    measure("--set", "calibration.least=0.95", out="sure")
    all_, sure = metrics("all"), metrics("sure")
    assert all_["rows"]["status"] == {"ok": 5}
    assert sure["rows"]["status"].get("ok", 0) < 5
    for name, figure in all_["figures"].items():
        assert sure["figures"][name] == figure, name
    assert sure["figures"]["coverage"]["value"] < 1
    assert "coverage" not in all_["figures"]
    assert sum(each["rows"] for each in sure["given"]) == 5
    page = Path("sure/report.html").read_text("utf-8")
    assert "What was given." in page and "Reliability of each level." in page


def test_whole_answers_are_left_for_review_below_a_confidence(measure):
    done = measure("--review-below", 1)
    assert done.status == 0, done.err
    assert metrics()["rows"]["status"] == {"review": 5}
    both = measure("--review-below", 0.5, "--max-risk", 0.1, out="both")
    assert both.status == 2 and "exclude each other" in both.err


def test_the_manifest_tells_data_taxonomy_seed_versions_and_command(measure):
    measure("--seed", 7)
    manifest = json.loads(Path("run/manifest.json").read_text("utf-8"))
    assert manifest["bootstrap"] == {"resamples": 50, "seed": 7}
    assert manifest["data"]["file"] == "items.csv" and len(manifest["data"]["sha256"]) == 64
    assert manifest["taxonomy"]["nodes"] == 9
    assert {"python", "cascade", "torch"} <= set(manifest["versions"])
    assert manifest["command"].startswith("cascade eval items.csv -t tax.csv")
    assert manifest["finished"]


def test_its_config_classifies_as_it_did(measure, cascade):
    measure()
    again = cascade("classify", "items.csv", "-c", "run/config.yaml", "--json")
    codes = [json.loads(line)["cascade"]["code"] for line in again.out.splitlines()]
    assert codes == pq.read_table("run/predictions.parquet")["cascade_code"].to_pylist()


def test_the_same_run_gives_the_same_figures_and_another_seed_other_intervals(measure):
    measure(out="a")
    measure(out="b")
    measure("--seed", 1, out="c")
    assert metrics("a")["figures"] == metrics("b")["figures"]
    assert metrics("a")["figures"] != metrics("c")["figures"]


def test_json_prints_the_metrics(measure):
    assert json.loads(measure("--json").out) == metrics()


def test_a_run_is_not_replaced_unless_that_is_asked_for(measure):
    measure()
    refused = measure()
    assert refused.status == 2 and "--overwrite" in refused.err
    assert measure("--overwrite").status == 0


def test_a_folder_of_something_else_is_left_alone(measure):
    Path("run").mkdir()
    Path("run/thesis.txt").write_text("mine")
    refused = measure()
    assert refused.status == 2 and "holds no run" in refused.err
    assert [path.name for path in Path("run").iterdir()] == ["thesis.txt"]


def test_overwrite_never_touches_a_folder_that_holds_no_run(measure):
    Path("run").mkdir()
    for name in ("taxonomy.csv", "metrics.json", "config.yaml"):
        Path("run", name).write_text("mine")
    refused = measure("--overwrite")
    assert refused.status == 2 and "holds no run" in refused.err
    assert {path.read_text() for path in Path("run").iterdir()} == {"mine"}


def test_answers_of_a_replaced_run_are_never_those_of_the_new_one(measure, monkeypatch):
    measure("--limit", 2)

    def killed(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cascade.evaluation.evaluate.classify_task", killed)
        assert measure("--overwrite").status == 130
    assert measure("--resume").status == 0
    assert metrics()["rows"]["all"] == 5


def test_a_damaged_manifest_is_replaced_when_that_is_asked_for(measure):
    measure()
    Path("run/manifest.json").write_text("{")
    assert measure("--resume").status == 2
    assert measure("--overwrite").status == 0


def test_replacing_and_going_on_need_the_name_of_the_run(cascade, folder):
    for option in ("--resume", "--overwrite"):
        refused = cascade("eval", "items.csv", "-t", "tax.csv", "--label", "label", option)
        assert refused.status == 2 and "--out FOLDER" in refused.err


def test_another_sheet_is_another_run(cascade, loaded, folder):
    import openpyxl

    book = openpyxl.Workbook()
    for name, text in (("A", "straw hat"), ("B", "milk")):
        sheet = book.create_sheet(name)
        sheet.append(["name", "label"])
        sheet.append([text, "Clothing > Hats"])
    book.save("two.xlsx")

    def run(sheet, out, *more):
        return cascade(
            "eval", "two.xlsx", "-t", "tax.csv", "--text", "name", "--label", "label",
            "--method", "retrieval", "--resamples", 5, "--sheet", sheet, "-o", out, *more,
        )  # fmt: skip

    assert run("A", "a").status == run("B", "b").status == 0
    refused = run("B", "a", "--resume")
    assert refused.status == 2 and "other data" in refused.err
    refused = cascade("compare", "a", "b")
    assert refused.status == 2 and "their sheet is not the same" in refused.err


def test_lists_that_are_too_deep_are_no_labels(measure):
    rows = Path("items.csv").read_text("utf-8").splitlines()
    deep = [rows[0] + ",other", *(f"{row},{'[' * 5_000}" for row in rows[1:])]
    Path("items.csv").write_text("\n".join(deep) + "\n", "utf-8")
    assert measure("--also", "other").status == 0


def test_predictions_of_no_row_are_told(cascade, folder):
    Path("theirs.csv").write_text("id,code\n1,CLO-HAT\n2,CLO-HAT\n3,CLO-HAT\n4,GAR\n5,GAR\n6,GAR\n")
    done = cascade("eval", "items.csv", "-t", "tax.csv", "--label", "label", "--id", "id",
                   "--predictions", "theirs.csv", "-o", "run", "--resamples", 5)  # fmt: skip
    assert done.status == 0, done.err
    assert "1 predictions are of no labelled row" in done.err


def test_without_a_folder_runs_are_numbered(cascade, loaded, folder):
    for _ in range(2):
        done = cascade(
            "eval", "items.csv", "-t", "tax.csv", "--text", "name", "--label", "label",
            "--method", "retrieval", "--resamples", 10,
        )  # fmt: skip
        assert done.status == 0, done.err
    assert sorted(p.name for p in Path("runs").iterdir()) == [
        "items-retrieval",
        "items-retrieval-2",
    ]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_figures(measure, monkeypatch):
    measure(out="whole")

    def killed(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cascade.evaluation.evaluate.measure", killed)
        assert measure().status == 130
    assert not RunFolder("run").finished
    refused = measure()
    assert refused.status == 2 and "--resume" in refused.err
    other = measure("--resume", "--limit", 2)
    assert other.status == 2 and "other settings" in other.err
    assert measure("--resume").status == 0
    assert metrics()["figures"] == metrics("whole")["figures"]
    assert metrics()["time"]["seconds"] is not None


def test_a_taxonomy_is_made_of_the_labels_when_none_is_named(cascade, loaded, folder):
    done = cascade(
        "eval", "items.csv", "--text", "name", "--label", "label", "--method", "retrieval",
        "--resamples", 10, "-o", "run",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "made one of the labels, 8 nodes" in done.err
    assert Path("run/taxonomy.csv").is_file()
    config, tree = RunFolder("run").load()
    assert (config.method, tree.codes[0]) == ("retrieval", "Clothing")
    written = RunFolder("run").config.read_text("utf-8")
    RunFolder("run").config.write_text(written.replace("method: retrieval\n", "", 1), "utf-8")
    assert RunFolder("run").load()[0].method == "cascade"  # of before, when it was the default


def test_labels_outside_the_taxonomy_are_counted_and_the_first_is_told(measure):
    text = Path("items.csv").read_text("utf-8").replace("Food > Milk", "Food > Yoghurt")
    Path("items.csv").write_text(text, "utf-8")
    done = measure()
    assert done.status == 0
    assert (
        "1 with a label that is not in the taxonomy (first: line 6, 'Food > Yoghurt')" in done.err
    )
    rows = metrics()["rows"]
    assert (rows["all"], rows["measured"], rows["label_not_in_taxonomy"]) == (5, 4, 1)


def test_a_row_in_error_counts_as_wrong_and_ends_in_status_three(measure):
    text = Path("items.csv").read_text("utf-8").replace("straw panama hat", "")
    Path("items.csv").write_text(text, "utf-8")
    done = measure()
    assert done.status == 3
    assert metrics()["rows"]["status"]["error"] == 1
    assert metrics()["rows"]["measured"] == 5


def test_another_right_answer_counts_in_full_in_the_lenient_figures(measure):
    rows = Path("items.csv").read_text("utf-8").splitlines()
    wrong = [
        ",".join([*row.rsplit(",", 1)[:1], "Garden > Hoses", row.rsplit(",", 1)[1]])
        for row in rows[1:]
    ]
    Path("items.csv").write_text("\n".join(["id,name,price,label,other", *wrong]) + "\n", "utf-8")
    assert measure("--also", "other").status == 0
    figures = metrics()["figures"]
    assert figures["exact_match"]["value"] == 0
    assert figures["exact_match_lenient"]["value"] > 0.5


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--label", "labl"], "did you mean 'label'"),
        (["--label", "price"], "none of its 5 labels is in taxonomy 'tax'"),
        (["--text", "title"], "column 'title' is not in items.csv"),
        (["--method", "magic"], "unknown method 'magic'"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--predicted", "x"], "go with --predictions"),
        (["--suite", "x.yaml"], "leave out items.csv"),
        (["--predictions", "gone.csv"], "gone.csv does not exist"),
    ],
)
def test_unusable_arguments_are_told_and_nothing_is_written(measure, args, told):
    refused = measure(*args)
    assert refused.status == 2, refused.err
    assert told in refused.err
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "empty"), ("name,label\n", "no rows"), ("name,label\nx,\n", "without a label")],
)
def test_files_that_cannot_be_measured_are_told(measure, content, told):
    Path("items.csv").write_text(content)
    refused = measure()
    assert refused.status == 2 and told in refused.err


def test_answers_of_others_are_measured_without_any_model(cascade, folder):
    Path("theirs.csv").write_text(
        "id,answer,sure\n5,FOO-MIL,0.9\n4,FOO-CHE,0.8\n3,GAR,0.7\n2,CLO-HAT,0.6\n1,CLO-HAT,0.5\n"
    )
    done = cascade(
        "eval", "items.csv", "-t", "tax.csv", "--label", "label", "--id", "id", "-o", "run",
        "--predictions", "theirs.csv", "--predicted", "answer", "--confidence", "sure",
        "--resamples", 20,
    )  # fmt: skip
    assert done.status == 0, done.err
    figures = metrics()["figures"]
    assert figures["exact_match"]["value"] == pytest.approx(3 / 5)
    assert figures["accuracy_l1"]["value"] == 1
    assert metrics()["time"]["seconds"] is None
    assert "theirs.csv" in Path("run/report.html").read_text("utf-8")


def test_what_classify_wrote_measures_as_the_method_itself(measure, cascade):
    measure()
    cascade("classify", "items.csv", "-t", "tax.csv", "--text", "name", "--method", "retrieval",
            "-o", "out.jsonl")  # fmt: skip
    done = cascade("eval", "items.csv", "-t", "tax.csv", "--label", "label", "-o", "given",
                   "--predictions", "out.jsonl", "--resamples", 50)  # fmt: skip
    assert done.status == 0, done.err
    ours, theirs = metrics()["figures"], metrics("given")["figures"]
    assert ours["hf1_micro"] == theirs["hf1_micro"]


def test_predictions_for_each_level_may_contradict_each_other_and_consistency_says_so(
    cascade, folder
):
    Path("theirs.csv").write_text(
        "top,leaf\nClothing,Clothing > Hats\nGarden,Clothing > Shoes\nGarden,Garden > Rakes\n"
        "Food,Food > Cheese\nFood,Food > Milk\n"
    )
    done = cascade(
        "eval", "items.csv", "-t", "tax.csv", "--label", "label", "-o", "run", "--resamples", 20,
        "--predictions", "theirs.csv", "--predicted", "top", "--predicted", "leaf",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert metrics()["figures"]["consistency"]["value"] == pytest.approx(4 / 5)
