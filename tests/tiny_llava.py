"""A LLaVA of random weights: the tiny LLaMA, a small CLIP that sees, and a projector between."""

import json

from tiny_llm import tiny_model, tiny_tokenizer

SIDE = 32


def save_tiny_llava(folder, seed=0):
    """Write the model with its tokenizer and image processor into a folder."""
    import torch
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    llama = tiny_model()
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=8,
    )
    config = LlavaConfig(
        vision_config=vision, text_config=llama.config, image_token_id=0, vision_feature_layer=-1
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(llama.model.state_dict())
    model.lm_head.load_state_dict(llama.lm_head.state_dict())
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": SIDE},
        "crop_size": {"height": SIDE, "width": SIDE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    return folder
