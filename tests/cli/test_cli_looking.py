"""`taxonomy`, `prompts` and `doctor`: looking at what is there."""

import json

import pytest

from cascade.cli.options import resolve
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.usefixtures("folder")


def test_show_draws_the_tree_to_a_depth(cascade):
    done = cascade("taxonomy", "show", "tax.csv")
    assert done.status == 0
    assert "Clothing CLO (2 below)" in done.out
    assert "Hats CLO-HAT" in done.out
    assert "9 nodes, 2 levels, 6 leaves" in done.out
    assert "Hats" not in cascade("taxonomy", "show", "tax.csv", "--depth", 1).out


@pytest.mark.parametrize("node", ["GAR", "Garden"])
def test_show_starts_at_a_node(node, cascade):
    out = cascade("taxonomy", "show", "tax.csv", node).out
    assert "Rakes GAR-RAK" in out
    assert "Hats" not in out


def test_show_json_holds_the_nodes_in_order(cascade):
    nodes = json.loads(cascade("taxonomy", "show", "tax.csv", "CLO", "--json").out)
    assert [node["code"] for node in nodes] == ["CLO", "CLO-HAT", "CLO-SHO"]
    assert nodes[1]["path"] == "Clothing > Hats"
    top = json.loads(cascade("taxonomy", "show", "store", "--json", "--depth", 1).out)
    assert {node["level"] for node in top} == {1}


def test_show_of_no_such_node_names_a_close_one(cascade):
    done = cascade("taxonomy", "show", "tax.csv", "CLO-HAD")
    assert (done.status, done.out) == (2, "")
    assert "CLO-HAT" in done.err


def test_search_finds_names_and_synonyms(cascade):
    done = cascade("taxonomy", "search", "store", "hoody")
    assert done.status == 0
    assert "CLO-TOP-SWE" in done.out
    found = json.loads(cascade("taxonomy", "search", "tax.csv", "rakes", "--json").out)
    assert [node["code"] for node in found] == ["GAR-RAK"]


def test_search_shows_no_more_than_asked(cascade):
    out = cascade("taxonomy", "search", "store", "shoes", "--json", "--limit", 2).out
    assert len(json.loads(out)) == 2


def test_a_search_that_finds_nothing_says_so(cascade):
    done = cascade("taxonomy", "search", "tax.csv", "xylophone")
    assert (done.status, done.out) == (3, "")
    assert "xylophone" in done.err
    as_json = cascade("taxonomy", "search", "tax.csv", "xylophone", "--json")
    assert json.loads(as_json.out) == []
    assert as_json.status == 3


def test_validate_counts_nodes_by_level(cascade):
    done = cascade("taxonomy", "validate", "tax.csv")
    assert done.status == 0
    assert "valid: 9 nodes, 3 of them inner" in done.out
    counts = json.loads(cascade("taxonomy", "validate", "tax.csv", "--json").out)
    assert counts["nodes"] == 9
    assert [(level["nodes"], level["leaves"]) for level in counts["levels"]] == [(3, 0), (6, 6)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("code,name,parent\na,A,b\nb,B,a\n", ["line 2"]),
        ("code,name,parent\na,A,\na,B,\n", ["line 3", "'a'"]),
        ("code,name,parent\na,A,z\n", ["line 2", "'z'"]),
        ("", ["empty"]),
    ],
    ids=["cycle", "duplicate", "orphan", "empty"],
)
def test_validate_refuses_what_is_no_tree_and_says_where(content, words, folder, cascade):
    (folder / "bad.csv").write_text(content)
    done = cascade("taxonomy", "validate", "bad.csv")
    assert (done.status, done.out) == (2, "")
    for word in ["bad.csv", *words]:
        assert word in done.err


@pytest.mark.parametrize("ending", ["csv", "yaml"])
def test_convert_keeps_the_tree(ending, folder, cascade):
    target = folder / f"new.{ending}"
    assert cascade("taxonomy", "convert", "store", target.name).status == 0
    before = Taxonomy.load(folder / "tax.csv")
    old = cascade("taxonomy", "show", "store", "--json", "--depth", 9).out
    new = cascade("taxonomy", "show", target.name, "--json", "--depth", 9).out
    assert json.loads(old) == json.loads(new)
    assert cascade("taxonomy", "convert", "tax.csv", target.name, "--overwrite").status == 0
    assert Taxonomy.load(target).codes == before.codes


def test_convert_refuses_to_replace_and_unknown_endings(folder, cascade):
    before = (folder / "items.csv").read_bytes()
    for target, word in [("items.csv", "--overwrite"), ("new.xml", ".yaml"), ("no/new.csv", "no")]:
        done = cascade("taxonomy", "convert", "tax.csv", target)
        assert done.status == 2
        assert word in done.err
    assert (folder / "items.csv").read_bytes() == before
    assert not (folder / "new.xml").exists()


def test_prompts_are_listed(cascade):
    out = cascade("prompts", "list").out
    heads = json.loads(cascade("prompts", "list", "--json").out)
    assert {"file-under", "item-type"} <= {head["id"] for head in heads}
    assert all(head["id"] in out and head["about"] for head in heads)


def test_a_prompt_is_shown_as_its_file(folder, cascade):
    shown = cascade("prompts", "show", "file-under").out
    (folder / "mine.jinja").write_text(shown, encoding="utf-8")
    assert cascade("prompts", "show", "mine.jinja").out == shown
    assert shown.startswith("---\nid: file-under\n")


