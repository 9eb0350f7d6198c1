"""What `cascade prepare` refuses, with nothing written, and what it never mixes up."""

import os
from pathlib import Path

import pytest
from preparation_rows import ARGS, contents, make


@pytest.fixture(autouse=True)
def here(folder):
    return folder


def test_a_preparation_is_replaced_where_that_is_asked_for_and_nothing_else(here, cascade, prepare):
    prepare(make("jsonl"))
    (here / "out/notes.txt").write_text("mine")
    before = contents(here)
    done = cascade("prepare", make("csv"), *ARGS)
    assert done.status == 2
    assert "--overwrite" in done.err
    assert contents(here) == {**before, str(here / "rows.csv"): (here / "rows.csv").read_bytes()}
    prepare("rows.csv", "--overwrite", "--test", 0)
    assert sorted(p.name for p in (here / "out").iterdir()) == [
        "dropped.csv", "notes.txt", "preparation.json", "taxonomy.csv", "train.csv",
        "validation.csv",
    ]  # fmt: skip


@pytest.fixture
def odd(here):
    """Files that cannot be prepared."""
    make("csv")
    (here / "empty.csv").write_text("")
    (here / "header.csv").write_text("name,label\n")
    (here / "bad.csv").write_text("name,label\n,Food\na,\nb,Food\nb,Clothing\nc,Cars\n")
    (here / "few.csv").write_text("name,label\na,Food\nb,Clothing\n")
    (here / "other.csv").write_text("name,label,kind\na,x,Food\nb,y,Food\n")
    (here / "full").mkdir()
    (here / "full/mine.txt").write_text("mine")
    (here / "done").mkdir()
    (here / "done/preparation.json").write_text("{}")
    (here / "done/train.csv").write_bytes((here / "rows.csv").read_bytes())


def test_parts_of_two_preparations_are_never_taken_for_one(prepare, monkeypatch):
    make("csv")
    prepare("rows.csv")
    before = Path("out/test.csv").read_bytes()
    replace = Path.replace

    def killed(self, target):
        if Path(target) == Path("out/preparation.json").resolve():  # all others are new
            raise SystemExit(137)
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(AssertionError):
            prepare("rows.csv", "--overwrite", "--seed", 1)
    assert Path("out/test.csv").read_bytes() != before  # a part of the new one
    assert not Path("out/preparation.json").exists()


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-", *ARGS), ["standard input", "read only once", "save it to a file"]),
        (("row.csv", *ARGS), ["row.csv does not exist", "did you mean 'rows.csv'"]),
        (("empty.csv", *ARGS), ["empty.csv", "is empty"]),
        (("header.csv", *ARGS), ["header.csv: there are no rows"]),
        (("rows.csv", *ARGS, "--limit", 0), ["there are no rows"]),
        (
            ("bad.csv", *ARGS),
            ["no row is left of 5", "1 textless", "1 unlabelled", "2 conflicting", "1 unknown"],
        ),
        (
            ("other.csv", *ARGS),
            ["none of its 2 labels", "line 2, 'x'", "column 'kind' has labels of it", "--label"],
        ),
        (("rows.csv", *ARGS, "--label", "lable"), ["column 'lable'", "did you mean 'label'?"]),
        (("rows.csv", *ARGS, "--text", "nam"), ["column 'nam'", "did you mean 'name'?"]),
        (("rows.csv", *ARGS, "--text", "label"), ["'label' is named as text and as label"]),
        (("rows.csv", *ARGS, "-t", "nowhere.csv"), ["nowhere.csv"]),
        (("few.csv", *ARGS), ["no row is left for validation", "2 rows of 2 classes", "train"]),
        (
            ("few.csv", *ARGS, "--split", "out-of-sample", "--validation", 0),
            ["no row is left for test", "the smallest class has 1", "--test 0"],
        ),
        (("rows.csv", *ARGS, "--test", 0.95), ["leave no rows for train", "less than 1"]),
        (("rows.csv", *ARGS, "--test", 10), ["--test 10", "such as 0.1"]),
        (("rows.csv", *ARGS, "--split", "random"), ["no split 'random'", "out-of-sample"]),
        (("rows.csv", *ARGS, "--depth", 0), ["--depth"]),
        (("rows.csv", *ARGS, "-o", "full"), ["full is not empty, and holds no whole preparation"]),
        (("rows.csv", *ARGS, "-o", "full", "--overwrite"), ["holds no whole preparation"]),
        (("rows.csv", *ARGS, "-o", "tax.csv"), ["tax.csv is a file"]),
        (("rows.csv", *ARGS, "-o", "done"), ["done exists", "--overwrite"]),
        (("done/train.csv", *ARGS, "-o", "done", "--overwrite"), ["itself read"]),
        (("rows.csv", "-o", "out"), ["--label"]),
        (("rows.csv", "--label", "label"), ["--out"]),
    ],
)
def test_what_cannot_be_prepared_is_refused_and_nothing_written(args, words, here, cascade):
    before = contents(here)
    done = cascade("prepare", *args)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    for word in words:
        assert word in " ".join(done.err.split())
    assert contents(here) == before
    assert not (here / "out").exists()


def test_a_pipe_is_refused_since_it_can_be_read_only_once(here, cascade):
    os.mkfifo("pipe")
    done = cascade("prepare", "pipe", *ARGS)
    assert done.status == 2
    assert "pipe is a pipe, which can be read only once" in done.err


def test_a_file_that_changes_between_the_two_readings_is_told(here, cascade, monkeypatch):
    from cascade.evaluation.preparation.folder import PreparationFolder

    make("csv")
    write = PreparationFolder.write

    def changed(*args, **options):
        with open("rows.csv", "a", encoding="utf-8") as file:
            file.write("x,one more,,Food\n")
        return write(*args, **options)

    monkeypatch.setattr(PreparationFolder, "write", changed)
    done = cascade("prepare", "rows.csv", *ARGS)
    assert done.status == 2
    assert "rows.csv: the file changed while it was read" in done.err
    assert sorted(p.name for p in here.iterdir()) == ["items.csv", "rows.csv", "tax.csv"]
