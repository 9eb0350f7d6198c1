"""Small encoders of random weights in folders like those of families that want prompts."""

import json

CORPUS = [
    "query: passage: straw hat for summer, a wide straw hat with a ribbon, oak table, leaf rake",
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
    "Represent this sentence for searching relevant passages: search_query: search_document: ",
]
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.4,
    "max_position_embeddings": 140,
}


def tokenizer(left=False):
    """Of byte pairs; with `left` as Qwen's, padded on the left and with an end that is read."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    own.train_from_iterator(
        CORPUS * 3,
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    around = "$A </s>" if left else "<s> $A </s>"
    ids = [(token, own.token_to_id(token)) for token in special]
    own.post_processor = processors.TemplateProcessing(single=around, special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=own,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        padding_side="left" if left else "right",
        model_max_length=128,
    )


def made(
    folder,
    kind="bert",
    pooling="mean",
    prompts=None,
    usual=None,
    dtype="float32",
    told=None,
    **pool,
):
    """A folder of sentence-transformers.

    Parameters
    ----------
    kind
        bert, xlm-roberta, modernbert or qwen3.
    prompts, usual
        Of `config_sentence_transformers.json`.
    told
        More of `config.json`.
    pool
        Settings of the pooling.
    """
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    reads = tokenizer(left=kind == "qwen3")
    more = {
        "bert": {"pad_token_id": 0},
        "xlm-roberta": {"pad_token_id": 0, "layer_norm_eps": 1e-5},
        "modernbert": {
            "pad_token_id": 0,
            "cls_token_id": 1,
            "sep_token_id": 2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "local_attention": 16,
            "initializer_cutoff_factor": 2.0,
        },
        "qwen3": {
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
        },
    }[kind]
    classes = {"bert": "Bert", "xlm-roberta": "XLMRoberta", "modernbert": "ModernBert"}
    name = classes.get(kind, "Qwen3")
    config = getattr(transformers, f"{name}Config")(vocab_size=len(reads), **SHAPE, **more)
    torch.manual_seed(0)
    base = folder.with_name(f"{folder.name}.base")
    getattr(transformers, f"{name}Model")(config).to(getattr(torch, dtype)).save_pretrained(base)
    reads.save_pretrained(base)
    modules = [
        Transformer(str(base), max_seq_length=128),
        Pooling(32, pooling_mode=pooling, **pool),
        Normalize(),
    ]
    model = SentenceTransformer(modules=modules, device="cpu")
    model.save(str(folder), create_model_card=False)
    change(folder / "config_sentence_transformers.json", prompts=prompts or {})
    change(folder / "config_sentence_transformers.json", default_prompt_name=usual)
    change(folder / "config.json", **(told or {}))
    return folder


def change(file, **values):
    """Set fields of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}), "utf-8")
