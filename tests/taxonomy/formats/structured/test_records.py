"""Flat lists of nodes, and nodes inside of documents, as other programs write them."""

import json

import pytest

from cascade.errors import TaxonomyError

A, B = {"id": "a", "name": "Tools"}, {"id": "b", "name": "Saws"}


def flat(key="parent", top=None):
    return [{**A, key: top}, {**B, key: "a"}]


def paths(tax):
    return [tax.path(i) for i in range(len(tax))]


@pytest.mark.parametrize(
    "key",
    ["parent", "parentId", "parent_id", "ParentID", "parentCode", "parent_category_id", "broader"],
)
@pytest.mark.parametrize("top", [None, "", "0", "#", -1])
def test_flat_lists_are_read_by_their_parents(load, key, top):
    tax = load(json.dumps(flat(key, top)))
    assert (tax.codes, paths(tax)) == (("a", "b"), ["Tools", "Tools > Saws"])


@pytest.mark.parametrize(
    "document",
    [
        {"data": flat()},
        {"more": False, "results": flat()},
        {"status": "ok", "response": {"items": flat()}},
        {"meta": {"id": "x"}, "data": {"codelists": [{"id": "CL", "name": "X", "codes": flat()}]}},
        {"version": "3", "departments": [{**A, "children": [B]}]},
        {"items": [{**A, "children": [B]}]},
        {"a": {"name": "Tools", "parent": None}, "b": {"name": "Saws", "parent": "a"}},
        {"a": {"name": "Tools", "children": {"b": {"name": "Saws"}}}},
        {"Tools": {"id": "a", "children": {"Saws": {"id": "b"}}}},
        [{**A, "children": ["b"]}, B],
        [{**A, "parent_id": None, "children": [B]}, {**B, "parent_id": "a", "children": []}],
        [{**A, "children": [{**B, "parent_id": "a"}]}],
        [{**A, "parents": []}, {**B, "parents": ["a"]}],
        [{**A, "parent": None}, {**B, "parent": {"id": "a", "name": "Tools"}}],
        [{"id": "a", "full_name": "Tools"}, {"id": "b", "full_name": "Tools > Saws"}],
        [{"shop_id": "a", "name": "Tools", "children": [{"shop_id": "b", "name": "Saws"}]}],
        [{"id": "a", "text": "Tools", "parent": "#"}, {"id": "b", "text": "Saws", "parent": "a"}],
        [{**A, "childs": [B]}],
        {"tree": [{"id": "a", "category": "Tools", "children": [{"id": "b", "category": "Saws"}]}]},
        [{**A, "level": 1}, {**B, "level": 2}],
        [{**A, "SubCategories": [B]}],
        {"name": "shop", "nodes": flat()},
    ],
    ids=json.dumps,
)
def test_nodes_are_found_in_documents_of_many_shapes(load, document):
    tax = load(json.dumps(document, indent=1))
    assert (tax.codes, paths(tax)) == (("a", "b"), ["Tools", "Tools > Saws"])


def test_names_by_language_are_translations(load):
    names = [{"en": "Tools", "de": "Werkzeug"}, {"en": "Saws", "de": "Sägen"}]
    nested = [{"id": "a", "name": names[0], "children": [{"id": "b", "name": names[1]}]}]
    rows = [
        {"id": c, "name": n, "parent": p} for c, n, p in zip("ab", names, ["", "a"], strict=True)
    ]
    for document in (nested, rows):
        tax = load(json.dumps(document))
        assert tax.names == ("Tools", "Saws")
        assert tax.translations(1)["de"] == "Sägen"


def test_the_first_of_several_parents_counts_with_a_warning(load, caplog):
    rows = [*flat(), {"id": "c", "name": "Jigsaws", "parents": ["b", "a"]}]
    for row in rows:
        row["parents"] = row.get("parents") or [row.pop("parent", None)]
    assert paths(load(json.dumps(rows)))[2] == "Tools > Saws > Jigsaws"
    assert "1 nodes have several parents, and stay below the first" in caplog.text


