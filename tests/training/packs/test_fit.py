import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cascade
from cascade.config import Columns
from cascade.errors import ConfigError, InputError, OutputError, UsageError
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.predictions import trace_as_dicts
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import read_labelled
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import Recipe

KINDS = {
    "Home > Garden > Rakes": "garden rake with {} teeth",
    "Home > Garden > Hoses": "rubber garden hose {} m",
    "Home > Kitchen > Knives": "chef knife with a blade of {} cm",
    "Clothing > Hats > Straw hats": "straw panama hat size {}",
    "Clothing > Hats > Beanies": "knitted wool beanie no {}",
}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "brand", "label"])
        for at in range(24):
            for label, name in KINDS.items():
                words = ["alpha", "bravo", "carol", "delta", "echo", "fox"]
                brand = f"{words[at % 6]} {words[at // 6]} {at * 37 % 11}"
                writer.writerow([name.format(at), brand, label])
        writer.writerow(["", "", "Home > Garden > Rakes"])
        writer.writerow(["a mystery", "", ""])
    return path


def a_fit(rows, folder, **over):
    recipe = Recipe.load("quick")
    columns = Columns(text=["name", "brand"], label="label")
    tree = Taxonomy.from_paths(list(KINDS))
    return Fit(TableFile(str(rows)), tree, columns, recipe, folder, **over)


def fitted(rows, folder, recipe="quick", **over):
    job = replace(a_fit(rows, folder, **over), recipe=Recipe.load(recipe))
    job.prepare()
    return job.run(lambda *_: None)


def test_a_pack_answers_without_being_told_its_columns(rows, tmp_path):
    said = []
    report = fitted(rows, tmp_path / "pack", notify=said.append)
    assert report["rows"]["left_out"] == {"without text or picture": 1, "without a label": 1}
    assert any("left out" in sentence for sentence in said)
    kept = json.loads((tmp_path / "pack" / "metrics.json").read_text())
    assert kept == json.loads(json.dumps(report))
    assert kept["weights_without"].keys() == kept["weights_all"].keys()
    assert all(name not in others for name, others in kept["weights_without"].items())
    classifier = cascade.load(tmp_path / "pack")
    assert classifier.config.columns.text == ["name", "brand"]
    found = classifier.classify({"name": "garden hose made of rubber", "brand": "echo"})
    assert found.path == "Home > Garden > Hoses"
    assert 0 < found.confidence <= 1
    assert [level.level for level in found.levels] == [1, 2, 3]
    assert not (tmp_path / "pack.fitting").exists()
    assert "Measured on" in (tmp_path / "pack" / "README.md").read_text()


def test_the_same_seed_gives_the_same_bytes(rows, tmp_path):
    for name in ("one", "two"):
        fitted(rows, tmp_path / name)
    seals = [json.loads((tmp_path / n / "pack.json").read_text())["files"] for n in ("one", "two")]
    assert seals[0] == seals[1]


@pytest.mark.parametrize("harm", ["changed", "truncated", "missing"])
def test_a_pack_that_is_not_what_it_was_is_refused_by_its_file(rows, tmp_path, harm):
    fitted(rows, tmp_path / "pack")
    victim = tmp_path / "pack" / "heads" / "leaf.safetensors"
    data = bytearray(victim.read_bytes())
    if harm == "missing":
        victim.unlink()
    else:
        data[-1] ^= 1
        victim.write_bytes(data if harm == "changed" else data[:-3])
    with pytest.raises(ConfigError, match=r"leaf\.safetensors"):
        cascade.load(tmp_path / "pack")


def test_a_fit_that_was_killed_goes_on_and_ends_in_the_same_pack(rows, tmp_path):
    fitted(rows, tmp_path / "whole")

    class Killed(Exception):
        pass

    def dies(what, done, of, words=""):
        if "measuring" in what:
            raise Killed

    job = a_fit(rows, tmp_path / "pack")
    job.prepare()
    with pytest.raises(Killed):
        job.run(dies)
    with pytest.raises(OutputError, match="--resume"):
        a_fit(rows, tmp_path / "pack").prepare()
    with pytest.raises(OutputError, match="other rows, columns or settings"):
        a_fit(rows, tmp_path / "pack", seed=9).prepare(resume=True)
    again = a_fit(rows, tmp_path / "pack")
    again.prepare(resume=True)
    again.run(lambda *_: None)
    seals = [json.loads((tmp_path / n / "pack.json").read_text()) for n in ("whole", "pack")]
    assert seals[0] == seals[1]


def test_a_pack_or_another_folder_is_not_replaced_unasked(rows, tmp_path):
    fitted(rows, tmp_path / "pack")
    with pytest.raises(OutputError, match="--overwrite"):
        a_fit(rows, tmp_path / "pack").prepare()
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="no pack"):
        a_fit(rows, tmp_path / "mine").prepare(overwrite=True)


