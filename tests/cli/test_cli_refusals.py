"""What cannot be used ends in status 2, one clear message and nothing written."""

import os

import pytest

pytestmark = pytest.mark.usefixtures("folder")

CYCLE = "code,name,parent\na,A,b\nb,B,a\n"
TWICE = "code,name,parent\na,A,\na,B,\n"
GOOD = ("classify", "items.csv", "-t", "tax.csv", "--method", "retrieval", "--text", "name")
OUT = ("-o", "out.csv")


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def refused(folder, cascade):
    """Run a command that must be refused; gives its message."""

    def run(*args):
        before = contents(folder)
        done = cascade(*args)
        assert done.status == 2, (done.out, done.err)
        assert done.out == ""
        assert "Traceback" not in done.err
        assert contents(folder) == before
        return done.err

    return run


def classify(*args, source="items.csv", taxonomy="tax.csv"):
    return ("classify", source, "-t", taxonomy, "--method", "retrieval", *OUT, *args)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (classify(source="item.csv"), ["item.csv does not exist", "did you mean 'items.csv'"]),
        (classify(source="no/items.csv"), ["does not exist", "the folder no"]),
        (classify(source="."), ["is a folder", "for example"]),
        (classify(source="empty.csv"), ["empty.csv", "is empty"]),
        (classify(source="binary.csv"), ["binary.csv", "binary file"]),
        (classify("--adapt", source="-"), ["--adapt", "standard input", "save it to a file"]),
        (classify("--adapt", source="pipe"), ["--adapt", "pipe can be read only once"]),
        (classify("--adapt", "--engine", "ray"), ["--adapt goes with --engine local"]),
        (classify("--adapt", "--method", "llm"), ["--adapt", "the method llm", "retrieval"]),
        (classify("--text", "nam"), ["column 'nam'", "it has: id, name", "did you mean 'name'?"]),
        (classify("--label", "lable"), ["column 'lable'", "did you mean 'label'?"]),
        (classify(source="odd.csv"), ["--text", "it has: a, b"]),
        (classify(taxonomy="prose.txt"), ["prose.txt"]),
        (classify(taxonomy="cycle.csv"), ["cycle.csv", "line 2"]),
        (classify(taxonomy="twice.csv"), ["twice.csv", "line 3", "'a'"]),
        (classify(taxonomy="nowhere.csv"), ["nowhere.csv"]),
        (classify(taxonomy="stor"), ["no taxonomy 'stor'", "did you mean 'store'?"]),
        (("classify", "items.csv", *OUT), ["--taxonomy", "-t store"]),
        (classify("--method", "retreival"), ["'retreival'", "did you mean 'retrieval'?"]),
        ((*GOOD, "-o", "no/out.csv"), ["folder", "no does not exist", "mkdir -p"]),
        ((*GOOD, "-o", "there.csv"), ["there.csv exists", "--overwrite"]),
        ((*GOOD, "-o", "items.csv", "--overwrite"), ["items.csv is itself read by this command"]),
        ((*GOOD, "-o", "tax.csv", "--overwrite"), ["tax.csv is itself read by this command"]),
        ((*GOOD, "-o", ""), ["empty file name"]),
        (classify("--set", "retrieval.temperature=1e-320"), ["retrieval.temperature"]),
        ((*GOOD, "-o", "out.txt"), ["out.txt", "'.txt'", ".csv", ".parquet"]),
        ((*GOOD, "-o", "out"), ["no ending", ".csv"]),
        (classify("--resume", "--overwrite"), ["--resume", "--overwrite"]),
        ((*GOOD, "--resume"), ["standard output cannot be resumed", "--out"]),
        (classify("--set", "descent.beam"), ["descent.beam", "KEY=VALUE"]),
        (classify("--set", "descent.beem=1"), ["descent.beem", "no such field"]),
        (classify("--set", "descent.beam=many"), ["descent.beam", "'many'"]),
        (classify("--set", "descent=1", "--set", "descent.beam=2"), ["descent"]),
        (classify("--encoding", "utf-9"), ["utf-9", "cp1252"]),
        (classify("-c", "broken.yaml"), ["broken.yaml"]),
        (classify("-c", "unknown.yaml"), ["unknown.yaml", "retreival", "no such field"]),
        (classify("-c", "none.yaml"), ["none.yaml"]),
        (classify("-c", "."), ["cascade.yaml"]),
        (("classify", "items.csv", "-c", "bare/cascade.yaml"), ["names no taxonomy", "-t"]),
        (("classify", "items.csv", "there.csv", *GOOD[2:], *OUT), ["2 files", "--out FOLDER/"]),
        (("classify", "items.csv", "none.csv", *GOOD[2:], "-o", "."), ["items.csv"]),
        (("classify", "items.csv", "odd.csv", *GOOD[2:], "-o", "bare/"), ["odd.csv", "'name'"]),
        (("classify", *GOOD[2:]), ["FILE"]),
        (classify("--limit", "-1"), ["--limit", "0"]),
        (classify("--top", "some"), ["--top", "valid int"]),
        (classify("--colour"), ["--colour"]),
        (("clasify",), ["clasify"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_a_bad_argument_or_input_is_refused(args, words, folder, refused):
    (folder / "empty.csv").write_text("\n")
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 8)
    (folder / "odd.csv").write_text("a,b\n1,2\n")
    (folder / "prose.txt").write_text("Dear all,\n\nthis is a letter. It has no tree in it!\n")
    (folder / "cycle.csv").write_text(CYCLE)
    (folder / "twice.csv").write_text(TWICE)
    (folder / "there.csv").write_text("name\nhat\n")
    os.mkfifo(folder / "pipe")
    (folder / "broken.yaml").write_text("taxonomy: [store\n")
    (folder / "unknown.yaml").write_text("taxonomy: tax.csv\nretreival: {}\n")
    (folder / "bare").mkdir()
    (folder / "bare" / "cascade.yaml").write_text("method: retrieval\n")
    message = refused(*args)
    for word in words:
        assert word in message


def test_a_config_without_a_taxonomy_is_still_a_config(folder, cascade, loaded):
    (folder / "my.yaml").write_text("method: retrieval\ncolumns: {text: [name]}\n")
    done = cascade("classify", "items.csv", "-c", "my.yaml", "-t", "tax.csv", "--limit", 1)
    assert done.status == 0, done.err
    assert "retrieval" in done.out


@pytest.mark.parametrize("setting", ["retrieval.encoder=no-such/model", "llm.model=no-such/model"])
@pytest.mark.weights
def test_weights_that_are_not_found_are_named(setting, folder, refused):
    method = "retrieval" if setting.startswith("retrieval") else "llm"
    message = refused(*GOOD, "--set", setting, "--method", method, *OUT)
    assert "no-such/model" in message
    assert "--allow-download" in message or "allow_download" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(folder, refused):
    (folder / "closed").mkdir(mode=0o500)
    assert "may not be written" in refused(*GOOD, "-o", "closed/out.csv")


def test_files_of_one_name_are_not_written_over_each_other(folder, refused):
    for name in ("a", "b", "out"):
        (folder / name).mkdir()
    for name in ("a", "b"):
        (folder / name / "items.csv").write_text(f"name\n{name} hat\n")
    for more in ((), ("--overwrite",)):
        message = refused(
            *("classify", "a/items.csv", "b/items.csv", "-o", "out/", *more),
            *("-t", "tax.csv", "--method", "retrieval", "--text", "name"),
        )
        assert "items.csv" in message


def test_one_file_named_twice_is_refused(folder, refused):
    (folder / "out").mkdir()
    args = ("-t", "tax.csv", "--method", "retrieval", "--text", "name", "-o", "out")
    assert "items.csv" in refused("classify", "items.csv", "items.csv", *args)


def test_an_output_of_before_is_not_classified_again_by_mistake(folder, refused):
    columns = "name,cascade_code,cascade_path"
    (folder / "before.csv").write_text(f"{columns}\nhat,CLO-HAT,Clothing > Hats\n")
    message = refused(*classify("--text", "name", source="before.csv"))
    assert "cascade_code" in message


def test_a_server_that_is_not_there_is_told_before_anything_is_written(refused):
    server = "{engine: server, server: {url: http://127.0.0.1:9/v1, retries: 0}}"
    said = refused(*classify("--method", "llm", "--set", f"llm={server}"))
    assert "http://127.0.0.1:9/v1/models: not reached" in said
    assert "llm.server.url" in said
