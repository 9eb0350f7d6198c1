import json
from pathlib import Path

import numpy as np
import pytest
from tiny_encoder import save_tiny_encoder
from tiny_llm import tiny_model, tiny_tokenizer

from cascade import Taxonomy
from cascade.errors import InputError
from cascade.generation.prompts import PromptTemplate
from cascade.retrieval.encoder import Encoder
from cascade.training.agents.recipe import WalksRecipe
from cascade.training.agents.walks import WalkedSet
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.finetune_kinds import experiment_of, load_recipe

PATHS = [
    f"{top} > {top} {middle} > {top} {middle} {leaf}"
    for top in ("garden", "kitchen", "office")
    for middle in ("old", "new", "odd")
    for leaf in ("rake", "pan", "pen")
]
TREE = Taxonomy.from_paths(PATHS)
PLAIN = AugmentationRecipe(typos=0, lost_words=0, shortened=0)
TEMPLATE = PromptTemplate.load("agent-step")
NODES = np.array([TREE.index(path) for path in PATHS], np.int32)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    encoder = save_tiny_encoder(folder / "encoder", [*PATHS, "zorba plim quent ostra hule"] * 3)
    model = folder / "llm"
    tiny_model().save_pretrained(model)
    tiny_tokenizer().save_pretrained(model)
    return encoder, model


def walked(tiny, **over):
    texts = [["zorba", "plim", "quent ostra"][at % 3] for at in range(len(PATHS))]
    rows = EncoderSet("toy", TREE, texts, NODES, 1.0, PLAIN)
    recipe = WalksRecipe(doubted=1.0, shown=3, **over)
    return WalkedSet(rows, Encoder.load(str(tiny[0])), recipe, TEMPLATE)


def answers(instructions):
    return [one.answer.strip() for one in instructions]


def test_a_walk_without_detours_ends_with_the_right_choice(tiny):
    made, count = walked(tiny).walks(1000, np.random.default_rng(0), learnt=False)
    actions = answers(made)
    assert count == len(PATHS)
    assert sum(action.startswith("choose") for action in actions) == count
    assert {action.split()[0] for action in actions} <= {"choose", "open", "search", "up"}


def test_each_instruction_is_a_prompt_of_use_with_an_action_that_is_right_there(tiny):
    made, _ = walked(tiny).walks(1000, np.random.default_rng(0), learnt=False)
    for one in made:
        lines = one.prompt.start.splitlines()
        assert lines[0].startswith('Item: "') and lines[-1] == "Action:"
        assert one.answer.startswith(" ") and one.prompt.end == "\n"
        if one.answer.startswith(" choose"):
            number = one.answer.split()[1]
            assert any(line.startswith(f"{number}. ") for line in lines)


def test_detours_are_not_learnt_but_the_way_back_is(tiny):
    rng = np.random.default_rng(0)
    straight, _ = walked(tiny).walks(1000, rng, learnt=False)
    detoured, _ = walked(tiny, detours=1.0).walks(1000, np.random.default_rng(1), learnt=True)
    done = [one for one in detoured if "\nDone: " in one.prompt.start]
    assert len(done) > sum("\nDone: " in one.prompt.start for one in straight)


def test_walks_are_the_same_for_the_same_seed(tiny):
    first = walked(tiny).walks(9, np.random.default_rng(3), learnt=True)
    assert first == walked(tiny).walks(9, np.random.default_rng(3), learnt=True)


@pytest.fixture
def recipe(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"zorba {at},{path}" for at, path in enumerate(PATHS * 2)]
    (tmp_path / "learnt.csv").write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")
    held = [f"plim {at},{path}" for at, path in enumerate(PATHS)]
    (tmp_path / "held.csv").write_text("text,label\n" + "\n".join(held) + "\n", "utf-8")
    (tmp_path / "mine.yaml").write_text(
        f"""\
kind: agent
about: For tests.
sets:
- {{name: learnt, file: learnt.csv}}
held:
- {{name: held, file: held.csv}}
rows: 12
held_rows: 4
model: {{weights: {tiny[1]}}}
walks: {{doubted: 1, shown: 3, encoder: {tiny[0]}}}
lora: {{rank: 2}}
training: {{most_steps: 3, evaluate_every: 2, checkpoint_every: 2, learning_rate: 0.01,
  device: cpu, precision: float32}}
""",
        "utf-8",
    )
    return "mine.yaml"


def made(recipe, folder, **over):
    with experiment_of(load_recipe(recipe, over), Path(folder)) as run:
        run.prepare()
        return run.run(), run


def test_an_adapter_is_learnt_from_walks_and_can_be_used(recipe):
    metrics, run = made(recipe, "out")
    assert metrics["kind"] == "agent" and metrics["steps"] == 3
    assert metrics["walks"] == {"learnt": 12} and metrics["examples"]["validation"] >= 4
    assert metrics["validation_loss"] <= metrics["validation_loss_before"]
    assert Path("out/adapter_model.safetensors").is_file()
    assert "--method agent" in run.usage() and "agent.shown=3" in run.usage()
    assert "walks" in Path("out/README.md").read_text("utf-8")
    assert json.loads(Path("out/metrics.json").read_text())["kind"] == "agent"
    import cascade

    clf = cascade.load(
        TREE,
        method="agent",
        llm={"model": load_recipe(recipe).model.weights, "adapter": "out"},
        retrieval={"encoder": load_recipe(recipe).walks.encoder},
        agent={"threshold": 1.0, "steps": 1},
    )
    assert clf.classify("zorba 1").code in PATHS


def test_where_retrieval_doubts_nothing_there_is_nothing_to_learn(recipe):
    with pytest.raises(InputError, match=r"walks\.doubted"):
        made(recipe, "none", walks={"doubted": 0.0})
