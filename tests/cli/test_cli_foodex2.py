import csv
import json

import pytest
from toy_catalogue import PROCESSES, TERMS, packed, xml


@pytest.fixture
def there(folder):
    packed(folder / "TOY.ecf", xml())
    (folder / "processes.csv").write_text(PROCESSES, "utf-8")
    return ("-t", "TOY.ecf", "--processes", "processes.csv")


def test_codes_are_checked_and_the_status_tells(there, cascade):
    done = cascade("foodex2", "check", "WHEAT", "WHEAT#F28.MILL1", *there)
    assert done.status == 1
    assert "WHEAT: clean" in done.out
    assert "BR19 HIGH: MILL1 (Finely milled) makes another food" in done.out
    done = cascade("foodex2", "check", "WHEAT", *there, "--json")
    assert done.status == 0
    assert json.loads(done.out) == [{"code": "WHEAT", "messages": []}]


def test_a_code_that_cannot_be_read_stops_no_other(there, cascade):
    done = cascade("foodex2", "check", "#", "WHEAT", "WHEAT##", *there)
    assert done.status == 1
    assert "  ERROR: '#' has no base term; expected one" in done.out
    assert "WHEAT: clean" in done.out
    assert "'WHEAT##' is no FoodEx2 code: at character 7" in done.out
    done = cascade("foodex2", "check", "WHEAT", "##", *there, "--json")
    assert [len(own["messages"]) for own in json.loads(done.out)] == [0, 1]


