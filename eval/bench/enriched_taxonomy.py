r"""What texts that were written about nodes gain: a taxonomy before and after, the same rows.

Prints hF1 and exact of the likeliest leaf by retrieval (as `--method retrieval` answers), with
nothing of what a model wrote, with its descriptions, its synonyms, its titles, and all; and the
gains with their 95% intervals over rows (paired). RICHER is made by `cascade taxonomy enrich`.

python eval/bench/enriched_taxonomy.py richer.csv items.csv --text text --label label --rows 1000
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from zero_shot_domains import read_rows, resampled

from cascade.config import RetrievalConfig
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.items import Batch, Item
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.draft import MachineTexts

csv.field_size_limit(10**9)
BLOCK = 256
WAYS = {
    "as it was": (),
    "descriptions": ("description",),
    "synonyms": ("synonyms",),
    "titles": ("titles",),
    "synonyms and titles": ("synonyms", "titles"),
    "all": MachineTexts._fields,
}


def part_of(taxonomy: Taxonomy, fields: tuple[str, ...]) -> Taxonomy:
    """The taxonomy with some of what was written."""
    texts = {
        node: MachineTexts(**{name: getattr(taxonomy.machine(node), name) for name in fields})
        for node in range(len(taxonomy))
    }
    return taxonomy.with_machine_texts({node: own for node, own in texts.items() if any(own)})


def answers(taxonomy: Taxonomy, encoder: Encoder, texts: list[str]) -> NDArray[np.int32]:
    """The likeliest leaf of each text."""
    usual = RetrievalConfig()
    retriever = Retriever(taxonomy, encoder, usual.texts, words=usual.words)
    scorer = RetrievalScorer(retriever, usual.temperature, usual.caution)
    found = []
    for start in range(0, len(texts), BLOCK):
        batch = Batch([Item({"text": text}) for text in texts[start : start + BLOCK]])
        found.append(scorer.probabilities(batch).top_ends(1)[0][:, 0])
    return np.concatenate(found)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("taxonomy", type=Path)
    parser.add_argument("items", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--encoder", default="cascade-minilm-1")
    given = parser.parse_args()
    taxonomy, encoder = Taxonomy.load(given.taxonomy), Encoder.load(given.encoder)
    rows = read_rows(given.items)
    drawn = np.random.default_rng(19).permutation(len(rows))[: given.rows]
    some = [rows[at] for at in drawn.tolist()]
    gold = [taxonomy.find(row[given.label]) for row in some]
    kept = [
        (row[given.text], node)
        for row, node in zip(some, gold, strict=True)
        if node is not None and row[given.text].strip()
    ]
    texts, right = [text for text, _ in kept], np.array([node for _, node in kept], np.int32)
    first = None
    for way, fields in WAYS.items():
        found = GoldAndPredicted.of(
            taxonomy, answers(part_of(taxonomy, fields), encoder, texts), right
        )
        hf1, exact = hf1_micro(found), exact_match(found)
        counts = np.stack([hf1.part, hf1.whole, exact.part, exact.whole], axis=1)
        drawn_again = resampled(counts, 1000, 0)
        line = (
            f"{way}: {len(texts)} rows, hF1 {drawn_again[0, 0]:.3f}, exact {drawn_again[0, 1]:.3f}"
        )
        if first is None:
            first = drawn_again
        else:
            low, high = np.percentile((drawn_again - first)[1:], [2.5, 97.5], axis=0)
            for at, what in enumerate(("hF1", "exact")):
                gain = drawn_again[0, at] - first[0, at]
                line += f"; {what} {gain:+.3f} ({low[at]:+.3f} to {high[at]:+.3f})"
        print(line, flush=True)


if __name__ == "__main__":
    main()
