import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.taxonomy import Taxonomy


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file (dedented text or bytes) and give its path."""

    def write(content: str | bytes, name: str = "taxonomy.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Taxonomy]:
    """Load a taxonomy from content."""

    def load(content: str | bytes, **options: str) -> Taxonomy:
        return Taxonomy.load(write(content), **options)

    return load


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of public data sets."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("CASCADE_DATA", beside))
    if not (folder / "shopify").is_dir():
        pytest.skip(f"no public data in {folder}; set CASCADE_DATA")
    return folder
