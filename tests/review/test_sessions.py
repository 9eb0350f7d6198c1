import csv
import json

import numpy as np
import pytest

import cascade
from cascade.errors import InputError, UsageError
from cascade.evaluation.external_predictions import PredictionColumns
from cascade.io.tables.opening import TableFile
from cascade.predictions import Alternative, Prediction
from cascade.review import open_folder, open_session
from cascade.review.decisions import decide
from cascade.review.queues import Queue, next_row


def rewrite(file, change):
    with file.open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    change(rows)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def answers(session):
    found = session.db.all("SELECT code, confidence, status, more, doubt FROM rows ORDER BY row")
    return [(row["code"], row["confidence"], row["status"]) for row in found]


def test_a_session_lies_beside_its_file_and_goes_on(opened, file, taxonomy):
    first = opened()
    assert first.folder == file.with_name("out.review")
    decide(first.db, taxonomy, "ann", 5, "accept")
    first.close()
    assert set(opened().labels()) == {5}


def test_the_same_answers_are_read_from_every_kind_of_file(opened, rows, tmp_path, taxonomy):
    import pandas as pd

    frame = pd.DataFrame(rows)
    own = ["sku", "name"]
    nested = [
        {
            **{name: row[name] for name in own},
            "cascade": {
                "code": row["cascade_code"],
                "confidence": row["cascade_confidence"],
                "status": "ok",
                "alternatives": [{"code": row["cascade_code_2"], "confidence": 0.1}],
            },
        }
        for row in rows
    ]
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "b.xlsx", index=False)
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in nested))
    expected = opened(rows, folder=tmp_path / "memory")
    shown = expected.showing.row(1)
    for name in ("a.parquet", "b.xlsx", "c.jsonl"):
        found = opened(tmp_path / name)
        assert answers(found) == answers(expected)
        assert found.layout.columns == ("sku", "name")
        assert found.showing.row(1)["candidates"] == shown["candidates"]


def test_predictions_can_stand_in_for_answers_in_the_file(opened, tmp_path):
    rows = [{"name": "hat"}, {"name": "rake"}, {"name": "?"}]
    found = [
        Prediction(
            *("Clothing > Hats", "Clothing > Hats", 0.8, "x"),
            alternatives=(Alternative("Toys", "Toys", 0.1),),
        ),
        Prediction("Toys", "Toys", 0.6, "x", "review", "why"),
        Prediction.failed("nothing to read"),
    ]
    session = opened(rows, folder=tmp_path / "s", answers=found)
    assert answers(session) == [
        ("Clothing > Hats", 0.8, "ok"),
        ("Toys", 0.6, "review"),
        (None, None, "error"),
    ]
    assert [c["code"] for c in session.showing.row(1)["candidates"]] == ["Clothing > Hats", "Toys"]
    with pytest.raises(UsageError, match="fewer answers than rows"):
        opened(rows, folder=tmp_path / "t", answers=found[:2])


def test_rows_that_cannot_be_judged_come_last_and_are_there(opened, tmp_path, taxonomy):
    rows = [
        {"name": "", "cascade_code": "", "cascade_status": "error", "cascade_message": "empty"},
        {"name": "hat", "cascade_code": "Toys", "cascade_status": "ok"},
        {"name": "zzz", "cascade_code": "", "cascade_status": "nowhere"},
    ]
    session = opened(rows, folder=tmp_path / "s")
    order = []
    while (lease := next_row(session.db, "ann", Queue())) is not None:
        order.append(lease.row)
        decide(session.db, taxonomy, "ann", lease.row, "nowhere")
    assert order == [2, 3, 1]
    assert session.showing.row(1)["answer"]["message"] == "empty"


