import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import cascade
from cascade.cli.app import app_for
from cascade.config import Columns
from cascade.errors import UsageError
from cascade.io.tables.opening import TableFile
from cascade.taxonomy import Taxonomy
from cascade.training.packs.fit import Fit
from cascade.training.packs.recalibration import Recalibration
from cascade.training.packs.recipe import Recipe

KINDS = {
    "Home > Garden > Rakes": "rake",
    "Home > Garden > Hoses": "hose",
    "Home > Kitchen > Knives": "knife",
    "Clothing > Hats > Straw hats": "panama",
    "Clothing > Hats > Beanies": "beanie",
}


def write_rows(path, n, seed):
    """Texts of nonsense with one telling word; every fourth has the word of its parent alone."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for _ in range(n):
            label, word = list(KINDS.items())[rng.integers(len(KINDS))]
            parent = label.split(" > ")[1].lower()
            told = parent if rng.random() < 0.25 else word
            noise = " ".join("".join(rng.choice(list("bcdfgaeiou"), 7)) for _ in range(3))
            writer.writerow([f"{noise} {told} for {parent}", label])
    return path


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    rows = TableFile(str(write_rows(folder / "rows.csv", 1000, seed=1)))
    columns = Columns(text=["name"], label="label")
    tree = Taxonomy.from_paths(list(KINDS))
    job = Fit(rows, tree, columns, Recipe.load("quick"), folder / "pack")
    job.prepare()
    job.run()
    return folder / "pack"


def test_sets_of_a_pack_hold_new_rows_as_often_as_was_asked(pack, tmp_path):
    classifier = cascade.load(pack, calibration={"set_coverage": 0.9})
    with write_rows(tmp_path / "new.csv", 400, seed=2).open() as file:
        rows = list(csv.DictReader(file))
    found = list(classifier.classify_many([row["name"] for row in rows]))
    held = [
        any(f"{row['label']} > ".startswith(f"{place.path} > ") for place in prediction.set)
        for row, prediction in zip(rows, found, strict=True)
    ]
    assert 0.85 <= np.mean(held) <= 0.96
    sizes = [len(prediction.set) for prediction in found]
    assert min(sizes) == 1
    assert np.mean(sizes) < 2
    sure = classifier.classify("bcd beanie for hats")
    assert [place.path for place in sure.set] == ["Clothing > Hats > Beanies"]
    assert sure.to_dict()["set"][0]["code"] == sure.code


def test_classify_writes_the_codes_of_sets_and_in_json_lines_their_paths(pack, tmp_path):
    rows = write_rows(tmp_path / "new.csv", 20, seed=3)
    for kind in ("csv", "jsonl"):
        out = str(tmp_path / f"out.{kind}")
        arguments = ["classify", str(rows), "-c", str(pack), "--set-coverage", "0.9", "-o", out]
        assert run(arguments) == 0
    with (tmp_path / "out.csv").open() as file:
        codes = [json.loads(row["cascade_set"]) for row in csv.DictReader(file)]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    sets = [line["cascade"]["set"] for line in lines]
    assert codes == [[place["code"] for place in places] for places in sets]
    tree = Taxonomy.load(pack / "taxonomy.yaml")
    assert all(tree.path(tree.index(p["code"])) == p["path"] for places in sets for p in places)
    again = str(tmp_path / "again.csv")
    redo = ["--redo", str(tmp_path / "out.csv"), "-o", again]
    assert run(["classify", str(rows), "-c", str(pack), "--set-coverage", "0.9", *redo]) == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "out.csv").read_text()


def run(arguments):
    return CliRunner().invoke(app_for(arguments), arguments).exit_code


def test_a_pack_of_an_older_version_has_no_sets_and_says_so(pack):
    from cascade.confidence.acceptance import Acceptance
    from cascade.config import CalibrationConfig

    old = pack.parent / "old.json"
    values = json.loads((pack / "calibration.json").read_text())
    del values["sets"]
    old.write_text(json.dumps(values))
    with pytest.raises(UsageError, match=r"old\.json: this pack was fitted before .* fit it again"):
        Acceptance(CalibrationConfig(file=str(old), set_coverage=0.9))


def test_sets_need_a_pack_and_its_method(pack):
    tree = Taxonomy.from_paths(list(KINDS))
    with pytest.raises(UsageError, match="need a pack"):
        cascade.load("bare", taxonomy=tree, method="retrieval", calibration={"set_coverage": 0.9})
    with pytest.raises(UsageError, match="leave out --method"):
        cascade.load(pack, method="ttc", calibration={"set_coverage": 0.9})


def test_a_coverage_that_the_rows_cannot_tell_is_refused(pack):
    with pytest.raises(UsageError, match="ask for less"):
        cascade.load(pack, calibration={"set_coverage": 0.9999})


def test_a_pack_tells_what_fits_nowhere_and_strikes_few_rows_that_belong(pack, tmp_path):
    classifier = cascade.load(pack)
    with write_rows(tmp_path / "new.csv", 400, seed=4).open() as file:
        rows = [row["name"] for row in csv.DictReader(file)]
    found = list(classifier.classify_many(rows))
    assert sum(prediction.status == "nowhere" for prediction in found) <= 12  # 4 are expected
    struck = classifier.classify("http://www.example.com 12345")
    assert (struck.status, struck.code, struck.levels) == ("nowhere", None, ())
    assert struck.alternatives[0].code in classifier.taxonomy
    never = cascade.load(pack, calibration={"nowhere": 0.0}).classify("http://example.com 12345")
    assert never.status == "ok"


def test_rows_that_are_nowhere_have_no_code_in_files_and_are_kept_by_redo(pack, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("name\nhttp://www.example.com 12345\nbcd beanie for hats\n")
    for kind in ("csv", "jsonl"):
        out, again = str(tmp_path / f"out.{kind}"), str(tmp_path / f"again.{kind}")
        assert run(["classify", str(rows), "-c", str(pack), "--top", "1", "-o", out]) == 0
        redo = ["--top", "1", "--redo", out, "-o", again]
        assert run(["classify", str(rows), "-c", str(pack), *redo]) == 0
        assert (tmp_path / f"again.{kind}").read_text() == (tmp_path / f"out.{kind}").read_text()
    with (tmp_path / "out.csv").open() as file:
        struck, answered = csv.DictReader(file)
    assert (struck["cascade_status"], struck["cascade_code"]) == ("nowhere", "")
    assert struck["cascade_path"] == struck["cascade_confidence"] == ""
    assert struck["cascade_path_2"] and struck["cascade_path_2"] in struck["cascade_message"]
    assert answered["cascade_status"] == "ok"


def test_what_is_nowhere_needs_a_pack_that_can_tell(pack):
    tree = Taxonomy.from_paths(list(KINDS))
    other = {"retrieval": {"texts": "leaf"}, "calibration": {"nowhere": 0.01}}
    with pytest.raises(UsageError, match=r"calibration\.nowhere needs the method retrieval"):
        cascade.load("bare", taxonomy=tree, method="retrieval", **other)


def test_a_pack_that_is_calibrated_again_has_sets_and_tells_what_is_nowhere(pack, tmp_path):
    rows = TableFile(str(write_rows(tmp_path / "more.csv", 300, seed=5)))
    Recalibration(pack, rows, tmp_path / "again").run()
    again = cascade.load(tmp_path / "again", calibration={"set_coverage": 0.9})
    values = json.loads((tmp_path / "again" / "calibration.json").read_text())
    assert values["nowhere"]["rows"] == 300
    assert sum(map(len, values["sets"]["branches"].values())) == 300
    assert again.classify("http://www.example.com 12345").status == "nowhere"