def test_other_lists_beside_the_nodes_are_named(load, caplog):
    load(json.dumps({"nodes_of_shop": [{"id": "x"}], "categories": [{**A, "children": [B]}]}))
    assert "the nodes are read from 'categories'; not used: 'nodes_of_shop'" in caplog.text


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (
            [{**A, "Subitems": [B]}],
            "line 1: nodes have 'Subitems', which looks like the nodes below",
        ),
        (
            [{"title": "Tools", "url": "x", "links_to": [{"title": "Saws"}]}],
            "nodes have 'links_to'",
        ),
        ({"nodes": [A, B], "edges": [{"source": "a", "target": "b"}]}, "'edges' seem to say which"),
        ([{"name": "Tools", "subs": ["Saws"]}], "nodes have 'subs', which looks like the nodes"),
        ([{**A, "category": {"id": "b", "name": "Saws"}}], "nodes have 'category', which looks"),
        ({"Tools": {"description": "x", "Saws": {}}}, "'description' seems to be about the node"),
        ([{**A, "level": "x"}, {**B, "level": "y"}], "no column holds the code of the node above"),
        ([{**A, "children": 3}], "the children of a node must be a list of nodes; found '3'"),
        ([{**A, "children": [{**B, "parent_id": "x"}]}], "says that the parent is 'x', but"),
        ([{**A, "children": ["b", "c"]}, B], "node 'a' has a child 'c', which is no code"),
        ([A, {**B, "children": ["a"]}, {"id": "c", "name": "C", "children": ["a"]}], "of both 'b'"),
        ({"x": flat(), "y": flat()}, "there are 2 lists of nodes that name their parents"),
        ([["a", "Tools"], ["b", "Saws"]], "a list directly inside a list"),
        ({"01": "Animals", "0101": "Horses"}, "'01' seems to be a code, but nothing says"),
        ({"title": "Shop", "Hats": ["Straw"]}, "'title' stands beside names of nodes"),
        (
            [{"foo": "A", "bar": "1"}, {"foo": "B", "bar": "2"}],
            r"without a name.* has: 'foo', 'bar'",
        ),
        (
            {"categories": [{**A, "supercategory": "x"}, {**B, "supercategory": "x"}]},
            "perhaps 'supercategory'; it must hold codes",
        ),
        (
            [{"x_id": "1", "y_code": "2", "name": "A"}, {"x_id": "3", "y_code": "4", "name": "B"}],
            "'x_id' and 'y_code', which could both be it; call one 'code'",
        ),
        (
            [{**A, "parent": None}, {**B, "parent": "q"}],
            "node 'b' has parent 'q', which is no code",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(load, document, match):
    with pytest.raises(TaxonomyError, match=match):
        load(json.dumps(document))


def test_errors_in_flat_lists_name_the_line_of_the_node(load):
    with pytest.raises(TaxonomyError, match=r"line 12: node 'b' has parent 'aa'.*did you mean 'a'"):
        load(
            json.dumps([{**A, "parent": None}, {**B, "parent": "aa"}], indent=1).replace(
                "[", "[\n\n\n\n\n"
            )
        )


def test_json_lines_are_read_where_they_name_their_parents(load):
    lines = "\n".join(map(json.dumps, flat()))
    assert paths(load(lines)) == ["Tools", "Tools > Saws"]
    with pytest.raises(TaxonomyError, match="line 2: node 'b' has parent 'q'"):
        load(lines.replace('"parent": "a"', '"parent": "q"'))
    with pytest.raises(TaxonomyError, match="is this JSON Lines"):
        load('{"text": "x", "label": "y"}\n{"text": "z", "label": "y"}\n')


def test_yaml_lists_are_flat_or_nested_likewise(load):
    tax = load("- code: a\n  name: Tools\n- code: b\n  name: Saws\n  parent: a\n")
    assert paths(tax) == ["Tools", "Tools > Saws"]
    assert load("taxonomy:\n  - Tools:\n    - Saws\n").depth == 2


def test_names_that_go_over_lines_without_quotes_are_refused(load):
    with pytest.raises(TaxonomyError, match="line 2: 'Saws - Jigsaws' goes over 2 lines"):
        load("Tools:\n- Saws\n  - Jigsaws\n")


def test_lists_with_a_key_for_each_level_are_read_as_levels(load):
    rows = [{"category": "Tools", "subcategory": name} for name in ("Saws", "Files")]
    assert paths(load(json.dumps(rows))) == ["Tools", "Tools > Saws", "Tools > Files"]


@pytest.mark.parametrize(
    ("own", "above"),
    [
        ('{"$oid": "5f1"}', '{"$oid": "5f1"}'),
        ('{"$oid": "5f1"}', '{"$ref": "tools", "$id": {"$oid": "5f1"}}'),
        ('{"$numberInt": "5"}', "5"),
    ],
)
def test_what_mongodb_writes_for_a_value_is_the_value(load, own, above):
    tax = load(
        f'[{{"_id": {own}, "name": "Tools", "parent": null}},'
        f'{{"_id": {{"$oid": "5f2"}}, "name": "Saws", "parent": {above}}}]'
    )
    assert tax.parent.tolist() == [-1, 0]


def test_a_parent_without_a_code_is_named(load):
    with pytest.raises(TaxonomyError, match="line 2: 'parent' is a mapping without a code"):
        load('[{"id": 1, "name": "Tools"},\n{"id": 2, "name": "Saws", "parent": {"href": "/1"}}]')


def test_parents_may_be_named_by_address_beside_a_number(load):
    tax = load(
        '[{"@id": "/t/1", "id": 1, "name": "Tools", "parent": null},'
        '{"@id": "/t/2", "id": 2, "name": "Saws", "parent": "/t/1"}]'
    )
    assert (tax.codes, tax.parent.tolist()) == (("/t/1", "/t/2"), [-1, 0])


def test_a_child_that_is_called_like_a_node_of_the_list_is_named(load):
    with pytest.raises(TaxonomyError, match="child 'Saws' has the name of the node on line 2"):
        load('[{"name": "Tools", "children": ["Saws"]},\n{"name": "Saws", "children": ["Jigs"]}]')


def test_nodes_under_their_codes_may_have_names_by_language(load):
    tax = load(
        json.dumps(
            {
                "en:tools": {"name": {"en": "Tools", "de": "Werkzeug"}, "children": ["en:saws"]},
                "en:saws": {"name": {"en": "Saws"}, "parents": ["en:tools"]},
            }
        )
    )
    assert paths(tax) == ["Tools", "Tools > Saws"]
    assert tax.codes == ("en:tools", "en:saws")
    assert tax.translations(0) == {"de": "Werkzeug"}


@pytest.mark.parametrize("key", ["labels", "classes", "topics"])
def test_a_lone_key_around_names_is_no_node(load, caplog, key):
    assert load(json.dumps({key: ["Tools", "Pets"]})).codes == ("Tools", "Pets")
    assert f"{key!r} is taken for the key around all nodes" in caplog.text
