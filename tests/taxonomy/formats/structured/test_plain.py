"""What is no plain nesting of names, though it is mappings and lists."""

import pytest

from cascade.errors import TaxonomyError


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"code": {"0": 1, "1": 2}, "name": {"0": "A", "1": "B"}}', "column by column"),
        ('{"name": ["A", "B"], "parent": ["", "A"]}', "column by column"),
        ('{"model": "x", "id2label": {"0": "Saws"}}', "'id2label' is a key of a model's"),
        ('{"Saws": 0, "Files": 1}', "'Saws' and others have a text each, such as '0'"),
        ('{"Tools": {"Saws": 12, "Files": 7}}', "'Saws' and others have a text each"),
        ('{"Tools": {"Saws": true}, "Sport": ["Balls"]}', "'Saws' has the value 'true'"),
        ("Tools: [Saws]\nSport: all that is played.\n", "line 2: 'Sport' has the value"),
        ("Saws: that cut wood\nFiles: that smooth it\n", "line 1: 'Saws' and others have a"),
        ("- Saws: that cut\n- Files: that smooth\n", "line 1: 'Saws' and others have a"),
        ('{"Saws": "Tools", "Files": "Tools"}', "'Saws' and others have a text each"),
        ('{"treeId": "0", "root": {"node": {"nodeId": "0"}}}', "'nodeId' has the value '0'"),
        ('{"name": "Tools", "children": {"Saws": "x", "Files": "y"}}', "'Saws' and others have"),
        ('{"nodes": {"Saws": "x", "Files": "y"}}', "'Saws' and others have a text each"),
        ('{"_embedded": {"Tools": ["Saws"]}}', "'_embedded' stands where names of nodes do"),
        ('{"Tools > Saws": null, "Tools > Files": null}', "names of nodes are paths"),
        ('["Tools.Saws", "Tools.Files"]', r"most texts have a '\.'"),
        ("- Tools > Saws\n- Tools > Files\n- Tools > Saws\n", "line 3: .* given on line 1"),
    ],
)
def test_what_is_no_name_is_refused(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


@pytest.mark.parametrize(
    "content",
    [
        '["Tools > Saws", "Tools > Files"]',
        "- Tools > Saws\n- Tools > Files\n",
        '{"categories": ["Tools/Saws", "Tools/Files"]}',
        '{"nodes": ["Tools -> Saws", "Tools -> Files"]}',
        '[{"name": "Tools > Saws"}, {"name": "Tools > Files"}]',
        '[{"label": "Tools / Saws"}, {"label": "Tools / Files"}]',
    ],
)
def test_lists_of_paths_are_read_as_lines_of_them(load, content):
    assert load(content).codes == ("Tools", "Tools > Saws", "Tools > Files")


def test_names_that_are_numbers_or_sentences_stay_where_nothing_else_can_be_meant(load):
    assert load('{"Sizes": ["12", "14"]}').names == ("Sizes", "12", "14")
    assert load('["Saws.", "Files!"]').names == ("Saws.", "Files!")
    assert load("Tools: [Saws, Files]\nSport: Balls\n").names[-1] == "Balls"
