import csv
import json
import random
import shutil
from pathlib import Path

import pytest

from cascade import load
from cascade.confidence.calibration import Calibration
from cascade.config import CascadeConfig
from cascade.errors import ConfigError, UsageError
from cascade.serving.tools import Tools

RECIPE = "lexical: {forms: [leaf]}\nsentence: null\nrouting: null\n"
WORDS = {
    "Clothing > Hats": ("hat", "cap", "bonnet"),
    "Clothing > Shoes": ("boot", "shoe", "sandal"),
    "Garden > Rakes": ("rake", "tine", "handle"),
    "Food > Cheese": ("cheese", "gouda", "brie"),
}
EXTRA = ("red", "blue", "green", "large", "small", "new", "fine", "old")


def drawn(seed, n, shares=(1, 1, 1, 1)):
    chance = random.Random(seed)
    found = []
    for label in chance.choices(list(WORDS), shares, k=n):
        what = [chance.choice(WORDS[label]) for _ in range(2)]
        found.append((" ".join([*chance.sample(EXTRA, 3), *what, str(chance.random())]), label))
    return found


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        writer.writerows(rows)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Where a pack has been fitted, once for all tests."""
    return tmp_path_factory.mktemp("shift")


@pytest.fixture
def pack(folder, fitted, cascade):
    """A pack of words that remembers its held-out rows."""
    if not (fitted / "pack").is_dir():
        (folder / "mine.yaml").write_text(RECIPE)
        write("rows.csv", drawn(0, 600))
        by = ("--text", "name", "--label", "label", "--recipe", "mine.yaml")
        done = cascade("fit", "rows.csv", *by, "-o", fitted / "pack")
        assert done.status == 0, done.err
    shutil.copytree(fitted / "pack", "pack")
    return folder / "pack"


def classified(cascade, *options):
    done = cascade("classify", "new.csv", "-c", "pack", "-o", "out.csv", "--json", *options)
    assert done.status == 0, done.err
    return json.loads(done.out)["shift"], done.err


def test_rows_as_they_were_raise_no_alarm_even_if_sorted(pack, cascade):
    write("new.csv", sorted(drawn(1, 300), key=lambda row: row[1]))
    shift, told = classified(cascade)
    assert shift["rows"] == 300
    assert not shift["alarm"], shift["moved"]
    assert "differ from the rows" not in told


def test_moved_rows_are_warned_of_with_figures(pack, cascade):
    write("new.csv", drawn(2, 300, (8, 1, 1, 1)))
    shift, told = classified(cascade)
    assert shift["alarm"]
    assert "these 300 rows differ from the rows that the pack was tested on" in told
    assert "Clothing > Hats: 7" in told
    assert "cascade pack recalibrate" in told


def test_the_warning_can_be_switched_off(pack, cascade):
    write("new.csv", drawn(2, 300, (8, 1, 1, 1)))
    shift, told = classified(cascade, "--set", "calibration.shift=false")
    assert shift is None
    assert "differ from the rows" not in told


def test_other_methods_are_not_watched(pack, cascade):
    write("new.csv", drawn(2, 300, (8, 1, 1, 1)))
    assert classified(cascade, "--method", "ttc")[0] is None


def test_from_python_the_rows_so_far_are_told(pack):
    classifier = load("pack")
    assert classifier.shift.rows == 0
    list(classifier.classify_many(name for name, _ in drawn(2, 300, (8, 1, 1, 1))))
    assert classifier.shift.alarm
    assert classifier.shift.rows == 300
    assert classifier.shift.since <= 300


def test_what_explains_and_weighs_an_answer_is_none_of_the_rows(pack):
    classifier = load("pack")
    classifier.classify("a hat")
    classifier.explain("a hat of straw")
    classifier.probabilities(["a hat", "a drill"])
    assert classifier.shift.rows == 1


def test_assistants_are_warned_of_a_stream_that_differs_and_not_by_explaining(pack):
    tools = Tools(load("pack").taxonomy, lambda: classifier)
    classifier = load("pack")
    assert tools.classify("a hat").warning == ""
    texts = [name for name, _ in drawn(2, 190, (8, 1, 1, 1))]
    for _ in range(3):
        found = tools.classify_many(texts)
    assert "differ from those that the pack was tested on" in found.warning
    tools.explain("a hat")
    assert classifier.shift.rows == 1 + 3 * 190


@pytest.mark.parametrize("where", ["pack/new", ".", "pack"])
def test_a_new_pack_goes_neither_into_the_old_one_nor_over_it(pack, cascade, where):
    write("labels.csv", drawn(2, 60))
    ran = cascade("pack", "recalibrate", "pack", "labels.csv", "--label", "label", "-o", where)
    assert ran.status == 2
    assert "name another --out" in ran.err


def test_a_damaged_calibration_is_told_in_words(pack, cascade):
    shutil.copytree("pack", "broken", dirs_exist_ok=True)
    file = Path("broken/calibration.json")
    values = json.loads(file.read_text("utf-8"))
    whole = file.read_text("utf-8")
    for damaged in ({"levels": values["levels"]}, {**values, "levels": [{"x": 1}]}, [], "x"):
        file.write_text(json.dumps(damaged), "utf-8")
        with pytest.raises(ConfigError, match="damaged") as caught:
            Calibration.load(file)
        assert "__init__" not in str(caught.value)
        assert "object" not in str(caught.value)
        assert "indices" not in str(caught.value)
    file.write_text(whole, "utf-8")


def test_a_risk_is_named_without_its_section(pack):
    assert load("pack", max_risk=0.2).config.calibration.max_risk == 0.2
    both = load("pack", set_coverage=0.8, calibration={"least": 0.1})
    assert (both.config.calibration.set_coverage, both.config.calibration.least) == (0.8, 0.1)
    with pytest.raises(UsageError, match="set twice"):
        load("pack", max_risk=0.2, calibration={"max_risk": 0.1})


def test_the_summary_of_a_risk_tells_what_is_accepted_and_expected_wrong(pack, cascade):
    write("new.csv", drawn(2, 100))
    ran = cascade("classify", "new.csv", "-c", "pack", "-o", "risk.csv", "--max-risk", "0.2")
    assert ran.status == 0
    line = next(line for line in ran.err.splitlines() if line.startswith("accepted"))
    assert "of them expected wrong" in line
    assert "allowed 20%" in line


def test_a_resumed_run_counts_all_rows(pack, cascade, monkeypatch):
    monkeypatch.setattr(CascadeConfig, "batch", 128)
    write("new.csv", drawn(2, 300, (8, 1, 1, 1)))
    whole, _ = classified(cascade)
    (pack.parent / "out.csv").unlink()
    real, calls = type(load("pack")).answers, []

    def failing(self, items):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, items)

    monkeypatch.setattr(type(load("pack")), "answers", failing)
    assert cascade("classify", "new.csv", "-c", "pack", "-o", "out.csv").status == 130
    assert classified(cascade, "--resume")[0] == whole


def test_recalibrating_makes_a_pack_of_its_own(pack, cascade):
    write("new.csv", drawn(3, 200, (8, 1, 1, 1)))
    before = {path.name: path.read_bytes() for path in pack.iterdir() if path.is_file()}
    done = cascade("pack", "recalibrate", "pack", "new.csv", "--label", "label", "-o", "now")
    assert done.status == 0, done.err
    assert "calibrated on 200 rows" in done.err
    assert before == {path.name: path.read_bytes() for path in pack.iterdir() if path.is_file()}
    assert cascade("pack", "check", "now").status == 0
    assert "fitted again, to 200 rows of `new.csv`" in (pack.parent / "now/README.md").read_text()
    write("new.csv", drawn(4, 300, (8, 1, 1, 1)))
    old, _ = classified(cascade)
    now, _ = classified(cascade, "--overwrite", "-c", "now")
    assert old["alarm"]
    assert not now["alarm"]


@pytest.mark.parametrize(
    ("args", "rows", "told"),
    [
        (("pack", "-o", "now"), 20, "20 labelled rows can be used, and 50 are needed"),
        (("pack", "-o", "pack"), 90, "is the pack itself, which stays as it is"),
        (("pack", "-o", "there"), 90, "is there already"),
        (("pack", "-o", "there", "--overwrite"), 90, "is no pack, and is not replaced"),
        (("pack", "-o", "now", "--label", "labels"), 90, "labels"),
        (("nothing", "-o", "now"), 90, "nothing"),
    ],
)
def test_what_cannot_be_recalibrated_is_told(pack, cascade, args, rows, told):
    write("new.csv", drawn(3, rows))
    (pack.parent / "there").mkdir()
    done = cascade("pack", "recalibrate", args[0], "new.csv", *args[1:])
    assert done.status == 2, done.err
    assert told in done.err
    assert not (pack.parent / "now").exists()


def test_labels_outside_of_the_taxonomy_are_left_out_and_told(pack, cascade):
    write("new.csv", [*drawn(3, 80), *[(name, "Nowhere > There") for name, _ in drawn(4, 5)]])
    done = cascade("pack", "recalibrate", "pack", "new.csv", "-o", "now", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["rows"] == 80
    assert "5 rows are left out: label not in the taxonomy" in done.err


def test_eval_says_where_confidences_do_not_fit(pack, cascade):
    wrong = [(name, "Food > Cheese") for name, _ in drawn(5, 150, (1, 1, 1, 0))]
    write("new.csv", wrong)
    done = cascade("eval", "new.csv", "-c", "pack", "--label", "label", "-o", "run")
    assert done.status == 0, done.err
    assert "the confidences of the pack do not fit these rows" in done.err
    assert "cascade pack recalibrate pack new.csv -o NEW" in done.err
    write("new.csv", drawn(6, 150))
    done = cascade("eval", "new.csv", "-c", "pack", "--label", "label", "-o", "run-2")
    assert "do not fit" not in done.err
    assert "differ from the rows" not in done.err
