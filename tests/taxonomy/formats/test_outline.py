"""Names indented below others."""

import pytest

from cascade.errors import TaxonomyError


@pytest.mark.parametrize(
    "content",
    [
        "Music\n  Strings\n    Violins\n  Winds\nSport\n",
        "Music\n\tStrings\n\t\tViolins\n\tWinds\nSport\n",
        "- Music\n  - Strings\n    - Violins\n  - Winds\n- Sport\n",
        "  Music\n    Strings\n      Violins\n    Winds\n  Sport\n",
        "├── Music\n│   ├── Strings\n│   │   └── Violins\n│   └── Winds\n└── Sport\n",
        "- [Music](http://a)\n  - [Strings](b)\n    - Violins\n  - Winds\n- Sport\n",
        "* Music\n    * Strings\n      * Violins\n    * Winds\n* Sport\n",
    ],
)
def test_indented_names_belong_to_the_name_above(load, content):
    tax = load(content)
    assert [tax.path(i) for i in range(len(tax))] == [
        "Music",
        "Music > Strings",
        "Music > Strings > Violins",
        "Music > Winds",
        "Sport",
    ]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("Music\n    Strings\n  Winds\n", "line 3: 'Winds' is indented by 2, as no line above"),
        ("Music\n  Strings\n\tWinds\n", "line 3: indented with other blanks or tabs"),
        ("Music\n  Strings\n  Strings\n", "line 3: path 'Music > Strings' was given on line 2"),
    ],
)
def test_errors_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


def test_yaml_is_no_outline(load):
    assert load("Music:\n  - Strings\n  - Winds\n").codes[1] == "Music > Strings"
    assert load("- name: Music\n  code: m\n").codes == ("m",)
