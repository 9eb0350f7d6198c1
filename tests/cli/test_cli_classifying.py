import csv
import io
import json
from collections import Counter
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.io import open_table
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = ("csv", "tsv", "jsonl", "parquet", "xlsx")
ANSWER = [
    f"cascade_{name}" for name in ("code", "path", "confidence", "source", "status", "message")
]
ROWS = [
    {"id": "a", "name": "straw panama hat", "price": 34.5},
    {"id": "b", "name": 'boots, "brown"\tleather', "price": 99.9},
    {"id": "c", "name": "crème fraîche et lait", "price": 1.15},
]


def written(path, kind):
    """ROWS in a file of a kind, by another library than ours."""
    if kind in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, ROWS[0], delimiter="," if kind == "csv" else "\t")
            out.writeheader()
            out.writerows(ROWS)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        book = openpyxl.Workbook()
        for row in ([*ROWS[0]], *([*row.values()] for row in ROWS)):
            book.active.append(row)
        book.save(path)
    return path


def read(path, kind=None):
    """Rows of an output as dicts, by another library than ours; `cascade` flattened."""
    kind = kind or path.suffix[1:]
    if kind in ("csv", "tsv"):
        text = path.read_text("utf-8") if isinstance(path, Path) else path
        return list(csv.DictReader(io.StringIO(text), delimiter="," if kind == "csv" else "\t"))
    if kind == "jsonl":
        text = path.read_text("utf-8") if isinstance(path, Path) else path
        return [flat(json.loads(line)) for line in text.splitlines()]
    if kind == "parquet":
        return pq.read_table(path).to_pylist()
    head, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rows]


def flat(row):
    answer = row.pop("cascade")
    return row | {f"cascade_{key}": value for key, value in answer.items()}


def plain(value):
    return "" if value is None else str(value)


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", [*KINDS, "-"])
def test_any_kind_goes_in_and_any_comes_out_with_the_answer_beside_it(
    source, target, folder, retrieve
):
    file = written(folder / f"in.{source}", "jsonl" if source == "-" else source)
    stdin = file.read_bytes() if source == "-" else b""
    given = "-" if source == "-" else file.name
    done = retrieve(given, "--text", "name", "-o", f"out.{target}", stdin=stdin)
    assert done.status == 0, done.err
    rows = read(folder / f"out.{target}")
    assert list(rows[0]) == [*ROWS[0], *ANSWER]
    before = [[str(value) for value in row.values()] for row in ROWS]
    assert [[plain(row[name]) for name in ROWS[0]] for row in rows] == before
    assert [row["cascade_code"] for row in rows] == ["CLO-HAT", "CLO-SHO", "FOO-MIL"]
    assert {row["cascade_status"] for row in rows} == {"ok"}
    assert {row["cascade_source"] for row in rows} == {"retrieval"}
    assert all(0 < float(row["cascade_confidence"]) <= 1 for row in rows)
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        {"items.csv", "tax.csv", file.name, f"out.{target}"}
    )


def test_without_out_rows_of_the_same_kind_go_to_standard_output(folder, retrieve):
    for kind in ("csv", "tsv", "jsonl"):
        file = written(folder / f"in.{kind}", kind)
        done = retrieve(file.name, "--text", "name")
        assert [row["id"] for row in read(done.out, kind)] == ["a", "b", "c"]


def test_json_writes_rows_as_json_lines(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["cascade"]["code"] for row in rows][:1] == ["CLO-HAT"]
    assert [*rows[0]] == ["id", "name", "price", "label", "cascade"]
    assert "rows" in done.err


