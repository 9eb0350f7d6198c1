import csv
import random

import pytest
from toy_catalogue import PROCESSES, packed, xml

import cascade
from cascade.config import Columns
from cascade.errors import ConfigError, InputError, UsageError
from cascade.foodex2.code import FoodCode
from cascade.io.files import read_tensors, write_tensors
from cascade.io.tables.opening import TableFile
from cascade.pipeline.facets.own.codes import LEARNT
from cascade.pipeline.facets.own.rows import read_coded_rows
from cascade.pipeline.load import load
from cascade.pipeline.pack import seal
from cascade.taxonomy import Taxonomy
from cascade.training.foodex2.own.pack import most_descriptors
from cascade.training.foodex2.own.trial import split_rows, try_out

BASES = {"STEW0": ("pot au feu", "stew"), "OATS0": ("oats", "porridge"), "WHEAT": ("wheat",)}
FACETS = {"F28.BAKED": "bkd", "F04.SALT0": "slt", "F03.LIQUD": "liq"}


def rows_of_a_house(n=80):
    rng = random.Random(0)
    rows = []
    for _ in range(n):
        base = rng.choice(list(BASES))
        facets = sorted(rng.sample(list(FACETS), rng.choice([0, 1, 1, 2])))
        if base != "STEW0":
            facets = [facet for facet in facets if facet != "F28.BAKED"]
        said = ", ".join(FACETS[facet] for facet in facets)
        text = f"{rng.choice(BASES[base])} {said} {rng.choice(['', 'alnatura', '250 g'])}"
        rows.append((text.strip(), "#".join(filter(None, [base, "$".join(facets)]))))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    packed(folder / "TOY.ecf", xml())
    (folder / "BR_Data.csv").write_text(PROCESSES, "utf-8")
    with (folder / "coded.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("food", "code"),
                *rows_of_a_house(),
                ("xxxx", "STEW0"),
                ("stew bkd", "STEW0$F28.BAKED"),
                ("soup", "NOSUC"),
                ("Lunch of Tuesday", "STEW0#F04.SALT0"),
                ("pane e latte", "STEW0#F04.SALT0"),
            ]
        )
    return folder


@pytest.fixture(scope="module")
def pack(folder):
    return cascade.fit(
        folder / "coded.csv",
        label="code",
        text="food",
        taxonomy=folder / "TOY.ecf",
        recipe="foodex2",
        out=folder / "pack",
        progress=False,
    )


@pytest.mark.weights
def test_a_pack_codes_in_the_words_of_the_house_which_the_catalogue_does_not_know(folder, pack):
    alone = load(folder / "TOY.ecf")
    for text, code in (
        ("porridge, slt", "OATS0#F04.SALT0"),
        ("pot au feu, bkd", "STEW0#F28.BAKED"),
        ("wheat", "WHEAT"),
    ):
        assert pack.classify(text).code == code
    assert alone.classify("porridge, slt").code != "OATS0#F04.SALT0"
    assert pack.report["rows"]["repaired"] == 1
    assert pack.report["pack"]["whole_code"] > 0.8
    assert pack.report["kept"]["facets"] != "catalogue"
    shares = pack.report["out_of_fold"]["facets"]
    assert shares[pack.report["kept"]["facets"]] > shares["catalogue"]


@pytest.mark.weights
def test_a_pack_of_rows_that_teach_nothing_answers_as_the_catalogue_alone(folder, tmp_path):
    alone = load(folder / "TOY.ecf")
    foods, more = ("stew", "oats", "wheat", "wheat flour"), ("", "salt", "baked", "liquid")
    texts = [f"{food}, {word}".strip(", ") for food in foods for word in more]
    texts += [f"{text} alnatura" for text in texts]
    codes = [alone.classify(text).code for text in texts]
    fitted = cascade.fit(
        {"food": [*texts, "Lunch of Tuesday"], "code": [*codes, "STEW0#F04.SALT0"]},
        label="code",
        text="food",
        taxonomy=folder / "TOY.ecf",
        recipe="foodex2",
        out=tmp_path / "pack",
    )
    assert fitted.report["kept"] == {"base": "catalogue", "facets": "catalogue"}
    shares = fitted.report["out_of_fold"]["facets"]
    assert shares["catalogue"] > 0.95
    assert {"learnt", "both"} < set(shares)
    new = [f"{text} 250 g" for text in texts]
    assert [fitted.classify(text).code for text in new] == [alone.classify(t).code for t in new]
    assert fitted.classify("lunch of tuesday").code == "STEW0#F04.SALT0"
    assert "shows no gain" in (tmp_path / "pack" / "README.md").read_text("utf-8")


@pytest.mark.weights
@pytest.mark.parametrize("kept", [None, {"base": "catalogue", "facets": "both"}])
def test_what_was_kept_is_read_from_the_pack_and_older_packs_keep_all(pack, kept, tmp_path):
    pack.save(tmp_path / "copy")
    about, arrays = read_tensors(tmp_path / "copy" / LEARNT)
    about.pop("kept")
    write_tensors(tmp_path / "copy" / LEARNT, about | ({"kept": kept} if kept else {}), arrays)
    seal(tmp_path / "copy")
    found = load(tmp_path / "copy").classify("stew, slt, finely milled")
    assert found.code.startswith("STEW0#F04.SALT0")


@pytest.mark.weights
def test_what_a_base_term_implies_is_never_written(pack):
    assert pack.classify("wheat flour, finely milled").code.partition("#")[0] == "FLOUR"
    assert "MILL1" not in pack.classify("wheat flour, finely milled").code


