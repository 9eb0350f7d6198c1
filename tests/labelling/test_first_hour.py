import csv
import json

import numpy as np
import pytest

import cascade
from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError, OutputError, UsageError
from cascade.io.files import alone
from cascade.io.tables.opening import TableFile
from cascade.labelling.first_hour import FirstHour
from cascade.labelling.telling import sentences
from cascade.pipeline.pack import verify
from cascade.scoring.components import settle_defaults
from cascade.scoring.corrections import load_corrections

pytestmark = pytest.mark.weights

KINDS = {
    "G1": ["leaf rake", "bow rake", "steel rake", "thatch rake"],
    "G2": ["garden hose", "soaker hose", "hose reel", "hose connector"],
    "D1": ["green tea", "earl grey tea", "mint tea", "black tea"],
    "D2": ["ground coffee", "coffee beans", "espresso pods", "instant coffee"],
    "D3": ["orange juice", "apple juice", "grape juice", "tomato juice"],
}


def named(n=90):
    """Rows and their labels."""
    codes = list(KINDS)
    rows = []
    for at in range(n):
        code = codes[at * at % 5]
        rows.append((f"{KINDS[code][at % 4]} {('new', 'offer', 'pack')[at % 3]} {at}", code))
    return rows


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["sku", "name"])
        writer.writerows((at, name) for at, (name, _) in enumerate(named()))
        writer.writerow([90, ""])  # without text
    return path


@pytest.fixture
def hour(file, tree, tmp_path):
    def make(folder="hour", source=file, count=30, **more):
        config = CascadeConfig()
        config.columns = Columns(text=["name"])
        settle_defaults(config, tree)
        told = []
        made = FirstHour(
            *(tmp_path / folder, TableFile(str(source)), tree, config),
            count=count,
            notify=told.append,
            **more,
        )
        made.warnings = told
        return made

    return make


def labelled(path, label):
    """Fill in the column `label` of a file to label, by the number of the row."""
    rows = list(csv.DictReader(path.open(newline="")))
    for row in rows:
        row["label"] = label(int(row["cascade_row"]))
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def known(number):
    return named()[number - 1][1]


def test_from_no_label_to_a_pack_that_answers_as_the_model_does(hour, file):
    made = hour()
    made.begin()
    told = made.run()
    assert (told.rows, told.unread, told.labels, len(told.asked)) == (90, 1, 0, 30)
    verify(made.pack)
    labelled(made.to_label, known)
    assert made.take_labels() == 30
    told = made.run()
    assert told.labels == 30 and told.expected is not None
    assert not set(told.asked) & set(made.state.labels)
    pack = cascade.load(made.pack, method="taught", calibration={"least": 0.0})
    names = [name for name, _ in named()]
    answers = list(pack.classify_many(names))
    right = np.mean([a.code == code for a, (_, code) in zip(answers, named(), strict=True)])
    assert right > 0.9
    assert answers[0].source == "taught"
    sample = made._sample(lambda *_: None)
    branches = sample.branches(np.empty(0, np.int32))
    corrections, _ = load_corrections(
        made.pack / "taught.safetensors", made.pack / "words.safetensors", made.taxonomy, 384
    )
    vectors = np.hstack([sample.meaning, sample.wording])
    z = branches.logits(corrections, sample.known(branches), vectors)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert [a.confidence for a in answers[:20]] == pytest.approx(p.max(axis=1)[:20], abs=2e-3)


def test_a_run_that_goes_on_encodes_nothing_again_and_asks_the_same(hour, monkeypatch):
    first = hour()
    first.begin()
    asked = first.run().asked
    again = hour()
    again.begin()
    monkeypatch.setattr("cascade.labelling.sample.CHUNK", 10**6)
    encoded = []
    monkeypatch.setattr(
        "cascade.retrieval.retriever.item_vectors", lambda *_: encoded.append(1) or None
    )
    assert again.run().asked == asked
    assert not encoded


def test_rows_that_wait_for_a_label_are_asked_for_again(hour):
    made = hour(count=10)
    made.begin()
    asked = made.run().asked
    labelled(made.to_label, lambda row: known(row) if row in asked[:4] else "")
    made.take_labels()
    told = made.run()
    assert told.asked[:6] == asked[4:]
    assert len(told.asked) == 10


def test_labels_are_read_however_people_write_them(hour):
    made = hour(count=8)
    made.begin()
    asked = made.run().asked
    ways = iter(["G1", "Drinks > Tea", "nowhere", "no such thing", "Drinks", "", "NOWHERE ", "D1"])
    labelled(made.to_label, lambda _: next(ways))
    made.to_label.write_text(
        made.to_label.read_text().replace(f"\n{asked[0]},", f"\n{asked[0]}.0,")
    )
    assert made.take_labels() == 6
    assert made.state.labels == {
        **dict(zip(asked[:3], ["G1", "D1", None], strict=True)),
        **dict(zip([asked[4], asked[6], asked[7]], ["D", None, "D1"], strict=True)),
    }
    (warning,) = made.warnings
    assert "no such thing" in warning and "line 5" in warning
    assert asked[3] in made.run().asked


