"""`classify --workers`, in processes of this machine."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.config.root import BATCH_OF_HEADS as BATCH
from cascade.pipeline import pool as pools

WHAT = ("hat", "rake", "cheese")
COLOURS = ("red", "blue", "green", "white", "black", "plain", "old", "new", "small", "big")


def rows(n):
    for at in range(n):
        name = f"{COLOURS[at % 10]} {WHAT[at % 3]} {at}" if at % 50 else ""
        yield {"name": name, "note": f'row "{at}", ä'}


def write_rows(path, n):
    """A file of so many rows; some cannot be answered."""
    if path.suffix == ".parquet":
        found = [row | {"size": [at, None]} for at, row in enumerate(rows(n))]
        pq.write_table(pa.Table.from_pylist(found), path, row_group_size=300)
        return
    with path.open("w", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows(n))
            file.write("no object\n")
            return
        out = csv.DictWriter(file, ["name", "note"])
        out.writeheader()
        out.writerows(rows(n))
        file.write("a hat,x,surplus\n")


@pytest.mark.parametrize("fork", [True, False])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_pack_in_two_processes_writes_the_bytes_of_one(
    kind, fork, folder, word_pack, cascade, monkeypatch
):
    monkeypatch.setattr(pools, "may_fork", lambda size: fork)
    many = Path(f"many.{kind}")
    write_rows(many, 4 * BATCH + 5)
    ends = [
        cascade("classify", many, "-c", word_pack, "-o", f"{n}.{kind}", "--top", 1, "--workers", n)
        for n in (1, 2)
    ]
    assert [end.status for end in ends] == [3, 3], ends[1].err  # rows without text are in error
    one, two = Path(f"1.{kind}").read_bytes(), Path(f"2.{kind}").read_bytes()
    assert one == two
    if kind == "csv":
        assert one.count(b"\n") == 4 * BATCH + 7
    assert Path(f"2.{kind}.parts").exists() is False
