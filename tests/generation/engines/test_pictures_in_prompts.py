"""A vision-language model of the LLaVA kind under the same engine, grammars and adapters.

The model is put together here of the tiny LLaMA and a small vision tower of random numbers. That
proves that pictures reach the model where transformers would have put them, that they are looked
at once, and that LoRA learns through them; it cannot prove that a real LLaVA classifies well.
"""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_llava import save_tiny_llava
from tiny_llm import tiny_model, tiny_tokenizer

import cascade
from cascade.errors import EngineError, UsageError
from cascade.generation.engine import Message, Prompt, Question
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.items import Item
from cascade.models import vision_language
from cascade.taxonomy import Taxonomy
from cascade.training.adapters.experiment import AdapterExperiment
from cascade.training.adapters.recipe import AdapterRecipe

ANSWERS = ("Hats", "Shoes", "Shoe care")
TAXONOMY = Taxonomy.from_paths(["Hats", "Shoes", "Rakes"])
COLOURS = {"Hats": (220, 20, 20), "Shoes": (20, 200, 30), "Rakes": (20, 30, 230)}


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return save_tiny_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def engine(llava):
    return TransformersEngine.load(str(llava), device="cpu", precision="float32")


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def question(image=None, messages=True):
    if messages:
        said = (Message("system", "Sort."), Message("user", "straw hat"))
        return Question(Prompt(said, image=image), ANSWERS)
    return Question(Prompt(shared="Sort.\n", start="straw hat is", image=image), ANSWERS)


def by_transformers(folder, image, prompt_ids, answers):
    """Log-probabilities of answers with the whole model, as its makers would have it."""
    import torch
    from transformers import AutoImageProcessor, LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")
    found = []
    for answer in answers:
        ids = torch.tensor([[*prompt_ids, *answer]])
        with torch.inference_mode():
            logits = model(input_ids=ids, pixel_values=pixels["pixel_values"]).logits[0]
        said = logits.log_softmax(-1)[len(prompt_ids) - 1 : -1]
        found.append(float(said[torch.arange(len(answer)), torch.tensor(answer)].sum()))
    return found


