"""How much a reader of pairs gains over the encoder alone, without a label, on many domains.

Reads the sets of `zero_shot_domains.py`, and for each row its nearest nodes (name with the
parent's, with shared characters) with the reader that `cascade finetune` made. Prints the gain of
hF1 and exact with its 95% interval over rows, where all rows are read and where only those whose
likeliest node has less than some probability are; the figures of each set; and how many pairs are
read in a second.

python eval/bench/zero_shot_reader.py --pairs pairs --reader runs/reader/model
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from zero_shot_domains import (
    Floats,
    Part,
    all_domains,
    counted,
    figures,
    gain,
    shared_characters,
    vectors,
)

from cascade.config import RetrievalConfig
from cascade.models.weights import find_weights
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.scoring.pair_reader import PairReader
from cascade.training.encoders.forms import NodeForms

THRESHOLDS = (0.2, 0.3, 0.4, 0.6, 1.01)
NINE = (
    "noc2016_titles",
    "hwu64",
    "amazon_uk_toys",
    "arxiv_math_titles",
    "fashion_myntra",
    "instacart",
    "mind_news",
    "trec_questions",
    "wholefoods_us",
)


@dataclass
class Read:
    """The nearest nodes of the rows of one taxonomy, best first, and what the reader says.

    Parameters
    ----------
    nodes, log_p, score
        [n_rows, k], `log_p` by retrieval.
    """

    part: Part
    nodes: NDArray[np.int32]
    log_p: Floats
    score: Floats

    def chosen(self, weight: float, below: float) -> NDArray[np.int32]:
        """The best node of each row, of doubted rows with what the reader says."""
        doubted = np.exp(self.log_p[:, :1]) < below
        both = self.log_p + weight * self.score * doubted
        best = both.argmax(axis=1)[:, None]
        return np.take_along_axis(self.nodes, best, axis=1)[:, 0]


def log_softmax(similar: Floats) -> Floats:
    """Log-probabilities as `--method retrieval` has them by default, [n_items, n_answers]."""
    config = RetrievalConfig()
    ends = np.sort(similar, axis=1)
    lead = ends[:, -1] - ends[:, -2]
    logits = similar / (config.temperature * np.exp(config.caution * lead))[:, None]
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def read(part: Part, own: dict[str, Floats], reader: PairReader, form: str, most: int) -> Read:
    """The nearest nodes of each row, read."""
    similar = own["items"] @ own["parent"][part.answers].T + shared_characters(part)
    best = top_k(similar, most)
    forms, rng = NodeForms(part.taxonomy), np.random.default_rng(0)
    texts = [forms.text(int(node), form, rng) for node in part.answers]
    rows = np.repeat(np.arange(len(best)), best.shape[1])
    score = reader.score(part.texts, texts, rows, best.ravel()).reshape(best.shape)
    log_p = np.take_along_axis(log_softmax(similar), best, axis=1)
    return Read(part, part.answers[best], log_p, score.astype(np.float64))


def main() -> None:
    """Print gains, and figures of each set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--reader", action="append", required=True)
    parser.add_argument("--encoder", default="cascade-minilm-1")
    parser.add_argument("--form", default="parent", help="how nodes are read: parent, path, leaf")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--weight", type=float, nargs="*", default=[0.2, 0.5, 1.0])
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=list(NINE))
    arguments = parser.parse_args()
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
    encoder = Encoder.load(arguments.encoder)
    folder = arguments.work / encoder.identity.replace(":", "-")
    for name in arguments.reader:
        reader = PairReader.open(find_weights(name))
        if reader is None:
            parser.error(f"{name}: is no reader")
        found: dict[str, list[Read]] = {}
        started, pairs = time.process_time(), 0
        for domain in domains:
            for part, own in zip(domain.parts, vectors(domain, encoder, folder), strict=True):
                one = read(part, own, reader, arguments.form, arguments.candidates)
                found.setdefault(domain.name, []).append(one)
                pairs += one.score.size
        speed = pairs / (time.process_time() - started)
        alone = _counts(found, 0, 0)
        print(f"{name}: {speed:.0f} pairs in a second of a core")
        for weight in arguments.weight:
            for below in THRESHOLDS:
                both = _counts(found, weight, below)
                rows = [np.exp(one.log_p[:, 0]) < below for of in found.values() for one in of]
                share = np.concatenate(rows).mean()
                print(f"  weight {weight}, {share:.2f} of rows read: {gain(alone, both)}")
            cells = [f"{d} {_cell(alone[d])} -> {_cell(both[d])}" for d in both]
            print("    " + "; ".join(cells))


def _counts(found: dict[str, list[Read]], weight: float, below: float) -> dict[str, Floats]:
    return {
        name: np.concatenate([counted(one.part, one.chosen(weight, below)) for one in parts])
        for name, parts in found.items()
    }


def _cell(counts: Floats) -> str:
    return "{:.3f}/{:.3f}".format(*figures([counts]))


if __name__ == "__main__":
    main()