def test_a_file_of_codes_keeps_its_rows(there, folder, cascade):
    codes = ["WHEAT", "WHEAT#F28.MILL1", "", "#", "FLOUR#F27.WHEAT"]
    with open("codes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "code"])
        writer.writerows(enumerate(codes))
    done = cascade("foodex2", "check", "codes.csv", "--text", "code", *there, "-o", "out.csv")
    assert done.status == 1
    assert "1 clean, 1 LOW, 1 HIGH, 2 ERROR" in done.err
    with open("out.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["code"] for row in rows] == codes
    assert [row["foodex2_rules"] for row in rows] == ["", "BR19", "BR29", "", "BR15"]
    assert "expected one, such as A0BXX" in rows[3]["foodex2_messages"]
    done = cascade("foodex2", "check", "codes.csv", "--text", "code", *there, "-o", "out.csv")
    assert done.status == 2
    assert "--overwrite" in done.err


def test_a_code_is_explained_in_words(there, cascade):
    done = cascade("foodex2", "decode", "flour#F28.BAKED$F27.WHEAT", *there[:2])
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "FLOUR#F28.BAKED  Wheat flour",
        "  explicit  F28.BAKED Process: Baked",
        "  explicit  F27.WHEAT Source commodities: Wheat",
        "  implied   F27.WHEAT Source commodities: Wheat",
        "  implied   F28.MILL1 Process: Finely milled",
    ]
    done = cascade("foodex2", "decode", "FLOUR#F28", "NOSUC", "OATS0#F28.SALT0", *there[:2])
    assert done.status == 3
    first, second, third, facet, *_ = done.out.splitlines()
    assert "at character 10 it ends; expected '.'" in first
    assert "TOY.ecf has no term NOSUC" in second
    assert third == "OATS0#F28.SALT0  Oats"
    assert facet == "  explicit  F28.SALT0 Process: Salt (which is none of its descriptors)"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["codes.csv"], "name the column of its codes with --text"),
        (["WHEAT", "--mode", "lax"], "is not one of"),
        (["WHEAT", "-o", "out.csv"], "--out is for a file"),
        (["WHEAT", "OATS0", "--text", "code"], "give that file alone"),
        (["codes.csv", "--text", "nosuch"], "nosuch"),
        (["nofile.CSV"], "nofile.CSV: no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(there, folder, cascade, arguments, problem):
    (folder / "codes.csv").write_text("code\nWHEAT\n")
    done = cascade("foodex2", "check", *arguments, *there)
    assert done.status == 2
    assert problem in done.err


def test_codes_are_brought_to_a_newer_release(there, folder, cascade):
    terms = dict(TERMS)
    terms["BAKE1"] = ("Baked", "f", "C", {"process": ("root", True)}, [])
    del terms["BAKED"]
    packed(folder / "NEW.ecf", xml(terms))
    done = cascade("foodex2", "migrate", "STEW0#F28.BAKED", "-t", "NEW.ecf", "--from", "TOY.ecf")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "STEW0#F28.BAKED -> STEW0#F28.BAKE1  (changed)",
        "  BAKED (Baked) is now BAKE1 (Baked), the one term of this name",
    ]
    (folder / "codes.csv").write_text("code\nSTEW0#F28.BAKED\nnone\nWHEAT\n")
    done = cascade(
        *("foodex2", "migrate", "codes.csv", "--text", "code", "-t", "NEW.ecf"),
        *("--from", "TOY.ecf", "-o", "new.csv"),
    )
    assert done.status == 3
    assert "1 same, 1 changed, 0 review, 1 error" in done.err
    with open("new.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["foodex2_code"] for row in rows] == ["STEW0#F28.BAKE1", "", "WHEAT"]
    assert [row["code"] for row in rows] == ["STEW0#F28.BAKED", "none", "WHEAT"]
    assert "is no FoodEx2 code" in rows[1]["foodex2_notes"]
    done = cascade("foodex2", "migrate", "WHEAT", "-t", "NEW.ecf", "--json")
    assert json.loads(done.out)[0]["outcome"] == "same"
    done = cascade("taxonomy", "diff", "TOY.ecf", "NEW.ecf", "-o", "changes.csv")
    assert done.status == 0, done.err
    assert "1 removed" in done.out
    assert "use BAKE1" in done.out
    with open("changes.csv") as file:
        assert {row["kind"] for row in csv.DictReader(file)} == {"added", "removed"}


def test_the_catalogue_is_looked_for_where_it_may_lie(folder, cascade, monkeypatch):
    monkeypatch.delenv("CASCADE_FOODEX2", raising=False)
    done = cascade("foodex2", "decode", "WHEAT")
    assert done.status == 2
    assert "there is no MTX.ecf" in done.err
    assert "CASCADE_FOODEX2" in done.err
    packed(folder / "MTX.ecf", xml())
    assert cascade("foodex2", "decode", "WHEAT").status == 0
    done = cascade("foodex2", "check", "WHEAT")
    assert done.status == 2
    assert "BR_Data.csv beside the catalogue" in done.err.replace("\n", " ")
    (folder / "BR_Data.csv").write_text(PROCESSES, "utf-8")
    assert cascade("foodex2", "check", "WHEAT").status == 0
    done = cascade("foodex2", "check", "WHEAT#F28-MILL1", "")
    assert "there is no descriptor in 'F28-MILL1'" in done.out
    assert "there is no base term" in done.out
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert cascade("foodex2", "decode", "WHEAT").status == 2
    monkeypatch.setenv("CASCADE_FOODEX2", str(folder))
    assert cascade("foodex2", "check", "WHEAT").status == 0
    done = cascade("foodex2", "migrate", "WHEAT", "--from", "MTX.ecf")
    assert done.status == 0, done.err


@pytest.mark.weights
def test_descriptions_are_encoded_with_an_account(there, folder, cascade):
    (folder / "BR_Data.csv").write_text(PROCESSES, "utf-8")
    text = "stew, baked, with salt"
    texts = (text, "", "stew " * 100, "xylophone lessons")
    done = cascade("foodex2", "encode", *texts, "-t", "TOY.ecf")
    assert done.status == 3
    first, empty, long, foreign = done.out.splitlines()
    assert first.startswith("STEW0#F04.SALT0$F28.BAKED  Stew [Salt, Baked]")
    assert "the text is empty" in empty
    assert long.startswith("STEW0")
    assert "the text names no food of the catalogue" in foreign
    done = cascade("foodex2", "encode", "wheat flour with salt", "-t", "TOY.ecf", "--explain")
    assert done.status == 0, done.err
    for part in ("base term", "Wheat flour", "says", "F04.SALT0", "implied", "F28.MILL1"):
        assert part in done.out
    done = cascade("foodex2", "encode", text, "-t", "TOY.ecf", "--json")
    assert json.loads(done.out)["facets"][0]["code"] == "SALT0"
    with open("foods.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "food"], [1, text], [2, ""], [3, "oats"]])
    for verb in (("foodex2", "encode"), ("classify",)):
        done = cascade(*verb, "foods.csv", "--text", "food", "-t", "TOY.ecf", "-o", "out.csv")
        assert done.status == 3
        with open("out.csv") as file:
            rows = list(csv.DictReader(file))
        codes = [row["cascade_code"] for row in rows]
        assert codes == ["STEW0#F04.SALT0$F28.BAKED", "", "OATS0"]
        assert rows[1]["cascade_status"] == "error"
        (folder / "out.csv").unlink()


@pytest.mark.weights
def test_base_terms_are_measured_by_labels_that_are_whole_codes(there, folder, cascade):
    rows = [["food", "label"], ["stew, baked", "STEW0#F28.BAKED"], ["oats", "OATS0"]]
    with open("foods.csv", "w", newline="") as file:
        csv.writer(file).writerows([*rows, ["red wheat", "WHEAT"]])
    done = cascade(
        *("eval", "foods.csv", "-t", "TOY.ecf", "--text", "food", "--label", "label"),
        *("-o", "run", "--json"),
    )
    assert done.status == 0, done.err
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["figures"]["exact_match"]["value"] == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["foods.csv"], "name the column of its descriptions with --text"),
        (["oats", "-o", "out.csv"], "--out is for a file"),
        (["oats", "--method", "nli"], "does not find base terms"),
        (["oats", "-t", "cut.ecf"], "is no whole zip"),
        (["oats", "-t", "nosuch.ecf"], "cannot be read"),
        (["oats", "-t", "store"], "has no facets"),
        (["foods.csv", "--text", "nosuch"], "nosuch"),
    ],
)
@pytest.mark.weights
def test_what_cannot_be_encoded_is_refused(there, folder, cascade, arguments, problem):
    (folder / "foods.csv").write_text("food\noats\n")
    (folder / "cut.ecf").write_bytes((folder / "TOY.ecf").read_bytes()[:400])
    done = cascade("foodex2", "encode", "-t", "TOY.ecf", *arguments)
    assert done.status == 2
    assert problem in done.err