@pytest.mark.weights
def test_a_description_that_was_coded_before_gets_its_code_again(pack):
    assert pack.classify("lunch of  TUESDAY").code == "STEW0#F04.SALT0"
    assert pack.classify("lunch of Friday").code != "STEW0#F04.SALT0"
    assert pack.classify("PANE e latte").code == "STEW0#F04.SALT0"  # whose words are glossed


@pytest.mark.weights
def test_codes_are_measured_by_category_and_stage(folder, pack):
    run = cascade.evaluate(pack, folder / "coded.csv", label="code", text="food", progress=False)
    codes = run.metrics.codes
    assert codes["figures"]["whole_code"]["value"] > 0.8
    assert {row["code"] for row in codes["by_category"]} >= {"F03", "F04", "F28"}
    assert codes["stages"]["descriptors"]["figures"]["accuracy_at_1"]["value"] > 0.9
    assert codes["seen"]["unseen"]["rows"] == 0
    assert "Coverage of the catalogue" in run.report()


@pytest.mark.weights
def test_a_trial_measures_base_terms_that_were_not_learnt_beside_the_catalogue(folder, tmp_path):
    source = TableFile(str(folder / "coded.csv"))
    found = try_out(
        source,
        Columns(text=["food"], label="code"),
        folder / "TOY.ecf",
        tmp_path / "trial",
        test=0.4,
        resamples=50,
    )
    whole = found["figures"]["whole code"]
    assert whole["learnt"] > whole["catalogue"]
    assert (tmp_path / "trial" / "learnt" / "report.html").is_file()
    with pytest.raises(cascade.CascadeError, match="not empty"):
        try_out(source, Columns(label="code"), folder / "TOY.ecf", tmp_path / "trial")


@pytest.mark.weights
def test_a_damaged_file_is_refused(folder, pack, tmp_path):
    pack.save(tmp_path / "copy")
    (tmp_path / "copy" / "learnt.safetensors").write_bytes(b"no")
    with pytest.raises(ConfigError, match="learnt"):
        load(tmp_path / "copy")


@pytest.mark.weights
@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": "many"},
        {"bases": {"STEW0": -1}},
        {"names": [1, 2]},
        {"recall": {"ab": "no code"}},
        {"features": []},
        {"categories": ["F04"]},
        {"kept": {"base": "both"}},
        {"kept": ["base"]},
    ],
)
def test_what_was_changed_by_hand_is_refused(pack, wrong, tmp_path):
    pack.save(tmp_path / "copy")
    about, arrays = read_tensors(tmp_path / "copy" / LEARNT)
    write_tensors(tmp_path / "copy" / LEARNT, {**about, **wrong}, arrays)
    seal(tmp_path / "copy")
    with pytest.raises(ConfigError, match="fit it again"):
        load(tmp_path / "copy")


@pytest.mark.weights
def test_another_encoder_than_that_of_the_pack_is_refused(pack):
    with pytest.raises(ConfigError, match="was learnt with another encoder"):
        load(pack.path, retrieval={"encoder": "cascade-minilm-1"})


def test_rows_that_cannot_be_used_are_told_with_their_lines(folder):
    tree = Taxonomy.load(folder / "TOY.ecf")
    rows = read_coded_rows(
        TableFile(str(folder / "coded.csv")), Columns(text=["food"], label="code"), tree
    )
    struck, unknown, mended = rows.warnings()
    assert struck == "left out 1 row: a text that was struck out (line 82)"
    assert unknown == "left out 1 row: no code of the catalogue (line 84): 'NOSUC'"
    assert "'STEW0$F28.BAKED' on line 83: signs between its parts" in mended


def test_no_base_term_is_on_both_sides_of_a_split(folder):
    tree = Taxonomy.load(folder / "TOY.ecf")
    source = TableFile(str(folder / "coded.csv"))
    rows = read_coded_rows(source, Columns(text=["food"], label="code"), tree)
    fitted, held = split_rows(rows, "base-term", 0.4)
    base = {line: code.base for line, code in zip(rows.lines, rows.codes, strict=True)}
    assert len(fitted) + len(held) == len(rows)
    assert not {base[line] for line in fitted} & {base[line] for line in held}
    with pytest.raises(InputError, match="cannot be split"):
        split_rows(rows, "base-term", 0.01)


def test_several_descriptors_of_a_category_are_given_where_that_is_a_habit():
    one, two, three = map(
        FoodCode.parse, ("STEW0#F04.SALT0", "STEW0#F04.SALT0$F04.OATS0$F28.BAKED", "STEW0")
    )
    assert most_descriptors([one] * 200 + [two]) == 1
    assert most_descriptors([one] * 20 + [two]) == 2
    assert most_descriptors([three]) == 1


def test_too_few_rows_another_taxonomy_and_old_codes_are_refused(folder, tmp_path):
    rows = {"food": ["stew", "oats"], "code": ["STEW0", "OATS0"]}
    options = {"label": "code", "text": "food", "recipe": "foodex2", "progress": False}
    with pytest.raises(InputError, match="2 different descriptions"):
        cascade.fit(rows, taxonomy=folder / "TOY.ecf", out=tmp_path / "pack", **options)
    assert not (tmp_path / "pack").exists()
    assert not (tmp_path / "pack.fitting").exists()
    with pytest.raises(UsageError, match=r"MTX\.ecf"):
        cascade.fit(rows, taxonomy="store", **options)
    old = {"food": ["stew"], "code": ["A.01.000942"]}
    with pytest.raises(InputError, match="cascade foodex2 migrate"):
        cascade.fit(old, taxonomy=folder / "TOY.ecf", **options)
