"""Put an encoder that `cascade finetune` made in the place of the one that ships.

    python .ci/ship_encoder.py runs/encoder/model
    python .ci/ship_encoder.py runs/encoder/model --write    # what the lines above tell is done

Only what differs from the encoder that it was made of ships, of 24 MiB at the most: what was added
to matrices in int8, with a step for each row, and vectors in float16. The file is replaced, and so
is its hash in `cascade/models/weights.py`. What is left to do by hand is told: the figures of its
card, and a new name where the old one was in a release, since packs keep their encoder by its name.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cascade.config import ENCODER
from cascade.models.weights import BUILT_IN, STEP, find_weights

ROOT = Path(__file__).parents[1]
PINNED = ROOT / "cascade" / "models" / "weights.py"
MOST_BYTES = 24 * 2**20
ALIKE = ("config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json")


def differing(made: Path, base: Path) -> dict[str, Any]:
    """What ships of a folder, or of a file of tensors: what is not as in the base.

    Raises
    ------
    SystemExit
        It is another kind of model.
    """
    before = load_file(base / "model.safetensors")
    if made.is_dir():
        for name in ALIKE:
            if (made / name).read_bytes() != (base / name).read_bytes():
                sys.exit(f"{made / name} is not that of {base}: it was not made of these weights")
        made = made / "model.safetensors"
    after = load_file(made)
    odd = [n for n, t in after.items() if n not in before or t.shape != before[n].shape]
    if odd:
        sys.exit(f"{made}: has tensors that {base} has not, or of another shape: {odd[:3]}")
    different = {n: t.float() for n, t in after.items() if not t.half().equal(before[n].half())}
    if broken := [n for n, t in different.items() if not t.half().isfinite().all()]:
        sys.exit(f"{made}: has numbers that are not finite in float16: {broken[:3]}")
    shipped: dict[str, Any] = {}
    for name, tensor in different.items():
        if tensor.ndim < 2:
            shipped[name] = tensor.half().contiguous()
            continue
        added = tensor - before[name].float()
        step = added.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        shipped |= {name: (added / step).round().to(torch.int8), name + STEP: step}
    return shipped


def main() -> None:
    """Tell what would change, or change it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("made", type=Path, help="folder of the model, or file of changed tensors")
    parser.add_argument("--write", action="store_true", help="change the file and its hash")
    arguments = parser.parse_args()
    built_in = BUILT_IN[ENCODER]
    assert built_in.base is not None
    assert built_in.place is not None
    ((name, pinned),) = built_in.files.items()
    tensors = differing(arguments.made, find_weights(built_in.base).path)
    size = sum(tensor.nbytes for tensor in tensors.values())
    print(f"{len(tensors)} tensors differ from {built_in.base}: {size / 2**20:.1f} MiB")
    if not tensors or size > MOST_BYTES:
        sys.exit(f"expected more than none, and {MOST_BYTES / 2**20:.0f} MiB at the most")
    if not arguments.write:
        return
    file = built_in.place / name
    save_file(tensors, file, metadata={"base": built_in.base, "format": "pt"})
    file.chmod(0o644)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    PINNED.write_text(PINNED.read_text("utf-8").replace(pinned, found), "utf-8")
    print(f"{file.relative_to(ROOT)}: SHA-256 {found}, pinned in {PINNED.relative_to(ROOT)}")
    print(
        f"now measure, and write the figures into {file.with_name('README.md').relative_to(ROOT)}"
    )
    if found != pinned:
        print(f"if {ENCODER} was in a release: give it a new name, and keep the old one's entry")


if __name__ == "__main__":
    main()