def test_rows_are_made_of_a_catalogue(there, folder, cascade):
    done = cascade("foodex2", "rows", *there, "-o", "rows")
    assert done.status == 0, done.err
    assert "cascade finetune rows/retriever.yaml" in done.err
    assert (folder / "rows" / "train.csv").is_file()
    done = cascade("foodex2", "rows", *there, "-o", "rows")
    assert done.status == 2
    assert "--overwrite" in done.err


def test_a_file_of_codes_is_explained(there, folder, cascade):
    (folder / "codes.csv").write_text("code\nFLOUR#F27.WHEAT\nNOSUC\n")
    done = cascade(
        *("foodex2", "decode", "codes.csv", "--text", "code", *there[:2], "-o", "out.csv")
    )
    assert done.status == 3
    assert "1 explained, 1 error" in done.err
    with open("out.csv") as file:
        first, second = csv.DictReader(file)
    assert first["foodex2_code"] == "FLOUR"
    assert first["foodex2_base"] == "Wheat flour"
    assert first["foodex2_explicit"] == "F27.WHEAT Source commodities: Wheat"
    assert first["foodex2_implied"].count(";") == 1
    assert "has no term NOSUC" in second["foodex2_message"]


def test_a_catalogue_is_counted_by_hierarchy(there, cascade):
    done = cascade("taxonomy", "validate", "TOY.ecf")
    assert done.status == 0, done.err
    assert "TOY 1.0: 25 terms, 2 deprecated, 5 facet categories" in done.out.replace("\n", " ")
    assert "process" in done.out
    done = cascade("taxonomy", "validate", "TOY.ecf", "--json")
    counted = {own["code"]: own["terms"] for own in json.loads(done.out)["hierarchies"]}
    assert counted["racsource"] == 3
    done = cascade("taxonomy", "show", "TOY.ecf")
    assert "Grains" in done.out


def in_quarters(codes, seed=0):
    """Base terms of a small catalogue, so that each split has some."""
    n = len(codes) // 4
    return {"test": codes[:n], "validation": codes[n : 2 * n], "train": codes[2 * n :]}