def test_a_rendered_prompt_holds_the_item_and_the_allowed_answers(cascade):
    args = ("prompts", "render", "file-under", "-t", "tax.csv", "red clogs", "--type", "clogs")
    human = cascade(*args, "--at", "Clothing")
    assert human.status == 0, human.err
    assert "red clogs" in human.out
    assert "2 answers are allowed" in human.out
    asked = json.loads(cascade(*args, "--json").out)
    assert [answer.strip() for answer in asked["answers"]] == ["Clothing", "Garden", "Food"]
    assert any("red clogs" in m["content"] for m in asked["messages"]) or (
        "red clogs" in asked["start"]
    )


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("show", "file-undr"), "file-under"),
        (("render", "file-under", "-t", "tax.csv", "clogs", "--at", "Clothes"), "Clothes"),
        (("render", "file-under", "-t", "tax.csv", "clogs", "--at", "GAR-RAK"), "Rakes"),
        (("render", "file-under"), "Missing argument 'item'"),
    ],
    ids=["unknown", "no such node", "leaf", "no item"],
)
def test_a_prompt_that_cannot_be_shown_is_refused(args, word, cascade):
    done = cascade("prompts", *args)
    assert (done.status, done.out) == (2, "")
    assert word.casefold() in done.err.casefold()  # older Typer writes an argument in capitals


@pytest.mark.weights
def test_doctor_finds_what_is_installed(cascade):
    done = cascade("doctor")
    assert done.status == 0
    findings = json.loads(cascade("doctor", "--json").out)
    assert {f["state"] for f in findings} <= {"ok", "optional"}
    for what in ("python", "torch", "device", "weights minilm", "weights smollm2-135m"):
        assert any(f["what"].startswith(what) and f["found"] for f in findings)
        assert what in done.out


def test_doctor_tells_what_is_missing_and_fails(cascade):
    done = cascade("doctor", "--model", "no-such/model", "--json")
    assert done.status == 3
    missing = [f["what"] for f in json.loads(done.out) if f["state"] == "missing"]
    assert "weights no-such/model" in missing


def test_encoding_and_scheme_say_how_a_taxonomy_is_read(cascade, folder):
    (folder / "polish.csv").write_bytes("code,name,parent\n1,Żaby,\n".encode("cp1250"))
    out = cascade("taxonomy", "show", "polish.csv", "--encoding", "cp1250").out
    assert "Żaby" in out
    done = cascade("taxonomy", "validate", "tax.csv", "--scheme", "Products")
    assert (done.status, done.out) == (2, "")
    assert "only SKOS has concept schemes" in done.err


def test_the_scheme_of_a_config_counts_for_its_own_taxonomy_only(cascade, folder):
    skos = "@prefix s: <http://www.w3.org/2004/02/skos/core#> . @prefix : <http://example.org/> .\n"
    (folder / "two.ttl").write_text(
        f'{skos}:a s:prefLabel "Glass" ; s:inScheme :materials .\n'
        ':b s:prefLabel "Tumblers" ; s:inScheme :products .\n'
    )
    (folder / "cascade.yaml").write_text("taxonomy: two.ttl\ntaxonomy_scheme: products\n")
    _, tree = resolve("cascade.yaml", None)
    assert tree.names == ("Tumblers",)
    _, tree = resolve("cascade.yaml", "two.ttl", scheme="materials")
    assert tree.names == ("Glass",)
    settled, tree = resolve("cascade.yaml", "tax.csv")
    assert (len(tree), settled.taxonomy_scheme) == (9, None)
    assert "Tumblers" in cascade("taxonomy", "show", "two.ttl", "--scheme", "products").out


def test_the_sheet_of_a_taxonomy_is_named_apart_from_that_of_items(cascade, folder):
    from openpyxl import Workbook

    book = Workbook()
    for title, name in (("Old", "Saws"), ("New", "Axes")):
        for row in (["code", "name", "parent"], ["1", name, None]):
            sheet = book[title] if title in book.sheetnames else book.create_sheet(title)
            sheet.append(row)
    book.save(folder / "tools.xlsx")
    done = cascade("taxonomy", "validate", "tools.xlsx")
    assert done.status == 2
    assert "2 of its sheets look like taxonomies: 'Old', 'New'; name one: --tax" in done.err
    assert "Axes" in cascade("taxonomy", "show", "tools.xlsx", "--sheet", "New").out
    (folder / "cascade.yaml").write_text("taxonomy: tools.xlsx\ntaxonomy_sheet: Old\n")
    _, tree = resolve("cascade.yaml", None)
    assert tree.names == ("Saws",)
    _, tree = resolve("cascade.yaml", None, sheet="New")
    assert tree.names == ("Axes",)


def test_json_is_plain_where_colours_are_forced(cascade, monkeypatch):
    """As Jupyter does for the commands of a notebook."""
    from cascade.cli.console import out

    monkeypatch.setattr(out.rich, "_force_terminal", True)
    monkeypatch.setattr(out.rich, "no_color", False)
    monkeypatch.setattr(out.rich, "_color_system", 1)
    assert json.loads(cascade("prompts", "list", "--json").out)


@pytest.mark.weights
def test_search_by_meaning_finds_other_words(cascade, loaded):
    assert cascade("taxonomy", "search", "tax.csv", "panama headwear").status == 3
    done = cascade("taxonomy", "search", "tax.csv", "panama headwear", "--meaning", "--json")
    found = json.loads(done.out)
    assert found[0]["code"] == "CLO-HAT" and 1 < len(found) <= 9
    table = cascade("taxonomy", "search", "tax.csv", "rakes", "--meaning", "--limit", 1)
    assert table.status == 0 and "Garden > Rakes" in table.out
