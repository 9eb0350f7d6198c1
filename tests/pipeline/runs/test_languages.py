import pytest

from cascade.items import Item
from cascade.pipeline.runs.languages import FEW, LATER, MANY, SAMPLE, SEEN, in_words, look
from cascade.predictions import Prediction

ENGLISH = [
    "straw panama hat with a black ribbon",
    "Harrow Lane leather boots, brown, size 9",
    "steel leaf rake, 22 teeth",
    "5-tier ladder 180cm blk metal/oak eff.",
    "Pembury Earl Grey Tea Bags 80s 200g",
]
SPANISH = [
    "sombrero de paja para señora con cinta negra",
    "botas de cuero marrón para hombre",
    "rastrillo de acero para las hojas del jardín",
    "escalera de cinco peldaños de metal",
]
GREEK = ["ψάθινο καπέλο με μαύρη κορδέλα"]


def items(*texts):
    return [Item({"name": text}) for text in texts]


def test_rows_in_other_languages_are_counted_by_language():
    found = look(items(*ENGLISH, *SPANISH, *GREEK, *ENGLISH * 2))
    assert found == {SEEN: 20, "es": 4, "el": 1}


def test_english_titles_with_brands_and_numbers_are_english():
    assert look(items(*ENGLISH * 4)) == {SEEN: 20}


def test_of_few_rows_nothing_is_said():
    assert look(items(*SPANISH * 4)) == {}
    assert FEW > 16


def test_only_the_first_of_a_chunk_are_looked_at():
    found = look(items(*SPANISH * 30))
    assert found[SEEN] == SAMPLE and found["es"] == SAMPLE


def test_of_a_long_file_fewer_are_looked_at_later():
    spanish = items(*SPANISH * 30)
    assert look(spanish, MANY - 1)[SEEN] == SAMPLE
    assert look(spanish, MANY) == {SEEN: LATER, "es": LATER}


def test_rows_that_cannot_be_read_and_numbers_are_no_language():
    failed = [Prediction.failed("no text", "7")] * 10
    assert look([*failed, *items("4711", "12 30"), *items(*ENGLISH * 2)]) == {SEEN: 10}


@pytest.mark.parametrize(
    ("languages", "rows", "told"),
    [
        ({}, 3, None),
        ({SEEN: 100}, 400, None),
        ({SEEN: 100, "es": 9}, 400, None),
        ({SEEN: 20, "es": 4}, 20, None),
        ({SEEN: 20, "es": 5}, 20, "5 of 20 rows are not in English (Spanish 5)"),
        (
            {SEEN: 100, "es": 9, "de": 20, "fr": 1, "it": 2},
            1000,
            "about 320 of 1,000 rows (32 of 100 looked at) are not in English "
            "(German 20, Spanish 9, Italian 2)",
        ),
    ],
)
def test_languages_are_told_where_many_rows_are_foreign(languages, rows, told):
    assert in_words(languages, rows) == told