@pytest.mark.weights
def test_a_pack_is_fitted_and_used_and_guarded(there, folder, cascade, monkeypatch):
    from cascade.training.foodex2 import pack

    monkeypatch.setattr(pack, "HELD_OUT", 60)
    monkeypatch.setattr(pack, "split_bases", in_quarters)
    made = ("foodex2", "fit", *there, "-o", "pack", "--rows", "1000")
    done = cascade(*made, "--json")
    assert done.status == 0, done.err
    assert set(json.loads(done.out)) == {"pairs", "classifier"}
    assert "no description of anybody" in (folder / "pack" / "README.md").read_text()
    done = cascade(*made)
    assert done.status == 2
    assert "--overwrite" in done.err
    (folder / "TOY.ecf").unlink()  # the pack has its own
    for method in ("pairs", "classifier"):
        done = cascade(
            *("foodex2", "encode", "stew, baked", "-c", "pack"),
            *("--set", f"facets.categories.method={method}"),
        )
        assert done.status == 0, done.err
        assert done.out.startswith("STEW0#F28.BAKED")
    with (folder / "pack" / "network.safetensors").open("ab") as file:
        file.write(b"x")
    done = cascade("foodex2", "encode", "stew", "-c", "pack")
    assert done.status == 2
    assert "network.safetensors" in done.err


def test_facets_of_predicted_codes_are_measured_without_those_that_are_implied(folder, cascade):
    packed(folder / "TOY.ecf", xml())
    labelled = "id,code\n1,WHEAT#F28.BAKED\n2,FLOUR#F28.MILL1$F28.BAKED\n3,STEW0\n4,WHEAT\n"
    (folder / "foods.csv").write_text(labelled)
    predicted = "id,predicted\n1,WHEAT#F28.BAKED\n2,FLOUR\n3,STEW0#F28.BAKED\n4,OATS0\n"
    (folder / "theirs.csv").write_text(predicted)
    done = cascade(
        *("eval", "foods.csv", "-t", "TOY.ecf", "--id", "id", "--label", "code"),
        *("--predictions", "theirs.csv", "--resamples", 20, "-o", "run", "--json"),
    )
    assert done.status == 0, done.err
    found = {name: figure["value"] for name, figure in json.loads(done.out)["figures"].items()}
    assert found["exact_match"] == 0.75
    assert found["exact_match_with_facets"] == 0.25
    assert (found["facet_precision_micro"], found["facet_recall_micro"]) == (0.5, 0.5)


def test_codes_come_a_line_each_from_standard_input(there, cascade):
    done = cascade("foodex2", "check", "-", *there, stdin=b"WHEAT\n\n wheat#f28.mill1 \r\n")
    assert done.status == 1
    assert "WHEAT: clean" in done.out
    assert "BR19 HIGH" in done.out
    assert done.out.count("\nWHEAT") + done.out.count("wheat#") == 1
    done = cascade("foodex2", "decode", "-", *there[:2], stdin=b"")
    assert done.status == 2
    assert "standard input: is empty; expected codes" in done.err
    done = cascade("foodex2", "decode", "-", "--text", "code", *there[:2], stdin=b"code\nOATS0\n")
    assert done.status == 0, done.err
    assert "OATS0,OATS0,Oats" in done.out


@pytest.mark.parametrize("command", ["check", "decode", "migrate", "encode"])
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nofile.jsonl"], "nofile.jsonl: no such file"),
        (["WHEAT", "nofile.txt"], "nofile.txt: no such file"),
        (["./WHEAT"], "./WHEAT: no such file"),
        (["rows.csv", "WHEAT"], "rows.csv is a file"),
        (["../"], "../ is a folder"),
        (["WHEAT", "-"], "- is standard input"),
        (["WHEAT", "--resume"], "--resume is for a file"),
        (["WHEAT", "--sheet", "one"], "--sheet is for a file"),
        (["WHEAT", "--encoding", "cp1252"], "--encoding is for a file"),
    ],
)
def test_names_of_files_are_no_codes_and_no_foods(there, folder, cascade, command, words, problem):
    (folder / "rows.csv").write_text("code\nWHEAT\n")
    done = cascade("foodex2", command, *words, "-t", "TOY.ecf")
    assert done.status == 2
    assert problem in done.err


@pytest.mark.parametrize("taxonomy", ["OLD.ecf", "codes.csv", "nosuch.ecf"])
@pytest.mark.parametrize("command", ["check", "decode", "migrate", "rows", "fit", "encode", "file"])
def test_other_taxonomies_are_refused(there, folder, cascade, command, taxonomy):
    without = xml({"OATS0": ("Oats", "r", "C", {"report": ("root", True)}, [])})
    start, end = without.index("<catalogueAttributes>"), without.index("</catalogueAttributes>")
    packed(folder / "OLD.ecf", without[:start] + "<catalogueAttributes>" + without[end:])
    (folder / "codes.csv").write_text("code\nWHEAT\n")
    last = {
        "rows": ["-o", "made"],
        "fit": ["-o", "made"],
        "file": ["codes.csv", "--text", "code", "-o", "made.csv"],
    }
    verb = "encode" if command == "file" else command
    done = cascade("foodex2", verb, *last.get(command, ["WHEAT"]), "-t", taxonomy)
    assert done.status == 2
    assert not list(folder.glob("made*"))
    said = {
        "OLD.ecf": "has no facet categories",
        "codes.csv": "has no facets" if verb == "encode" else "is no catalogue of EFSA",
        "nosuch.ecf": "cannot be read",
    }
    assert said[taxonomy] in done.err


