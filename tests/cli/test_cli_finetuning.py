import json
import shutil

import pytest
import yaml
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.training.adapters.training import AdapterLoop

RECIPE = """\
about: For tests.
data: {file: items.csv, taxonomy: tax.csv, text: [name], label: label}
validation: {share: 0.25}
model: {weights: model}
tasks: [path]
training:
  {epochs: 6, batch_tokens: 256, evaluate_every: 2, checkpoint_every: 1, precision: float32}
"""
HATS = "".join(f"{n},straw hat {n},1,Clothing > Hats\n" for n in range(10, 22))
RAKES = "".join(f"{n},leaf rake {n},1,Garden > Rakes\n" for n in range(30, 40))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(folder, model):
    """A recipe in a folder of its own, with data, taxonomy and a tiny LLaMA beside it."""
    home = folder / "experiments"
    home.mkdir()
    shutil.copy("tax.csv", home)
    (home / "items.csv").write_text(f"id,name,price,label\n{HATS}{RAKES}", "utf-8")
    (home / "model").symlink_to(model, target_is_directory=True)
    (home / "mine.yaml").write_text(RECIPE, "utf-8")
    return "experiments/mine.yaml"


@pytest.fixture
def finetune(cascade, recipe):
    return lambda *args: cascade("finetune", recipe, "-o", "out", *args)


def metrics(folder):
    return json.loads((folder / "out" / "metrics.json").read_text())


