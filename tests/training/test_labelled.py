"""What is said of labelled rows before something is fitted to them."""

import numpy as np

from cascade.items import Item
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled


def rows(*nodes):
    return Labelled([Item({"text": str(at)}) for at in range(len(nodes))], np.array(nodes), {})


def test_rows_that_all_have_one_label_are_told():
    tree = Taxonomy.from_paths(["A > B", "A > C"])
    told = [said for said in rows(1, 1, 1).warnings(tree) if "same label" in said]
    assert told[0].startswith("all 3 rows have the same label, 'A > B'")
    assert not [said for said in rows(1, 1, 2).warnings(tree) if "same label" in said]
