import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from preparation_rows import ARGS

from cascade.cli import main
from cascade.cli.console import err, out
from cascade.config import ENCODER
from cascade.retrieval.encoder import Encoder

COMMAND = Path(sys.executable).with_name("cascade")

TAXONOMY = """\
code,name,parent
CLO,Clothing,
CLO-HAT,Hats,CLO
CLO-SHO,Shoes,CLO
GAR,Garden,
GAR-RAK,Rakes,GAR
GAR-HOS,Hoses,GAR
FOO,Food,
FOO-CHE,Cheese,FOO
FOO-MIL,Milk,FOO
"""

ITEMS = """\
id,name,price,label
1,straw panama hat,34.5,Clothing > Hats
2,"leather boots, brown",99.9,Clothing > Shoes
3,steel leaf rake,12.25,Garden > Rakes
4,aged gouda cheese,8.75,Food > Cheese
5,crème fraîche et lait entier,1.15,Food > Milk
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with `tax.csv` and `items.csv` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tax.csv").write_text(TAXONOMY, encoding="utf-8")
    (tmp_path / "items.csv").write_text(ITEMS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def loaded(encoder, monkeypatch):
    """The encoder that ships, loaded once for the session."""
    monkeypatch.setattr(Encoder, "load", classmethod(lambda cls, name, **options: encoder))


@pytest.fixture(scope="session")
def encoder():
    """The encoder that ships, on the CPU."""
    return Encoder.load(ENCODER, device="cpu")


@pytest.fixture
def cascade(capfdbinary, monkeypatch):
    """The command, run in this process: `cascade("classify", ...)` gives status, out and err."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    for console in (out, err):  # made once, perhaps by a test that wants them narrow
        monkeypatch.setattr(console.rich, "_width", 200)

    def run(*args, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["cascade", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        capfdbinary.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        shown = capfdbinary.readouterr()
        return SimpleNamespace(status=status, out=shown.out.decode(), err=shown.err.decode())

    return run


@pytest.fixture
def retrieve(cascade, loaded):
    """`cascade classify --method retrieval` with the small taxonomy, run in this process."""

    def run(*args, **options):
        return cascade("classify", "-t", "tax.csv", "--method", "retrieval", *args, **options)

    return run


@pytest.fixture(scope="session")
def command():
    """The installed command, run as a process of its own."""

    def run(*args, **options):
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(
            [COMMAND, *map(str, args)], capture_output=True, text=True, env=environment, **options
        )

    return run


SHELVES = {"Clothing > Hats": "hat", "Garden > Rakes": "rake", "Food > Cheese": "cheese"}
COLOURS = ("red", "blue", "green", "white", "black", "plain", "old", "new", "small", "big")


@pytest.fixture(scope="session")
def word_pack(tmp_path_factory, command):
    """A pack of words, which loads in a moment."""
    folder = tmp_path_factory.mktemp("words")
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "label"])
        for label, what in SHELVES.items():
            rows.writerows([(f"{colour} {what}", label) for colour in COLOURS])
    form = ("--text", "name", "--label", "label", "--recipe", "quick", "-o", "pack")
    done = command("fit", "rows.csv", *form, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "pack"


@pytest.fixture
def prepare(cascade):
    """`cascade prepare` with the small taxonomy; its report."""

    def run(file, *args):
        done = cascade("prepare", file, *ARGS, *args, "--json")
        assert done.status == 0, done.err
        return json.loads(done.out)

    return run
