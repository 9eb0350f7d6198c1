"""TF-IDF of words and characters for each text column on its own, + LinearSVC over all leaves.

python eval/baselines/fields.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --text description --label label --out predictions.csv
"""

from __future__ import annotations

import time

from linear import features
from tables import needs, read_job

try:
    from scipy.sparse import hstack
    from sklearn.svm import LinearSVC
except ImportError as error:
    needs("scikit-learn", error)


def main() -> None:
    """Fit on the training rows and predict the others."""
    job = read_job(__doc__ or "", lambda _: None)
    started = time.perf_counter()
    makers = [features(True) for _ in job.arguments.text]
    split = list(zip(*job.fields, strict=True))
    rows = hstack([m.fit_transform(list(c)) for m, c in zip(makers, split, strict=True)]).tocsr()
    model = LinearSVC().fit(rows, job.nodes)
    fitted = time.perf_counter() - started

    def predict(_: list[str]) -> list[list[int]]:
        parts = zip(makers, zip(*job.test_fields, strict=True), strict=True)
        found = model.predict(hstack([m.transform(list(c)) for m, c in parts]).tocsr())
        return [[int(node)] for node in found]

    job.write(predict, fitted)


if __name__ == "__main__":
    main()
