import csv
import json
import math
from collections import Counter

import numpy as np
import pytest

from cascade.config import Columns
from cascade.errors import InputError, UsageError
from cascade.evaluation.floor import (
    HEADING,
    FloorData,
    characters,
    expected_of_uniform,
    most_frequent,
    uniform,
    write_floor,
)
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.io.tables.opening import TableFile
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(
    [
        "Clothing > Hats > Straw Hats",
        "Clothing > Hats > Caps",
        "Clothing > Gloves",
        "Garden > Rakes",
    ]
)
ROWS = [
    ("wide straw hat", "Clothing > Hats > Straw Hats"),
    ("work glove", "Clothing > Gloves"),
    ("leaf rake", "Garden > Rakes"),
    ("cap 59", "Clothing > Hats > Caps"),
    ("garden gloves", "Clothing > Gloves"),
    ("hat of some kind", "Clothing > Hats"),
    ("???", ""),
    ("no such label", "Kitchen"),
]
TRAIN = [("x", "Garden > Rakes")] * 3 + [("y", "Clothing > Hats > Caps")] * 3 + [("z", "Pans")] * 9


@pytest.fixture
def data(tmp_path):
    """What the floor is made of, by rows to learn from and the seed."""

    def written(name, rows):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([("name", "label"), *rows])
        return TableFile(str(tmp_path / name))

    def made(train=None, seed=0, rows=ROWS, text=("name",)):
        learnt = None if train is None else written("train.csv", train)
        columns = Columns(text=list(text), label="label")
        return FloorData(written("rows.csv", rows), learnt, TREE, columns, seed)

    return made


def names(nodes):
    return [TREE.names[node] for node in nodes]


def test_the_most_frequent_class_is_that_of_the_training_rows(data):
    found = most_frequent(data(TRAIN))
    assert names(found.nodes) == ["Caps"] * len(ROWS)  # of equals the first in the taxonomy
    assert found.confidence.tolist() == [0.5] * len(ROWS)
    assert names(found.ranking[0]) == ["Caps", "Rakes", "Straw Hats", "Gloves"]
    assert "Caps: 3 of the 6 training rows" in found.note


def test_without_training_rows_it_is_that_of_the_rows_measured_and_says_so(data):
    found = most_frequent(data())
    assert names(found.nodes[:1]) == ["Gloves"]
    assert found.confidence[0] == pytest.approx(2 / 6)
    assert "2 of the 6 rows measured here, told by their own labels" in found.note


def test_training_rows_without_a_known_label_are_refused(data):
    with pytest.raises(InputError, match=r"train\.csv.*none of its labels"):
        most_frequent(data([("x", "Kitchen")]))


def test_what_is_expected_of_a_uniform_draw_is_the_mean_of_all_draws():
    gold = np.array([TREE.find(label) for _, label in ROWS[:6]], dtype=np.int64)
    every = [
        GoldAndPredicted.of(TREE, np.full(len(gold), leaf, np.int32), gold.astype(np.int32))
        for leaf in TREE.leaves
    ]
    means = []
    for metric in (hf1_micro, exact_match):
        ratios = [metric(answers) for answers in every]
        means.append(sum(r.part.sum() for r in ratios) / sum(r.whole.sum() for r in ratios))
    assert expected_of_uniform(TREE, gold) == pytest.approx(tuple(means))
    assert means[1] == pytest.approx(5 / 6 / 4)


def test_leaves_are_drawn_with_equal_chances_by_the_seed(data):
    many = [("x", "Garden > Rakes")] * 2000
    found = uniform(data(rows=many, seed=3))
    counts = Counter(found.nodes.tolist())
    assert set(counts) == set(TREE.leaves.tolist())
    assert max(abs(count - 500) for count in counts.values()) < 100  # five standard deviations
    assert found.confidence.tolist() == [0.25] * 2000
    assert (np.sort(found.ranking, axis=1) == np.sort(TREE.leaves)).all()
    np.testing.assert_array_equal(uniform(data(rows=many, seed=3)).nodes, found.nodes)
    assert (uniform(data(rows=many, seed=4)).nodes != found.nodes).any()
    assert "seed 3; expected: hf1_micro" in found.note


def grams(text):
    """Runs of 2 to 4 characters inside words, each word between blanks."""
    found = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        for n in (2, 3, 4):
            found.update(padded[at : at + n] for at in range(len(padded) - n + 1))
            if n >= len(padded):
                break
    return found


def test_characters_are_compared_with_names_as_computed_by_hand(data):
    leaves = TREE.leaves.tolist()
    documents = [grams(TREE.names[leaf]) for leaf in leaves]
    df = Counter(gram for document in documents for gram in document)

    def vector(counts):
        made = {
            gram: (1 + math.log(count)) * (math.log((1 + len(leaves)) / (1 + df[gram])) + 1)
            for gram, count in counts.items()
            if gram in df
        }
        length = math.sqrt(sum(value**2 for value in made.values())) or 1.0
        return {gram: value / length for gram, value in made.items()}

    found = characters(data())
    for row, (text, _) in enumerate(ROWS):
        own = vector(grams(text))
        similar = [
            sum(own.get(gram, 0) * value for gram, value in vector(document).items())
            for document in documents
        ]
        best = max(range(len(leaves)), key=lambda at: similar[at])
        assert found.nodes[row] == leaves[best], text
        share = max(similar) / sum(similar) if any(similar) else 1 / len(leaves)
        assert found.confidence[row] == pytest.approx(share, abs=1e-5)
    assert names(found.nodes[:6]) == [
        "Straw Hats",
        "Gloves",
        "Rakes",
        "Caps",
        "Gloves",
        "Straw Hats",
    ]
    assert found.nodes[6] == leaves[0]  # nothing in common with any


def test_similarities_are_computed_in_parts_as_at_once(data, monkeypatch):
    from cascade.evaluation import floor

    whole = characters(data())
    monkeypatch.setattr(floor, "CELLS", 9)
    part = characters(data())
    np.testing.assert_array_equal(part.ranking, whole.ranking)
    np.testing.assert_allclose(part.confidence, whole.confidence)


def test_texts_are_needed_for_characters_alone(data):
    with pytest.raises(UsageError, match="names no text column"):
        characters(data(text=()))
    assert len(uniform(data(text=())).nodes) == len(ROWS)


@pytest.mark.parametrize("kind", ["most frequent", "uniform", "characters"])
def test_answers_are_written_as_predictions_row_by_row(data, tmp_path, kind):
    target = tmp_path / "made.csv"
    _, facts = write_floor(kind, data(), target)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ROWS) and list(rows[0]) == list(HEADING)
    for row in rows:
        ranking = json.loads(row["cascade_ranking"])
        assert sorted(ranking) == sorted(TREE.codes[leaf] for leaf in TREE.leaves)
        assert row["cascade_code"] == ranking[0] and 0 <= float(row["cascade_confidence"]) <= 1
    assert facts["rows_per_second"] > 0
