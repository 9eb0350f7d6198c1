import pytest


@pytest.fixture
def write(tmp_path):
    """Makes a file of bytes or text and gives its path."""

    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make
