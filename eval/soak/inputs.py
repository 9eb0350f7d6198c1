"""Taxonomies and rows that attacks work on, made here: some texts are as odd as people's are."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

KINDS = ("csv", "jsonl", "parquet", "xlsx")
TREE = {
    "Clothing": ("Hats", "Shoes", "Shirts", "Scarves"),
    "Garden": ("Rakes", "Hoses", "Seeds", "Pots"),
    "Food": ("Cheese", "Milk", "Tea", "Bread"),
    "Lighting": ("Lamps", "Candles", "Torches", "Bulbs"),
}
ODD = ('=1+1,"two"', "crème\nbrûlée", "<|im_end|> \u202eabc", "'; drop table --", "🧀 猫 ﷽", "  ")
COLOURS = ("red", "blue", "green", "plain", "striped", "old", "new", "small", "large", "heavy")


def codes() -> dict[str, str]:
    """The path of each node by its code."""
    found = {}
    for top, names in TREE.items():
        found[top[:3].upper()] = top
        found |= {f"{top[:3]}-{name[:3]}".upper(): f"{top} > {name}" for name in names}
    return found


def taxonomy(path: Path) -> Path:
    """The taxonomy as a table of codes, names and parents."""
    lines = ["code,name,parent"]
    for code, place in codes().items():
        lines.append(f"{code},{place.split(' > ')[-1]},{code.split('-')[0] if '-' in code else ''}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows with an identifier, a name and its label; one of twenty names is odd."""
    chance, leaves = random.Random(seed), [place for place in codes().values() if " > " in place]
    made = []
    for at in range(count):
        label = leaves[at % len(leaves)]
        words = [chance.choice(COLOURS), label.split(" > ")[1].lower(), chance.choice(COLOURS)]
        name = f"{' '.join(words)} {chance.randrange(10**6)}"
        if at % 20 == 7:
            name = f"{chance.choice(ODD)} {name}"
        made.append({"id": f"r{at:06d}", "name": name, "label": label})
    return made


def write(path: Path, made: Sequence[dict[str, str]]) -> Path:
    """Rows in the format that the file's ending names."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(made[0]))
            writer.writeheader()
            writer.writerows(made)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(list(made)), path)
    else:
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet()
        for cells in [list(made[0]), *(list(row.values()) for row in made)]:
            # A text, never a formula, as a user would have typed it.
            sheet.append([_text(sheet, cell) for cell in cells])
        book.save(path)
    return path


def _text(sheet: Any, value: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell


def read(path: Path) -> list[dict[str, Any]]:
    """What a run wrote, by readers that are not cascade's; an answer's columns stand beside."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        lines = path.read_text("utf-8").split("\n")
        found = [json.loads(line) for line in lines if line]
        for row in found:
            row |= {f"cascade_{key}": value for key, value in row.pop("cascade").items()}
        return found
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return table
    from openpyxl import load_workbook

    cells = load_workbook(path, read_only=True).worksheets[0].iter_rows(values_only=True)
    head = next(cells)
    return [dict(zip_longest(head, row)) for row in cells]


def lost(found: Iterable[dict[str, Any]], given: Sequence[dict[str, str]]) -> int:
    """Rows that are missing, doubled, or out of their order."""
    ids, wanted = [row.get("id") for row in found], [row["id"] for row in given]
    if ids == wanted:
        return 0
    missing = len(set(wanted) - set(ids)) + len(ids) - len(set(ids))
    return missing or sum(a != b for a, b in zip_longest(ids, wanted))


def invalid(found: Iterable[dict[str, Any]], known: Iterable[str]) -> int:
    """Answers with a code that the taxonomy does not have; a row in error has none."""
    all_codes = set(known)
    return sum(
        row.get("cascade_code") not in all_codes
        for row in found
        if row.get("cascade_status") != "error"
    )
