"""Frozen sentence embeddings: logistic regression over them, or a vote of the nearest rows.

python eval/baselines/embeddings.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --label label --classifier logistic --out predictions.csv
"""

from __future__ import annotations

import argparse
import time

from tables import read_job

from cascade.retrieval.encoder import Encoder


def main() -> None:
    """Fit on the training rows and predict the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    def extra(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--encoder", default="minilm", help="built-in name, folder or hub")
        parser.add_argument(
            "--classifier", choices=["logistic", "neighbours"], default="logistic", help="over them"
        )

    job = read_job(__doc__ or "", extra)
    encoder = Encoder.load(job.arguments.encoder)
    model = (
        LogisticRegression(C=10, max_iter=1000)
        if job.arguments.classifier == "logistic"
        else KNeighborsClassifier(20, weights="distance", metric="cosine")
    )
    started = time.perf_counter()
    model.fit(encoder.encode(job.texts), job.nodes)
    fitted = time.perf_counter() - started

    def predict(texts: list[str]) -> list[list[int]]:
        return [[int(node)] for node in model.predict(encoder.encode(texts))]

    job.write(predict, fitted)


if __name__ == "__main__":
    main()
