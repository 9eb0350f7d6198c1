import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TaxonomyError
from cascade.taxonomy import Node, Record, Taxonomy

from .trees import content, quick, records, trees, way_up


@pytest.fixture
def shop() -> Taxonomy:
    return Taxonomy.from_records(
        [
            Record("hats", "Hats", "clothes", "Worn on the head", ("Caps", "Headwear")),
            Record("clothes", "Clothes", None, translations={"de": "Kleidung"}),
            Record("straw", "Straw Hats", "hats"),
            Record("shoes", "Shoes", "clothes"),
            Record("home", "Home & Garden"),
            Record("tools", "Tools", "home"),
            Record("hats2", "Hats", "home"),
        ],
        name="shop",
    )


def test_nodes_lie_in_depth_first_order_with_siblings_as_given(shop):
    assert shop.codes == ("clothes", "hats", "straw", "shoes", "home", "tools", "hats2")
    assert shop.parent.tolist() == [-1, 0, 1, 0, -1, 4, 4]
    assert shop.end.tolist() == [4, 3, 3, 4, 7, 6, 7]
    assert shop.level.tolist() == [1, 2, 3, 2, 1, 2, 2]
    assert (shop.parent.dtype, shop.end.dtype, shop.level.dtype) == (np.int32, np.int32, np.int16)


def test_a_node_tells_all_that_is_known(shop):
    assert shop.node("hats") == Node(
        1,
        "hats",
        "Hats",
        "Clothes > Hats",
        2,
        "clothes",
        False,
        "Worn on the head",
        ("Caps", "Headwear"),
        {},
    )
    assert shop.node(0).translations == {"de": "Kleidung"}
    assert str(shop.node("Home & Garden > Hats")) == "Home & Garden > Hats  [hats2]"