def test_a_fit_that_replaces_a_pack_goes_on_too(rows, tmp_path):
    fitted(rows, tmp_path / "pack")
    before = (tmp_path / "pack" / "README.md").read_text()
    job = a_fit(rows, tmp_path / "pack", seed=3)
    job.prepare(overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        a_fit(rows, tmp_path / "pack", seed=3).prepare()
    assert (tmp_path / "pack" / "README.md").read_text() == before
    again = a_fit(rows, tmp_path / "pack", seed=3)
    again.prepare(resume=True)
    again.run(lambda *_: None)
    assert "seed 3" in (tmp_path / "pack" / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack", "rows.csv"]


def test_a_validation_file_that_is_not_there_is_named_and_leaves_nothing(rows, tmp_path):
    job = a_fit(rows, tmp_path / "pack", validation=TableFile(str(tmp_path / "nosuch.csv")))
    with pytest.raises(InputError, match=r"nosuch\.csv"):
        job.prepare()
    assert not (tmp_path / "pack.fitting").exists()


def test_validation_rows_are_not_measured_by_parts_that_saw_them(rows, tmp_path):
    some = tmp_path / "some.csv"
    lines = rows.read_text().splitlines()
    some.write_text("\n".join(lines[:31]) + "\n")
    said = []
    fitted(rows, tmp_path / "pack", validation=TableFile(str(some)), notify=said.append)
    assert any("near duplicates of rows of" in sentence for sentence in said)
    job = a_fit(rows, tmp_path / "other", validation=TableFile(str(rows)))
    job.prepare()
    with pytest.raises(UsageError, match="which therefore tell nothing"):
        job.run(lambda *_: None)
    assert not (tmp_path / "other.fitting").exists()


def test_a_folder_without_a_name_is_refused(rows):
    with pytest.raises(OutputError, match="names no folder"):
        a_fit(rows, Path(".")).prepare()


def test_lists_of_several_labels_are_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for at in range(12):
            for label, name in KINDS.items():
                words = {"name": name.format(at * 31), "brand": f"{at}", "label": label}
                file.write(json.dumps(words) + "\n")
        file.write(json.dumps({"name": "odd", "label": ["Home", "Clothing"]}) + "\n")
    assert len(taxonomy_of_labels([TableFile(str(path))], "label").leaves) == len(KINDS)
    report = fitted(path, tmp_path / "pack")
    assert sum(report["rows"]["left_out"].values()) == 1


def test_labels_after_the_first_that_are_unknown_are_told(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text("name,label\nhat,Hats|bogus\nrake,Rakes|Hats\n")
    columns = Columns(text=["name"], label="label", label_separator="|")
    rows = read_labelled(TableFile(str(path)), columns, Taxonomy.from_paths(["Hats", "Rakes"]))
    assert len(rows) == 2
    assert "1 rows have other right answers that are not in the taxonomy" in caplog.text
    assert "(first: line 2, 'bogus')" in caplog.text


def test_labels_above_the_leaves_are_answered(rows, tmp_path):
    deeper = Taxonomy.from_paths(
        [*KINDS, "Home > Garden > Rakes > Leaf rakes", "Home > Garden > Rakes > Bow rakes"]
    )
    job = Fit(
        TableFile(str(rows)),
        deeper,
        Columns(text=["name", "brand"], label="label"),
        Recipe.load("quick"),
        tmp_path / "pack",
    )
    job.prepare()
    job.run(lambda *_: None)
    found = cascade.load(tmp_path / "pack").classify("garden rake with 5 teeth")
    assert (found.path, found.status) == ("Home > Garden > Rakes", "ok")


def test_walks_stop_early_only_where_that_is_right_more_often(rows, tmp_path):
    with rows.open("a", newline="") as file:
        csv.writer(file).writerow(["something for the garden", "", "Home > Garden"])
    fitted(rows, tmp_path / "pack")
    assert cascade.load(tmp_path / "pack").config.descent.answer == "likeliest"


@pytest.fixture
def half_inside(rows):
    """Half of the rows of the garden are labelled with the garden itself."""
    with rows.open("a", newline="") as file:
        for at in range(40):
            words = f"assorted gift set {at * 13} for lovers of green"
            csv.writer(file).writerow([words, f"{at}", "Home > Garden"])
    return rows


def test_inner_nodes_with_rows_of_their_own_are_answered(half_inside, tmp_path):
    said = []
    report = fitted(half_inside, tmp_path / "pack", notify=said.append)
    assert report["pack"]["exact"] > 0.9
    assert any("1 inner nodes have rows of their own" in sentence for sentence in said)
    pack = cascade.load(tmp_path / "pack")
    assert pack.config.descent.stays == ["Home > Garden"]
    found = pack.classify("assorted gift set for lovers")
    assert (found.code, found.path, found.status) == ("Home > Garden", "Home > Garden", "ok")
    assert [level.code for level in found.levels] == ["Home", "Home > Garden"]
    assert 0.5 < found.confidence == found.levels[1].confidence <= found.levels[0].confidence
    top, garden = found.levels
    assert top.below == ()
    assert garden.below[0].code == "Home > Garden"
    names = {candidate.name for candidate in garden.below}
    assert names == {"Garden", "Rakes", "Hoses"}
    assert sum(candidate.probability for candidate in garden.below) == pytest.approx(1)
    assert trace_as_dicts(found)[1]["below"][0]["code"] == "Home > Garden"
    assert "below" not in trace_as_dicts(found)[0]
    below = pack.classify("garden rake with 5 teeth")
    assert below.path == "Home > Garden > Rakes"
    assert [c.code for c in below.levels[2].candidates].count("Home > Garden") == 1
    assert sum(c.probability for c in below.levels[2].candidates) == pytest.approx(1)


def test_the_chance_of_staying_counts_for_the_levels_above(half_inside, tmp_path):
    fitted(half_inside, tmp_path / "pack")
    pack = cascade.load(tmp_path / "pack", method="ttc.leaf")
    found = pack.classify("gift set of rubber for lovers of teeth")
    ends = [found, *found.alternatives]
    garden = [end.confidence for end in ends if end.path.startswith("Home > Garden > ")]
    stays = [a.confidence for a in found.alternatives if a.path == "Home > Garden"]
    assert sum(garden + stays) <= found.levels[1].confidence + 1e-6


def test_a_pack_takes_a_text_for_its_first_column_and_refuses_other_columns(rows, tmp_path):
    fitted(rows, tmp_path / "pack")
    classifier = cascade.load(tmp_path / "pack")
    named = classifier.classify({"name": "garden hose made of rubber"})
    assert classifier.classify("garden hose made of rubber") == named
    assert named.path == "Home > Garden > Hoses"
    (other,) = classifier.classify_many([{"title": "garden hose"}])
    assert other.status == "error"
    assert "reads name, brand; the item has title" in other.message


def test_only_the_calibrated_method_has_calibrated_confidences(rows, tmp_path):
    fitted(rows, tmp_path / "pack")
    item = "knitted garden hose"
    alone = cascade.load(tmp_path / "pack", method="ttc.leaf").classify(item)
    bare = cascade.load(tmp_path / "pack", method="ttc.leaf", calibration={"file": None})
    assert alone.confidence == bare.classify(item).confidence
    with pytest.raises(UsageError, match="leave out --method"):
        cascade.load(tmp_path / "pack", method="ttc.leaf", calibration={"max_risk": 0.05})


def test_weights_prefer_the_scorer_that_knows():
    from cascade.scoring.fusion import fit_fusion_weights

    rng = np.random.default_rng(0)
    gold = rng.integers(0, 4, size=300)
    offsets = np.arange(301) * 4
    knows = np.full((300, 4), np.log(0.1))
    knows[np.arange(300), gold] = np.log(0.7)
    noise = np.log(rng.dirichlet(np.ones(4), size=300))
    found = fit_fusion_weights([knows.ravel(), noise.ravel()], offsets, gold)
    assert found[0] > 10 * found[1]
    assert (found >= 0).all()


def test_answers_that_are_too_unsure_are_marked_for_review(rows, tmp_path):
    fitted(rows, tmp_path / "pack")
    strict = cascade.load(tmp_path / "pack", calibration={"max_risk": 0.001})
    found = strict.classify("garden rake with 5 teeth")
    assert found.status == "review"
    assert "0.1%" in found.message
    assert found.code is not None
    loose = cascade.load(tmp_path / "pack", calibration={"max_risk": 0.5})
    assert loose.classify("garden rake with 5 teeth").status == "ok"


def test_a_risk_needs_a_calibration():
    with pytest.raises(UsageError, match="cascade fit"):
        cascade.load(
            "few",
            taxonomy=Taxonomy.from_paths(list(KINDS)),
            method="retrieval",
            calibration={"max_risk": 0.05},
        )


def test_a_broken_calibration_is_refused_by_its_file(tmp_path):
    from cascade.confidence.calibration import Calibration

    path = tmp_path / "calibration.json"
    path.write_text('{"levels": [], "risk": {}}')
    with pytest.raises(ConfigError, match=r"calibration\.json"):
        Calibration.load(path)


def test_two_fits_of_one_pack_do_not_write_into_each_other(rows, tmp_path):
    first, second = a_fit(rows, tmp_path / "pack"), a_fit(rows, tmp_path / "pack")
    first.prepare()

    def another(*_):
        second.prepare(resume=True)
        with pytest.raises(OutputError, match="another process is fitting"):
            second.run()
        before = sorted(first.work.rglob("*"))
        with pytest.raises(OutputError, match="another process is fitting"):
            second.prepare(overwrite=True)
        assert sorted(first.work.rglob("*")) == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(another)
    second.prepare(resume=True)
    second.run()
    assert (tmp_path / "pack" / "pack.json").is_file()
    assert not (tmp_path / "pack.fitting").exists()


def test_a_fit_does_not_go_on_in_the_work_of_another(rows, tmp_path):
    first, second = a_fit(rows, tmp_path / "pack"), a_fit(rows, tmp_path / "pack", seed=1)
    first.prepare()
    second.prepare(overwrite=True)  # before the first has begun
    with pytest.raises(OutputError, match="another process began or ended"):
        first.run()
    second.run()
    with pytest.raises(OutputError, match="another process began or ended"):
        first.run()
    assert (tmp_path / "pack" / "pack.json").is_file()
    assert not first.work.exists()
