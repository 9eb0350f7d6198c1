import gc
import io
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fixed_scorer import FixedScorer
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError, OutputError, UsageError
from cascade.io import open_output, open_table
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import guess_text_columns
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.pipeline.runs.table import Counts, classify_table, count
from cascade.predictions import Level, Prediction
from cascade.scoring import components
from cascade.taxonomy import Taxonomy


def answered(*codes, confidence=0.5, status="ok", source="retrieval"):
    levels = tuple(Level(i, code, code, confidence) for i, code in enumerate(codes, 1))
    return Prediction(codes[-1], " > ".join(codes), confidence, source, status, levels=levels)


walks = st.lists(st.sampled_from("ab"), min_size=1, max_size=3)
predictions_ = st.one_of(
    st.just(Prediction.failed("empty")),
    st.builds(
        lambda codes, confidence, status: answered(*codes, confidence=confidence, status=status),
        walks,
        st.floats(0, 1),
        st.sampled_from(["ok", "partial", "review"]),
    ),
)
labelled_ = st.lists(
    st.tuples(predictions_, st.just(()) | st.none() | walks.map(tuple)), max_size=12
)


def naive_right(pairs):
    """Rows by level whose answer agrees with the label at it and at all levels above."""
    right = Counter()
    for found, gold in pairs:
        codes = [level.code for level in found.levels]
        for depth, expected in enumerate(gold or ()):
            if depth >= len(codes) or codes[depth] != expected:
                break
            right[str(depth + 1)] += 1
    return right


def test_answers_above_leaves_are_counted_by_level_and_those_of_a_fallback_apart():
    by_fallback = answered("a", "b", status="partial")
    by_fallback = replace(by_fallback, message="llm failed (500); ttc answered", failure="500")
    whole = answered("a", "b")
    cut = replace(answered("a", status="partial"), climbed_from=whole)
    cut_too = replace(cut, message="llm failed (500); ttc answered; answered at level 1")
    stopped = answered("a", "b", status="partial")
    found = count([by_fallback, whole, cut, cut_too, stopped], [()] * 5)
    assert found.status == {"partial": 4, "ok": 1}
    assert found.partial == {"1": 2, "2": 1}


@given(labelled_)
def test_counts_are_those_of_counting_by_hand(pairs):
    found = count([p for p, _ in pairs], [g for _, g in pairs])
    assert found.rows == len(pairs) == sum(found.status.values())
    assert (
        sum(found.source.values())
        == sum(found.confidence)
        == sum(p.code is not None for p, _ in pairs)
    )
    for edge in range(10):  # answers below each tenth; those on an edge may lie on either side
        below = sum(found.confidence[:edge])
        sure = [p.confidence for p, _ in pairs if p.code is not None]
        assert sum(c < edge / 10 - 1e-9 for c in sure) <= below
        assert below <= sum(c < edge / 10 + 1e-9 for c in sure)
    assert Counter(found.labelled) == Counter(
        str(level) for _, gold in pairs for level in range(1, len(gold or ()) + 1)
    )
    assert +Counter(found.right) == naive_right(pairs)
    assert found.unknown == [gold for _, gold in pairs].count(None)


@given(labelled_, st.integers(0, 12))
def test_counts_of_parts_add_up_to_those_of_the_whole(pairs, cut):
    def counted(part):
        return count([p for p, _ in part], [g for _, g in part])

    total = Counts()
    for part in (pairs[:cut], pairs[cut:]):
        total.add(vars(counted(part)))
    whole = counted(pairs)
    for name in ("rows", "status", "source", "confidence", "labelled", "unknown"):
        assert getattr(total, name) == getattr(whole, name)
    assert +Counter(total.right) == +Counter(whole.right)


def test_the_texts_of_a_table_are_guessed_from_usual_names():
    def guessed(header):
        with open_table("-", stdin=io.BytesIO(f"{header}\n1,2,3\n".encode())) as table:
            return guess_text_columns(table)

    assert guessed("id,Title,price") == ["Title"]
    assert set(guessed("description,name,id")) == {"name", "description"}
    with pytest.raises(InputError, match=r"--text; it has: a, b, c"):
        guessed("a,b,c")


