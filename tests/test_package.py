"""The wheel: what is in it, and that it works where there is no checkout."""

import csv
import io
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[1]


def run(*args, cwd):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [*map(str, args)], capture_output=True, text=True, cwd=cwd, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT),
        cwd=folder,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory):
    """The programs of an environment that has the wheel, and beside it what it depends on.

    A .pth file leads to the packages of this environment. Those it has by .pth files of its own,
    as the checkout itself, are not found that way.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd="/")
    Path(packages.strip(), "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {
        f"cascade/{path.relative_to(ROOT / 'cascade')}"
        for path in (ROOT / "cascade").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".typed"}
    }
    data = {
        f"cascade/_data/{path.relative_to(ROOT)}"
        for kind in ("prompts", "taxonomies", "finetune", "weights")
        for path in (ROOT / kind).rglob("*")
        if path.is_file()
    } | {"cascade/_data/examples/products.csv"}  # what the recipes in finetune/ learn from
    assert {"cascade/_data/prompts/file-under.jinja", "cascade/_data/taxonomies/store.yaml"} <= data
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == code | data | {"cascade/py.typed"}
    assert any(name.endswith("licenses/LICENSE") for name in about)


def test_the_wheel_is_what_runs_and_the_checkout_is_not_found(binaries, tmp_path):
    code = "import sys, cascade, cascade.resources as s; print(cascade.__file__); print(*sys.path)"
    file, path = run(binaries / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(binaries.parent)
    assert str(ROOT) not in path.split()


def test_the_installed_command_finds_its_taxonomy_and_prompts(binaries, tmp_path):
    assert "valid" in run(binaries / "cascade", "taxonomy", "validate", "store", cwd=tmp_path)
    assert "file-under" in run(binaries / "cascade", "prompts", "list", cwd=tmp_path)


@pytest.mark.weights
def test_the_installed_command_classifies(binaries, tmp_path):
    (tmp_path / "items.csv").write_text("name\nstraw panama hat\n")
    (tmp_path / "paths.txt").write_text("Clothing > Hats\nGarden > Rakes\n")
    args = ("classify", "items.csv", "-t", "paths.txt", "--text", "name", "--method", "retrieval")
    (row,) = csv.DictReader(io.StringIO(run(binaries / "cascade", *args, cwd=tmp_path)))
    assert (row["cascade_path"], row["cascade_status"]) == ("Clothing > Hats", "ok")
