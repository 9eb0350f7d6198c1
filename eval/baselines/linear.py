"""Flat TF-IDF + LinearSVC: every leaf a class, the taxonomy is not used. Fast and hard to beat.

python eval/baselines/linear.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --label label --characters --out predictions.csv
"""

from __future__ import annotations

import argparse
import time

from tables import needs, read_job

try:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC
except ImportError as error:
    needs("scikit-learn", error)


def features(characters: bool) -> TfidfVectorizer:
    """Words and pairs of words; with `characters` also 2 to 5 characters inside words."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    if not characters:
        return words
    inside = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2)
    return make_union(words, inside)


def main() -> None:
    """Fit on the training rows and predict the others."""

    def extra(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--characters", action="store_true", help="words and characters")

    job = read_job(__doc__ or "", extra)
    model = make_pipeline(features(job.arguments.characters), LinearSVC())
    started = time.perf_counter()
    model.fit(job.texts, job.nodes)
    fitted = time.perf_counter() - started
    job.write(lambda texts: [[int(node)] for node in model.predict(texts)], fitted)


if __name__ == "__main__":
    main()
