import pytest

import cascade

KINDS = {
    "Home > Garden > Rakes": "garden rake with {} teeth",
    "Home > Garden > Hoses": "rubber garden hose {} m",
    "Home > Kitchen > Knives": "chef knife with a blade of {} cm",
    "Clothing > Hats > Straw hats": "straw panama hat size {}",
    "Clothing > Hats > Beanies": "knitted wool beanie no {}",
}
BRANDS = ["alpha", "bravo", "carol", "delta", "echo", "fox"]


@pytest.fixture(scope="session")
def rows():
    """Labelled records of five kinds."""
    return [
        {"name": name.format(at), "brand": f"{BRANDS[at % 6]} {at * 37 % 11}", "label": label}
        for at in range(24)
        for label, name in KINDS.items()
    ]


@pytest.fixture(scope="session")
def pack(rows):
    """What is fitted to the names of these."""
    return cascade.fit(rows, label="label", text="name", recipe="quick", progress=False)