def test_a_bad_row_is_shown_with_its_problem(opened, file):
    with file.open("a", encoding="utf-8") as out:
        out.write("S999,one,two,three,four,five,six,seven,eight\n")
    session = opened()
    assert session.rows == 41
    assert "has 9 cells" in session.showing.row(41)["answer"]["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nhat\n", "holds no answers"),
        ("name,cascade_code,cascade_confidence\n", "no rows"),
        ("name,cascade_code,cascade_confidence\nhat,Toys,1.5\n", "line 2.*probability"),
        ("nom,cascade_code\nhat,Toys\n", "column 'name' is not in"),
    ],
)
def test_files_that_cannot_be_reviewed_are_refused_with_the_cure(opened, tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        opened(path)
    path.write_text("name,cascade_code\nhat,Toys\n")
    assert opened(path).rows == 1  # nothing of the failure is left


def test_ids_must_differ(opened, file):
    rewrite(file, lambda rows: rows[4].update(sku="S001"))
    with pytest.raises(InputError, match="line 6, column 'sku': 'S001' is there twice"):
        opened(id="sku")


def test_a_changed_file_is_noticed_and_decisions_stay_with_their_rows(opened, file, taxonomy):
    session = opened(id="sku", double=0.3)
    for row in (1, 2, 3):
        decide(session.db, taxonomy, "ann", row, "choose", code="Toys")
    session.close()

    def change(rows):
        rows.pop(0)
        rows.reverse()
        rows[-1]["cascade_code"] = "Toys"

    rewrite(file, change)
    with pytest.raises(InputError, match=r"rows have changed.*--reload"):
        opened(id="sku")
    again = opened(id="sku", reload=True)
    keys = {again.db.value("SELECT key FROM rows WHERE row = ?", (row,)) for row in again.labels()}
    assert again.rows == 39 and keys == {"S001", "S002"}
    assert opened(id="sku").labels() == again.labels()


def test_without_ids_rows_are_known_by_what_stands_in_them(opened, file, taxonomy):
    session = opened()
    decide(session.db, taxonomy, "ann", 40, "accept")
    session.close()
    rewrite(file, lambda rows: [row.update(cascade_confidence="0.5") for row in rows])
    assert set(opened(reload=True).labels()) == {40}
    rewrite(file, lambda rows: rows[39].update(name="another"))
    assert opened(reload=True).labels() == {}


def test_a_changed_taxonomy_is_noticed(opened, taxonomy):
    opened().close()
    other = cascade.Taxonomy.from_paths([*taxonomy.codes, "Books"])
    with pytest.raises(InputError, match=r"taxonomy .* has changed"):
        opened(taxonomy=other)
    assert opened(taxonomy=other, reload=True).rows == 40


@pytest.mark.parametrize(
    "named",
    [
        {"id": "zzz"},
        {"image": "zzz"},
        {"text": ["name", "zzz"]},
        {"predicted": PredictionColumns(("zzz",))},
        {"predicted": PredictionColumns((), "zzz")},
        {"predicted": PredictionColumns(("zzz",)), "unanswered": True},
    ],
)
def test_a_column_that_is_named_has_to_be_there(opened, named):
    with pytest.raises(InputError, match=r"'zzz' is not in .*it has: .*sku, .*name"):
        opened(**named)
    opened()  # nothing of the failure is left


def test_columns_of_answers_beside_answers_are_refused(opened, tmp_path):
    answer = Prediction("Toys", "Toys", 0.6, "x")
    with pytest.raises(UsageError, match=r"answers are given.*code"):
        opened(
            [{"name": "hat", "code": "Toys"}],
            folder=tmp_path / "s",
            answers=[answer],
            predicted=PredictionColumns(("code",)),
        )


@pytest.mark.parametrize(
    "other",
    [
        {"text": ["sku"]},
        {"id": "sku"},
        {"image": "sku"},
        {"predicted": PredictionColumns(("cascade_code_2",))},
        {"predicted": PredictionColumns((), "cascade_confidence_2")},
        {"double": 0.5},
        {"seed": 3},
        {"source": "limited"},
    ],
)
def test_what_a_session_did_not_begin_with_is_refused_until_a_reload(opened, file, other):
    opened().close()
    opened(text=[]).close()  # nothing is named
    other = {**other}
    if other.pop("source", None):
        other["source"] = TableFile(str(file), limit=7)
    with pytest.raises(UsageError, match=r"began with.*--reload.*-o"):
        opened(**other)
    opened(reload=True, **other).close()
    opened(**{"text": [], **other}).close()


def test_a_reload_keeps_the_columns_that_are_not_named_again(opened, file, taxonomy):
    session = opened(id="sku", seed=4, predicted=PredictionColumns(("cascade_code_2",)))
    decide(session.db, taxonomy, "ann", 3, "choose", code="Toys")
    known = answers(session)
    session.close()
    rewrite(file, lambda rows: [row.update(name=row["name"].upper()) for row in rows])
    again = opened(text=(), reload=True)
    assert (again.layout.id, again.layout.text) == ("sku", ("name",))
    assert again.labels() == {3: "Toys"} and answers(again) == known


def test_columns_that_were_guessed_are_guessed_again(opened, file):
    opened(text=()).close()
    rewrite(file, lambda rows: [row.update(title=row.pop("name")) for row in rows])
    assert opened(text=(), reload=True).layout.text == ("title",)


def test_sessions_of_earlier_versions_go_on(opened):
    session = opened(id="sku")
    session.db.run("DELETE FROM about WHERE name = 'asked'")
    session.close()
    opened(id="sku", predicted=PredictionColumns(("cascade_code",))).close()
    with pytest.raises(UsageError, match="id=name"):
        opened(id="name")
    assert opened(reload=True).layout.id == "sku"


def test_decisions_whose_node_is_gone_wait_again_and_come_back_with_it(
    opened, taxonomy, tmp_path, caplog
):
    session = opened()
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")
    decide(session.db, taxonomy, "bob", 2, "choose", code="Toys")
    decide(session.db, taxonomy, "ann", 3, "choose", code="Garden > Pots")
    decide(session.db, taxonomy, "ann", 4, "nowhere")
    session.close()
    fewer = cascade.Taxonomy.from_paths([code for code in taxonomy.codes if code != "Toys"])
    again = opened(taxonomy=fewer, reload=True)
    assert "2 decisions name nodes" in caplog.text and "first: 'Toys'" in caplog.text
    assert set(again.labels()) == {3, 4} and again.left() == 38
    assert again.db.value("SELECT count(*) FROM decisions") == 4
    again.export(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8") as opened_file:
        assert {row["review_code"] for row in csv.DictReader(opened_file)} == {"Garden > Pots", ""}
    decide(again.db, fewer, "bob", 2, "choose", code="Garden > Pots")
    again.close()
    caplog.clear()
    back = opened(reload=True)
    assert back.labels()[1] == "Toys" and back.labels()[2] == "Garden > Pots"
    assert not caplog.text


def test_a_folder_of_something_else_is_refused(opened, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "review.sqlite").write_bytes(b"not a database at all, but long enough" * 9)
    with pytest.raises(InputError, match="no session"):
        opened(folder=tmp_path / "s")
    with pytest.raises(InputError, match="no session"):
        open_folder(tmp_path / "nothing")
    (tmp_path / "f").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        opened(folder=tmp_path / "f")


def test_rows_in_memory_need_a_folder_and_every_review_a_taxonomy(rows, taxonomy):
    with pytest.raises(UsageError, match="folder="):
        open_session(rows, taxonomy=taxonomy)
    with pytest.raises(UsageError, match="taxonomy"):
        open_session(rows)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_exports_have_the_rows_the_answers_and_what_is_right(session, taxonomy, tmp_path, kind):
    decide(session.db, taxonomy, "ann", 2, "accept")
    decide(session.db, taxonomy, "bob", 7, "choose", code="Toys", comment="a toy, no hat")
    decide(session.db, taxonomy, "ann", 9, "nowhere")
    path = tmp_path / f"reviewed.{kind}"
    assert session.export(path) == 3
    with TableFile(str(path)).open() as table:
        rows = [table.texts(row, [*table.columns]) for row in table]
    assert [row["review_code"] for row in rows] == [rows[0]["cascade_code"], "Toys", ""]
    assert rows[1]["review_by"] == "bob" and rows[1]["review_comment"] == "a toy, no hat"
    assert rows[0]["sku"] == "S001" and rows[0]["review_part"] == "chosen"


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_a_comment_holds_no_sign_that_makes_its_row_unreadable(session, taxonomy, tmp_path, kind):
    decide(session.db, taxonomy, "ann", 1, "accept", comment="a\0b\x1b[31m\r\nc\td\x85\u202ee")
    decide(session.db, taxonomy, "ann", 2, "accept")
    path = tmp_path / f"x.{kind}"
    session.export(path)
    with TableFile(str(path)).open() as table:
        rows = list(table)
        assert [row.problem for row in rows] == [None, None]
        assert table.text(rows[0], "review_comment").split() == ["a", "b", "[31m", "c", "d", "e"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_a_nul_in_a_row_leaves_its_export_readable(opened, taxonomy, tmp_path, kind):
    rows = [{"name": "sun\0hat", "cascade_code": "Toys"}, {"name": "rake", "cascade_code": "Toys"}]
    session = opened(rows, folder=tmp_path / "s")
    decide(session.db, taxonomy, "ann", 1, "accept")
    session.export(tmp_path / f"x.{kind}")
    with TableFile(str(tmp_path / f"x.{kind}")).open() as table:
        (row,) = table
        assert row.problem is None and table.text(row, "name").replace("\0", " ") == "sun hat"


def test_nothing_is_exported_of_a_part_without_decisions(session, taxonomy, tmp_path):
    decide(session.db, taxonomy, "ann", 2, "accept")
    with pytest.raises(UsageError, match="random"):
        session.export(tmp_path / "x.csv", "random")
    assert not (tmp_path / "x.csv").exists()


def test_exported_rows_fit_a_pack_and_measure_the_answers(session, taxonomy, tmp_path):
    rng = np.random.default_rng(0)
    for row in range(1, 41):
        right = session.db.value("SELECT code FROM rows WHERE row = ?", (row,))
        wrong = rng.random() < 0.2
        action = {"action": "choose", "code": "Toys"} if wrong else {"action": "accept"}
        decide(session.db, taxonomy, "ann", row, **action)
        assert right
    path = tmp_path / "reviewed.csv"
    session.export(path)
    pack = cascade.fit(
        path, label="review_code", text="name", taxonomy=taxonomy, recipe="quick", progress=False
    )
    assert pack.classify("straw hat").code in taxonomy
    from cascade.evaluation.external_predictions import ExternalPredictions

    source = TableFile(str(path))
    found = ExternalPredictions.match(source, source, taxonomy, PredictionColumns())
    assert found.unknown == 0


def test_a_folder_alone_tells_its_figures(session, taxonomy):
    decide(session.db, taxonomy, "ann", 2, "accept")
    session.close()
    opened = open_folder(session.folder)
    assert opened.figures()["decided"] == 1
    assert len(opened.taxonomy) == len(taxonomy)
    opened.close()


def test_codes_with_facets_stay_whole_until_another_term_is_chosen(opened, tmp_path):
    import toy_catalogue

    foods = cascade.Taxonomy.load(toy_catalogue.packed(tmp_path / "toy.ecf", toy_catalogue.xml()))
    whole = "OATS0#F28.DRIED"
    rows = [{"name": name, "cascade_code": whole} for name in ("flakes", "porridge")]
    session = opened(rows, taxonomy=foods, folder=tmp_path / "s")
    candidate = session.showing.row(1)["candidates"][0]
    assert (candidate["code"], candidate["codes"][-1]) == (whole, "OATS0")
    decide(session.db, foods, "ann", 1, "choose", code=whole)
    decide(session.db, foods, "ann", 2, "choose", code="WHEAT")
    assert session.labels() == {1: whole, 2: "WHEAT"}
    session.export(tmp_path / "reviewed.csv")
    with (tmp_path / "reviewed.csv").open(encoding="utf-8") as file:
        assert [row["review_code"] for row in csv.DictReader(file)] == [whole, "WHEAT"]
    session.close()
    alone = open_folder(tmp_path / "s")
    alone.export(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "reviewed.csv").read_text()
    alone.close()


def test_columns_that_would_sway_reviewers_are_hidden_and_exported(opened, file, tmp_path):
    session = opened()
    session.hide(["sku"])
    shown = session.showing.row(1)
    assert [cell["name"] for cell in shown["cells"]] == ["name"]
    with pytest.raises(UsageError, match="no column 'label' to hide; the rows have: sku, name"):
        session.hide(["label"])
    with pytest.raises(UsageError, match="made of 'name'"):
        session.hide(["name"])
    decide(session.db, session.taxonomy, "ann", 1, "accept")
    session.export(tmp_path / "done.csv")
    assert (tmp_path / "done.csv").read_text("utf-8").startswith("sku,name,")