def test_the_only_column_is_the_text(tmp_path):
    (tmp_path / "one.csv").write_text("artikel\nHut\n")
    with open_table(tmp_path / "one.csv") as table:
        assert guess_text_columns(table) == ["artikel"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("list.txt", "claw hammer"),
        ("list.csv", "rake with 14 teeth"),
        ("list.csv", "soft green felt hat"),
    ],
)
def test_a_first_line_that_may_be_an_item_is_no_heading(tmp_path, name, first):
    (tmp_path / name).write_text(f"{first}\ngarden hose\n")
    told = f"'{first}', may be the heading .* --text '{first}'"
    with open_table(tmp_path / name) as table, pytest.raises(InputError, match=told):
        guess_text_columns(table)


@pytest.mark.parametrize("heading", ["text", "Product name", "QUERY"])
def test_a_list_of_texts_has_a_usual_heading(tmp_path, heading):
    (tmp_path / "list.txt").write_text(f"{heading}\ngarden hose\n")
    with open_table(tmp_path / "list.txt") as table:
        assert guess_text_columns(table) == [heading]


@pytest.fixture
def clf(loaded):
    tree = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Food > Milk", "Food > Tea"])
    return cascade.load("store", taxonomy=tree, method="retrieval")


CSV = """sku,title,label
1,straw hat,Clothing > Hats
2,,Clothing > Hats
3,whole milk,Food > Tea
4,felt hat,Clothing>Hats
5,leather shoes,
6,green tea,no such node
7,green tea,Food
"""


def run_over(clf, tmp_path, *, text=CSV, name="out.csv", form=None, columns=None, **options):
    (tmp_path / "in.csv").write_text(text)
    form = form or AnswerForm()
    columns = columns or Columns(text=["title"], id="sku", label="label")
    with (
        open_table(tmp_path / "in.csv") as table,
        open_output(tmp_path / name, table, form.columns, overwrite=True) as output,
    ):
        return classify_table(clf, table, output, columns, form, **options)


def rows_of(path):
    with open_table(path) as table:
        return [dict(zip(table.columns, row.cells, strict=True)) for row in table]


