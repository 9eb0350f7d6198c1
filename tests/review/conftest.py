"""A small shop under review: 40 rows, answered and partly wrong, in sessions of their own."""

import csv
from contextlib import ExitStack

import pytest

from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.review import open_session
from cascade.taxonomy import Taxonomy

KINDS = {
    "HAT": ("Clothing > Hats", ["straw hat", "wool hat", "sun hat", "felt hat"]),
    "SHO": ("Clothing > Shoes", ["leather boot", "running shoe", "sandal", "clog"]),
    "RAK": ("Garden > Tools > Rakes", ["leaf rake", "steel rake", "hay rake", "soil rake"]),
    "HOS": ("Garden > Tools > Hoses", ["garden hose", "soaker hose", "hose reel", "spray hose"]),
    "POT": ("Garden > Pots", ["clay pot", "plant pot", "hanging pot", "seed tray"]),
}
RIGHT = {}  # code by name


@pytest.fixture(scope="session")
def taxonomy():
    paths = [*(path for path, _ in KINDS.values()), "Garden > Tools > Spades", "Toys"]
    return Taxonomy.from_paths(paths, name="shop", title="Shop")


@pytest.fixture
def rows():
    """Every third answer is wrong, and less sure."""
    found, kinds = [], list(KINDS.values())
    for at in range(40):
        path, names = kinds[at % len(kinds)]
        name = f"{names[at // 5 % 4]} no {at}"
        wrong = at % 3 == 0
        RIGHT[name] = path
        found.append(
            {
                "sku": f"S{at:03}",
                "name": name,
                "cascade_code": kinds[(at + 1) % len(kinds)][0] if wrong else path,
                "cascade_confidence": round(0.3 + at / 200 if wrong else 0.6 + at / 200, 3),
                "cascade_status": "ok",
                "cascade_code_2": path if wrong else kinds[(at + 2) % len(kinds)][0],
                "cascade_confidence_2": 0.1,
            }
        )
    return found


@pytest.fixture
def file(tmp_path, rows):
    path = tmp_path / "out.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def opened(taxonomy, file):
    """Opens sessions over the file, and closes them."""
    with ExitStack() as closing:

        def open_it(source=file, **options):
            session = open_session(source, **{"taxonomy": taxonomy, "text": ["name"], **options})
            closing.callback(session.close)
            return session

        yield open_it


@pytest.fixture
def session(opened):
    return opened()


@pytest.fixture
def toy(catalogue):
    """A small catalogue of FoodEx2, whose codes have facets."""
    return FoodEx2Taxonomy.from_catalogue(catalogue)


@pytest.fixture
def food_session(toy, tmp_path):
    rows = [
        {"name": "baked oats", "cascade_code": "OATS0#F28.BAKED", "cascade_confidence": 0.5},
        {"name": "salted stew", "cascade_code": "STEW0", "cascade_confidence": 0.6},
        {"name": "a red flour", "cascade_code": "FLOUR", "cascade_confidence": 0.7},
    ]
    session = open_session(rows, taxonomy=toy, text=["name"], folder=tmp_path / "foods.review")
    yield session
    session.close()
