import json
import sys

import pytest

import cascade
from cascade.cli import main
from cascade.errors import InputError, OutputError, UsageError
from cascade.evaluation.run_folder import RunFolder

ROWS = [
    {"name": "straw panama hat", "label": "Clothing > Hats"},
    {"name": "leather boots", "label": "Clothing > Boots"},
    {"name": "steel leaf rake", "label": "Garden > Rakes"},
    {"name": "aged gouda cheese", "label": "Garden > Hoses"},
]
PATHS = ["Clothing > Hats", "Clothing > Boots", "Garden > Rakes", "Garden > Hoses"]


@pytest.fixture(scope="module")
def clf():
    return cascade.load(cascade.Taxonomy.from_paths(PATHS, name="shop"))


@pytest.fixture(scope="module")
def run(clf):
    return cascade.evaluate(clf, ROWS, label="label", text="name", progress=False)


@pytest.mark.weights
def test_figures_are_values_attributes_and_intervals(run):
    assert run["exact_match"] == run.exact_match == run.figures["exact_match"].value
    assert 0 < run.exact_match < 1
    assert dict(run)["hf1_micro"] == run.hf1_micro
    assert {"exact_match", "accuracy_l1"} <= {*dir(run)}
    assert run.to_dict()["rows"]["measured"] == 4
    with pytest.raises(AttributeError, match="did you mean 'exact_match'"):
        _ = run.exact_mach
    assert "4 of 4 rows measured" in str(run)
    assert "95% interval" in run._repr_html_()


@pytest.mark.weights
def test_figures_are_those_of_the_command(run, tmp_path, monkeypatch):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "shop.txt").write_text("\n".join(PATHS))
    words = ["eval", "rows.jsonl", "-t", "shop.txt", "--label", "label", "--text", "name"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cascade", *words, "-o", "told"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    told = json.loads((tmp_path / "told" / "metrics.json").read_text())
    ours = json.loads(json.dumps(run.to_dict()))
    assert {**ours, "time": 0} == {**told, "time": 0}


@pytest.mark.weights
def test_a_run_is_kept_where_it_is_saved(run, tmp_path):
    place = run.save(tmp_path / "kept")
    config, tree = RunFolder(place).load()
    assert [tree.path(at) for at in tree.leaves.tolist()] == PATHS
    assert config.columns.text == ["name"]
    with pytest.raises(OutputError, match="overwrite=True"):
        run.save(place)
    assert run.save(place, overwrite=True) == place
    assert run.report(tmp_path / "page.html") == (tmp_path / "page.html").read_text("utf-8")
    assert "made of the labels" not in run.report()


@pytest.mark.weights
def test_the_answers_are_a_table(run):
    table = run.predictions
    assert table["name"].to_pylist() == [row["name"] for row in ROWS]
    assert table["cascade_path"][0].as_py() == "Clothing > Hats"


@pytest.mark.weights
def test_a_run_has_a_picture(run):
    figure = run.plot()
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0] == "accuracy by level"
    assert len(titles) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_pack_is_measured_by_its_own_columns(pack, rows):
    shown = []
    run = cascade.evaluate(pack, rows, progress=lambda done, of: shown.append((done, of)))
    assert run.exact_match == 1
    assert shown[-1] == (len(rows), len(rows))
    assert pack.config.retrieval.ranking == 0


def test_a_row_in_error_counts_as_wrong(pack, rows):
    run = cascade.evaluate(
        pack, [*rows[:3], {"name": "", "label": rows[0]["label"]}], progress=False
    )
    assert run.to_dict()["rows"]["status"]["error"] == 1
    assert run.exact_match == 0.75


@pytest.mark.parametrize(
    ("over", "kind", "told"),
    [
        ({"label": "labl"}, InputError, "did you mean 'label'"),
        ({"text": "nam"}, InputError, "nam"),
        ({"overwrite": True}, UsageError, "out="),
        ({"resamples": 0}, UsageError, "resamples"),
        ({"also": "others"}, InputError, "others"),
    ],
)
def test_what_cannot_be_used_is_told(over, kind, told, pack, rows):
    with pytest.raises(kind, match=told) as caught:
        cascade.evaluate(pack, rows, **{"progress": False, **over})
    assert "--" not in str(caught.value)


def test_a_run_that_is_there_is_not_replaced_unasked(pack, rows, tmp_path):
    given = {"progress": False, "out": tmp_path / "run", "resamples": 10}
    run = cascade.evaluate(pack, rows, **given)
    assert run.path == tmp_path / "run"
    with pytest.raises(OutputError, match=r"resume=True|out="):
        cascade.evaluate(pack, rows, **given)
    again = cascade.evaluate(pack, rows, **given, resume=True)
    assert again.exact_match == run.exact_match
