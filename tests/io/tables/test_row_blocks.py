"""Rows that are read together are those that are read one by one."""

import io
import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from io_helpers import EXTRA, answer

from cascade.io import open_table
from cascade.io.encodings import Encoding, TextLines
from cascade.io.parcels import packed, unpacked
from cascade.io.resumable.row_hashes import digest, digest_of
from cascade.io.tables import jsonlines
from cascade.io.tables.rows import RowBlock, cells_of
from cascade.io.tables.writing import format_of

LINES = [
    '{"name": "hat"}',
    '{"name": "hat", "price": 2.5}',
    '{"name": "http://shop:80/hat"}',
    '{"name": "a", "name": "b"}',
    '{"a": {"b": 1, "b": 2}}',
    '{"a": [{"b": 1}',
    '{"c": 2}]}',
    '{"x": 1},{"y": 2}',
    '{"x": {}},{"y": 2}',
    '{"name": "Käse ☕"}',
    '{"name": "\\ud800"}',
    '{"name": "\udcff"}',
    '{"n\\u0061me": 1, "name": 2}',
    '{"cascade": 1}',
    '{"casc\\u0061de": 1}',
    '{"name": NaN}',
    '{"name": 1' + "0" * 5000 + "}",
    '{"deep": ' + "[" * 120 + "]" * 120 + "}",
    '  {"name": "blanks" } ',
    "\ufeff{}",
    "{}",
    "null",
    '"hat"',
    '{"name": "hat"} more',
    '{"name": ',
    "",
    "\r",
]


@given(st.lists(st.sampled_from(LINES), max_size=40), st.integers(1, 5))
def test_json_lines_taken_together_are_those_read_one_by_one(lines, size):
    text = "".join(f"{line}\n" for line in lines)

    def rows():
        data = io.BytesIO(text.encode("utf-8", "surrogateescape"))
        encoding = Encoding("utf-8", "surrogateescape")
        return jsonlines._Objects(
            TextLines(encoding.wrap(data, "\n"), 1 << 20, "in.jsonl"), encoding
        )

    alone, taken, mixed = rows(), rows(), rows()
    one_by_one = list(alone)
    chunks = list(iter(lambda: taken.take(size), []))
    together = [row for chunk in chunks for row in chunk]
    assert repr(together) == repr(one_by_one)  # NaN is not itself
    assert all(len(chunk) == size for chunk in chunks[:-1])
    found = []
    for at in range(len(together) + 1):  # one row and many in turns
        found += mixed.take(1) if at % 2 else list(islice(mixed, 2))
    assert repr(found) == repr(together)
    for chunk in chunks:
        assert digest(chunk) == digest(list(chunk))


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def source(request, tmp_path):
    """Plain rows, as most are."""
    rows = [{"id": str(n), "name": f"hat, {n}"} for n in range(1300)]
    path = tmp_path / f"in.{request.param}"
    if request.param == "csv":
        path.write_text("id,name\n" + "".join(f'{r["id"]},"{r["name"]}"\n' for r in rows))
    elif request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=170)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_block_is_written_as_its_rows_are(source, kind):
    with open_table(source) as table:
        blocks = [*table.chunks(100)]
        format = format_of(kind, table, EXTRA)
        assert any(isinstance(block, RowBlock) for block in blocks)
        for block in blocks:
            rows = list(block)
            answers = [answer(table, row) for row in rows]
            assert format.encode(block, answers) == format.encode(rows, answers)
            assert list(block[2:5]) == rows[2:5]
            assert block[-1] == rows[-1]
            assert list(cells_of(block)) == [row.cells for row in rows]
            assert digest(block) == digest(rows)
            assert digest_of(block, "") == digest_of(rows, "")
            sent = unpacked(packed(block))
            assert [row[:4] for row in sent] == [row[:4] for row in rows]
            assert format.encode(sent, answers) == format.encode(rows, answers)


def test_a_hash_tells_where_cells_end():
    def hashed(*cells):
        places = range(len(cells))
        return digest(RowBlock(places, places, cells))

    told = [
        hashed(("a", "b"), ("c", "d")),
        hashed(("a", "b\nd"), ("c", "")),
        hashed(("a\nc", "b\nd")),
        hashed(("a\x1fb", ""), ("c", "d")),
        hashed(("a",), ("c",)),
        hashed(("a", None), ("c", "d")),
        hashed(("a", "None"), ("c", "d")),
        hashed((), ()),
        hashed(
            (),
        ),
    ]
    assert len({*told}) == len(told)
