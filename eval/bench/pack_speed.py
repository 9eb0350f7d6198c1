"""How fast a pack answers: a `quick` one beside scikit-learn, a `fast` one beside its encoder.

A pack of words stands beside what a user would write instead: TF-IDF of words and of characters
inside words, and a LinearSVC, fitted to the same rows; it answers with one label and nothing more.
Its tolerance is wide since only its speed is asked for. A pack with a sentence encoder stands
beside that encoder alone, in its quickest batches, over the rows that the pack shows it: what is
left of the pack's time is words, heads, neighbours, the walk and confidences, for all rows.

All read the same texts in the same batches, in turns, with one thread (`OMP_NUM_THREADS=1`), and
processor time counts, which other work on the machine changes less than the time that passes. The
pack's time is that of `classify_batch`, confidences, risk and shift included.

    python eval/bench/pack_speed.py QUICK --fit train.csv --rows validation.csv
    python eval/bench/pack_speed.py FAST --rows validation.csv --limit 1024
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from recording import command, record

import cascade
from cascade.features.text_embeddings import SentenceFeatures
from cascade.io.tables.opening import open_table
from cascade.items import Item
from cascade.pipeline.classifier import Classifier

WANTED = {"scikit-learn": 1.5, "its encoder": 0.9}


def columns_of(path: Path, names: Sequence[str], limit: int | None) -> list[list[str]]:
    """The cells of some columns, row by row."""
    with open_table(path) as table:
        at = [table.columns.index(name) for name in names]
        rows = [[str(row.cells[place] or "") for place in at] for row in table.rows]
    return rows[:limit]


def rival(texts: Sequence[str], labels: Sequence[str]) -> Any:
    """Words and characters with a linear model, as scikit-learn has them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"\w+", dtype=np.float32
    )
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2, dtype=np.float32
    )
    return make_pipeline(make_union(words, characters), LinearSVC(tol=0.1)).fit(texts, labels)


@dataclass
class Encoder:
    """The encoder of a pack, which notes what the pack shows it and what that takes."""

    features: SentenceFeatures
    items: list[Item] = field(default_factory=list)
    seconds: float = 0.0

    def watch(self) -> None:
        """Stand between the pack and its encoder."""
        rows = self.features.rows

        def watched(items: Sequence[Item], problems: dict[int, str] | None = None) -> Any:
            started = time.process_time()
            found = rows(items, problems)
            self.seconds += time.process_time() - started
            self.items += items
            return found

        self.alone = rows
        self.features.rows = watched  # type: ignore[method-assign]


def seconds(answer: Callable[[Sequence[Any]], object], rows: Sequence[Any], size: int) -> float:
    """Processor seconds for all rows, batch by batch."""
    started = time.process_time()
    for at in range(0, len(rows), size):
        answer(rows[at : at + size])
    return time.process_time() - started


def encoder_of(pack: Classifier) -> Encoder | None:
    """The sentence encoder of a pack, if it has one."""
    for name, config in pack.config.backbones.items():
        if config.kind == "sentence":
            found = pack._components.backbone(name)
            assert isinstance(found, SentenceFeatures)
            return Encoder(found)
    return None


def beside_words(
    pack: Classifier, items: Sequence[Item], texts: Sequence[str], other: Any, repeats: int
) -> dict[str, Any]:
    """Rows a second of a pack and of scikit-learn, in the same batches, and their ratio."""
    size, spent = pack.config.batch, list[tuple[float, float]]()
    for turn in range(repeats + 1):
        took = seconds(pack.classify_batch, items, size), seconds(other.predict, texts, size)
        spent += [took] if turn else []  # the first warms up
    own, others = (median(column) for column in zip(*spent, strict=True))
    return {
        "rows_per_cpu_second": {
            "cascade": round(len(items) / own),
            "scikit-learn": round(len(items) / others),
        },
        "ratio": round(median(b / a for a, b in spent), 3),
        "to": "scikit-learn",
    }


