import resource
import subprocess
import sys

import pytest

VERBS = [
    ("classify",),
    ("doctor",),
    *(("taxonomy", verb) for verb in ("show", "search", "validate", "convert")),
    *(("prompts", verb) for verb in ("list", "show", "render")),
]
HEAVY = {"torch", "transformers", "faiss", "pyarrow", "sentence_transformers", "outlines", "scipy"}


def test_help_answers_in_half_a_second_of_work(command):
    def work():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(work() for _ in range(5)) < 0.5


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
