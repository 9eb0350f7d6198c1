"""The pages that people read: what they show runs, and their links lead somewhere."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from docs_blocks import Runner, blocks, check_shown, steps

from cascade.cli.console import err, out

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {
    ROOT / f"docs/reference/{of}.md" for of in ("commands", "config", "recipes", "metrics")
}
BESIDE = {path.name for path in ROOT.iterdir() if path.is_dir()}


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch, capfd):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for console in (out, err):
        monkeypatch.setattr(console.rich, "_width", 100)
    runner = Runner(capfd)
    for block in blocks(page):
        if block.not_run is None:
            runner.run(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_is_run_or_says_why_not(page):
    for block in blocks(page):
        where = f"{name(page)}, line {block.line}"
        assert block.language, f"{where}: a block without a language"
        assert block.language not in {"sh", "bash", "shell"}, f"{where}: use console and `$ `"
        if block.not_run is not None:
            assert len(block.not_run) > 10, f"{where}: say why it is not run"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    targets = [t for t in re.findall(r"\]\(([^)#]+)", text) if "://" not in t]
    places = [(page.parent / target).resolve() for target in targets]
    assert [place for place in places if not place.exists() and place not in GENERATED] == []


@pytest.fixture(scope="module")
def reference():
    """The script that makes pages of the reference from the code."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed; make docs has it")
    path = ROOT / "docs" / "hooks" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_command_with_its_options(reference):
    page = reference.commands_page()
    for command in ("classify", "fit", "eval", "taxonomy search", "foodex2 encode", "pack check"):
        assert f"## `cascade {command}`" in page
    assert "| `--limit` `N` |" in page
    assert "| `FILE...` |" in page


@pytest.mark.parametrize("make", ["commands_page", "config_page", "recipes_page", "metrics_page"])
def test_everything_in_the_reference_is_described(reference, make):
    page = getattr(reference, make)()
    assert not re.findall(r"^.*\| +\|$|^## .*\n\n##.*$", page, flags=re.MULTILINE)


def test_the_reference_has_every_metric(reference):
    page = reference.metrics_page()
    for metric in ("hf1_micro", "f1_weighted_lN", "coverage_at_risk_N", "ece", "ndcg_at_10"):
        assert f"`{metric}`" in page


@pytest.mark.parametrize("page", [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_paths_and_modules_that_a_page_names_are_there(page):
    named = re.findall(
        r"`((?:cascade|tests|docs|eval|finetune)/[\w/.-]*)`", page.read_text("utf-8")
    )
    assert [path for path in named if not (ROOT / path).exists()] == []
    rooms = "|".join(path.stem for path in (ROOT / "cascade").iterdir() if path.is_dir())
    dotted = re.findall(rf"`((?:{rooms})(?:\.\w+)+)`", page.read_text("utf-8"))
    for path in (ROOT / "cascade" / place.replace(".", "/") for place in dotted):
        places = (path, path.with_suffix(".py"), path.parent.with_suffix(".py"), path.parent)
        assert any(place.exists() for place in places), path


def test_the_list_of_pages_has_every_page():
    """The README's list, for who reads pages in the checkout, and the menu of the site."""
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    listed = re.findall(r"\(docs/([\w/-]+\.md)", (ROOT / "README.md").read_text("utf-8"))
    assert pages - set(listed) == {"index.md", "reference/python.md"}  # made of the code
    menu = (ROOT / "mkdocs.yml").read_text("utf-8").partition("nav:")[2]
    assert pages - set(re.findall(r"[\w/-]+\.md", menu)) == set()


def test_names_in_the_map_of_the_code_are_there():
    """Files and folders that a line names without the way to them, and names of Python."""
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    paths = [path.relative_to(ROOT) for path in (ROOT / "cascade").rglob("*")]
    known = {path.name for path in paths}
    short = re.findall(r"`(\w+\.py|\w+/)`", page.partition("## I want to add")[0])
    assert {text for text in short if text.rstrip("/") not in known | BESIDE} == set()
    source = "".join(path.read_text("utf-8") for path in (ROOT / "cascade").rglob("*.py"))
    words = set(re.findall(r"\w+", source))
    table = page.partition("## Where is")[2]
    for named in re.findall(r"`([A-Z]\w+(?:\.\w+)*|[a-z]+(?:_[a-z]+)+)`", table):
        assert set(named.split(".")) <= words, named


def test_every_room_is_in_the_map_of_the_code_and_in_one_group_of_it():
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {path.name for path in (ROOT / "cascade").iterdir() if (path / "__init__.py").is_file()}
    assert set(re.findall(r"^\| .*?`cascade/(\w+)/`", page, re.MULTILINE)) >= rooms
    groups = r"^    (?:ground|subject|models|answers|learning|doors) +(\S.*?)  "
    assert set(re.findall(r"\w+", " ".join(re.findall(groups, page, re.MULTILINE)))) >= rooms


def test_every_test_that_is_called_slow_is_there():
    lines = (ROOT / "tests" / "slow.txt").read_text("utf-8").splitlines()
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)", sources))
    known |= {f"{path.parent.name}/{path.name}" for path in (ROOT / "tests").rglob("test_*.py")}
    assert {line for line in lines if not line.startswith("#")} - known == set()


def test_a_console_block_is_divided_into_commands_and_what_they_show():
    assert steps("$ a \\\n    b\nx\n...\n$ c\n") == [("a b", ["x", "..."]), ("c", [])]


def test_shown_lines_must_be_in_the_output_in_order():
    check_shown(["one  12.3 %", "..."], "zero\none 0.5 %\n", "a")
    with pytest.raises(AssertionError, match="shows no line"):
        check_shown(["two", "one"], "one\ntwo\n", "a")
