import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats import ARCHIVES, FORMATS, _module, detect
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.structured.json_yaml import (
    Leaf,
    Mapping,
    Series,
    parse_json,
    parse_yaml,
)

from ...trees import quick

FILE = Path("taxonomy.yaml")
OURS = """\
# A shop
name: store
title: A small store
language: en
licence: CC0
nodes:
  - code: 007
    name: Hats
    description: >
      Worn on
      the head.
    synonyms: [Caps, no]
    translations: {de: Hüte}
    children:
      - code: 1_000
        name: Yes
      - name: Straw
        synonyms: Panama; Boater
  - {code: shoes, name: Shoes}
"""


def test_our_form_is_read_with_all_texts_as_written(load):
    tax = load(OURS)
    assert (tax.name, tax.title, tax.language) == ("store", "A small store", "en")
    assert tax.codes == ("007", "1_000", "Hats > Straw", "shoes")
    assert tax.names == ("Hats", "Yes", "Straw", "Shoes")
    assert tax.description(0) == "Worn on the head."
    assert tax.synonyms(0) == ("Caps", "no")
    assert tax.synonyms(2) == ("Panama", "Boater")
    assert tax.translations(0) == {"de": "Hüte"}


def test_json_of_our_form_is_read(load):
    tree = {"name": "x", "nodes": [{"code": "a", "name": "A", "children": [{"name": "B"}]}]}
    tax = load(json.dumps(tree, indent=2))
    assert tax.codes == ("a", "A > B")
    assert tax.name == "x"


@pytest.mark.parametrize(
    "content",
    [
        "A:\n  B: [C, D]\n  E: ~\nF:\n",
        "- A:\n    - B: [C, D]\n    - E\n- F\n",
        '{"A": {"B": ["C", "D"], "E": {}}, "F": null}',
        '[{"id": "A", "label": "A", "nodes": [{"name": "B", "children": ["C", "D"]}, "E"]}, "F"]',
        '{"A": {"B": {"C": "", "D": []}, "E": null}, "F": {}}',
    ],
)
def test_plain_nesting_is_read_in_all_its_forms(load, content):
    tax = load(content)
    paths = [tax.path(i) for i in range(len(tax))]
    assert paths == ["A", "A > B", "A > B > C", "A > B > D", "A > E", "F"]


def test_a_single_root_is_a_node(load):
    assert load('{"name": "A", "children": [{"name": "B"}]}').parent.tolist() == [-1, 0]


def test_keys_that_are_not_used_are_named_once(load, caplog):
    load("nodes:\n  - {name: A, desciption: x}\n  - {name: B, desciption: y}\n")
    assert caplog.text.count("'desciption'") == 1
    assert "line 2" in caplog.text
    assert "did you mean 'description'" in caplog.text


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("nodes:\n  - code: a\n", "line 2: a node without a name"),
        ("nodes:\n  - name: A\n  - name: A\n", "line 3: .* already taken by line 2"),
        (
            "nodes:\n  - {code: a, name: A}\n  - {code: b, name: A}\n",
            r"line 3: two nodes at the top are called 'A': 'a' \(line 2\)",
        ),
        ("nodes:\n  - {code: a, name: A}\n  - {code: a, name: B}\n", "line 3: code 'a' is already"),
        ("nodes:\n  - name: A\n    name: B\n", "line 3: a node has its name twice"),
        ("nodes:\n  - name: [A]\n", "line 2: the name of a node must be text"),
        ("nodes:\n  - name: A\n    synonyms: {b: c}\n", "line 3: synonyms must be a list"),
        ("nodes:\n  - name: A\n    translations: [x]\n", "line 3: translations must be a mapping"),
        ("nodes:\n  - name: A\n    translations: {x!: y}\n", "line 2: translation into 'x!'"),
        ("A:\n  B: [C\n", r"line \d: broken YAML"),
        ("A: &a\n  B: C\nD: *a\n", "line 3: alias \\*a repeats a part"),
        ("A: &a\n  - B\n  - *a\n", "alias \\*a repeats a part"),
        ('{"A": {"B": [}}', "line 1: broken JSON: Expecting value"),
        ('{"a": 1}\n{"a": 2}\n', "line 2: broken JSON: .*is this JSON Lines"),
        ('{"A": ["B",\n"B"]}', "line 2: code 'A > B' is already taken by line 1"),
        ("nodes: []\n", "needs at least one"),
        ("{}", "needs at least one"),
        ("[]", "needs at least one"),
        ("[\n" * 100_000, "line 401: nested too deeply"),
        (
            "a: &a " + "x" * 2000 + "\nb: [" + "*a, " * 1000 + "]",
            "line 2: aliases such as .a repeat",
        ),
        ('[{"name": "A", "children": ' + "9" * 5000, "line 1: broken JSON"),
        ("- " * 3000 + "x", "nested too deeply"),
        ("a: " + "{a: " * 100_000, "nested too deeply"),
        ('{"a":' * 900 + "0" + "}" * 900, "nested too deeply"),
        ("A:\n  ? [a]\n  : b\n", "line 2: a key that is no text"),
        ("a: b\n---\nc: d\n", "2 YAML documents; expected one"),
    ],
)
def test_errors_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


