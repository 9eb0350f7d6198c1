"""HiClass local classifier per parent node over TF-IDF of words and characters.

python eval/baselines/local_classifier.py --train TRAIN.csv --test TEST.csv \
    --taxonomy TAXONOMY.csv --text name --label label --out predictions.csv
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from linear import features
from tables import needs, read_job

try:
    from hiclass import LocalClassifierPerParentNode
    from sklearn.svm import LinearSVC
except ImportError as error:
    needs("hiclass", error)


def main() -> None:
    """Fit on the training rows and predict the others, level by level."""
    job = read_job(__doc__ or "", lambda parser: None)
    taxonomy = job.taxonomy
    paths = np.full((len(job.nodes), taxonomy.depth), "", dtype=object)
    for row, node in enumerate(job.nodes):
        way = [str(step) for step in taxonomy.path_nodes(node).tolist()]
        paths[row, : len(way)] = way
    vectors = features(characters=True)
    model = LocalClassifierPerParentNode(local_classifier=LinearSVC())
    started = time.perf_counter()
    model.fit(vectors.fit_transform(job.texts), paths)
    fitted = time.perf_counter() - started

    def predict(texts: list[str]) -> Sequence[Sequence[int]]:
        found = model.predict(vectors.transform(texts))
        return [[int(node) if str(node) else -1 for node in nodes] for nodes in found]

    job.write(predict, fitted)


if __name__ == "__main__":
    main()
