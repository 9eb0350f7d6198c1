import numpy as np
import pytest

from cascade import Taxonomy
from cascade.training.encoders.augmentation import AugmentationRecipe, changed
from cascade.training.encoders.batches import BatchSource, neighbours_of
from cascade.training.encoders.forms import FormsRecipe, NodeForms
from cascade.training.encoders.recipe import EncoderLoopRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.encoders.titles import singular, title_of

PLAIN = AugmentationRecipe(typos=0, lost_words=0, shortened=0)
TREE = Taxonomy.from_paths(
    [f"{top} > {top} {middle} > {top} {middle} {leaf}"
     for top in ("garden", "kitchen") for middle in "pq" for leaf in ("a", "b", "c")]
)  # fmt: skip


def a_set(name="goods", weight=1.0, tree=TREE):
    leaves = np.repeat(tree.leaves, 3)
    texts = [f"thing {at} of {tree.names[node]}" for at, node in enumerate(leaves)]
    return EncoderSet(name, tree, texts, leaves, weight, PLAIN)


def source(*sets, **settings):
    recipe = EncoderLoopRecipe(
        **{"items": 8, "candidates": 12, "seeds": 1, "family": 4, **settings}
    )
    return BatchSource(sets or [a_set()], recipe, seed=5)


def test_each_row_has_its_node_among_the_candidates_and_never_as_a_wrong_one():
    drawn = source(upper_rows=0)
    for step in range(20):
        batch = drawn.draw(step)
        assert len(batch.items) <= 8
        assert len(batch.candidates) <= 12
        assert not batch.wrong[np.arange(len(batch.items)), batch.gold].any()


def test_a_batch_depends_on_its_step_alone():
    one, other = source(), source()
    _ = one.draw(3)
    assert one.draw(7).items == other.draw(7).items
    assert one.draw(7).candidates == other.draw(7).candidates
    assert one.draw(7).items != one.draw(8).items


def test_sets_are_drawn_by_their_weights():
    drawn = source(a_set("often", 9.0), a_set("seldom", 1.0))
    names = [drawn.draw(step).name for step in range(100)]
    assert 80 <= names.count("often") <= 98


def test_labels_may_be_cut_to_a_level_above():
    drawn = source(upper_rows=1)
    leaves = {TREE.names[n] for n in TREE.leaves}
    for step in range(10):
        batch = drawn.draw(step)
        right = {batch.candidates[at].split(" > ")[-1] for at in batch.gold}
        assert not right & leaves


def test_other_labels_of_a_text_are_not_wrong():
    chosen = a_set()
    nodes = chosen.nodes.copy()
    texts = list(chosen.texts)
    texts[0] = texts[-1]  # two labels far apart
    twice = EncoderSet("goods", TREE, texts, nodes, 1.0, PLAIN)
    found = 0
    for step in range(40):
        batch = source(twice, upper_rows=0, candidates=30, items=30).draw(step)
        for row in [at for at, text in enumerate(batch.items) if text == texts[0]]:
            found += 1
            others = set(np.flatnonzero(~batch.wrong[row]).tolist())
            assert len(others) >= 2
    assert found


def test_neighbours_are_the_most_similar_and_never_on_the_own_path():
    leaves = a_set()
    mixed = EncoderSet("m", TREE, ["x", "y", "z"], np.array([0, 1, TREE.leaves[-1]], np.int32),
                       1.0, PLAIN)  # fmt: skip
    vectors = np.eye(3, dtype=np.float32)
    assert neighbours_of(mixed, vectors)[0].tolist()[:2] == [int(TREE.leaves[-1]), -1]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(leaves.labelled), 4)).astype(np.float32)
    found = neighbours_of(leaves, vectors)
    for at, own in enumerate(leaves.labelled.tolist()):
        assert own not in found[at]
        assert set(found[at].tolist()) - {-1} == set(leaves.labelled.tolist()) - {own}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("leaf", "garden p a"),
        ("path", "garden > garden p > garden p a"),
        ("parent", "garden p a (garden p)"),
        ("upward", "garden p a, garden p, garden"),
        ("more", "garden p a"),
    ],
)
def test_the_forms_of_a_node(form, text):
    assert form in FormsRecipe().shares()
    node = TREE.find("garden > garden p > garden p a")
    assert NodeForms(TREE).text(node, form, np.random.default_rng(0)) == text


def test_descriptions_and_synonyms_are_more_forms():
    tree = Taxonomy.from_records([("1", "Hats", "", "For heads.", ["caps"])])
    rng = np.random.default_rng(0)
    found = {NodeForms(tree).text(0, "more", rng) for _ in range(30)}
    assert found == {"caps", "Hats: For heads."}


def test_nothing_changes_where_nothing_is_asked_for():
    text = "an oak table for six people"
    assert changed(text, PLAIN, np.random.default_rng(0)) == text


@pytest.mark.parametrize("kind", ["typos", "lost_words", "shortened", "trade"])
def test_changes_leave_words_to_go_by(kind):
    recipe = PLAIN.model_copy(update={kind: 1.0})
    text = "an oak table for six people"
    rng = np.random.default_rng(1)
    results = [changed(text, recipe, rng) for _ in range(20)]
    assert any(result != text for result in results)
    for result in results:
        assert len(set(result.casefold().split()) & set(text.split())) >= 2
    assert changed("hat", PLAIN.model_copy(update={kind: 1.0}), rng)


@pytest.mark.parametrize(
    "text", ["Deck Ovens - Bakery Ovens", "Deck Ovens: for bakers, gas", "Deck Ovens – x"]
)
def test_shortened_to_what_stands_before_a_dash_or_a_colon(text):
    recipe = PLAIN.model_copy(update={"shortened": 1.0})
    assert changed(text, recipe, np.random.default_rng(0)) == "Deck Ovens"


def test_a_title_has_words_of_trade_around_the_thing():
    rng = np.random.default_rng(0)
    titles = [title_of("Deck Ovens", rng) for _ in range(200)]
    assert all("deck oven" in title.casefold() for title in titles)
    lengths = [len(title.split()) for title in titles]
    assert min(lengths) == 2 and 4 < np.median(lengths) < 10 and len(set(titles)) > 190


@pytest.mark.parametrize(
    ("names", "name"),
    [("Dresses", "Dress"), ("Berries", "Berry"), ("Axes", "Axe"), ("Cases", "Case"),
     ("Bus", "Bus"), ("Brushes", "Brush"), ("Glass", "Glass"), ("Chess", "Chess"),
     ("Pies", "Pie"), ("Boxes", "Box")],
)  # fmt: skip
def test_the_name_of_one(names, name):
    assert singular(names) == name
