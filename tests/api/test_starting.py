import pytest

import cascade
from cascade.errors import InputError, UsageError

pytestmark = pytest.mark.weights

NAMES = [f"{kind} {at}" for at in range(12) for kind in ("steel rake", "green tea", "oak table")]


@pytest.fixture(scope="module")
def begun():
    return cascade.start({"name": NAMES}, taxonomy="store", ask=5, progress=False)


def test_rows_to_label_come_with_their_text_and_a_suggestion(begun):
    assert len(begun.asked) == 5
    row = begun.asked[0]
    assert row.text == NAMES[row.number - 1]
    assert row.fields == {"name": row.text}
    assert " > " in row.suggestion
    assert begun.pack.classify("green tea").code is not None
    assert "36 rows with text" in repr(begun)


def test_labels_are_learnt_and_more_rows_are_asked_for(begun):
    labels = {row.number: row.suggestion for row in begun.asked}
    labels[begun.asked[0].number] = None
    after = begun.label(labels)
    assert (after.told.labels, after.told.nowhere) == (4, 1)
    assert not {row.number for row in after.asked} & labels.keys()
    saved = after.pack.save(after.folder.parent / "mine")
    assert saved is not None


def test_labels_that_cannot_be_used_are_told_in_words_of_python(begun):
    with pytest.raises(UsageError, match="was not asked for"):
        begun.label({10**6: None})
    with pytest.raises(InputError, match="cascade_row"):
        begun.label({"name": ["rake"], "label": ["x"]})
    with pytest.raises(UsageError, match="ask=0"):
        cascade.start({"name": NAMES}, taxonomy="store", ask=0)


def test_a_folder_is_gone_on_with(tmp_path):
    rows = {"name": NAMES}
    out = tmp_path / "hour"
    first = cascade.start(rows, taxonomy="store", ask=3, out=out, progress=False)
    first.label({first.asked[0].number: first.asked[0].suggestion})
    again = cascade.start(rows, taxonomy="store", ask=3, out=out, progress=False)
    assert again.told.labels == 1
