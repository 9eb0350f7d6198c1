"""Parts that tests of many folders share: real small models, and an index folder of their own."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

from cascade.io.files import cache_folder
from cascade.models.weights import BUILT_IN, find_weights

# Models of tests are tiny: more threads would only wait for one another, most of all beside other
# work. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# The same examples in every run: what passes here passes there.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

SLOW = Path(__file__).with_name("slow.txt")


def pytest_collection_modifyitems(items):
    slow = {line for line in SLOW.read_text("utf-8").split("\n") if not line.startswith("#")}
    needed = [built_in for built_in in BUILT_IN.values() if not built_in.optional]
    missing = [b.install for b in needed if b.place is None]
    skips = {
        "vllm": importlib.util.find_spec("vllm") is None
        and "vLLM is not installed; make test-vllm has it",
        "weights": missing and f"the built-in weights are not installed: {'; '.join(missing)}",
    }
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        named = {getattr(item, "originalname", None), f"{item.path.parent.name}/{item.path.name}"}
        if named & slow or marks & {"wheel", "ray"}:
            item.add_marker("slow")
        for needs, reason in skips.items():
            if needs in marks and reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache for this session; converted models are kept in the user's, since they cost most."""
    models = cache_folder() / "models"
    models.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("cache")
    (folder / "models").symlink_to(models.resolve(), target_is_directory=True)
    before = os.environ.get("CASCADE_CACHE")
    os.environ["CASCADE_CACHE"] = str(folder)
    yield Path(folder)
    if before is None:
        del os.environ["CASCADE_CACHE"]
    else:
        os.environ["CASCADE_CACHE"] = before


@pytest.fixture(scope="session")
def minilm():
    """The sentence encoder of the wheel, on the CPU."""
    from cascade.retrieval.encoder import Encoder

    return Encoder.load("minilm", device="cpu")


@pytest.fixture(scope="session")
def smollm():
    """The language model of the wheel, on the CPU in float32."""
    from cascade.generation.engines.transformers_engine import TransformersEngine

    return TransformersEngine.load("smollm2-135m", device="cpu", precision="float32")


@pytest.fixture(scope="session")
def smollm_of_transformers():
    """The same, run by transformers."""
    from cascade.generation.engines.transformers_engine import TransformersEngine
    from cascade.models.language_models import load_llm

    return TransformersEngine(*load_llm(find_weights("smollm2-135m"), "cpu", "float32"))


@pytest.fixture
def ecf(tmp_path):
    from toy_catalogue import packed, xml

    return packed(tmp_path / "TOY.ecf", xml())


@pytest.fixture
def table(tmp_path):
    from toy_catalogue import PROCESSES

    path = tmp_path / "processes.csv"
    path.write_text(PROCESSES, "utf-8")
    return path


@pytest.fixture
def catalogue(ecf):
    from cascade.foodex2.ecf import read_ecf

    return read_ecf(ecf)


@pytest.fixture
def checker(catalogue, table):
    from cascade.foodex2.parsed_code import ForbiddenProcesses
    from cascade.foodex2.rules import Checker

    return Checker(catalogue, ForbiddenProcesses.read(table))


@pytest.fixture(scope="session")
def efsa():
    """The folder of EFSA's public files."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CASCADE_DATA", beside)) / "foodex2"
    if not folder.is_dir():
        pytest.skip(f"no public data in {folder}; set CASCADE_DATA")
    return folder
