"""Two small labelled sets for recipes that learn from many taxonomies, and experiments run."""

import json
from pathlib import Path

import pytest
from tiny_encoder import save_tiny_encoder

from cascade.training.adapters.training import AdapterLoop
from cascade.training.finetune_kinds import experiment_of, load_recipe

TOOLS = {"Garden > Rakes": "zorba plim", "Garden > Spades": "quent ostra",
         "Kitchen > Pans": "hule sarn", "Kitchen > Knives": "ebbo krill"}  # fmt: skip
WORK = {"Health > Nurse": "care ward", "Health > Doctor": "cure drug", "School > Teacher": "class"}


def save_encoder_of_sets(folder):
    """A tiny encoder that knows the words of both sets; its folder."""
    words = " ".join([*TOOLS, *TOOLS.values(), *WORK, *WORK.values()])
    return save_tiny_encoder(folder, [words] * 3)


def write_sets(folder, n=12):
    """`tools.csv` and `work.csv`, so many rows of each label."""
    for name, words in (("tools", TOOLS), ("work", WORK)):
        lines = [
            f"{words[label].split()[at % len(words[label].split())]} {at},{label}"
            for label in words
            for at in range(n)
        ]
        path = folder / f"{name}.csv"
        path.write_text("text,label\n" + "\n".join(lines) + "\n", "utf-8")


def made(recipe, folder, *, resume=False, **over):
    """What the experiment of a recipe found."""
    with experiment_of(load_recipe(recipe, over), Path(folder)) as run:
        run.prepare(resume=resume)
        return run.run(resume=resume)


def weights(folder):
    """The tensors of the model that an experiment wrote."""
    from safetensors.torch import load_file

    return load_file(next(Path(folder, "model").glob("**/model.safetensors")))


def adapter_killed_and_resumed(recipe, monkeypatch):
    """Metrics of an adapter made in one go, and of one whose run was killed in its third step."""
    made(recipe, "whole")
    losses = AdapterLoop.losses

    def dies(self, step):
        if step == 2:
            raise KeyboardInterrupt
        return losses(self, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(AdapterLoop, "losses", dies)
        made(recipe, "killed")
    made(recipe, "killed", resume=True)
    return [json.loads(Path(f, "metrics.json").read_text()) for f in ("whole", "killed")]