def beside_encoder(
    pack: Classifier, items: Sequence[Item], encoder: Encoder, repeats: int
) -> dict[str, Any]:
    """What of a pack's time is its encoder's: over all rows, and over those alone that it sees."""
    encoder.watch()
    size, told = pack.config.batch, list[tuple[float, float, float, float]]()
    for turn in range(repeats + 1):
        encoder.items, encoder.seconds = [], 0.0
        pack.seconds.clear()
        whole, inside = seconds(pack.classify_batch, items, size), encoder.seconds
        seen = list(encoder.items)
        bare = seconds(encoder.alone, seen, len(seen) or 1)
        some = seconds(pack.classify_batch, seen, size)
        told += [(whole, inside, bare, some)] if turn else []
    whole, inside, bare, some = (median(column) for column in zip(*told, strict=True))
    return {
        "seen": round(len(seen) / len(items), 4),
        "microseconds_a_row": {
            "pack": round(1e6 * whole / len(items), 1),
            "beside the encoder": round(1e6 * (whole - inside) / len(items), 1),
            "encoder, a row that it sees": round(1e6 * bare / max(1, len(seen)), 1),
        },
        "stages": {name: round(took, 3) for name, took in pack.seconds.items()},
        "rows_per_cpu_second": {
            "pack": round(len(items) / whole),
            "pack, rows that the encoder sees": round(len(seen) / some),
            "encoder, those rows": round(len(seen) / bare),
        },
        "ratio": round(median(b / a for a, _, b, _ in told), 3),
        "ratio_of_rows_seen": round(median(b / s for _, _, b, s in told), 3),
        "ratio_in_the_same_batches": round(median(i / a for a, i, _, _ in told), 3),
        "to": "its encoder",
    }


def page_of(found: dict[str, Any], about: str) -> str:
    """The figures as a page."""
    speeds = ", ".join(f"{name} {n:,}" for name, n in found["rows_per_cpu_second"].items())
    lines = [
        f"{about} Rows per processor second: {speeds}; ratio {found['ratio']:.2f} "
        f"(wanted: {WANTED[found['to']]})."
    ]
    if "seen" in found:
        spent = ", ".join(f"{name} {n:,.0f}" for name, n in found["microseconds_a_row"].items())
        lines.append(
            f"The encoder sees {found['seen']:.1%} of the rows. Microseconds: {spent}. The ratio "
            "is the time of the bare encoder for the rows that it sees over that of the pack for "
            f"all rows; over that for those rows alone {found['ratio_of_rows_seen']:.2f}."
        )
    return "\n\n".join(["# Speed of a pack", *lines, f"```sh\n{command()}\n```\n"])


def main() -> None:
    """Measure in turns and print medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack")
    parser.add_argument("--fit", type=Path, help="rows for scikit-learn, beside a pack of words")
    parser.add_argument("--rows", type=Path, required=True, help="rows that are answered")
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    pack = cascade.load(args.pack)
    names = pack.config.columns.text
    cells = columns_of(args.rows, names, args.limit)
    items = [Item(dict(zip(names, own, strict=True))) for own in cells]
    encoder = encoder_of(pack)
    if encoder is not None:
        found = beside_encoder(pack, items, encoder, args.repeats)
    else:
        fitted = columns_of(args.fit, [*names, args.label], None)
        texts = [" ".join(own) for own in cells]
        other = rival([" ".join(own[:-1]) for own in fitted], [own[-1] for own in fitted])
        found = beside_words(pack, items, texts, other, args.repeats)
    found |= {
        "rows": len(items),
        "columns": names,
        "repeats": args.repeats,
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    about = (
        f"{len(items):,} rows of {', '.join(names)}, {args.repeats} turns, one thread, load "
        f"average {found['load_average']}."
    )
    page = page_of(found, about)
    print(page)
    if args.out:
        record(args.out, found, page)


if __name__ == "__main__":
    main()
