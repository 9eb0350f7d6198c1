import csv
import json
import random
from itertools import chain

import pytest

from cascade.models.weights import find_weights
from cascade.training.rankers import experiment
from cascade.training.rankers.trainers import train_retriever

WORDS = {
    "Garden > Rakes": ["zorba", "plim"],
    "Garden > Spades": ["quent", "ostra"],
    "Clothing > Hats": ["mirp", "valen"],
    "Clothing > Gloves": ["drobe", "tusk"],
    "Kitchen > Pans": ["hule", "sarn"],
    "Kitchen > Knives": ["ebbo", "krill"],
}
"""Trade names that no model knows, so that only training can tell them apart."""
OTHERS = ["blue", "large", "classic", "[SEP] new", "steel"]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """The two lowest layers of the real encoder, with the words of these tests alone.

    Small enough to be trained in seconds: most of its weights are those of words.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import BertTokenizerFast

    model = SentenceTransformer(str(find_weights("minilm").path), device="cpu")
    bert, folder = model[0].auto_model, tmp_path_factory.mktemp("encoder")
    bert.encoder.layer = bert.encoder.layer[:2]
    bert.config.num_hidden_layers = 2
    texts = [*WORDS, *chain(*WORDS.values()), *OTHERS, *map(str, range(100))]
    used = {token for text in texts for token in model.tokenizer.tokenize(text)}
    vocabulary = [
        (token, at)
        for token, at in sorted(model.tokenizer.get_vocab().items(), key=lambda pair: pair[1])
        if token in used
        or token in model.tokenizer.all_special_tokens
        or len(token) < 2
        or (len(token) == 3 and token.startswith("##"))
    ]
    (folder / "vocab.txt").write_text("\n".join(token for token, _ in vocabulary), "utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=256)
    words = bert.embeddings.word_embeddings.weight.detach()[[at for _, at in vocabulary]]
    bert.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(words, freeze=False)
    bert.config.vocab_size = len(vocabulary)
    bert.save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    body = Transformer(str(folder / "bert"), max_seq_length=256)
    small = SentenceTransformer(modules=[body, *list(model)[1:]], device="cpu")
    small.save_pretrained(str(folder / "encoder"), create_model_card=False)
    return folder / "encoder"


def write(words):
    """20 rows of each label with one of its words."""
    draw = random.Random(0)
    with open("rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for label, names in words.items():
            for _ in range(20):
                other = draw.choice(OTHERS)
                writer.writerow([f"{draw.choice(names)} {other} {draw.randrange(10**6)}", label])


@pytest.fixture
def rows(folder, encoder):
    (folder / "bert").symlink_to(encoder, target_is_directory=True)
    write(WORDS)
    return folder


SET = [
    f"--set={setting}"
    for setting in (
        "data.file=rows.csv",
        "data.label=label",
        "data.text=[name]",
        "data.taxonomy=null",
        "validation.share=0.2",
        "model.weights=bert",
        "model.encoder=bert",
        "training.batch_size=8",
        "training.least_steps=1",
        "training.learning_rate=0.0005",
        "training.checkpoint_every=1000",
        "model.candidates=6",
    )
]


def metrics(folder, name):
    return json.loads((folder / name / "metrics.json").read_text())


def test_a_retriever_learns_what_trade_names_are_and_classifies(rows, cascade):
    done = cascade("finetune", "retriever", "-o", "out", *SET, "--set", "training.epochs=4")
    assert done.status == 0, done.err
    found = metrics(rows, "out")
    assert found["before"]["accuracy_at_1"][0] < 0.5
    assert found["after"]["accuracy_at_1"][0] > 0.9
    assert "accuracy_at_1" in done.out
    assert {file.name for file in (rows / "out").iterdir()} == {
        "model",
        "recipe.yaml",
        "manifest.json",
        "metrics.jsonl",
        "curves.png",
        "metrics.json",
        "README.md",
    }
    assert not list((rows / "out").rglob("*.bin")) + list((rows / "out").rglob("*.pt"))
    assert "--method retrieval" in (rows / "out" / "README.md").read_text()
    (rows / "tax.txt").write_text("\n".join(WORDS))
    done = cascade(
        *("classify", "rows.csv", "-t", "tax.txt", "--text", "name", "--method", "retrieval"),
        *("--set", "retrieval.encoder=out/model", "-o", "answers.csv"),
    )
    assert done.status == 0, done.err
    with open("answers.csv") as file:
        answers = list(csv.DictReader(file))
    right = [row["cascade_path"] == row["label"] for row in answers]
    assert sum(right) / len(right) > 0.9


def test_a_retriever_is_trained_with_the_prompts_that_it_is_used_with(rows, cascade):
    short = (*SET, "--set", "training.epochs=0.1", "--set", "training.batch_size=32")
    assert cascade("finetune", "retriever", "-o", "plain", *short).status == 0
    (rows / "e5-small").symlink_to((rows / "bert").resolve(), target_is_directory=True)
    own = ("--set", "model.weights=e5-small")
    done = cascade("finetune", "retriever", "-o", "out", *short, *own)
    assert done.status == 0, done.err
    told = json.loads((rows / "out/model/config_sentence_transformers.json").read_text())
    assert told["prompts"] == {"query": "query: ", "document": "passage: "}
    losses = [metrics(rows, name)["loss_by_step"][0] for name in ("plain", "out")]
    assert losses[0] != losses[1]


def test_a_reranker_learns_which_words_belong_together_and_classifies(rows, cascade):
    # Its output is new, so that it starts from chance; what trade names are takes it far longer.
    write({label: [label.split()[-1].lower()] for label in WORDS})
    done = cascade(
        *("finetune", "reranker", "-o", "out", *SET, "--set", "training.least_steps=240"),
        *("--set", "training.batch_size=16", "--set", "training.learning_rate=0.0002"),
    )
    assert done.status == 0, done.err
    found = metrics(rows, "out")
    assert found["before"].keys() == found["after"].keys()
    assert found["after"]["accuracy_at_1"][0] > 0.8
    assert found["before"]["recall_at_10"][0] == found["after"]["recall_at_10"][0] == 1
    assert len(found["loss_by_step"]) == found["steps"] > 100
    assert "rerank.model=out/model" in done.out
    (rows / "tax.txt").write_text("\n".join(WORDS))
    done = cascade(
        *("classify", "rows.csv", "-t", "tax.txt", "--text", "name", "--method", "rerank"),
        *("--set", "rerank.model=out/model", "--set", "retrieval.encoder=bert"),
        *("--limit", "20", "-o", "answers.csv"),
    )
    assert done.status == 0, done.err
    with open("answers.csv") as file:
        answers = list(csv.DictReader(file))
    assert sum(row["cascade_path"] == row["label"] for row in answers) > 0.8 * len(answers)


def test_a_killed_run_goes_on_and_ends_in_the_same_weights(rows, cascade, monkeypatch):
    options = (*SET, "--set", "training.checkpoint_every=5")
    assert cascade("finetune", "retriever", "-o", "whole", *SET).status == 0

    def killed(*args, ticked, **others):
        def tick(step, steps, loss):
            ticked(step, steps, loss)
            if step == 8:
                raise KeyboardInterrupt

        return train_retriever(*args, ticked=tick, **others)

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "train_retriever", killed)
        assert cascade("finetune", "retriever", "-o", "out", *options).status == 130
    assert (rows / "out" / "checkpoints" / "steps").is_dir()
    done = cascade("finetune", "retriever", "-o", "out", *options)
    assert done.status != 0
    assert "--resume" in done.err
    done = cascade("finetune", "retriever", "-o", "out", *options, "--resume", "--set", "seed=1")
    assert "other data or another recipe" in done.err
    done = cascade("finetune", "retriever", "-o", "out", *options, "--resume")
    assert done.status == 0, done.err
    found, whole = metrics(rows, "out"), metrics(rows, "whole")
    assert found["loss_by_step"] == pytest.approx(whole["loss_by_step"], abs=1e-4)
    assert found["after"] == whole["after"]


def test_an_unknown_kind_is_named(folder, cascade):
    (folder / "mine.yaml").write_text("kind: oracle\ndata: {file: a.csv, label: b}\n")
    done = cascade("finetune", "mine.yaml")
    assert done.status != 0
    assert (
        "expected adapter, agent, choose, foodex2, retriever, reranker, encoder or reader, "
        "found 'oracle'" in done.err
    )
