import pytest

from cascade.pipeline.facets.evidence import MAX_PHRASES, phrases


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bread", ["bread"]),
        (
            "organic yogurt, strawberry, in plastic cup",
            [
                "organic yogurt, strawberry, in plastic cup",
                "organic yogurt",
                "strawberry",
                "in plastic cup",
                "plastic cup",
            ],
        ),
        ("Tuna (canned)", ["Tuna (canned)", "Tuna", "canned"]),
        ("cheese without rind", ["cheese without rind", "cheese", "without rind"]),
        ("semi-skimmed milk", ["semi-skimmed milk"]),
        ("  a\n\nb ", ["a b", "a", "b"]),
        (", ;", [", ;"]),
    ],
)
def test_a_description_is_itself_and_its_phrases(text, found):
    assert phrases(text) == found


def test_a_long_list_has_as_many_phrases_as_are_read():
    assert len(phrases(", ".join(f"word{i}" for i in range(100)))) == MAX_PHRASES + 1