def test_an_interrupted_check_is_resumed(there, folder, cascade, monkeypatch):
    from cascade.foodex2 import annotate

    monkeypatch.setattr(annotate, "CHUNK", 2)
    codes = ["WHEAT", "OATS0", "WHEAT#F28.MILL1", "NOSUC", "FLOUR"]
    (folder / "codes.csv").write_text("\n".join(["code", *codes, ""]))
    run = ("foodex2", "check", "codes.csv", "--text", "code", *there, "-o", "out.csv")
    assert cascade(*run).status == 1
    whole = (folder / "out.csv").read_bytes()
    (folder / "out.csv").unlink()
    check_annotator, left = annotate.check_annotator, [3]

    def stopping(checker, mode):
        annotator = check_annotator(checker, mode)

        def annotate(code, problem):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return annotator.annotate(code, problem)

        return annotator._replace(annotate=annotate)

    monkeypatch.setattr(annotate, "check_annotator", stopping)
    assert cascade(*run).status == 130
    left[0] = 100
    done = cascade(*run)
    assert done.status == 2
    assert "go on with --resume" in done.err
    done = cascade(*run, "--resume", "--mode", "ict")
    assert done.status == 2
    assert "other settings: check" in done.err
    done = cascade(*run, "--resume")
    assert done.status == 1
    assert left[0] == 97
    assert "3 clean, 0 LOW, 1 HIGH, 1 ERROR" in done.err
    assert (folder / "out.csv").read_bytes() == whole
    done = cascade(*run, "--resume")
    assert done.status == 0
    assert "nothing to resume" in done.err


def test_the_older_tool_is_followed_and_explained(there, cascade):
    done = cascade("foodex2", "check", " WHEAT", *there, "--mode", "ict")
    assert done.status == 1
    assert "EFSA's tool reads WHEAT only without what is around it" in done.out
    assert cascade("foodex2", "check", " WHEAT", *there).status == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fit", "coded.csv", "--text", "food", "-o", "made"], "with --code"),
        (["fit", "--text", "food", "-o", "made"], "name the file"),
        (["fit", "coded.csv", "--code", "nosuch", "-o", "made"], "nosuch"),
        (["fit", "nosuch.csv", "--code", "code", "-o", "made"], "nosuch.csv"),
        (["fit", "coded.csv", "--text", "food", "--code", "code", "-o", "made"], "are too few"),
        (["eval", "coded.csv", "--text", "food", "-o", "made"], "with --code"),
        (["eval", "coded.csv", "--code", "code", "--split-by", "row", "-c", "x"], "leave out"),
        (["eval", "coded.csv", "--code", "code", "--split-by", "codes"], "is not one of"),
        (
            ["eval", "coded.csv", "--text", "food", "--code", "code", "--split-by", "row",
             "--test", "1.5", "-o", "made"],
            "expected a share",
        ),
    ],
)  # fmt: skip
def test_coded_descriptions_that_cannot_be_meant_are_refused(
    there, folder, cascade, arguments, problem
):
    (folder / "coded.csv").write_text("food,code\nstew,STEW0\noats,OATS0\n")
    (folder / "BR_Data.csv").write_text(PROCESSES, "utf-8")
    done = cascade("foodex2", *arguments, "-t", "TOY.ecf")
    assert done.status == 2
    assert problem in done.err.replace("\n", " ")
    assert not (folder / "made" / "pack.json").exists()


def test_coded_descriptions_of_another_taxonomy_are_refused(there, folder, cascade):
    (folder / "coded.csv").write_text("food,code\nstew,STEW0\n")
    named = ("coded.csv", "--text", "food", "--code", "code", "-t", "coded.csv", "-o", "made")
    for command in (("fit",), ("eval",), ("eval", "--split-by", "row")):
        done = cascade("foodex2", *command, *named)
        assert done.status == 2
        assert "is no catalogue of EFSA" in done.err
    assert not (folder / "made").exists()
