import copy
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llm import tiny_model

from cascade.errors import OutputError, UsageError
from cascade.training.adapters.instructions import Example
from cascade.training.adapters.lora import LoraRecipe, attach_lora, trained
from cascade.training.adapters.recipe import LoopRecipe
from cascade.training.adapters.training import AnswerLoop, answer_loss, batches_of, plan

RECIPE = LoopRecipe(
    epochs=2,
    learning_rate=0.01,
    batch_tokens=64,
    checkpoint_every=3,
    evaluate_every=4,
    precision="float32",
    device="cpu",
)

LONGER = RECIPE.model_copy(update={"epochs": 8, "learning_rate": 0.02})


def some_examples(n=24, seed=0):
    """Examples of various lengths, half of them after a shared prefix, that can be learnt."""
    rng = np.random.default_rng(seed)
    made = []
    for at in range(n):
        kind = at % 3
        prompt = (*rng.integers(3, 200, rng.integers(1, 12)).tolist(), 210 + kind)
        shared = (5, 6, 7, 8) if at % 2 else ()
        made.append(Example(shared, prompt, (220 + kind, 230 + kind, 2)))
    return made


EXAMPLES = some_examples()
OTHERS = some_examples(9, seed=1)


def adapted(dropout=0.1):
    return attach_lora(copy.deepcopy(tiny_model()), LoraRecipe(rank=4, dropout=dropout))


def loop(folder, recipe=RECIPE, model=None, examples=EXAMPLES, **options):
    return AnswerLoop(model or adapted(), examples, recipe, folder, **options)


def weights(model):
    return {name: p.detach().clone() for name, p in trained(model).items()}


def differ(a, b):
    return max(float((a[name] - b[name]).abs().max()) for name in a)


class Killed(Exception):
    pass


def killed_after(step):
    def progress(tick):
        if tick.step == step:
            raise Killed

    return progress


@pytest.mark.parametrize("shared", [(), (5, 6, 7, 8)])
def test_the_loss_is_that_of_each_answer_read_on_its_own(shared):
    model = tiny_model()
    examples = [Example(shared, e.prompt, e.answer) for e in EXAMPLES[:7]]
    expected = 0.0
    with torch.no_grad():
        for example in examples:
            before = [*example.shared, *example.prompt]
            ids = torch.tensor([[*before, *example.answer]])
            logprobs = model(ids).logits[0].log_softmax(-1)
            for place, token in enumerate(example.answer, len(before) - 1):
                expected -= float(logprobs[place, token])
        assert float(answer_loss(model, examples)) == pytest.approx(expected, rel=1e-4)


def test_gradients_flow_through_the_shared_prefix_too():
    """Against the same rows with the prefix written into each."""
    grads = []
    for spread in (False, True):
        model = adapted(dropout=0.0).train()
        with torch.no_grad():  # the second matrices are zero at first, and hide the first ones
            for name, parameter in trained(model).items():
                if "lora_B" in name:
                    parameter.fill_(0.01)
        some = [e for e in EXAMPLES if e.shared][:4]
        if spread:
            some = [Example((), e.shared + e.prompt, e.answer) for e in some]
        answer_loss(model, some).backward()
        grads.append({name: p.grad for name, p in trained(model).items()})
    assert differ(*grads) < 1e-4 * max(float(g.abs().max()) for g in grads[0].values())


