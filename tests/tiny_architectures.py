"""Causal language models of many architectures, of random weights, made in a moment."""

from functools import cache

from tiny_llm import tiny_tokenizer

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.3,  # far from uniform, so that a wrong mask shows
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
OWN = {
    "llama": {},
    "llama3": {  # positions stretched as in LLaMA 3.1
        "head_dim": 16,
        "max_position_embeddings": 16_384,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    },
    "mistral": {"sliding_window": 12},
    "qwen2": {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": 2},
    "qwen3": {"head_dim": 16},
    "gemma2": {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 12,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
    },
    "gemma3_text": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 12},
    "granite": {"attention_multiplier": 0.2, "logits_scaling": 4.0, "residual_multiplier": 0.5},
    "cohere": {"logit_scale": 0.5},
    "phi3": {"sliding_window": 12},
    "gpt_oss": {"head_dim": 16, "num_local_experts": 4, "sliding_window": 12},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 1024},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mamba": {"state_size": 8},
}
"""What each model has beside SHAPE; the names are those of transformers, but for `llama3`."""


@cache
def tiny_architecture(kind):
    """A model of a kind of OWN in evaluation mode; its tokenizer is `tiny_tokenizer`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from cascade.models.language_models import keep_softcap

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        name = "llama" if kind == "llama3" else kind
        config = AutoConfig.for_model(
            name, **{**SHAPE, "vocab_size": len(tiny_tokenizer()), **OWN[kind]}
        )
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():  # norms and biases too, so that none is left out
            if parameter.ndim == 1:
                parameter.data += 0.2 * torch.randn_like(parameter)
    keep_softcap(model)  # what the model says is right by transformers before 5.22, too
    return model.eval()


def architecture_engine(kind, **options):
    """The engine over a tiny model."""
    from cascade.generation.engines.transformers_engine import TransformersEngine

    return TransformersEngine(tiny_architecture(kind), tiny_tokenizer(), name=kind, **options)
