"""`classify --workers`, in processes of this machine."""

import csv
from pathlib import Path

from cascade.pipeline.classifier import BATCH

SHELVES = {"Clothing > Hats": "hat", "Garden > Rakes": "rake", "Food > Cheese": "cheese"}
COLOURS = ("red", "blue", "green", "white", "black", "plain", "old", "new", "small", "big")


def test_a_pack_in_two_processes_writes_the_bytes_of_one(folder, cascade):
    with open("rows.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["name", "label"])
        for label, what in SHELVES.items():
            out.writerows([(f"{colour} {what}", label) for colour in COLOURS])
    with open("many.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["name", "note"])
        for at in range(4 * BATCH + 5):
            what = list(SHELVES.values())[at % 3]
            out.writerow([f"{COLOURS[at % 10]} {what} {at}" if at % 50 else "", f"row {at}"])
    fitted = cascade(
        "fit", "rows.csv", "--text", "name", "--label", "label", "--recipe", "quick", "-o", "pack"
    )
    assert fitted.status == 0, fitted.err
    ends = [
        cascade("classify", "many.csv", "-c", "pack", "-o", f"{n}.csv", "--top", 1, "--workers", n)
        for n in (1, 2)
    ]
    assert [end.status for end in ends] == [3, 3], ends[1].err  # rows without text are in error
    one, two = Path("1.csv").read_bytes(), Path("2.csv").read_bytes()
    assert one == two
    assert one.count(b"\n") == 4 * BATCH + 6
    assert Path("2.csv.parts").exists() is False
