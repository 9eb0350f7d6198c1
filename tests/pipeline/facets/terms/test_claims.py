"""What labels claim of a food."""

import csv
from importlib import resources

import pytest

from cascade.pipeline.facets.terms.claims import without_claims


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Free-range goose", "goose"),
        ("Organic leeks, vacuum packed", "leeks"),
        ("Plum juice, no added sugar", "Plum juice"),
        ("Cola, no added sugar", "Cola, no added sugar"),  # another term
        ("Oat drink with calcium, vitamin D and iron", "Oat drink"),
        ("Tablets with calcium", "Tablets with calcium"),  # what they are
        ("UHT", "UHT"),  # where nothing is left
        ("Lactose free yoghurt", "yoghurt"),
        ("Lactose free milk", "Lactose free milk"),
        ("Frozen yoghurt", "Frozen yoghurt"),
        ("Frozen leeks", "leeks"),
        ("Inorganic leeks", "Inorganic leeks"),
    ],
)
def test_a_claim_makes_no_other_food(text, left):
    assert without_claims(text) == left


def test_the_table_names_words_in_lower_case_once():
    text = (resources.files("cascade.foodex2") / "data" / "claims.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    said = [name for row in rows if not row["of"] for name in row["words"].split("|")]
    assert all(said) and len(said) == len(set(said))