def test_a_picture_is_read_where_transformers_would_put_it(llava, engine):
    image = picture(1)
    tokenizer = tiny_tokenizer()

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    before = "<|im_start|>system\nSort.<|im_end|>\n<|im_start|>user\n"
    n_patches = (32 // 8) ** 2
    prompt = [*ids("<|im_start|>system\n"), *ids("Sort."), *ids("<|im_end|>\n<|im_start|>user\n")]
    assert prompt == ids(before)
    prompt += [0] * n_patches + ids("\n") + ids("straw hat")
    prompt += ids("<|im_end|>\n<|im_start|>assistant\n")
    answers = [[*ids(answer), tokenizer.eos_token_id] for answer in ANSWERS]
    expected = by_transformers(llava, image, prompt, answers)
    (found,) = engine.score([question(image)])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("messages", [True, False])
def test_each_question_sees_its_own_picture(engine, messages):
    one, other = picture(1), picture(2)
    asked = [question(one, messages), question(None, messages), question(other, messages)]
    together = engine.score(asked)
    alone = [engine.score([q])[0] for q in asked]
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(together[0] - together[2]).max() > 0.01
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_without_a_picture_it_is_the_language_model(engine):
    plain = TransformersEngine(tiny_model(), tiny_tokenizer())
    np.testing.assert_allclose(
        engine.score([question()])[0], plain.score([question()])[0], atol=1e-5
    )


def test_answers_are_generated_under_the_same_grammar(engine):
    found = engine.generate([question(picture(1)), question(picture(2))])
    assert all(0 <= index < len(ANSWERS) for index, _ in found)
    prompts = [replace(question(picture(1)).prompt, end="\n")]
    assert engine.complete(prompts, 4) == engine.complete(prompts, 4)


def test_a_picture_is_looked_at_once(engine, monkeypatch):
    looked = []
    look = engine._bank._encode
    monkeypatch.setattr(
        engine._bank, "_encode", lambda pictures: looked.append(len(pictures)) or look(pictures)
    )
    image = picture(3)
    for _ in range(3):
        engine.score([question(image), question(image, messages=False)])
    assert sum(looked) == 1


def test_many_pictures_are_forgotten_between_calls(engine, monkeypatch):

    monkeypatch.setattr(vision_language, "MAX_PICTURES", 2)
    images = [picture(seed) for seed in range(4)]
    first = engine.score([question(image) for image in images])
    again = engine.score([question(image) for image in images])
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert len(engine._bank._tokens_of) == 4


def test_pictures_that_were_forgotten_are_not_taken_for_others(engine, monkeypatch):

    monkeypatch.setattr(vision_language, "MAX_PICTURES", 2)
    session, new = object(), question(picture(9))
    engine.score([question(picture(seed)) for seed in range(3)], session=session)
    engine.complete([question(picture(5)).prompt], 2)
    (found,) = engine.score([new], session=session)
    (alone,) = engine.score([new])
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_keys_and_values_of_a_picture_are_kept_from_one_level_to_the_next(engine, monkeypatch):
    computed, forward = [], engine._prefixes.forward

    def counted(prefix, rows, *how):
        computed.append(sum(map(len, rows)))
        return forward(prefix, rows, *how)

    monkeypatch.setattr(engine._prefixes, "forward", counted)
    session, shown = object(), picture(4)
    for start in ("straw hat is", "straw hat among hats is"):
        asked = Question(Prompt(shared="Sort.\n", start=start, image=shown), ANSWERS)
        engine.score([asked], "local", session)
    assert computed[1] < len(engine._bank.tokens([shown])[0]) < computed[0]


def test_a_model_that_sees_nothing_says_so():
    with pytest.raises(EngineError, match="reads no pictures"):
        TransformersEngine(tiny_model(), tiny_tokenizer()).score([question(picture(1))])


@pytest.fixture
def coloured(tmp_path):
    """Pictures whose colour tells what is to be said, and a file that names them."""
    rng = np.random.default_rng(0)
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "label"])
        for at in range(24):
            label = list(COLOURS)[at % 3]
            pixels = np.array(COLOURS[label]) + rng.integers(-20, 20, (SIDE := 36, SIDE, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{at}.png")
            writer.writerow([f"{at}.png", label])
    return tmp_path


def recipe(coloured, llava, **data):
    return AdapterRecipe.model_validate(
        {
            "data": {
                "file": str(coloured / "rows.csv"),
                "label": "label",
                "image": "photo",
                **data,
            },
            "validation": {"share": 0},
            "model": {"weights": str(llava)},
            "tasks": ["path"],
            "lora": {"dropout": 0.0},
            "training": {
                "epochs": 25,
                "learning_rate": 0.02,
                "precision": "float32",
                "device": "cpu",
            },
        }
    )


def test_lora_learns_what_only_pictures_tell(coloured, llava):
    experiment = AdapterExperiment(recipe(coloured, llava), coloured / "adapter")
    experiment.prepare()
    experiment.run()
    tuned = TransformersEngine.load(
        str(llava), adapter=str(coloured / "adapter"), device="cpu", precision="float32"
    )
    from cascade.generation.prompts import PromptTemplate

    template = PromptTemplate.load("write-path")
    prompt = template.render({"item": "the thing in the picture"})
    answers = tuple(map(template.answer, COLOURS))
    asked = [Question(replace(prompt, image=coloured / f"{at}.png"), answers) for at in range(12)]
    found = [int(scores.argmax()) for scores in tuned.score(asked)]
    assert found == [at % 3 for at in range(12)]


def test_pictures_for_a_model_that_sees_nothing_are_refused(coloured, tmp_path):
    tiny_model().save_pretrained(tmp_path / "llama")
    tiny_tokenizer().save_pretrained(tmp_path / "llama")
    experiment = AdapterExperiment(recipe(coloured, tmp_path / "llama"), coloured / "adapter")
    experiment.prepare()
    with pytest.raises(UsageError, match=r"data\.image is 'photo'.*reads no pictures"):
        experiment.run()


def test_a_cascade_asks_it_about_pictures(coloured, llava):
    clf = cascade.load(
        "few",
        taxonomy=TAXONOMY,
        method="llm",
        llm={"model": str(llava), "device": "cpu"},
        retrieval={"encoder": "small:clip"},
        columns={"image": "photo"},
    )
    (coloured / "bad.png").write_bytes(b"no picture")
    good, bad = (Item({}, image=coloured / name) for name in ("0.png", "bad.png"))
    found = clf.classify_batch([good, bad, good])
    assert [p.status == "error" for p in found] == [False, True, False]
    assert "bad.png cannot be read" in found[1].message
    assert found[0].code in TAXONOMY.codes


def test_hidden_states_are_of_what_was_seen(coloured, llava):
    from cascade.features.text_embeddings import HiddenStates

    states = HiddenStates.load(str(llava), ["name"], 100)
    items = [
        Item({"name": "hat"}, image=coloured / "0.png"),
        Item({"name": "hat"}, image=coloured / "1.png"),
        Item({"name": "hat"}),
        Item({}, image=coloured / "gone.png"),
    ]
    problems = {}
    rows = states.rows(items, problems)
    assert list(problems) == [3] and "gone.png is not there" in problems[3]
    assert np.abs(rows[0] - rows[1]).max() > 1e-3 < np.abs(rows[0] - rows[2]).max()
    np.testing.assert_allclose(rows[:1], states.rows(items[:1]), atol=1e-4)
    assert states.reads_pictures and states.reads_text


def test_heads_over_its_hidden_states_are_fitted_with_lora(coloured, llava, tmp_path):
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile
    from cascade.training.packs.fit import Fit
    from cascade.training.packs.recipe import Recipe

    tuning = {"epochs": 6, "least_steps": 30, "batch_size": 8, "learning_rate": 0.005}
    nothing = dict.fromkeys(("lexical", "sentence", "picture", "both", "routing"))
    llama = {"model": str(llava), "layers": 1, "tuning": {**tuning, "importance": [1.0]}}
    recipe = Recipe.parse({**nothing, "llama": llama})
    source = TableFile(str(coloured / "rows.csv"))
    job = Fit(source, TAXONOMY, Columns(image="photo", label="label"), recipe, tmp_path / "pack")
    job.prepare()
    job.run(lambda *_: None)
    clf = cascade.load(tmp_path / "pack")
    found = [clf.classify({"photo": coloured / f"{at}.png"}).path for at in range(6)]
    assert found == [list(COLOURS)[at % 3] for at in range(6)]
