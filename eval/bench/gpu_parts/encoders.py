"""The sentence encoder on a card, and the search among its vectors."""

from __future__ import annotations

from typing import Any

from product_rows import rows

from gpu_parts.card import Bench, compared, padded


def of_encoder(bench: Bench) -> dict[str, Any]:
    """Vectors as on the processor; texts a second, to the bare passes over the same tokens."""
    import torch

    from cascade.config import ENCODER
    from cascade.models.sentence_encoder import load_sentence_encoder, load_sentence_transformer
    from cascade.models.weights import find_weights

    weights = find_weights(ENCODER)
    made = rows(bench.of(65_536, 64))
    texts = [f"{row['name']} {row['description']}" for row in made]
    few = texts[: bench.of(256, 8)]
    encoder = load_sentence_encoder(weights, bench.device)
    check = compared(encoder.encode(few), load_sentence_encoder(weights, "cpu").encode(few))
    taken = bench.seconds(lambda: encoder.encode(texts, half=True))
    model = load_sentence_transformer(weights, bench.device)
    body = model[0].auto_model.to(bench.dtype)
    ids = sorted((model.tokenizer(text, truncation=True)["input_ids"] for text in texts), key=len)
    batches = [padded(ids[start : start + 512], bench.device) for start in range(0, len(ids), 512)]

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                body(input_ids=batch)

    limit = bench.seconds(bare)
    inner = sum(p.numel() for name, p in body.named_parameters() if "embeddings" not in name)
    tokens = sum(map(len, ids))
    return {
        "check": check,
        "texts": len(texts),
        "texts_per_second": round(len(texts) / taken),
        "to_bare_passes": round(limit / taken, 3),
        "share_of_limit": round(2.0 * inner * tokens / taken / bench.flops, 4),
    }


def of_faiss(bench: Bench) -> dict[str, Any]:
    """An exact search on the card, with the hits of the processor."""
    import faiss
    from synthetic import WIDTH, node_vectors

    from cascade.retrieval.faiss_index import Searcher, n_gpus

    n, items, k = bench.of(1_000_000, 2_000), bench.of(2_048, 16), 256
    vectors = node_vectors(n)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    wanted = vectors[:: max(1, n // items)][:items]
    searcher = Searcher(lambda: index, "flat")
    taken = bench.seconds(lambda: searcher.search(wanted, k))
    few = wanted[: bench.of(64, 4)]
    check = compared(searcher.search(few, k)[0], index.search(few, k)[0])
    found = {"check": check, "vectors": n, "items_per_second": round(len(wanted) / taken)}
    return found if n_gpus() else found | {"note": "faiss-gpu is not here: on the processor"}
