"""GGUF files of tiny models, written as llama.cpp's converter writes them."""

import json
import re

NAMES = {"llama3": "llama", "mistral": "llama", "gemma3_text": "gemma3"}
"""Of models whose architecture llama.cpp calls otherwise."""
OFFSET = ("gemma2", "gemma3")  # whose norms are stored with one added


def write_gguf(path, model, tokenizer, *, architecture="llama", values=(), leave_out="(?!)"):
    """Write a model and its byte-level BPE tokenizer to `path`.

    Parameters
    ----------
    values
        Further settings by name, of the architecture where the name has no dot at its beginning.
    leave_out
        A pattern of tensors, by their names in transformers, that are not written.
    """
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_vocab_size(config.vocab_size)
    for told in ("attn_logit_softcapping", "final_logit_softcapping"):
        if getattr(config, told, None):
            writer.add_float32(f"{architecture}.{told}", getattr(config, told))
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    for name, value in dict(values).items():
        add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}
        add[type(value)](name if "general" in name else f"{architecture}.{name}", value)
    _add_tokenizer(writer, tokenizer)

    names = gguf.get_tensor_name_map(_number_of(gguf, architecture), config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if re.search(leave_out, name) or (config.tie_word_embeddings and "lm_head" in name):
            continue
        array = tensor.float().numpy()
        if architecture == "llama" and re.search(r"[qk]_proj", name):
            own = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = _rotary_pairs(array, own)
        if architecture in OFFSET and "norm" in name:
            array = array + 1
        stem, suffix = name.rsplit(".", 1)
        writer.add_tensor(f"{_tensor_name(names, architecture, stem)}.{suffix}", array.copy())
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", _factors(rope, head))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_of(path, kind, tokenizer, **options):
    """Write the tiny model of a kind of `tiny_architectures.OWN`."""
    from tiny_architectures import tiny_architecture

    model = tiny_architecture(kind)
    return write_gguf(path, model, tokenizer, architecture=NAMES.get(kind, kind), **options)


def _number_of(gguf, architecture):
    known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    return known.get(architecture, known["llama"])


def _tensor_name(names, architecture, stem):
    if architecture in OFFSET:  # whose norm after attention is another than that of LLaMA
        stem = stem.replace("post_attention_layernorm", "post_attention_norm")
        found = re.fullmatch(r"model\.layers\.(\d+)\.post_attention_norm", stem)
        if found:
            return f"blk.{found[1]}.post_attention_norm"
    return names.get_name(stem) or stem


def _factors(rope, head):
    """As llama.cpp's converter computes them of LLaMA 3.1's config."""
    import math

    import numpy as np

    factors = []
    for frequency in 1.0 / (rope["rope_theta"] ** (np.arange(0, head, 2) / head)):
        wavelength = 2 * math.pi / frequency
        original, factor = rope["original_max_position_embeddings"], rope["factor"]
        if wavelength < original / rope["high_freq_factor"]:
            factors.append(1.0)
        elif wavelength > original / rope["low_freq_factor"]:
            factors.append(factor)
        else:
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)


def _add_tokenizer(writer, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)


def _rotary_pairs(array, heads):
    """Rows in the order of llama.cpp, where the two halves of a rotation lie side by side."""
    rows = array.shape[0]
    pairs = array.reshape(heads, 2, rows // heads // 2, *array.shape[1:])
    return pairs.swapaxes(1, 2).reshape(array.shape)