@pytest.mark.weights
class TestTable:
    def test_rows_come_back_in_order_with_answers_beside_them(self, clf, tmp_path):
        run_over(clf, tmp_path)
        rows = rows_of(tmp_path / "out.csv")
        assert [row["sku"] for row in rows] == list("1234567")
        assert [row["title"] for row in rows] == [r["title"] for r in rows_of(tmp_path / "in.csv")]
        assert rows[0]["cascade_path"] == "Clothing > Hats"
        assert float(rows[0]["cascade_confidence"]) > 0.5
        assert (rows[1]["cascade_status"], rows[1]["cascade_code"]) == ("error", "")
        assert "empty" in rows[1]["cascade_message"]

    def test_counts_agree_with_the_output(self, clf, tmp_path):
        counts = run_over(clf, tmp_path)
        rows = rows_of(tmp_path / "out.csv")
        assert counts.rows == 7
        assert counts.status == Counter(row["cascade_status"] for row in rows)
        assert counts.source == {"retrieval": 6}
        assert sum(counts.confidence) == 6
        assert counts.labelled == {"1": 5, "2": 4}
        assert counts.right == {"1": 4, "2": 2}  # 2 is in error, 3 is tea, 7 has one level

    def test_the_first_unknown_label_is_told_with_its_line_and_what_it_names(self, clf, tmp_path):
        assert run_over(clf, tmp_path).first_unknown == "line 7, 'no such node'"
        counts = run_over(clf, tmp_path, text=CSV.replace("Food > Tea", "tea"))
        assert counts.unknown == 2
        assert counts.first_unknown.startswith("line 4, 'tea' is the name of 'Food > Tea'")

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_counts_and_answers_do_not_depend_on_chunks(self, clf, tmp_path, monkeypatch, size):
        whole = run_over(clf, tmp_path)
        expected = [row["cascade_code"] for row in rows_of(tmp_path / "out.csv")]
        monkeypatch.setattr(CascadeConfig, "batch", size)
        seen = []
        parts = run_over(clf, tmp_path, progress=lambda rows: seen.append(rows[-1].number))
        assert [row["cascade_code"] for row in rows_of(tmp_path / "out.csv")] == expected
        assert seen == sorted({*range(size, 8, size), 7})
        assert whole.stages.keys() == parts.stages.keys() and sum(whole.stages.values()) > 0
        whole.seconds, whole.stages, whole.asked = parts.seconds, parts.stages, parts.asked
        assert parts == whole

    def test_a_limit_takes_rows_from_the_start(self, clf, tmp_path):
        assert run_over(clf, tmp_path, limit=3).rows == 3
        assert [row["sku"] for row in rows_of(tmp_path / "out.csv")] == ["1", "2", "3"]

    def test_a_broken_row_is_an_error_among_the_others(self, clf, tmp_path):
        text = "sku,title,label\n1,straw hat,\n2,too,many,cells,here\n3,whole milk,\n"
        counts = run_over(clf, tmp_path, text=text)
        rows = rows_of(tmp_path / "out.csv")
        assert counts.status == {"ok": 2, "error": 1}
        assert [row["cascade_status"] for row in rows] == ["ok", "error", "ok"]
        assert rows[2]["cascade_path"] == "Food > Milk"

    def test_a_column_that_is_not_there_is_refused(self, clf, tmp_path):
        with pytest.raises(InputError, match=r"'titel' is not in .*did you mean 'title'"):
            run_over(clf, tmp_path, columns=Columns(text=["titel"]))

    def test_alternatives_and_trace_are_json_where_that_is_asked(self, clf, tmp_path):
        run_over(clf, tmp_path, form=AnswerForm(top=2, explain=True, nested=True))
        row = rows_of(tmp_path / "out.csv")[0]
        alternatives = json.loads(row["cascade_alternatives"])
        assert len(alternatives) == 2
        assert set(alternatives[0]) == {"code", "path", "confidence"}
        trace = json.loads(row["cascade_trace"])
        assert [level["name"] for level in trace] == ["Clothing", "Hats"]

    def test_json_lines_hold_the_answer_under_one_key(self, clf, tmp_path):
        run_over(clf, tmp_path, name="out.jsonl", form=AnswerForm(top=1))
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert lines[0]["sku"] == "1"
        assert lines[0]["cascade"]["path"] == "Clothing > Hats"
        assert len(lines[0]["cascade"]["alternatives"]) == 1
        assert lines[1]["cascade"]["confidence"] is None


@pytest.fixture
def fixed(monkeypatch):
    """A classifier of two levels whose scorer costs nothing."""
    tree = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Food > Milk"])
    scorer = FixedScorer(np.arange(len(tree)))
    scorer.wants_narrowing = False
    monkeypatch.setattr(components, "make_scorer", lambda name, made: scorer)
    return lambda **settings: Classifier(tree, CascadeConfig(**settings))


@pytest.mark.parametrize("form", [AnswerForm(), AnswerForm(top=1)])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_are_answered_alike_however_many_come_together(fixed, tmp_path, ending, form):
    texts = [*["hat, straw", "milk", "K\u00e4se", "", "\u200b", '5" shoe'] * 8, "last"]
    source = tmp_path / "in.jsonl"
    lines = [json.dumps({"sku": n, "title": text}) for n, text in enumerate(texts)]
    source.write_text("\n".join([*lines[:20], "no object", "", *lines[20:]]) + "\n")
    written = []
    for together in (1, 7, 128):
        out, columns = tmp_path / f"out{together}.{ending}", Columns(text=["title"])
        clf = fixed(rows_together=together)
        with open_table(source) as table, open_output(out, table, form.columns) as output:
            counts = classify_table(clf, table, output, columns, form)
        assert counts.rows == len(texts) + 1
        assert counts.status["error"] == 17
        written.append((out.read_bytes(), counts.status, counts.partial, counts.accepted))
    assert written[0] == written[1] == written[2]


