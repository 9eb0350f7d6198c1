from pathlib import Path

import numpy as np
import pytest
from hash_encoder import HashEncoder
from tiny_encoder import save_tiny_encoder
from tiny_llm import tiny_model, tiny_tokenizer
from tuned_sets import adapter_killed_and_resumed, made

from cascade.errors import ConfigError, InputError
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.listed.candidates import NONE
from cascade.scoring.listed.channel import ChannelChooser
from cascade.taxonomy import Taxonomy
from cascade.training.choosers.contests import contest, contest_loss
from cascade.training.choosers.lists import ListedSet, instruction
from cascade.training.choosers.measuring import figures_of
from cascade.training.choosers.recipe import ListRecipe
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.finetune_kinds import load_recipe

TAXONOMY = Taxonomy.from_paths(
    [f"{top} > {middle} > {leaf}" for top in "AB" for middle in "CDE" for leaf in "FGH"]
)
TEMPLATE = PromptTemplate.load("choose-listed")


def a_set(nodes=None, texts=None):
    nodes = np.repeat(TAXONOMY.leaves, 4).astype(np.int32) if nodes is None else nodes
    texts = [f"text {at}" for at in range(len(nodes))] if texts is None else texts
    return EncoderSet("letters", TAXONOMY, texts, nodes, 1.0, AugmentationRecipe())


def listed_of(chosen=None, **recipe):
    recipe = ListRecipe(**{"listed": 5, "near": 2, "absent": 0.25, "doubted": 1, **recipe})
    return ListedSet(chosen or a_set(), HashEncoder(), recipe)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_list_has_the_right_leaf_once_or_not_at_all():
    choices = listed_of().learnt(60, rng())
    assert len(choices) == 60
    for choice in choices:
        assert len(choice.nodes) == 5 == len(set(choice.nodes.tolist()))
        assert (np.diff(choice.nodes) > 0).all()
        assert np.exp(choice.log_p).sum() == pytest.approx(1, abs=1e-4)
    absent = np.mean([choice.right == 5 for choice in choices])
    assert 0.1 < absent < 0.4


@pytest.mark.parametrize(("absent", "missing"), [(0, 0), (1, 60)])
def test_the_share_without_the_right_leaf_is_that_of_the_recipe(absent, missing):
    choices = listed_of(absent=absent).learnt(60, rng())
    assert sum(choice.right == len(choice.nodes) for choice in choices) == missing


def test_near_leaves_take_the_place_of_what_is_least_similar():
    def beside(near):
        choices = listed_of(near=near, absent=0, listed=6).learnt(72, rng())
        parents = TAXONOMY.parent
        return np.mean(
            [
                np.mean(parents[np.delete(c.nodes, c.right)] == parents[c.nodes[c.right]])
                for c in choices
            ]
        )

    assert beside(4) > beside(0) + 0.04


def test_what_is_measured_is_what_retrieval_finds_without_a_hint():
    choices = listed_of(near=2, absent=0).measured(72, rng())
    missing = np.mean([choice.right == len(choice.nodes) for choice in choices])
    assert 0.4 < missing < 0.95  # 5 of 18 by chance


def test_only_rows_that_retrieval_doubts_are_taken():
    assert listed_of(doubted=0).measured(72, rng()) == []
    some = listed_of(doubted=0.3).measured(72, rng())
    assert 0 < len(some) < 72
    assert all(np.exp(choice.log_p[:-1]).max() < 0.3 for choice in some)


def test_a_label_above_the_leaves_is_listed_as_staying_there():
    inner = TAXONOMY.index("A > C")
    chosen = a_set(np.array([inner, *TAXONOMY.leaves[:5]], np.int32))
    listed = listed_of(chosen, absent=0, listed=5)
    found = [c for c in listed.learnt(6, rng()) if c.text.startswith("text 0")]
    (choice,) = found
    assert listed.taxonomy.codes[choice.nodes[choice.right]] == "A > C"


def test_another_right_leaf_of_a_text_is_no_wrong_candidate():
    leaves = TAXONOMY.leaves
    chosen = a_set(np.array([leaves[0], leaves[1], *leaves[2:]], np.int32),
                   ["same", "SAME", *(f"t{at}" for at in range(len(leaves) - 2))])  # fmt: skip
    listed = listed_of(chosen, listed=16, near=0, absent=0)
    for choice in listed.learnt(18, rng()):
        if choice.text.casefold() == "same":
            assert len({leaves[0], leaves[1]} & set(choice.nodes.tolist())) == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_the_answer_is_the_letter_of_the_right_line(reverse):
    listed = listed_of(absent=0.5)
    for choice in listed.learnt(30, rng()):
        made = instruction(choice, listed.texts, TEMPLATE, "letter", reverse=reverse)
        line = next(
            line for line in made.prompt.start.splitlines() if line.startswith(made.answer.strip())
        )
        wanted = (
            NONE
            if choice.right == len(choice.nodes)
            else listed.texts(choice.nodes.tolist())[choice.right]
        )
        assert line == f"{made.answer.strip()}. {wanted}"


