import resource
import subprocess
import sys

import pytest

from cascade.cli.app import app_for, app_of

VERBS = [
    ("classify",),
    ("eval",),
    ("compare",),
    ("prepare",),
    ("finetune",),
    ("doctor",),
    *(("taxonomy", verb) for verb in ("show", "search", "validate", "convert", "trim")),
    *(("prompts", verb) for verb in ("list", "show", "render")),
]
HEAVY = {
    "cascade.config",
    "torch",
    "transformers",
    "faiss",
    "pyarrow",
    "sentence_transformers",
    "outlines",
    "scipy",
}


def test_help_costs_little_more_than_the_libraries_that_print_it():
    """About 0.2 s; as a ratio in the same run, since how long a second is differs by machine."""

    def work(*arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = ("-c", "import typer, rich.console, rich.table, rich.panel")
    helped = ("-c", "import sys; sys.argv[1:] = ['--help']; from cascade.cli import main; main()")
    ours, theirs = zip(*((work(*helped), work(*bare)) for _ in range(5)), strict=True)
    assert min(ours) < 4 * min(theirs)


def test_help_imports_nothing_heavy():
    code = (
        "import atexit, sys; sys.argv = ['cascade', 'classify', '--help']\n"
        "atexit.register(lambda: print('MODULES', *sys.modules))\n"
        "from cascade.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    modules = done.stdout.rpartition("MODULES ")[2].split()
    assert "typer" in modules
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_shows_an_example_of_itself(verb, cascade):
    done = cascade(*verb, "--help")
    assert done.status == 0
    examples = done.out.partition("Examples")[2]
    assert f"cascade {' '.join(verb)}" in examples


def test_help_lists_every_verb(cascade):
    done = cascade("--help")
    assert {verb[0] for verb in VERBS} <= set(done.out.split())


def test_version_is_that_of_the_package(cascade):
    from importlib.metadata import version

    assert cascade("--version").out.split() == ["cascade", version("cascade-taxonomy")]


def test_the_help_states_the_confidence_that_an_answer_needs(cascade):
    from cascade.config.calibration import LEAST

    for verb in ("classify", "eval"):
        words = cascade(verb, "--help").out.replace("│", " ").split()
        assert f"below {LEAST:g} is cut" in " ".join(words)


def names_of(app):
    groups = [group.name for group in app.registered_groups]
    return sorted([*(command.name for command in app.registered_commands), *groups])


def test_the_options_of_the_command_that_is_named_alone_are_built(monkeypatch):
    monkeypatch.delenv("_CASCADE_COMPLETE", raising=False)
    whole = names_of(app_of())
    assert names_of(app_for(["classify", "items.csv"])) == ["classify"]
    assert names_of(app_for(["taxonomy", "show"])) == ["taxonomy"]
    assert names_of(app_for(["--version", "classify"])) == []
    for arguments in ([], ["--help"], ["clasify"]):
        assert names_of(app_for(arguments)) == whole
    monkeypatch.setenv("_CASCADE_COMPLETE", "complete_bash")
    assert names_of(app_for(["classify"])) == whole
    assert len(whole) > 10
