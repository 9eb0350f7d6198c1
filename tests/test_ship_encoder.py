"""The script that puts an encoder in the place of the one that ships."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

SCRIPT = Path(__file__).parents[1] / ".ci" / "ship_encoder.py"


@pytest.fixture(scope="module")
def ship():
    spec = importlib.util.spec_from_file_location("ship_encoder", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def model(folder, config="{}", **tensors):
    for name in ("config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(config)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_of_a_vector_what_differs_ships_in_half_precision(ship, tmp_path):
    same, old = torch.full((2, 2), 0.1), torch.zeros(3)
    base = model(tmp_path / "base", a=same, b=old)
    new = torch.tensor([0.25, 0.1, 7.0])
    made = model(tmp_path / "made", a=same, b=new)
    for place in (made, made / "model.safetensors"):
        found = ship.differing(place, base)
        assert found.keys() == {"b"}
        assert torch.equal(found["b"], new.half())
    nearly = model(tmp_path / "nearly", a=same + 1e-8, b=old)
    assert ship.differing(nearly, base) == {}


def test_of_a_matrix_what_was_added_ships_in_bytes(ship, tmp_path):
    old, added = torch.randn(4, 6), torch.randn(4, 6) / 100
    base = model(tmp_path / "base", a=old)
    found = ship.differing(model(tmp_path / "made", a=old + added), base)
    assert found["a"].dtype == torch.int8
    off = (found["a"] * found["a.step"] - added).abs()
    assert (off <= added.abs().amax(dim=1, keepdim=True) / 250).all()


def test_an_encoder_that_was_made_of_others_is_refused(ship, tmp_path):
    base = model(tmp_path / "base", a=torch.zeros(2))
    for name, made in {
        "shape": model(tmp_path / "shape", a=torch.ones(3)),
        "more": model(tmp_path / "more", a=torch.zeros(2), b=torch.ones(3)),
        "broken": model(tmp_path / "broken", a=torch.tensor([0.0, torch.nan])),
        "config": model(tmp_path / "config", config="[]", a=torch.ones(2)),
    }.items():
        with pytest.raises(SystemExit, match=r"another shape|not made of these|not finite"):
            ship.differing(made, base)
            pytest.fail(name)