def test_arrays_and_translations_cannot_be_changed(shop):
    shop.leaves  # noqa: B018 - cached arrays are protected too
    for array in (shop.parent, shop.end, shop.level, shop.leaves, shop.children(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        shop.level_nodes(1)[0] = 7
    with pytest.raises(TypeError):
        shop.translations(0)["de"] = "Hut"


def test_find_takes_codes_and_paths_however_spaced(shop):
    assert shop.find("straw") == 2
    assert shop.find(" straw ") == 2
    assert shop.find("Clothes>Hats >  Straw  Hats") == 2
    assert shop.find("Clothes > Straw Hats") is None
    assert shop.find("") is None


def test_find_reaches_names_that_contain_an_arrow():
    tax = Taxonomy.from_records(
        [("a", "Age"), ("b", "3 > 5", "a"), ("c", "x>y", "b"), ("d", "3", "a")]
    )
    assert tax.find("Age > 3 > 5 > x > y") == tax.index("c")
    assert tax.find("Age > 3") == tax.index("d")


def test_a_code_that_looks_like_a_path_is_a_code_first():
    tax = Taxonomy.from_records([("A > B", "X"), ("a", "A"), ("b", "B", "a")])
    assert tax.names[tax.find("A > B")] == "X"
    assert tax.names[tax.find("A>B")] == "B"


def test_an_unknown_code_is_answered_with_close_ones(shop):
    with pytest.raises(TaxonomyError, match=r"no node 'sraw'.*did you mean 'straw' \(Straw Hats"):
        shop.index("sraw")
    with pytest.raises(TaxonomyError, match=r"did you mean 'home' \(Home & Garden\)"):
        shop.node("Home and Garden")
    with pytest.raises(TaxonomyError, match="named by its code or its path"):
        shop.index("qqqqqq")


@pytest.mark.parametrize("index", [-1, 7, 100])
def test_an_index_outside_is_refused_with_the_range(shop, index):
    with pytest.raises(TaxonomyError, match="run from 0 to 6"):
        shop.node(index)


def test_an_index_that_is_no_integer_is_refused(shop):
    with pytest.raises(TaxonomyError, match="expected an integer"):
        shop.path(1.5)


def test_children_of_minus_one_are_the_top_nodes(shop):
    assert shop.children(-1).tolist() == [0, 4]
    assert shop.children(0).tolist() == [1, 3]
    assert shop.children(2).tolist() == []


def test_children_of_many_nodes_are_those_of_each(shop):
    nodes = np.array([0, -1, 2, 0], np.int32)
    offsets, children = shop.children_of(nodes)
    found = [children[a:b].tolist() for a, b in pairwise(offsets.tolist())]
    assert found == [shop.children(node).tolist() for node in nodes.tolist()]
    assert shop.n_children(nodes).tolist() == list(map(len, found))
    assert shop.children_of(nodes[:0])[1].tolist() == []


def test_nodes_of_different_trees_have_no_common_ancestor(shop):
    straw, shoes, tools = map(shop.index, ("straw", "shoes", "tools"))
    assert shop.lowest_common_ancestor(straw, shoes) == shop.index("clothes")
    assert shop.lowest_common_ancestor(straw, tools) == -1


def test_a_level_that_does_not_exist_is_refused(shop):
    for level in (0, 4):
        with pytest.raises(TaxonomyError, match=f"no level {level}; the levels here are 1 to 3"):
            shop.level_nodes(level)
    with pytest.raises(TaxonomyError, match="no level 4"):
        shop.transition(3)


def test_trim_keeps_the_upper_levels_with_their_side_data(shop):
    trimmed = shop.trim(2)
    assert trimmed.codes == ("clothes", "hats", "shoes", "home", "tools", "hats2")
    assert trimmed.synonyms(1) == ("Caps", "Headwear")
    assert trimmed.is_leaf(1)
    assert content(shop.trim(9)) == content(shop)
    with pytest.raises(TaxonomyError, match="cannot trim to depth 0"):
        shop.trim(0)


def test_the_fingerprint_follows_content_not_names_in_other_languages(shop):
    rows = [Record(n.code, n.name, n.parent_code, n.description, n.synonyms) for n in shop]
    same = Taxonomy.from_records(rows, name="other", language="en")
    assert same.fingerprint == shop.fingerprint
    assert len(shop.fingerprint) == 64
    for change in (
        {"code": "other"},
        {"name": "Other"},
        {"parent_code": "home"},
        {"description": "other"},
        {"synonyms": ("other",)},
    ):
        changed = [*rows[:2], rows[2]._replace(**change), *rows[3:]]
        assert Taxonomy.from_records(changed).fingerprint != shop.fingerprint


def test_a_pickled_copy_is_the_same_and_still_read_only(shop):
    copy = pickle.loads(pickle.dumps(shop))
    assert content(copy) == content(shop)
    assert copy.name == "shop"
    assert not copy.parent.flags.writeable


def test_it_shows_itself_in_consoles_and_notebooks():
    tax = Taxonomy.from_paths(["A & B > <i>", "C"], name="shop", title="The <shop>")
    assert repr(tax) == "Taxonomy('shop': 3 nodes, 2 levels, 2 leaves)"
    html = tax._repr_html_()
    assert "The &lt;shop&gt;" in html
    assert "A &amp; B" in html
    assert "<i>" not in html


def test_paths_imply_the_nodes_above_and_count_once():
    tax = Taxonomy.from_paths(["A > B", ("A", "C > D"), "A>B", "E"])
    assert tax.names == ("A", "B", "C > D", "E")
    assert tax.codes == ("A", "A > B", "A > C > D", "E")


def test_codes_are_members_and_iteration_gives_nodes(shop):
    assert "straw" in shop
    assert "Straw Hats" not in shop
    assert [node.index for node in shop] == list(range(7))


@quick
@given(trees())
def test_subtrees_are_ranges(tax):
    for i in range(len(tax)):
        below = [j for j in range(len(tax)) if i in way_up(tax, j)]
        assert list(tax.subtree(i)) == below
        assert tax.is_leaf(i) == (len(below) == 1)
    assert tax.leaves.tolist() == [i for i in range(len(tax)) if tax.is_leaf(i)]


@quick
@given(trees())
def test_children_and_ancestors_agree_with_parents(tax):
    for i in range(-1, len(tax)):
        assert tax.children(i).tolist() == np.flatnonzero(tax.parent == i).tolist()
    for i in range(len(tax)):
        assert tax.path_nodes(i).tolist() == way_up(tax, i)[::-1]
        assert tax.ancestors(i).tolist() == way_up(tax, i)[:0:-1]
        assert tax.level[i] == len(way_up(tax, i))
        assert tax.paths_of(np.array([i]))[: tax.level[i], 0].tolist() == way_up(tax, i)[::-1]
        assert (tax.paths_of(np.array([i]))[tax.level[i] :] == -1).all()
        assert tax.path(i) == " > ".join(tax.names[j] for j in tax.path_nodes(i))
    assert tax.depth == max(tax.level)


@quick
@given(trees(), st.data())
def test_the_lowest_common_ancestor_is_the_first_shared_node_on_the_ways_up(tax, data):
    i, j = (data.draw(st.integers(0, len(tax) - 1)) for _ in "ij")
    ways = way_up(tax, i), way_up(tax, j)
    shared = [k for k in ways[0] if k in ways[1]]
    assert tax.lowest_common_ancestor(i, j) == (shared[0] if shared else -1)


@quick
@given(trees())
def test_transitions_are_the_children_of_each_level(tax):
    for level in range(1, tax.depth):
        matrix = tax.transition(level)
        upper, lower = tax.level_nodes(level), tax.level_nodes(level + 1)
        assert matrix.shape == (len(upper), len(lower))
        assert matrix.dtype == np.float32
        for row, node in zip(matrix.toarray(), upper, strict=True):
            assert lower[row == 1].tolist() == tax.children(node).tolist()
        assert matrix.sum() == len(lower)
    assert sum(len(tax.level_nodes(k + 1)) for k in range(tax.depth)) == len(tax)


@quick
@given(records())
def test_siblings_keep_the_order_in_which_they_were_given(rows):
    tax = Taxonomy.from_records(rows)
    given = {row.code: at for at, row in enumerate(rows)}
    for i in range(-1, len(tax)):
        places = [given[tax.codes[child]] for child in tax.children(i)]
        assert places == sorted(places)
    for row in rows:
        node = tax.node(tax.index(row.code))
        assert (node.name, node.parent_code) == (row.name, row.parent_code)
        assert (node.description, node.synonyms) == (row.description, tuple(row.synonyms))
        assert dict(node.translations) == dict(row.translations)


@quick
@given(trees(name=st.sampled_from(["a", "b", "a b", "a > b", "b>a", "ab"])))
def test_every_node_is_found_by_its_path(tax):
    for i in range(len(tax)):
        assert tax.path(tax.find(tax.path(i))).replace(" ", "") == tax.path(i).replace(" ", "")


def test_a_chain_of_as_many_levels_as_there_may_be_is_no_trouble():
    rows = [(str(i), "n", str(i - 1) if i else None) for i in range(100)]
    tax = Taxonomy.from_records(rows[::-1])
    assert tax.depth == 100
    assert tax.codes[:3] == ("0", "1", "2")
    assert tax.lowest_common_ancestor(80, 99) == 80
