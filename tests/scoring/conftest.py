import json
import shutil
from types import SimpleNamespace

import pytest

from cascade.models.small import make_small
from cascade.scoring.cross_encoder import CrossEncoder

TEXTS = [
    "straw hat for summer",
    "leather shoes",
    "garden tools: rake, hose",
    "This product is about",
]


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Folders of small models of random numbers, by kind."""
    folders = {}
    for kind in ("cross-encoder", "nli"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        make_small(kind, folders[kind], TEXTS)
    return folders


@pytest.fixture(params=["cross-encoder", "nli"])
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def direct(small):
    """What transformers says of one pair at a time, without any of our code."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loaded = {
        kind: SimpleNamespace(
            tokenizer=AutoTokenizer.from_pretrained(folder),
            model=AutoModelForSequenceClassification.from_pretrained(folder).eval(),
        )
        for kind, folder in small.items()
    }

    def direct(kind, first, second, **options):
        own = loaded[kind]
        encoded = own.tokenizer(first, second, return_tensors="pt", **options)
        return own.model(**encoded).logits[0].detach().numpy()

    return direct


@pytest.fixture
def pair_model(small):
    """Loads a small model as a `CrossEncoder`."""

    def load(kind, **options):
        return CrossEncoder.load(str(small[kind]), device="cpu", **options)

    return load


@pytest.fixture
def changed(small, tmp_path):
    """Copies the folder of a small model, with other fields in its config, and names it."""

    def changed(kind, **fields):
        target = tmp_path / kind
        shutil.copytree(small[kind], target)
        config = json.loads((target / "config.json").read_text())
        (target / "config.json").write_text(json.dumps(config | fields))
        return str(target)

    return changed
