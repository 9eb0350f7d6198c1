"""Training of sentence encoders and cross-encoders by the trainers of sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.models.runtime import quiet_libraries
from cascade.training.rankers.recipe import RankerLoopRecipe

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

Ticked = Callable[[int, int, float], None]
"""Called with the steps that are done, all of them, and the last loss."""


@dataclass(frozen=True)
class Lesson:
    """An item with a text of its node, and texts of wrong nodes."""

    item: str
    right: str
    wrong: Sequence[str]


def train_retriever(
    model: SentenceTransformer,
    lessons: Sequence[Lesson],
    recipe: RankerLoopRecipe,
    work: Path,
    *,
    seed: int = 0,
    ticked: Ticked | None = None,
) -> list[float]:
    """Train by multiple-negatives ranking (Henderson et al. 2017, arXiv 1705.00652).

    An item is to be nearer to its node than to its wrong nodes and to all nodes of the other items
    of its batch. Where its own node is among those, in the same words, the gradients of the two
    add up to those of one: duplicates only lift the loss. Texts are read behind the prompts
    `query` and `document` of the model.

    Parameters
    ----------
    work
        Where checkpoints are; a run that was killed goes on from the last.

    Returns
    -------
    The loss of each step.
    """
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.training_args import (
        SentenceTransformerTrainingArguments,
    )

    # Every row has the same columns: where wrong nodes are missing, others stand twice.
    wide = max((len(lesson.wrong) for lesson in lessons), default=0)
    columns = {
        "anchor": [lesson.item for lesson in lessons],
        "positive": [lesson.right for lesson in lessons],
    }
    for at in range(wide):
        columns[f"negative_{at + 1}"] = [
            lesson.wrong[at % len(lesson.wrong)] if lesson.wrong else lesson.right
            for lesson in lessons
        ]
    query, document = (model.prompts.get(name) or "" for name in ("query", "document"))
    prompts = {name: query if name == "anchor" else document for name in columns}
    per_epoch = math.ceil(len(lessons) / recipe.batch_size)
    arguments = SentenceTransformerTrainingArguments(
        **_arguments(recipe, work, per_epoch, seed), prompts=prompts if query or document else None
    )
    loss = MultipleNegativesRankingLoss(model, scale=recipe.scale)
    return _run(SentenceTransformerTrainer, model, arguments, columns, loss, work, ticked)


def train_reranker(
    model: CrossEncoder,
    lessons: Sequence[Lesson],
    recipe: RankerLoopRecipe,
    work: Path,
    *,
    seed: int = 0,
    ticked: Ticked | None = None,
) -> list[float]:
    """Train by binary cross-entropy over pairs of an item and a node; see `train_retriever`.

    A right pair weighs as much as all wrong pairs of its item together, and a step has whole
    items: what tells right from wrong is learnt far sooner where both stand side by side.
    """
    from functools import partial

    import torch
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from sentence_transformers.cross_encoder.trainer import CrossEncoderTrainer
    from sentence_transformers.cross_encoder.training_args import CrossEncoderTrainingArguments

    from cascade.training.rankers.batch_sampler import WholeItems, batches

    sizes = [1 + len(lesson.wrong) for lesson in lessons]
    pairs = [
        (lesson.item, text, float(right))
        for lesson in lessons
        for text, right in ((lesson.right, True), *((wrong, False) for wrong in lesson.wrong))
    ]
    first, second, label = map(list, zip(*pairs, strict=True))
    columns = {"item": first, "node": second, "label": label}
    weight = len(pairs) / max(len(lessons), 1) - 1
    arguments = CrossEncoderTrainingArguments(
        **_arguments(recipe, work, batches(sizes, recipe.batch_size), seed),
        batch_sampler=partial(WholeItems, sizes=sizes),
    )
    loss = BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(max(weight, 1.0)))
    return _run(CrossEncoderTrainer, model, arguments, columns, loss, work, ticked)


def _arguments(recipe: RankerLoopRecipe, work: Path, per_epoch: int, seed: int) -> dict[str, Any]:
    """The arguments of both trainers."""
    import torch

    from cascade.models.runtime import best_device, precision_dtype

    device = best_device(recipe.device)
    steps = max(math.ceil(recipe.epochs * per_epoch), recipe.least_steps)
    return {
        "output_dir": str(work),
        "per_device_train_batch_size": recipe.batch_size,
        "max_steps": steps,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": round(recipe.warmup * steps),
        "seed": seed,
        "data_seed": seed,
        "bf16": precision_dtype("auto", device) is torch.bfloat16,
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device.startswith("cuda"),
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": recipe.checkpoint_every,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _run(
    trainer: Any,
    model: Any,
    arguments: Any,
    columns: dict[str, list[Any]],
    loss: Any,
    work: Path,
    ticked: Ticked | None,
) -> list[float]:
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback, TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Tell(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if ticked is not None and logs and "loss" in logs:
                ticked(state.global_step, state.max_steps, float(logs["loss"]))

    disable_progress_bars()
    model.model_card_data.widget = [{}]  # no search for examples of a card that is never written
    with quiet_libraries():
        run = trainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            loss=loss,
            callbacks=[Tell()],
        )
        run.remove_callback(PrinterCallback)
        run.train(resume_from_checkpoint=get_last_checkpoint(str(work)) if work.is_dir() else None)
    model.eval()
    return [float(entry["loss"]) for entry in run.state.log_history if "loss" in entry]
