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
        "Music\n\u00a0\u00a0Strings\n    Violins\n \u00a0Winds\nSport\n",
        "Music\n\u3000Strings\n\u3000\u3000Violins\n\u3000Winds\nSport\n",
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
        ("Music\n  Strings\tS1\n  Winds\tW1\n", "line 2: .* has a tab inside"),
        ("1. Music\n  a. Strings\n  b. Winds\n", "line 1: '1. Music' and others begin with a"),
        ("1 Music\n  7.1 Strings\n  7.2 Winds\n", "continues that of the line above"),
        ("- Music\n- - Strings\n  - Winds\n", "line 2: a list directly inside a list"),
        ("Music\n  Strings\n  Strings\n", "line 3: path 'Music > Strings' was given on line 2"),
    ],
)
def test_errors_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


def test_numbers_that_go_on_from_those_above_are_codes(load):
    tax = load("1 Music\n  1.1 Strings\n    1.1.1 Violins\n  1.2 Winds\n2. Sport\n")
    assert tax.codes == ("1", "1.1", "1.1.1", "1.2", "2")
    assert tax.names == ("Music", "Strings", "Violins", "Winds", "Sport")


def test_a_tab_may_follow_such_a_code(load):
    assert load("1\tMusic\n  1.1\tStrings\n").codes == ("1", "1.1")


def test_a_number_in_front_of_few_names_belongs_to_them(load):
    tax = load("Suits\n  3 piece suits\n  Tuxedos\nCars\n")
    assert tax.names[1] == "3 piece suits"


def test_yaml_is_no_outline(load):
    assert load("Music:\n  - Strings\n  - Winds\n").codes[1] == "Music > Strings"
    assert load("- name: Music\n  code: m\n").codes == ("m",)
