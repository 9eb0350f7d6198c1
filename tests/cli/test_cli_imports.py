"""What `cascade classify` imports: of the heavy modules only those that its method uses."""

import subprocess
import sys

import pytest

HEAVY = {
    "PIL",
    "accelerate",
    "datasets",
    "faiss",
    "huggingface_hub",
    "jinja2",
    "onnxruntime",
    "openpyxl",
    "pandas",
    "peft",
    "pyarrow",
    "ray",
    "requests",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "tokenizers",
    "torch",
    "torch._dynamo",
    "torch._inductor",
    "transformers",
}
SLOW = {  # modules that take a while, and that the first answer of a pack needs not
    "asyncio",
    "concurrent.futures.process",
    "multiprocessing",
    "rich",
    "sqlite3",
    "cascade.cli.answer_table",
    "cascade.features.pictures",
    "cascade.pipeline.pool",
    "cascade.pipeline.runs.cluster",
    "cascade.retrieval.encoder",
    "cascade.retrieval.student.student",
    "cascade.taxonomy.formats.skos",
    "cascade.taxonomy.formats.tables.csv",
}
USED = {
    "retrieval": {"torch", "tokenizers"},
    "pack": set(),
    "cascade": {"torch", "tokenizers", "huggingface_hub", "jinja2", "scipy", "PIL", "transformers"},
}
CODE = """if True:
    import atexit, gc, sys
    atexit.register(lambda: print("FROZEN", gc.get_freeze_count(), "MODULES", *sys.modules))
    from cascade.cli import main
    main()
"""


def imported(*arguments):
    command = [sys.executable, "-c", CODE, "classify", "items.csv", "--text", "name", *arguments]
    done = subprocess.run(
        [*command, "--out", "out.csv", "--overwrite"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.rpartition("FROZEN ")[2].split()[0]) > 10_000  # see `cascade.cli.main`
    modules = set(done.stdout.rpartition("MODULES ")[2].split())
    assert {"cascade.pipeline.classifier", "numpy"} <= modules
    return modules & (HEAVY | SLOW)


@pytest.mark.weights
@pytest.mark.parametrize("method", ["retrieval", "cascade"])
def test_a_method_imports_only_what_it_uses(folder, method):
    imported("-t", "tax.csv", "--method", method)  # an index that is built may need more
    found = imported("-t", "tax.csv", "--method", method) - SLOW
    assert {"torch", "tokenizers"} <= found <= USED[method]


def test_a_pack_of_words_imports_no_model(folder, cascade):
    kinds = {"rake": "Garden > Rakes", "hat": "Clothing > Hats"}
    rows = [f"{what} {at * 7},{path}\n" for at in range(20) for what, path in kinds.items()]
    (folder / "rows.csv").write_text("name,label\n" + "".join(rows), "utf-8")
    columns = ("--text", "name", "--label", "label")
    assert cascade("fit", "rows.csv", *columns, "-o", "p", "--recipe", "quick").status == 0
    assert imported("-c", "p") <= USED["pack"]
