import dataclasses

import pytest

from cascade.errors import UsageError
from cascade.items import Batch, Item


def test_an_item_is_made_of_text_a_mapping_or_an_item():
    assert Item.of("hat") == Item({"text": "hat"})
    assert Item.of({"title": "hat"}) == Item({"title": "hat"})
    item = Item({"title": "hat"}, "7")
    assert Item.of(item) is item


def test_the_text_of_an_item_has_its_fields_in_order_without_empty_ones():
    item = Item({"title": " straw hat\n", "brand": "  ", "note": "with ribbon"})
    assert item.text == "straw hat\nwith ribbon"
    assert Item({}).text == ""


def test_an_item_does_not_change_with_the_mapping_it_was_made_of():
    fields = {"title": "hat"}
    item = Item.of(fields)
    fields["title"] = "rake"
    assert item.text == "hat"


def test_a_batch_computes_each_feature_once():
    batch, calls = Batch([Item.of("hat"), Item.of("rake")]), []

    def lengths(items):
        calls.append(len(items))
        return [len(item.text) for item in items]

    assert batch.once("lengths", lengths) == batch.once("lengths", lengths) == [3, 4]
    assert batch.once("other", lambda items: None) is None
    assert batch.once("other", lambda items: 1) is None
    assert (calls, len(batch)) == ([2], 2)


def test_what_is_no_item_is_refused_with_its_value():
    with pytest.raises(UsageError, match="found 5"):
        Item.of(5)


def test_an_item_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Item({}).fields = None
