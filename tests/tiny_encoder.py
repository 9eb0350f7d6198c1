"""A sentence encoder of random weights, a BERT of two layers, made in a moment."""

from collections.abc import Iterable
from pathlib import Path


def save_tiny_encoder(folder: Path, corpus: Iterable[str]) -> Path:
    """Write a sentence-transformers folder whose tokenizer knows the words of `corpus`."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = BertWordPieceTokenizer(lowercase=True)
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789 .,>-[]"
    words.train_from_iterator(
        [*corpus, " ".join(alphabet), alphabet],
        vocab_size=600,
        min_frequency=1,
        show_progress=False,
    )
    tokenizer = BertTokenizerFast(tokenizer_object=words._tokenizer, model_max_length=64)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    bert = folder / "bert"
    BertModel(config).save_pretrained(bert)
    tokenizer.save_pretrained(bert)
    body = Transformer(str(bert), max_seq_length=64)
    model = SentenceTransformer(modules=[body, Pooling(64), Normalize()], device="cpu")
    model.save_pretrained(str(folder / "encoder"), create_model_card=False)
    return folder / "encoder"