def test_the_answer_may_be_the_text_of_the_right_line():
    listed = listed_of(absent=0.5)
    for choice in listed.learnt(30, rng()):
        made = instruction(choice, listed.texts, TEMPLATE, "name", reverse=False)
        assert f"\n- {made.answer.strip()}\n" in made.prompt.start


def test_figures_count_answers_alone_and_beside_retrieval():
    choices = listed_of().measured(40, rng())

    def knows(items, candidates):
        return [np.log(np.eye(6)[choice.right] * 0.9 + 0.1 / 6) for choice in choices]

    found = figures_of(choices, knows, 0.5)
    assert found["rows"] == len(choices)
    assert found["chosen"] == found["listed"]
    fused = list(found["fused"].values())
    assert [found["retrieval"], *fused, found["listed"]] == sorted(
        [found["retrieval"], *fused, found["listed"]]
    )
    assert found["retrieval"] < fused[-1]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "llm"
    tiny_model().save_pretrained(model)
    tiny_tokenizer().save_pretrained(model)
    words = "straw hat shoe care garden tools rake pan knife nurse doctor teacher A B C D E F G H"
    encoder = save_tiny_encoder(tmp_path, [words] * 3)
    for name, tops in (("tools", "AB"), ("work", "CD")):
        labels = [f"{top} > {leaf}" for top in tops for leaf in "EFGH"]
        lines = [
            f"{words.split()[at % 9]} {label[-1]} {at},{label}"
            for label in labels
            for at in range(4)
        ]
        Path(f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n", "utf-8")
    Path("mine.yaml").write_text(
        f"""\
kind: choose
about: For tests.
sets: [{{name: tools, file: tools.csv}}]
held: [{{name: work, file: work.csv}}]
rows: 24
held_rows: 8
model: {{weights: {model}}}
lists: {{listed: 4, near: 1, doubted: 1, encoder: {encoder}}}
lora: {{rank: 2}}
training: {{most_steps: 4, batch_tokens: 256, learning_rate: 0.01, evaluate_every: 2,
  checkpoint_every: 1,  precision: float32, device: cpu}}
""",
        "utf-8",
    )
    return "mine.yaml"


def test_an_adapter_learns_lists_and_is_measured_on_sets_that_are_held_out(recipe):
    metrics = made(recipe, "out")
    assert metrics["sets"].keys() == {"tools"}
    assert metrics["before"].keys() == metrics["after"].keys() == {"work"}
    assert metrics["before"]["work"]["retrieval"] == metrics["after"]["work"]["retrieval"]
    readme = Path("out/README.md").read_text("utf-8")
    assert "--method choose" in readme and "llm.adapter=out" in readme and "| work |" in readme
    assert Path("out/adapter_model.safetensors").is_file()


def test_a_run_that_was_killed_ends_in_the_same_adapter(recipe, monkeypatch):
    found = adapter_killed_and_resumed(recipe, monkeypatch)
    assert found[0]["loss_by_step"] == found[1]["loss_by_step"]
    assert found[0]["after"] == found[1]["after"]


def test_an_adapter_learns_to_find_the_text_likelier_under_the_right_leaf(recipe):
    how = {"answer": "item", "weight": 0.7}
    learning = {"most_steps": 20, "epochs": 20, "learning_rate": 0.01, "batch_tokens": 4096}
    metrics = made(recipe, "out", lists=how, training=learning)
    losses = metrics["loss_by_step"]  # each step has all contests
    assert losses[-1] < losses[0] - 0.1, losses
    assert "0.7" in metrics["after"]["work"]["fused"]
    readme = Path("out/README.md").read_text("utf-8")
    for setting in ("choose.answer=item", "choose.weight=0.7", "item.kind=text"):
        assert setting in readme


def test_the_loss_of_a_contest_is_that_of_the_choice_which_is_made():
    model, tokenizer = tiny_model(), tiny_tokenizer()
    listed = listed_of(absent=0)
    template = PromptTemplate.load("item-of").given(kind="text")
    choices = listed.learnt(6, rng())
    encoder = PromptEncoder(tokenizer)
    contests = [contest(choice, listed.texts, template, encoder) for choice in choices]
    found = float(contest_loss(model, contests, 0.5))
    chooser = ChannelChooser(TransformersEngine(model, tokenizer), template, listed.texts)
    wanted = 0.0
    for choice in choices:
        (own,) = chooser([choice.text], [choice.nodes])
        both = choice.log_p[:-1] + 0.5 * own
        wanted -= both[choice.right] - np.logaddexp.reduce(both)
    assert found == pytest.approx(wanted, abs=1e-2)


def test_rows_that_retrieval_never_doubts_are_refused_with_what_to_do(recipe):
    with pytest.raises(InputError, match=r"raise lists\.doubted"):
        made(recipe, "out", lists={"doubted": 0})


def test_a_kind_that_is_none_is_refused_with_all_that_are(recipe):
    with pytest.raises(ConfigError, match=r"adapter, .*choose, .*retriever"):
        load_recipe(recipe, {"kind": "chooser"})