def plain(value):
    if isinstance(value, Mapping):
        return {name.text: plain(part) for name, part in value.items}
    return [plain(part) for part in value.items] if isinstance(value, Series) else value.text


json_texts = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\{ ,]é'), inner, max_size=4)
    ),
)


@quick
@given(json_texts, st.sampled_from([None, 2]), st.booleans())
def test_json_is_understood_as_the_standard_library_does(value, indent, ascii_only):
    def blank_nulls(value):
        if isinstance(value, dict):
            return {key: blank_nulls(part) for key, part in value.items()}
        return [blank_nulls(v) for v in value] if isinstance(value, list) else value or ""

    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).replace("\x7f", "\\u007f")
    assert plain(parse_json(text, FILE)) == blank_nulls(value)


def test_lines_of_json_values_are_those_an_editor_shows():
    value = parse_json('{\n"a":\n ["b",\n\n"c"]}', FILE)
    ((key, series),) = value.items
    assert (key.line, series.line, [leaf.line for leaf in series.items]) == (2, 3, [3, 5])


def test_yaml_aliases_may_repeat_texts():
    value = parse_yaml("[&a Hat, *a]", FILE)
    assert [leaf.text for leaf in value.items] == ["Hat", "Hat"]


def test_yaml_scalars_stay_text():
    value = parse_yaml("[010, no, ~, '~', 1.50, 2024-01-01]", FILE)
    assert [leaf.text for leaf in value.items] == ["010", "no", "", "~", "1.50", "2024-01-01"]
    assert isinstance(value.items[0], Leaf)


@pytest.mark.parametrize(
    "content",
    [
        "taxonomy:\n  Tools: [Saws, Axes]\n  Toys:\n",
        "categories:\n  - Tools: [Saws, Axes]\n  - Toys\n",
        '{"data": {"Taxonomy": {"Tools": ["Saws", "Axes"], "Toys": null}}}',
    ],
)
def test_a_key_alone_that_is_called_like_the_whole_is_no_node(load, caplog, content):
    assert load(content).names == ("Tools", "Saws", "Axes", "Toys")
    assert "is taken for the key around all nodes, and is none itself" in caplog.text


def test_a_key_alone_that_is_a_name_is_the_top_node(load, caplog):
    assert load("Tools: {Saws: , Axes: }\n").names == ("Tools", "Saws", "Axes")
    assert load("nodes: [{name: Categories, children: [A, B]}]\n").names[0] == "Categories"
    assert load("Items: [Saws]\nToys:\n").names == ("Items", "Saws", "Toys")
    assert not caplog.text


PUBLISHED = """# Departments of a shop
name: store
title: A store
nodes:
  - code: h
    name: Hats, caps
    description: "@prefix and id : A > B stay what they are"
    children:
      - code: h1
        name: Straw > Panama
  - code: s
    name: Shoes
"""


@pytest.mark.parametrize("content", [PUBLISHED, PUBLISHED.replace("  - ", "- ", 1), OURS])
def test_our_form_is_known_by_its_first_lines_and_read_as_by_all_formats(tmp_path, content):
    (tmp_path / "t.yaml").write_text(content, "utf-8")
    file = TaxonomyFile(tmp_path / "t.yaml")
    tried = (name for name in FORMATS if name not in ARCHIVES)
    assert next(name for name in tried if _module(name).matches(file)) == detect(file)
    assert file.is_ours is (content is not OURS)  # which says more than ours


def test_nodes_of_our_form_that_list_the_codes_of_others_are_linked_by_them(load):
    flat = load("name: x\nnodes:\n- code: a\n  name: A\n  children: [b]\n- code: b\n  name: B\n")
    assert flat.parent.tolist() == [-1, 0]
    both = "name: x\nnodes:\n- code: a\n  name: A\n  children:\n  - code: b\n    name: B\n"
    assert load(both).parent.tolist() == [-1, 0]