def test_a_file_of_labels_that_cannot_be_used_is_told(hour, tmp_path):
    made = hour(count=8)
    made.begin()
    made.run()
    other = tmp_path / "other.csv"
    other.write_text("name,label\nrake,G1\n")
    with pytest.raises(InputError, match="cascade_row"):
        made.take_labels(TableFile(str(other)))
    other.write_text("cascade_row,label\n1000,G1\n")
    with pytest.raises(InputError, match="is not of this file: 1 of its 1 rows"):
        made.take_labels(TableFile(str(other)))
    lines = "".join(f"{row},brass trumpet,G1\n" for row in made.state.asked)
    other.write_text(f"cascade_row,name,label\n{lines}")
    with pytest.raises(InputError, match="is not of this file: 8 of its 8 rows"):
        made.take_labels(TableFile(str(other)))
    labelled(made.to_label, lambda _: "Cars")
    with pytest.raises(InputError, match="none of its 8 labels"):
        made.take_labels()


def test_a_row_with_two_labels_waits_until_one_is_left(hour, tmp_path):
    made = hour(count=4)
    made.begin()
    one, two, three, _ = made.run().asked
    copy = tmp_path / "copy.csv"  # without the texts, and the file that it was copied from is gone
    made.to_label.unlink()
    copy.write_text(
        f"cascade_row,label\n{one},G1\n{two},D1\n{one},G2\n{two},D1\n{three},\n999,D1\n"
    )
    assert made.take_labels(TableFile(str(copy))) == 1
    assert made.state.labels == {two: "D1"}
    conflict, strange = made.warnings
    assert f"row {one} in lines 2 and 4" in conflict and "1 rows" in conflict
    assert "not asked for" in strange and "line 7" in strange


def test_labels_by_the_number_of_a_row_are_checked(hour):
    made = hour(count=4)
    made.begin()
    asked = made.run().asked
    with pytest.raises(UsageError, match="was not asked for"):
        made.take_labels({10**6: "G1"})
    with pytest.raises(UsageError, match="is not in taxonomy"):
        made.take_labels({asked[0]: "Cars"})
    assert made.take_labels({asked[0]: "Garden > Rakes", asked[1]: None}) == 2
    assert made.take_labels({asked[0]: "G1"}) == 0  # nothing new


def test_a_folder_of_other_rows_is_refused_until_it_is_to_be_replaced(hour, file, tmp_path):
    hour().begin()
    file.write_text(file.read_text() + "91,iron rake\n")
    with pytest.raises(OutputError, match="another file"):
        hour().begin()
    session = tmp_path / "hour" / "to-label-1.review"
    session.mkdir()
    (session / "review.sqlite").touch()
    hour().begin(overwrite=True)
    assert not session.exists()  # its decisions are about other rows
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(OutputError, match="not made by"):
        hour("mine").begin(overwrite=True)
    (tmp_path / "hour" / "state.json").write_text('{"format": 1')
    with pytest.raises(OutputError, match="damaged"):
        hour().begin()


def test_few_rows_are_enough_to_begin(hour, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("name\nrake\ngreen tea\nrake\n")
    made = hour(source=path)
    made.begin()
    told = made.run()
    assert told.rows == 3 and told.sampled == 2 and sorted(told.asked) == [1, 2]
    assert made.take_labels(dict(zip(told.asked, ["G1", "D1"], strict=True))) == 2
    told = made.run()
    assert told.asked == [] and told.expected is None
    assert any("too few rows" in sentence for sentence in sentences(told))
    json.dumps(told.to_values())


def test_rows_without_text_are_told(hour, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("name,x\n,1\n,2\n")
    made = hour(source=path)
    made.begin()
    with pytest.raises(InputError, match="no row has text in name"):
        made.run()


def test_a_file_of_a_header_alone_has_no_rows(hour, tmp_path):
    path = tmp_path / "header.csv"
    path.write_text("name,x\n")
    made = hour(source=path)
    made.begin()
    with pytest.raises(InputError, match="has no rows"):
        made.run()


def test_what_differs_is_told_in_the_right_number(hour):
    made = hour()
    made.begin()
    other = hour()
    other.config.columns = Columns(text=["sku"])
    with pytest.raises(OutputError, match="begun with other columns; go on"):
        other.begin()


def test_two_processes_do_not_work_in_one_folder(hour):
    made = hour()
    made.begin()
    with alone(made.folder / "lock", "busy"), pytest.raises(OutputError, match="another process"):
        made.run()
