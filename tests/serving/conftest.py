import pytest

from cascade.retrieval.encoder import Encoder


@pytest.fixture
def loaded(minilm, monkeypatch):
    """The real encoder, loaded once for the session and not again for each classifier."""
    monkeypatch.setattr(Encoder, "load", classmethod(lambda cls, name, **options: minilm))
