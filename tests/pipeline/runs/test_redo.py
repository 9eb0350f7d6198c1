"""Answering again what a fallback answered, and keeping the rest to the byte."""

import csv
import json

import pytest
from fixed_scorer import FixedScorer

from cascade.config import CascadeConfig, Columns
from cascade.errors import EngineError, InputError
from cascade.io import open_output, open_table
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.redo import EarlierAnswers
from cascade.pipeline.runs.table import classify_table
from cascade.scoring import components
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Food > Cheese"])
COLUMNS = Columns(text=["name"], id="id", label="label")
ROWS = 300


class Moody(FixedScorer):
    """Fails on every seventh item, while it is in a bad mood; notes what it was asked about."""

    bad = True

    def score(self, batch, choices):
        self.texts = getattr(self, "texts", set()) | {item.text for item in batch.items}
        for row, item in enumerate(batch.items):
            if self.bad and int(item.text.split()[-1]) % 7 == 0:
                batch.failures.setdefault(row, EngineError("busy", reason="server answered 503"))
        return super().score(batch, choices)


@pytest.fixture
def moody(monkeypatch):
    made = {"llm": Moody(range(len(TAXONOMY)), "llm")}
    made["retrieval"] = FixedScorer(range(len(TAXONOMY), 0, -1), "retrieval")
    monkeypatch.setattr(components, "make_scorer", lambda name, _: made[name])
    return made["llm"]


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "in.csv"
    lines = [f"r{at},hat {at},Food > Cheese" for at in range(ROWS)]
    path.write_text("\n".join(["id,name,label", *lines, "r-, ,Food"]) + "\n")
    return path


PLAIN = AnswerForm()


def classified(given, out, earlier=None, form=PLAIN):
    classifier = Classifier(TAXONOMY, CascadeConfig(method="llm"))
    with open_table(given) as table, open_output(out, table, form.columns) as output:
        if earlier is None:
            return classify_table(classifier, table, output, COLUMNS, form)
        with open_table(earlier) as old:
            kept = EarlierAnswers(old, COLUMNS, form, TAXONOMY)
            return classify_table(classifier, table, output, COLUMNS, form, earlier=kept)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize(
    "form", [AnswerForm(), AnswerForm(top=2, explain=True), AnswerForm(top=2, nested=True)]
)
def test_what_the_fallback_answered_is_answered_again_and_all_else_is_kept(
    tmp_path, given, moody, kind, form
):
    first, again, whole = (tmp_path / f"{name}.{kind}" for name in ("first", "again", "whole"))
    counts = classified(given, first, form=form)
    failed = len(range(0, ROWS, 7))
    assert counts.fallback == {"server answered 503": failed}
    moody.bad, moody.texts = False, set()
    counts = classified(given, again, first, form)
    assert len(moody.texts) == failed
    expected = classified(given, whole, form=form)
    if kind != "xlsx":
        assert again.read_bytes() == whole.read_bytes()
    assert (counts.status, counts.right, counts.confidence, counts.fallback) == (
        expected.status,
        expected.right,
        expected.confidence,
        {},
    )


@pytest.mark.parametrize(
    ("kind", "form"),
    [("jsonl", AnswerForm(top=2)), ("csv", AnswerForm(top=2, nested=True))],
    ids=["JSON lines", "JSON in a column, as earlier versions wrote"],
)
def test_an_earlier_output_of_another_form_is_kept_in_the_form_that_is_asked_for(
    tmp_path, given, moody, kind, form
):
    moody.bad = False
    first, again, whole = (tmp_path / name for name in (f"a.{kind}", "b.csv", "c.csv"))
    classified(given, first, form=form)
    classified(given, whole, form=AnswerForm(top=2))
    moody.texts = set()
    classified(given, again, first, AnswerForm(top=2))
    assert again.read_bytes() == whole.read_bytes()
    assert moody.texts == set()


def test_rows_beyond_the_earlier_output_are_answered(tmp_path, given, moody):
    moody.bad = False
    classified(given, tmp_path / "whole.csv")
    with (tmp_path / "whole.csv").open() as file:
        rows = list(csv.reader(file))
    with (tmp_path / "half.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows[:100])
    classified(given, tmp_path / "again.csv", tmp_path / "half.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_an_output_of_other_rows_or_without_answers_is_refused(tmp_path, given, moody):
    classified(given, tmp_path / "out.csv")
    other = tmp_path / "other.csv"
    other.write_text(given.read_text().replace("hat 5,", "cap 5,"))
    with pytest.raises(InputError, match=r"out\.csv, line 7: row 6 is not that of"):
        classified(other, tmp_path / "again.csv", tmp_path / "out.csv")
    with pytest.raises(InputError, match="no column 'cascade_code'"):
        classified(given, tmp_path / "again2.csv", given)
    with pytest.raises(InputError, match="no column 'cascade_code_2'"):
        classified(given, tmp_path / "again3.csv", tmp_path / "out.csv", AnswerForm(top=2))


def test_answers_that_somebody_has_spoilt_are_made_again(tmp_path, given, moody):
    moody.bad = False
    classified(given, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines()
    for at, spoilt in enumerate(({"confidence": "high"}, {"code": None}, {"status": "error"})):
        row = json.loads(lines[at])
        row["cascade"] |= spoilt
        lines[at] = json.dumps(row)
    row = json.loads(lines[3])
    row["cascade"] = "gone"
    lines[3] = json.dumps(row)
    (tmp_path / "old.jsonl").write_text("\n".join(lines) + "\n")
    moody.texts = set()
    classified(given, tmp_path / "again.jsonl", tmp_path / "old.jsonl")
    assert moody.texts == {"hat 0", "hat 1", "hat 2", "hat 3"}
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