def test_a_recipe_makes_an_adapter_with_its_figures(finetune, folder):
    done = finetune()
    assert done.status == 0, done.err
    assert {f.name for f in (folder / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "recipe.yaml",
        "metrics.json",
        "metrics.jsonl",
        "manifest.json",
        "curves.png",
        "README.md",
    }
    found = metrics(folder)
    assert found["validation_loss"] < found["validation_loss_before"]
    assert len(found["loss_by_step"]) == found["steps"] > 2
    assert found["tokens_per_second"] > 0
    assert found["rows"] == {
        "read": 22,
        "left_out": {},
        "train": 16,
        "validation": 6,
        "classes": 2,
    }
    assert found["examples"] == {"train": 16, "validation": 6}
    assert "validation loss" in done.out
    assert "cascade classify items.csv -t experiments/tax.csv --text name" in done.out
    page = (folder / "out" / "README.md").read_text()
    assert "For tests." in page
    assert "--set llm.adapter=out --set llm.model=experiments/model" in page
    assert "left" in done.err


def test_a_result_tells_where_it_came_from(finetune, cascade, folder):
    assert finetune("--set", "seed=3").status == 0
    manifest = json.loads((folder / "out/manifest.json").read_text())
    assert manifest["kind"] == "adapter"
    assert manifest["seed"] == 3
    assert manifest["finished"] >= manifest["started"]
    assert len(manifest["data"]["sha256"]) == len(manifest["taxonomy"]["sha256"]) == 64
    assert manifest["versions"]["cascade"] and manifest["machine"]["cores"]
    listed = json.loads(cascade("runs", "list", ".", "--json").out)
    assert [(run["kind"], run["status"]) for run in listed] == [("adapter", "finished")]
    assert listed[0]["headline"][0] == "validation_loss"
    refused = cascade(
        *("eval", "items.csv", "-t", "tax.csv", "--label", "label", "--text", "name"),
        *("-o", "out", "--overwrite"),
    )
    assert refused.status == 2
    assert "out holds another kind of run (adapter)" in refused.err


def test_a_tracker_that_is_not_installed_is_told_with_its_command(finetune, folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = finetune("--set", "report_to=tensorboard")
    assert refused.status == 2
    assert "reporting to tensorboard needs tensorboard, which is not installed" in refused.err
    assert "pip install" in refused.err
    assert not (folder / "out").exists()


def test_the_adapter_answers_in_classify(finetune, cascade, folder):
    """Of the default tasks, whose prompts are long."""
    several = ("tasks=[child, type]", "training.batch_tokens=8192", "training.learning_rate=0.02")
    assert finetune(*(part for one in several for part in ("--set", one))).status == 0
    # A child at each of two levels, and the type.
    assert metrics(folder)["examples"] == {"train": 48, "validation": 18}
    args = ("classify", "items.csv", "-t", "tax.csv", "--text", "name", "--method", "llm")
    model = ("--set", "llm.model=experiments/model", "--set", "retrieval.encoder=minilm")
    answers = [
        cascade(*args, *model, "--json", *more).out for more in ((), ("--set", "llm.adapter=out"))
    ]
    assert len(answers[0].splitlines()) == len(answers[1].splitlines()) == 5
    assert answers[0] != answers[1]


def test_an_adapter_that_is_not_there_is_named(cascade, folder, recipe):
    done = cascade(
        *("classify", "items.csv", "-t", "tax.csv", "--text", "name", "--method", "llm"),
        *("--set", "llm.model=experiments/model", "--set", "llm.adapter=gone"),
    )
    assert done.status == 2
    assert "gone: holds no adapter_config.json" in done.err


def test_the_recipe_in_the_result_makes_the_same_adapter_again(finetune, cascade, folder):
    assert finetune("--set", "seed=3").status == 0
    again = cascade("finetune", "out/recipe.yaml", "-o", "again/deeper")
    assert again.status == 0, again.err
    one, two = (
        (folder / at / "adapter_model.safetensors").read_bytes() for at in ("out", "again/deeper")
    )
    assert one == two
    assert yaml.safe_load((folder / "out/recipe.yaml").read_text())["seed"] == 3


def test_a_run_that_is_interrupted_goes_on_to_the_same_adapter(finetune, folder, monkeypatch):
    assert finetune().status == 0
    expected = (folder / "out" / "adapter_model.safetensors").read_bytes()
    losses = metrics(folder)["loss_by_step"]
    shutil.rmtree(folder / "out")
    step = AdapterLoop._step

    def interrupted(self, at):
        if at == 3:
            raise KeyboardInterrupt
        return step(self, at)

    monkeypatch.setattr(AdapterLoop, "_step", interrupted)
    assert finetune().status == 130
    monkeypatch.setattr(AdapterLoop, "_step", step)
    assert not (folder / "out" / "metrics.json").exists()
    refused = finetune()
    assert refused.status == 2
    assert "interrupted run; go on with --resume" in refused.err
    other = finetune("--resume", "--set", "training.epochs=4")
    assert other.status == 2
    assert "another recipe" in other.err
    assert finetune("--resume").status == 0
    assert metrics(folder)["loss_by_step"] == pytest.approx(losses, rel=1e-4)
    curves = [json.loads(line) for line in (folder / "out/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curves] == list(range(1, len(losses) + 1))
    assert [line["loss"] for line in curves] == pytest.approx(losses, rel=1e-4)
    assert (folder / "out" / "adapter_model.safetensors").read_bytes() == expected
    assert not (folder / "out" / "checkpoints").exists()


def test_an_adapter_is_replaced_only_when_asked_to(finetune, folder):
    assert finetune("--limit", "12").status == 0
    assert metrics(folder)["rows"]["read"] == 12
    refused = finetune()
    assert refused.status == 2
    assert "has an adapter already; replace it with --overwrite" in refused.err
    assert metrics(folder)["rows"]["read"] == 12
    assert finetune("--overwrite").status == 0
    assert metrics(folder)["rows"]["read"] == 22


def test_one_process_at_a_time_trains_in_a_folder(finetune, folder, monkeypatch):
    step, seen = AdapterLoop._step, []

    def beside(self, at):
        if at == 1:  # while this process trains, another one is asked for
            seen.extend(finetune(*args) for args in ((), ("--resume",), ("--overwrite",)))
        return step(self, at)

    monkeypatch.setattr(AdapterLoop, "_step", beside)
    assert finetune().status == 0
    assert [done.status for done in seen] == [2, 2, 2]
    for done in seen[1:]:
        assert "another process is training in out; wait for it to end" in done.err
    assert metrics(folder)["rows"]["read"] == 22
    assert not (folder / "out" / "lock").exists()


def test_what_is_learnt_from_is_not_removed_to_make_room(finetune, folder):
    assert finetune().status == 0
    shutil.copy("experiments/items.csv", "out")
    refused = finetune("--overwrite", "--set", "data.file=out/items.csv")
    assert refused.status == 2
    assert "out/items.csv lies in out, which --overwrite would empty" in refused.err
    assert {"items.csv", "metrics.json"} <= {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("damage", ["", "{", "\0\xff", '"x"'])
def test_a_damaged_note_of_an_interrupted_run_is_told(finetune, folder, monkeypatch, damage):
    def interrupted(self, at):
        raise KeyboardInterrupt

    monkeypatch.setattr(AdapterLoop, "_step", interrupted)
    assert finetune().status == 130
    (folder / "out/checkpoints/identity.json").write_text(damage)
    refused = finetune("--resume")
    assert refused.status == 2
    assert "begin anew with --overwrite" in refused.err


def test_half_a_list_of_types_is_asked_for_again(finetune, folder, monkeypatch):
    tasks = ("--set", "tasks=[path, type]", "--set", "training.epochs=1")
    assert finetune(*tasks).status == 0
    expected = (folder / "out" / "adapter_model.safetensors").read_bytes()
    step = AdapterLoop._step

    def interrupted(self, at):
        raise KeyboardInterrupt

    monkeypatch.setattr(AdapterLoop, "_step", interrupted)
    assert finetune("--overwrite", *tasks).status == 130
    kept = folder / "out/checkpoints/types.json"
    kept.write_text(kept.read_text()[:40])
    monkeypatch.setattr(AdapterLoop, "_step", step)
    assert finetune("--resume", *tasks).status == 0
    assert (folder / "out" / "adapter_model.safetensors").read_bytes() == expected


def test_a_folder_of_something_else_is_never_replaced(cascade, recipe, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").write_text("years of work")
    done = cascade("finetune", recipe, "-o", "mine", "--overwrite")
    assert done.status == 2
    assert "is no result of `cascade finetune`" in done.err
    assert (folder / "mine" / "thesis.txt").exists()


def test_figures_can_be_read_by_machines(finetune):
    found = json.loads(finetune("--json", "--set", "validation.share=0").out)
    assert found["validation_loss"] is None
    assert found["best_step"] == found["steps"]


def test_without_a_taxonomy_one_is_made_of_the_labels(finetune, folder):
    assert finetune("--set", "data.taxonomy=null", "--set", "lora.layers=1").status == 0
    assert "made of the labels" in (folder / "out" / "README.md").read_text()


def test_a_validation_file_takes_the_place_of_held_out_rows(finetune, folder):
    assert finetune("--set", "validation.file=items.csv").status == 0
    rows = metrics(folder)["rows"]
    assert (rows["train"], rows["validation"]) == (22, 5)


def test_rows_of_each_class_are_bounded(finetune, folder):
    assert finetune("--set", "data.rows_per_class=3").status == 0
    assert metrics(folder)["rows"]["train"] == 6


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (("lora.rnk=4",), "experiments/mine.yaml: lora.rnk: there is no such field"),
        (("lora.rank=0",), "experiments/mine.yaml: lora.rank: "),
        (("tasks=[facets]",), "experiments/mine.yaml: tasks.0: "),
        (("tasks=[]",), "expected at least one of child, path, type"),
        (("data.file=gone.csv",), "data.file: there is no file gone.csv"),
        (("validation.file=gone.csv",), "validation.file: there is no file gone.csv"),
        (("data.taxonomy=gone.csv",), "data.taxonomy: gone.csv: no such file"),
        (("data.label=lable",), "column 'lable' is not"),
        (("data.label=price",), "name that with data.label"),
        (("data.text=[titel]",), "column 'titel' is not"),
        (("model.weights=smolm2-135m",), "did you mean 'smollm2-135m'"),
        (("prompts.path=write-pth",), "no prompt 'write-pth'"),
        (("lora.targets=[qkv]",), "lora.targets: qkv is named"),
        (("report_to=tensorbord",), "report_to.0: "),
        (("validation.share=0.9", "validation.most_rows=9"), ""),
    ],
)
def test_what_cannot_be_used_is_named_with_its_field_and_a_cure(finetune, settings, problem):
    done = finetune(*(part for setting in settings for part in ("--set", setting)))
    assert done.status == (2 if problem else 0)
    assert problem in done.err
    assert "Traceback" not in done.err


def test_a_recipe_that_is_not_there_is_told_from_those_that_ship(cascade, folder):
    done = cascade("finetune", "lora-prodcts")
    assert done.status == 2
    assert "neither a file nor shipped (shipped are: " in done.err
    assert "lora-products" in done.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"data: [", "not YAML"),
        (b"\xff", "not UTF-8"),
        (b"- 1", "expected fields"),
        (b"about: x", "data: Field required"),
        (b"data: {file: a.csv}", "data.label: Field required"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(cascade, folder, content, problem):
    (folder / "bad.yaml").write_bytes(content)
    done = cascade("finetune", "bad.yaml")
    assert done.status == 2
    assert f"bad.yaml: {problem}" in done.err