def test_a_run_is_gone_on_with_only_by_as_many_rows_together(fixed, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("title\n" + "hat\n" * 20)

    def start(together, resume=False):
        clf, form, columns = fixed(rows_together=together), AnswerForm(), Columns(text=["title"])
        told = fingerprint(clf.taxonomy, clf.config, columns, form, None)
        with (
            open_table(source) as table,
            open_output(out, table, form.columns, fingerprint=told, resume=resume) as output,
        ):
            classify_table(clf, table, output, columns, form, progress=None if resume else stop)

    def stop(rows):
        raise KeyboardInterrupt

    before = gc.get_threshold()
    with pytest.raises(KeyboardInterrupt):
        start(4)
    assert gc.get_threshold() == before
    with pytest.raises(OutputError, match=r"rows_together \(4 then, 5 now\)"):
        start(5, resume=True)
    start(4, resume=True)
    assert len(out.read_text().splitlines()) == 21


def test_the_only_column_of_text_beside_numbers_is_the_text(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"n": 1, "artikel": "Hut", "cat": "x"}\n{"n": 2, "artikel": null}\n')
    with open_table(file) as table:
        assert guess_text_columns(table, ["cat"]) == ["artikel"]
        assert len(list(table)) == 2
    with open_table(file) as table, pytest.raises(InputError, match="n, artikel, cat"):
        guess_text_columns(table)


@pytest.mark.weights
class TestAdapting:
    @pytest.fixture
    def adapting(self, loaded):
        tree = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Food > Milk"])
        return cascade.load(tree, method="retrieval", retrieval={"adapt": True})

    @pytest.fixture
    def many(self, tmp_path):
        lines = [f"{n},{kind} {n}," for n in range(20) for kind in ("straw hat", "cap", "fez")]
        (tmp_path / "many.csv").write_text("\n".join(["sku,title,label", *lines, "1,,", ""]))
        return tmp_path / "many.csv"

    @pytest.fixture(autouse=True)
    def _in_several_chunks(self, monkeypatch):
        monkeypatch.setattr(CascadeConfig, "batch", 25)

    def run(self, clf, many, out, *, again=True, stop=None, resume=False):
        seen = []

        def progress(rows):
            seen.append(len(rows))
            if len(seen) == stop:
                raise KeyboardInterrupt

        columns = Columns(text=["title"])
        with (
            open_table(many) as table,
            open_output(many.with_name(out), table, AnswerForm().columns, resume=resume) as output,
        ):
            file = TableFile(str(many)) if again else None
            return classify_table(
                clf, table, output, columns, AnswerForm(), again=file, progress=progress
            )

    def test_answers_are_those_of_a_classifier_that_learnt_from_the_rows(self, adapting, many):
        counts = self.run(adapting, many, "out.csv")
        assert counts.adapted == {"from": 60, "moved": adapting.adaptation.moved}
        titles = [row["title"] for row in rows_of(many)]
        plain = cascade.load(adapting.taxonomy, method="retrieval")
        plain.adapt(titles)
        found = [row["cascade_confidence"] for row in rows_of(many.with_name("out.csv"))]
        expected = [p.confidence for p in plain.classify_many(titles)]
        assert [float(c or 0) for c in found] == pytest.approx(expected, abs=1e-4)

    def test_a_resumed_run_has_learnt_once(self, adapting, many, monkeypatch):
        self.run(adapting, many, "whole.csv")
        with pytest.raises(KeyboardInterrupt):
            self.run(adapting, many, "cut.csv", stop=1)
        adapting.adaptation = None
        monkeypatch.setattr(adapting, "adapt_read", None)  # what it learnt is in the journal
        counts = self.run(adapting, many, "cut.csv", resume=True)
        assert counts.adapted["from"] == 60
        whole, cut = (many.with_name(name).read_bytes() for name in ("whole.csv", "cut.csv"))
        assert whole == cut

    def test_few_rows_are_answered_without(self, adapting, many):
        many.write_text("\n".join(many.read_text().split("\n")[:40]) + "\n")
        assert self.run(adapting, many, "out.csv").adapted == {"too_few": 39}
        plain = cascade.load(adapting.taxonomy, method="retrieval")
        found = rows_of(many.with_name("out.csv"))[0]["cascade_confidence"]
        sure = plain.classify(rows_of(many)[0]["title"]).confidence
        assert float(found) == pytest.approx(sure, abs=1e-4)

    def test_rows_that_are_read_once_are_refused(self, adapting, many):
        with pytest.raises(UsageError, match=r"retrieval\.adapt goes with runs over files"):
            self.run(adapting, many, "out.csv", again=False)
