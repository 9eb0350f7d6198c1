"""Rows to prepare, good ones and others, in every format."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

CODES = ("CLO-HAT", "CLO-SHO", "GAR-RAK", "GAR-HOS", "FOO-CHE")
PATHS = {
    "CLO-HAT": "Clothing > Hats",
    "CLO-SHO": "Clothing > Shoes",
    "GAR-RAK": "Garden > Rakes",
    "GAR-HOS": "Garden > Hoses",
    "FOO-CHE": "Food > Cheese",
}
ARGS = ("-t", "tax.csv", "--text", "name", "--label", "label", "-o", "out")
HEADER = ("id", "name", "note", "label")
GOOD = [
    (f"{i}", f"thing {i} of {code}", 'ü, "quoted"\nnext line', code if i % 2 else PATHS[code])
    for i in range(20)
    for code in CODES
]
DIRT = [
    ("d1", "THING 3  of CLO-HAT", "", "Clothing>Hats"),
    ("d2", "one text", "", "CLO-HAT"),
    ("d3", "One Text", "", "Food"),
    ("d4", "  ", "", "CLO-HAT"),
    ("d5", "no label", "", ""),
    ("d6", "not there", "", "Cars"),
]


def make(kind, rows=(*GOOD, *DIRT)):
    """Write rows of a kind; the name of the file."""
    file = f"rows.{kind}"
    if kind in ("csv", "tsv"):
        with open(file, "w", encoding="utf-8", newline="") as out:
            csv.writer(out, delimiter="\t" if kind == "tsv" else ",").writerows([HEADER, *rows])
    elif kind == "jsonl":
        with open(file, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows)
    elif kind == "parquet":
        pq.write_table(pa.table(dict(zip(HEADER, zip(*rows, strict=True), strict=True))), file)
    else:
        book = Workbook()
        for row in [HEADER, *rows]:
            book.active.append(row)
        book.save(file)
    return file


def contents(folder):
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