def test_json_with_an_output_prints_the_counts(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--json", "-o", "out.csv")
    counts = json.loads(done.out)
    assert counts["rows"] == counts["status"]["ok"] == sum(counts["confidence"]) == 5
    assert counts["out"] == ["out.csv"]


def test_every_code_is_in_the_taxonomy_and_stands_beside_its_path(folder, retrieve):
    tree = Taxonomy.load(folder / "tax.csv")
    retrieve(EXAMPLES / "products.csv", "--limit", 60, "--text", "name", "-o", "out.csv")
    rows = read(folder / "out.csv")
    assert len(rows) == 60
    for row in rows:
        assert tree.node(row["cascade_code"]).path == row["cascade_path"]


@pytest.mark.parametrize("limit", [0, 1, 3, 99])
def test_limit_keeps_the_first_rows(limit, folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--limit", limit, "-o", "out.csv")
    assert done.status == 0, done.err
    assert [row["id"] for row in read(folder / "out.csv")] == ["1", "2", "3", "4", "5"][:limit]


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_top_adds_columns_of_other_nodes_best_first(folder, retrieve, suffix):
    retrieve("items.csv", "--text", "name", "--top", 2, "-o", f"out.{suffix}")
    tree = Taxonomy.load(folder / "tax.csv")
    with open_table(folder / f"out.{suffix}") as table:
        others = [f"cascade_{key}_{n}" for n in (2, 3) for key in ("code", "path", "confidence")]
        assert list(table.columns)[-6:] == others
        for row in table:
            codes, paths, sure = (
                [table.text(row, f"cascade_{key}{n}") for n in ("", "_2", "_3")]
                for key in ("code", "path", "confidence")
            )
            assert [tree.node(code).path for code in codes if code] == [p for p in paths if p]
            assert len({*codes}) == 3
            numbers = [float(number) for number in sure if number]
            assert numbers == sorted(numbers, reverse=True)


def test_nested_writes_other_nodes_as_json(folder, retrieve):
    retrieve("items.csv", "--text", "name", "--top", 2, "--nested", "-o", "out.csv")
    retrieve("items.csv", "--text", "name", "--top", 2, "-o", "flat.csv")
    retrieve("items.csv", "--text", "name", "--top", 2, "-o", "out.jsonl")
    lines = (folder / "out.jsonl").read_text("utf-8").splitlines()
    columns = zip(read(folder / "out.csv"), read(folder / "flat.csv"), lines, strict=True)
    for row, flat, line in columns:
        others = json.loads(line)["cascade"]["alternatives"]
        assert json.loads(row["cascade_alternatives"]) == others
        assert not any(name.startswith("cascade_code_") for name in row)
        for n, other in enumerate(others, 2):
            assert flat[f"cascade_code_{n}"] == other["code"]
            assert float(flat[f"cascade_confidence_{n}"]) == other["confidence"]


def test_explain_adds_the_walk_to_the_answer(folder, retrieve):
    retrieve("items.csv", "--text", "name", "--explain", "-o", "out.jsonl")
    for row in read(folder / "out.jsonl"):
        trace = row["cascade_trace"]
        assert " > ".join(level["name"] for level in trace) == row["cascade_path"]
        assert trace[-1]["code"] == row["cascade_code"]
        sure = [level["confidence"] for level in trace]
        assert sure == sorted(sure, reverse=True)
        for level in trace:
            assert level["code"] in {c["code"] for c in level["candidates"]}
            assert sum(c["given_parent"] for c in level["candidates"]) == pytest.approx(1, abs=1e-4)


def test_label_counts_what_is_right_down_to_each_level(folder, retrieve):
    source = EXAMPLES / "products.csv"
    labels = [row["label"] for row in read(source)][:40]
    (folder / "paths.txt").write_text("\n".join(labels), encoding="utf-8")
    done = retrieve(
        *(source, "-t", "paths.txt", "--text", "name", "--label", "label"),
        *("--limit", 40, "-o", "out.csv", "--json"),
    )
    labelled, right = Counter(), Counter()
    for row in read(folder / "out.csv"):
        found, gold = (row[name].split(" > ") for name in ("cascade_path", "label"))
        for level in range(1, len(gold) + 1):
            labelled[str(level)] += 1
            right[str(level)] += found[:level] == gold[:level]
    counts = json.loads(done.out)
    assert (counts["labelled"], Counter(counts["right"])) == (dict(labelled), right)
    rows = read(folder / "out.csv")
    assert counts["exact"] == sum(row["cascade_path"] == row["label"] for row in rows)
    assert 0 < counts["right"]["1"] < 40


def test_the_summary_tells_what_is_right(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--label", "label", "-o", "out.csv")
    assert "right to level 2" in done.err
    assert "exactly right" in done.err
    assert "of 5 (" in done.err
    assert "label unknown" not in done.err
    text = (folder / "items.csv").read_text("utf-8").replace("> Hats", "> Caps")
    (folder / "items.csv").write_text(text, encoding="utf-8")
    done = retrieve("items.csv", "--text", "name", "--label", "label", "-o", "two.csv")
    assert "label unknown 1 no label of the taxonomy" in " ".join(done.err.split())


def test_the_summary_names_the_option_for_cells_with_several_labels(folder, retrieve):
    text = (folder / "items.csv").read_text("utf-8").replace("Clothing > Hats", "CLO-HAT|GAR")
    (folder / "items.csv").write_text(text, encoding="utf-8")
    told = "several labels 1 have several labels in one cell; read them with --label-separator '|'"
    args = ("items.csv", "--text", "name", "--label", "label")
    done = retrieve(*args, "-o", "out.csv")
    assert told in " ".join(done.err.split())
    done = retrieve(*args, "--label-separator", "|", "-o", "two.csv")
    assert "several labels" not in done.err
    assert "label unknown" not in done.err


def test_a_text_column_that_is_named_twice_is_read_once(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--text", "name", "-o", "out.csv")
    assert done.status == 0, done.err
    retrieve("items.csv", "--text", "name", "-o", "two.csv")
    assert (folder / "out.csv").read_bytes() == (folder / "two.csv").read_bytes()


def test_labels_that_are_no_nodes_are_told(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--label", "price", "-o", "out.csv")
    assert done.status == 0
    assert "no price is in the taxonomy (first: line 2, " in " ".join(done.err.split())
    text = (folder / "items.csv").read_text("utf-8")
    lines = [line.rsplit(",", 1)[0] + "," for line in text.splitlines()]
    (folder / "none.csv").write_text("\n".join([text.splitlines()[0], *lines[1:], ""]), "utf-8")
    done = retrieve("none.csv", "--text", "name", "--label", "label", "-o", "none-out.csv")
    assert "no row has a label" in " ".join(done.err.split())


def test_table_prints_text_path_and_confidence(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--table", "--limit", 1)
    head, row = done.out.splitlines()
    assert head.split() == ["name", "code", "path", "confidence"]
    assert row.startswith("straw panama hat")
    assert "Clothing > Hats" in row
    assert row.rstrip().endswith("%")


def test_a_column_whose_name_looks_like_markup_heads_the_table_as_it_is(folder, retrieve):
    (folder / "weights.csv").write_text("id,name [/kg]\n1,straw hat\n", "utf-8")
    done = retrieve("weights.csv", "--text", "name [/kg]", "--table")
    assert done.status == 0
    assert done.out.startswith("name [/kg] ")


def test_several_files_go_to_a_folder_under_their_names(folder, retrieve):
    written(folder / "more.jsonl", "jsonl")
    (folder / "done").mkdir()
    done = retrieve("items.csv", "more.jsonl", "--text", "name", "-o", "done", "--json")
    assert done.status == 0, done.err
    assert len(read(folder / "done" / "items.csv")) == 5
    assert len(read(folder / "done" / "more.jsonl")) == 3
    assert json.loads(done.out)["rows"] == 8


def test_text_columns_are_guessed_with_a_notice(folder, retrieve):
    done = retrieve("items.csv", "--limit", 1)
    assert "text columns: name (choose others with --text)" in done.err
    assert "text columns" not in retrieve("items.csv", "--limit", 1, "--text", "name").err


def test_several_text_columns_are_read_together(folder, retrieve):
    (folder / "two.csv").write_text("brand,what\nAcme,\n,rake\nAcme,cheddar cheese\n")
    done = retrieve("two.csv", "--text", "what", "--text", "brand")
    found = [row["cascade_code"] for row in read(done.out, "csv")]
    assert found[1:] == ["GAR-RAK", "FOO-CHE"]


def test_id_names_a_column_that_must_be_there(folder, retrieve):
    assert retrieve("items.csv", "--text", "name", "--id", "id").status == 0
    done = retrieve("items.csv", "--text", "name", "--id", "ids")
    assert (done.status, done.out) == (2, "")
    assert "did you mean 'id'?" in done.err


def test_set_changes_a_field_of_the_config(folder, retrieve):
    done = retrieve("items.csv", "--text", "name", "--set", "descent.stop=1", "-o", "out.csv")
    assert done.status == 0, done.err
    rows = read(folder / "out.csv")
    assert {row["cascade_status"] for row in rows} == {"partial"}
    assert all(row["cascade_message"] for row in rows)


def test_a_config_names_taxonomy_columns_and_method_relative_to_itself(folder, cascade, loaded):
    (folder / "pack").mkdir()
    (folder / "tax.csv").rename(folder / "pack" / "tree.csv")
    settings = "taxonomy: tree.csv\nmethod: retrieval\ncolumns: {text: [name], label: label}\n"
    (folder / "pack" / "cascade.yaml").write_text(settings)
    for config in ("pack", "pack/cascade.yaml"):
        done = cascade("classify", "items.csv", "-c", config)
        assert done.status == 0, done.err
        assert read(done.out, "csv")[0]["cascade_code"] == "CLO-HAT"
        assert "right to level 1" in done.err


def test_options_outweigh_the_config(folder, cascade, loaded):
    (folder / "my.yaml").write_text("taxonomy: none.csv\nmethod: llm\n")
    args = ("-c", "my.yaml", "-t", "tax.csv", "--method", "retrieval", "--text", "name")
    done = cascade("classify", "items.csv", *args)
    assert done.status == 0, done.err
    assert {row["cascade_source"] for row in read(done.out, "csv")} == {"retrieval"}


def test_overwrite_replaces_an_output(folder, retrieve):
    (folder / "out.csv").write_text("of before")
    assert retrieve("items.csv", "--text", "name", "-o", "out.csv", "--overwrite").status == 0
    assert len(read(folder / "out.csv")) == 5


def test_a_language_model_answers_in_a_process_of_its_own(folder, command):
    done = command(
        *("classify", "items.csv", "-t", "tax.csv", "--text", "name", "--method", "cascade"),
        *("--limit", 3, "-o", "out.csv", "--json"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["status"] == {"ok": 3}
    assert "llm" in next(iter(counts["source"]))
    codes = [row["cascade_code"] for row in read(folder / "out.csv")]
    assert set(codes) <= set(Taxonomy.load(folder / "tax.csv").codes)
    assert codes[0] == "CLO-HAT"


@pytest.mark.weights
def test_rows_that_are_not_in_english_are_told(folder, retrieve):
    rows = ["botas de cuero marrón para hombre", "rastrillo de acero para el jardín"]
    lines = ["name", *(f'"{row} {at}"' for row in rows for at in range(12))]
    (folder / "es.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = retrieve("es.csv", "--text", "name", "-o", "out.csv")
    assert "24 of 24 rows are not in English (Spanish 24)" in done.err
    assert "multilingual" in done.err
    done = retrieve("es.csv", "--text", "name", "-o", "out.csv", "--overwrite", "--json")
    assert json.loads(done.out)["languages"] == {"rows looked at": 24, "es": 24}
    assert "not in English" not in retrieve("items.csv", "--text", "name", "-o", "few.csv").err
