import csv
import json
import logging
import pickle
import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import cascade
from cascade.cli import main
from cascade.errors import ConfigError, InputError, OutputError, UsageError

QUICK = {"label": "label", "recipe": "quick", "progress": False}


def files(pack):
    """The sealed files of a pack."""
    return json.loads((pack.path / "pack.json").read_text())["files"]


@pytest.fixture
def table(rows, tmp_path):
    """The rows in a file."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "hold",
    [
        iter,
        pd.DataFrame,
        pl.DataFrame,
        pa.Table.from_pylist,
        lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    ],
    ids=["iterator", "pandas", "polars", "pyarrow", "columns"],
)
def test_the_same_rows_give_the_same_pack_whatever_holds_them(hold, rows, pack):
    again = cascade.fit(hold(rows), text="name", **QUICK)
    assert files(again) == files(pack)


def test_the_pack_is_that_of_the_command(table, tmp_path, monkeypatch, rows):
    words = ["fit", str(table), "--text", "name", "--text", "brand", "--label", "label"]
    monkeypatch.setattr(
        sys, "argv", ["cascade", *words, "--recipe", "quick", "-o", str(tmp_path / "told")]
    )
    _run_main()
    told = files(cascade.Pack(tmp_path / "told"))
    named = cascade.fit(table, text=["name", "brand"], **QUICK)
    held = cascade.fit(rows, text=["name", "brand"], **QUICK)
    assert files(named) == told
    # A taxonomy that is made of the labels has the name of what they stand in, and nothing else.
    differ = {name for name in told if told[name] != files(held)[name]}
    assert differ <= {"taxonomy.yaml"}


def _run_main():
    try:
        main()
    except SystemExit as end:
        assert not end.code


def test_a_pack_answers_and_tells_how_it_measured(pack):
    assert isinstance(pack, cascade.Classifier)
    assert pack.classify("garden hose made of rubber").path == "Home > Garden > Hoses"
    assert 0 <= pack.report["pack"]["exact"] <= 1
    assert pack.report["rows"]["labels"] == 5
    assert pack.classifier is pack
    assert "not saved" in repr(pack)


def test_a_saved_pack_is_loaded_again(pack, tmp_path):
    place = pack.save(tmp_path / "kept" / "pack")
    for again in (cascade.Pack.load(place), cascade.load(place)):
        assert again.classify("wool beanie") == pack.classify("wool beanie")
    with pytest.raises(OutputError, match="overwrite=True"):
        pack.save(place)
    assert pack.save(place, overwrite=True) == place
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="no pack"):
        pack.save(tmp_path / "mine", overwrite=True)
    assert cascade.Pack(place).save(place) == place


def test_a_temporary_pack_goes_away_with_its_last_user(rows):
    pack = cascade.fit(rows, text="name", **QUICK)
    folder = pack.path
    assert folder.is_dir()
    del pack
    assert not folder.exists()


def test_a_pickled_pack_that_is_not_saved_brings_its_files(pack, tmp_path):
    (tmp_path / "pickled").write_bytes(pickle.dumps(pack))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).classify('rake').code)"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "pickled"], capture_output=True, text=True
    )
    assert done.stdout.strip() == pack.classify("rake").code, done.stderr


def test_rows_that_teach_nothing_are_told(rows, caplog):
    bad = [{"name": "", "label": "Home > Garden > Rakes"}, {"name": "odd", "label": None}, "text"]
    with caplog.at_level(logging.WARNING, "cascade"):
        pack = cascade.fit([*rows, *bad], text="name", **QUICK)
    told = pack.report["rows"]["left_out"]
    assert told == {"without text or picture": 1, "without a label": 1, "cannot be read": 1}
    assert caplog.text.count("left out") >= 3


@pytest.mark.parametrize(
    ("over", "kind", "told"),
    [
        ({"label": "labl"}, InputError, "did you mean 'label'"),
        ({"text": "nam"}, InputError, "did you mean 'name'"),
        ({"text": "label"}, InputError, "named as text and as label"),
        ({"recipe": "quik"}, ConfigError, "quick"),
        ({"recipe": {"lexical": None}}, ConfigError, "of a pack|nothing|sentence"),
        ({"overwrite": True}, UsageError, "out="),
        ({"taxonomy": "stroe"}, InputError, "did you mean 'store'"),
        ({"label": None}, UsageError, "label=None"),
        ({"image_root": "nowhere"}, UsageError, "no such folder"),
    ],
)
def test_what_cannot_be_used_is_told_in_words_of_python(over, kind, told, rows):
    given = {"text": "name", **QUICK, **over}
    if over.get("recipe") == {"lexical": None}:
        given["recipe"] = {"lexical": None, "sentence": None, "picture": None, "both": None}
    with pytest.raises(kind, match=told) as caught:
        cascade.fit(rows, **given)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("given", [[], {}, None, 7, ["a text"], b"bytes", pd.DataFrame()])
def test_what_holds_no_rows_is_refused(given):
    with pytest.raises(UsageError):
        cascade.fit(given, **QUICK)


def test_an_interrupted_fit_is_told_and_goes_on(rows, tmp_path):
    class Stopped(Exception):
        pass

    def stops(what, done, of, words=""):
        if "measuring" in what:
            raise Stopped

    given = {"label": "label", "text": "name", "recipe": "quick", "out": tmp_path / "pack"}
    with pytest.raises(Stopped):
        cascade.fit(rows, progress=stops, **given)
    with pytest.raises(OutputError, match="resume=True"):
        cascade.fit(rows, progress=False, **given)
    assert cascade.fit(rows, progress=False, resume=True, **given).path == tmp_path / "pack"