def test_training_lowers_the_loss_and_leaves_the_models_own_weights(tmp_path):
    run = loop(tmp_path, LONGER, validation=OTHERS)
    own = {n: p.clone() for n, p in run.model.named_parameters() if not p.requires_grad}
    before = run.loss(OTHERS)
    history = run.run()
    assert history.validation[-1][1] < 0.7 * before
    assert run.loss(OTHERS) == pytest.approx(history.best, rel=1e-5)
    after = dict(run.model.named_parameters())
    assert all(torch.equal(after[name], p) for name, p in own.items())


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("at", [2, 4, 7])
def test_a_run_that_is_killed_and_resumed_ends_in_the_same_weights(tmp_path, at, accumulate):
    recipe = RECIPE.model_copy(update={"accumulate": accumulate, "epochs": 2 * accumulate})
    whole = loop(tmp_path / "whole", recipe, validation=OTHERS)
    expected = whole.run()
    assert len(whole.steps) > 7
    with pytest.raises(Killed):
        loop(tmp_path / "killed", recipe, validation=OTHERS).run(progress=killed_after(at))
    torch.rand(3)  # another process has another random state
    again = loop(tmp_path / "killed", recipe, validation=OTHERS)
    ticks = []
    history = again.run(resume=True, progress=ticks.append)
    assert ticks[0].step == 3 * (at // 3) + 1
    assert differ(weights(again.model), weights(whole.model)) < 1e-5
    assert history.losses == pytest.approx(expected.losses, rel=1e-5)
    assert history.validation == [(s, pytest.approx(v, rel=1e-5)) for s, v in expected.validation]
    assert again.tokens == whole.tokens


def test_the_seed_makes_the_run(tmp_path):
    ends = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run = loop(tmp_path / name, seed=seed)
        run.run()
        ends.append(weights(run.model))
    assert differ(ends[0], ends[1]) == 0
    assert differ(ends[0], ends[2]) > 1e-4


def test_random_numbers_of_the_caller_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    loop(tmp_path).run()
    assert torch.rand(1) == expected


def test_accumulated_batches_are_one_large_one(tmp_path):
    """Same examples in a step, in one forward pass or in several."""
    examples = [e for e in EXAMPLES if e.shared]
    ends = []
    for tokens, accumulate in ((4096, 1), (40, 100)):
        recipe = RECIPE.model_copy(
            update={"batch_tokens": tokens, "accumulate": accumulate, "epochs": 1}
        )
        run = loop(tmp_path, recipe, adapted(dropout=0.0), examples)
        assert len(run.steps) == 1
        assert (len(run.steps[0]) > 1) == (accumulate > 1)
        run.run()
        ends.append(weights(run.model))
    assert differ(*ends) < 1e-5


def test_training_ends_early_and_keeps_the_best_weights(tmp_path):
    """The answers of validation are others than those that are learnt."""
    recipe = LONGER.model_copy(update={"evaluate_every": 1, "patience": 2})
    other = [Example(e.shared, e.prompt, (100, 110, 2)) for e in OTHERS]
    run = loop(tmp_path, recipe, validation=other)
    history = run.run()
    assert history.stopped_early
    assert len(history.losses) < len(run.steps)
    assert history.evaluations_since_best == 2
    assert run.loss(other) == pytest.approx(history.best, rel=1e-5)
    # Going on with it does not.
    again = loop(tmp_path, recipe, validation=other)
    assert again.run(resume=True).losses == history.losses
    assert differ(weights(again.model), weights(run.model)) == 0


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    with pytest.raises(Killed):
        loop(tmp_path, identity="these rows").run(progress=killed_after(4))
    with pytest.raises(OutputError, match="other data or another recipe"):
        loop(tmp_path, identity="other rows").run(resume=True)


def test_what_is_kept_holds_no_pickle(tmp_path):
    loop(tmp_path, validation=OTHERS).run()
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["best.safetensors", "checkpoint.safetensors"]
    for file in files:
        size = int.from_bytes(file.read_bytes()[:8], "little")
        assert json.loads(file.read_bytes()[8 : 8 + size])["__metadata__"]


def test_a_loss_that_is_no_number_says_what_to_lower(tmp_path):
    model = adapted()
    with torch.no_grad():
        for parameter in trained(model).values():
            parameter.fill_(math.nan)
    with pytest.raises(UsageError, match=r"loss of step 1 is nan; lower learning_rate"):
        loop(tmp_path, model=model).run()


def test_half_precision_learns_too(tmp_path):
    recipe = LONGER.model_copy(update={"precision": "bfloat16"})
    model = attach_lora(copy.deepcopy(tiny_model()).to(torch.bfloat16), LoraRecipe(rank=4))
    run = loop(tmp_path, recipe, model, validation=OTHERS)
    before = run.loss(OTHERS)
    assert run.run().best < 0.8 * before
    assert {p.dtype for p in trained(model).values()} == {torch.float32}


def test_progress_tells_loss_and_time_left(tmp_path):
    ticks = []
    loop(tmp_path, validation=OTHERS).run(progress=ticks.append)
    assert [tick.step for tick in ticks] == list(range(1, ticks[0].steps + 1))
    assert ticks[0].seconds_left > 0 == ticks[-1].seconds_left
    assert ticks[0].validation is None
    assert ticks[-1].validation > 0


examples = st.builds(
    Example,
    st.sampled_from([(), (1, 2), tuple(range(9))]),
    st.lists(st.integers(3, 9), min_size=1, max_size=30).map(tuple),
    st.lists(st.integers(3, 9), min_size=1, max_size=5).map(tuple),
)


@given(st.lists(examples, max_size=40), st.integers(16, 90), st.none() | st.integers(0, 3))
def test_batches_hold_every_example_once_within_the_budget(examples, budget, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = batches_of(examples, budget, rng)
    assert sorted(at for batch in batches for at in batch) == list(range(len(examples)))
    for batch in batches:
        own = [examples[at] for at in batch]
        assert len({e.shared for e in own}) == 1
        room = max(budget - len(own[0].shared), budget // 2)
        assert len(own) == 1 or len(own) * max(map(len, own)) <= room


@pytest.mark.parametrize("epochs", [0.5, 1, 2.5])
def test_epochs_say_how_often_examples_are_seen(epochs):
    steps = plan(EXAMPLES, RECIPE.model_copy(update={"epochs": epochs, "batch_tokens": 16}), 0)
    seen = np.bincount([at for step in steps for batch in step for at in batch], minlength=24)
    assert seen.min() >= math.floor(epochs)
    assert seen.max() <= math.ceil(epochs)
    assert seen.sum() == pytest.approx(epochs * len(EXAMPLES), abs=3)


def test_the_rates_rise_then_fall_to_almost_nothing(tmp_path):
    recipe = RECIPE.model_copy(
        update={"learning_rate": 1.0, "warmup": 0.1, "batch_tokens": 16, "epochs": 10}
    )
    run = loop(tmp_path, recipe)
    schedule, steps = run._schedule(0), run.settings.steps
    rates = []
    for _ in range(steps):
        rates += schedule.get_last_lr()
        run._optimizer.step()
        schedule.step()
    peak = int(np.argmax(rates))
    assert 0 < rates[0] < 0.1
    assert rates[peak] == 1.0
    assert peak == math.ceil(0.1 * steps) - 1
    assert np.all(np.diff(rates[peak:]) < 0)
    assert 0 < rates[-1] < 0.001
    later = loop(tmp_path, recipe)._schedule(steps // 2)
    assert later.get_last_lr() == pytest.approx([rates[steps // 2]])
