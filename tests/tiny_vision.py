"""A vision transformer of random weights, made in a moment."""

import json


def save_tiny_vision(folder, side=32, seed=0):
    """Write the model and how pictures are prepared for it into a folder."""
    import torch
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=side,
        patch_size=8,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ViTModel(config).save_pretrained(folder)
    prepared = {"size": {"height": side, "width": side}, "image_mean": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared), "utf-8")
    return folder
