import csv

import numpy as np
import pytest

import cascade
from cascade.config import Columns
from cascade.io.tables.opening import TableFile
from cascade.scoring.ttc_heads import HierarchicalSoftmax
from cascade.taxonomy import Taxonomy
from cascade.training.packs.fit import Fit
from cascade.training.packs.parts import FitContext
from cascade.training.packs.prototypes_part import PrototypesPart
from cascade.training.packs.recipe import PrototypesStage, Recipe

TREE = Taxonomy.from_paths(["Home > Rakes", "Home > Hoses", "Food > Cheese"])


def part(**stage):
    context = FitContext(TREE, ["name"], 0, False, lambda *_: None)
    return PrototypesPart(PrototypesStage(**stage), context)


@pytest.fixture
def named(monkeypatch):
    """Texts of nodes that point along axes of their own."""
    axes = {node: axis for axis, node in enumerate(TREE.leaves.tolist())}

    def vectors(self, nodes):
        return np.eye(4, dtype=np.float32)[[axes[node] for node in nodes.tolist()]]

    monkeypatch.setattr(PrototypesPart, "_named", vectors)
    return axes


def test_a_prototype_is_the_mean_of_rows_and_names(named):
    rakes, hoses, _ = TREE.leaves
    rows = np.array([[0, 0, 0, 1], [0, 0, 0, 2], [0, 1, 0, 0]], np.float32)
    heads = part(weight=2.0)._heads((rows, np.array([rakes, rakes, hoses])), "leaf")
    assert heads.nodes.tolist() == [rakes, hoses]  # what has no row is never answered
    expected = np.array([[2, 0, 0, 2], [0, 3, 0, 0]]) / np.array([[np.sqrt(8)], [3]])
    np.testing.assert_allclose(heads.weights.T, expected, rtol=1e-6)


def test_names_count_as_much_as_is_set(named):
    rakes, hoses, _ = TREE.leaves
    rows = np.array([[0, 0, 0, 1], [0, 0, 0, 1]], np.float32)
    item = np.array([[1, 0, 0, 0]], np.float32)  # as the name of the rakes
    sure = []
    for weight in (0.0, 1.0, 4.0):
        heads = part(weight=weight)._heads((rows, np.array([rakes, hoses])), "leaf")
        softmax = HierarchicalSoftmax(TREE, "leaf")
        sure.append(softmax.log_probs(heads.logits(item), heads.nodes)[rakes, 0])
    assert sure[0] == pytest.approx(np.log(0.5)) and sure[0] < sure[1] < sure[2]


@pytest.mark.weights
def test_a_pack_of_the_recipe_few_knows_names_that_no_row_tells(tmp_path):
    rows = tmp_path / "rows.csv"
    texts = {"Home > Rakes": "R-{}{}", "Home > Hoses": "H-{}{}", "Food > Cheese": "C-{}{}"}
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for at in range(12):
            letter = "abcdefghijkl"[at] * 3
            writer.writerows([text.format(letter, at), label] for label, text in texts.items())
    columns = Columns(text=["name"], label="label")
    recipe = Recipe.load("few")
    recipe.prototypes.weight = 24  # the rows tell nothing
    fit = Fit(TableFile(str(rows)), TREE, columns, recipe, tmp_path / "pack")
    fit.prepare()
    report = fit.run()
    assert "ttc.prototypes" in report["weights_all"]
    clf = cascade.load(tmp_path / "pack", method="ttc.prototypes")
    assert clf.classify("aged gouda").path == "Food > Cheese"
    assert clf.classify("a steel leaf rake").path == "Home > Rakes"


@pytest.mark.weights
def test_no_scorer_is_chosen_alone_on_a_handful_of_rows(tmp_path):
    rows = tmp_path / "rows.csv"
    things = {
        "Home > Rakes": ["leaf rake", "lawn comb", "garden tines", "bow head rake"],
        "Home > Hoses": ["water hose", "flexible pipe", "sprinkler tube", "hose on a reel"],
        "Food > Cheese": ["aged gouda", "soft brie", "cheddar block", "goat curd"],
    }
    lines = [f"{name},{label}" for label, names in things.items() for name in names]
    rows.write_text("\n".join(["name,label", *lines]) + "\n", "utf-8")
    columns = Columns(text=["name"], label="label")
    fit = Fit(TableFile(str(rows)), TREE, columns, Recipe.load("few"), tmp_path / "pack")
    fit.prepare()
    report = fit.run()
    assert report["rows"]["held_out"] < 10
    assert report["weights"]["ttc.prototypes"][0] > 0
