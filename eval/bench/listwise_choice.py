r"""What a model's choice among candidates gains over the encoder, by how much that doubts.

Reads the domains of `zero_shot_domains.py`, lists for each row the leaves that retrieval finds in
the whole taxonomy, and asks the model about the rows of which retrieval is least sure (`--asked`,
a share), as `--method choose` does: how likely it finds the item's text under each (`--answer
item`), or in two orders which letter or name of a list. Prints for each domain exact answers of
these rows by retrieval, by the model alone, and fused with several weights; the mean gain with its
95% interval over rows (paired, within domains); and the routing curve: exact answers over all rows
when the model is asked about the least certain 5%, 10%, ... Answers are kept in `--work`.

python eval/bench/listwise_choice.py --pairs pairs --only gpc flipkart --model smollm2-135m
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from zero_shot_domains import Domain, all_domains

from cascade.config import PRODUCT, ChoiceBy, ChooseConfig
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.generation.prompts import PromptTemplate
from cascade.retrieval.encoder import Encoder
from cascade.scoring.listed.choosers import make_chooser
from cascade.training.choosers.lists import Choice, ListedSet
from cascade.training.choosers.recipe import ListRecipe
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.sets import EncoderSet

WEIGHTS = (0.1, 0.25, 0.5, 1.0)
KINDS = {
    "hwu64": "request",
    "noc2016_titles": "job title",
    "trec_questions": "question",
    "mind_news": "headline",
    "arxiv_math_titles": "title",
}
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
BLOCK = 8  # rows that are asked about, and kept, together


def listed(domain: Domain, encoder: Encoder, recipe: ListRecipe) -> list[tuple[ListedSet, Choice]]:
    """The lists of all rows of a domain, the least certain first."""
    found = []
    for part in domain.parts:
        rows = EncoderSet(
            domain.name, part.taxonomy, part.texts, part.gold, 1.0, AugmentationRecipe()
        )
        of = ListedSet(rows, encoder, recipe)
        found += [(of, choice) for choice in of.measured(len(rows), np.random.default_rng(0))]
    return sorted(found, key=lambda pair: pair[1].log_p[:-1].max())


def asked(
    rows: list[tuple[ListedSet, Choice]],
    engine: TransformersEngine,
    template: PromptTemplate,
    by: ChoiceBy,
    kept: Path,
) -> list[np.ndarray]:
    """What the model says of each row, kept as it comes."""
    answers = [np.array(own) for own in json.loads(kept.read_text())] if kept.is_file() else []
    while len(answers) < len(rows):
        some = rows[len(answers) : len(answers) + BLOCK]
        for of, choice in some:
            chooser = make_chooser(engine, template, of.texts, by)
            answers += chooser([choice.text], [choice.nodes])
        kept.write_text(json.dumps([answer.tolist() for answer in answers]))
    return answers[: len(rows)]


def right(choice: Choice, scores: np.ndarray) -> bool:
    """Whether the best of the leaves that are listed is the right one."""
    return int(scores[: len(choice.nodes)].argmax()) == choice.right


def interval(gains: list[np.ndarray]) -> str:
    """The mean over domains of mean gains, with its 95% interval over rows."""
    rng = np.random.default_rng(0)
    draws = [
        own[rng.integers(len(own), size=(2000, len(own)))].mean(axis=1) for own in gains if len(own)
    ]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return f"{np.mean([own.mean() for own in gains]):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Print a line for each domain, the gains, and the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--asked", type=float, default=0.2)
    parser.add_argument("--listed", type=int, default=8)
    parser.add_argument("--descriptions", type=int, default=60)
    parser.add_argument("--encoder", default="cascade-minilm-1")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--adapter")
    parser.add_argument("--prompt")
    parser.add_argument("--answer", choices=("item", "letter", "name"), default="item")
    parser.add_argument("--work", type=Path, default=Path("runs/listwise_choice"))
    given = parser.parse_args()
    recipe = ListRecipe(listed=given.listed, doubted=1, descriptions=given.descriptions)
    encoder, engine = Encoder.load(given.encoder), None
    gains: dict[str, list[np.ndarray]] = {}
    curve: dict[float, list[float]] = {share: [] for share in (0.0, *SHARES)}
    given.work.mkdir(parents=True, exist_ok=True)
    for domain in all_domains(given.pairs, given.rows, given.work, given.only):
        rows = listed(domain, encoder, recipe)
        some = rows[: round(given.asked * len(rows))]
        usual = ChooseConfig(prompt=given.prompt, answer=given.answer)
        told = f"{domain.name}-{Path(given.model).name}-{Path(given.adapter or '').name}"
        told += f"-{usual.prompt_name}-{given.listed}-{given.descriptions}-{given.rows}"
        kept = given.work / f"{told}-{given.answer}.json"
        engine = engine or TransformersEngine.load(given.model, adapter=given.adapter)
        began = time.perf_counter()
        kind = KINDS.get(domain.name, PRODUCT)
        template = PromptTemplate.load(usual.prompt_name).given(kind=kind)
        answers = asked(some, engine, template, given.answer, kept)
        took = time.perf_counter() - began
        before = np.array([right(choice, choice.log_p) for _, choice in rows], float)
        inside = np.mean([choice.right < len(choice.nodes) for _, choice in some])
        ways = {"alone": np.array([right(c, a) for (_, c), a in zip(some, answers, strict=True)])}
        for weight in WEIGHTS:
            ways[f"{weight:g}"] = np.array(
                [
                    right(c, c.log_p[: len(answer)] + weight * answer)
                    for (_, c), answer in zip(some, answers, strict=True)
                ]
            )
        base = before[: len(some)]
        cells = " ".join(f"{way} {own.mean():.3f}" for way, own in ways.items())
        print(
            f"{domain.name}: {len(some)} of {len(rows)} rows asked ({len(some) / took:.2f}/s), "
            f"listed {inside:.3f}, retrieval {base.mean():.3f}, {cells}",
            flush=True,
        )
        for way, own in ways.items():
            gains.setdefault(way, []).append(own - base)
        weight = f"{ChooseConfig().weight_for(given.answer):g}"
        fused = np.concatenate([ways[weight].astype(float), before[len(some) :]])
        for share in curve:
            n = min(round(share * len(rows)), len(some))
            curve[share].append(float(np.concatenate([fused[:n], before[n:]]).mean()))
    for way, own in gains.items():
        print(f"gain on the rows asked, {way}: {interval(own)}")
    for share, own in curve.items():
        if share <= given.asked:
            print(f"model asked about {share:.0%}: exact {np.mean(own):.4f} over all rows")


if __name__ == "__main__":
    main()
