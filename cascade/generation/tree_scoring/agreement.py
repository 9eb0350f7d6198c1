"""Whether a model can be run with a tree attention mask: tried on a few tokens, once.

There are too many kinds of models to name those that can. State-space layers and convolutions read
all tokens before one, whatever a mask says; other models add something to their logits that is not
known here. So a small tree is run, and compared with each of its branches on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.tree_scoring.output_head import OutputHead
from cascade.generation.tree_scoring.prefix_cache import PrefixCache, Row
from cascade.models.language_models import odd_layers

PREFIX, OWN, BRANCH = 9, 6, 3  # tokens
ALIKE, ALIKE_IN_HALF = 0.999, 0.95  # cosines, by the weights' precision
"""How like the logits must be. In bfloat16 the order of sums alone makes 0.989 of Qwen2.5-0.5B, a
branch that sees another one 0.817 (0.998 and 0.911 of SmolLM2-135M)."""


def prefix_cache_of(model: Any) -> tuple[PrefixCache | None, str]:
    """What runs a model with a tree attention mask; or None, and why it cannot be done.

    Parameters
    ----------
    model
        A causal language model of transformers, or a `models.llama.Llama`, which can.
    """
    from cascade.models.llama import Llama

    if isinstance(model, Llama):
        return PrefixCache(model), ""
    if odd := odd_layers(model.config):
        return None, f"it has layers of the kind {odd[0]}"
    branches, before = _branches(model), getattr(model.config, "_attn_implementation", None)
    try:
        expected = [_alone(model, tokens) for tokens in branches]
        cache = PrefixCache(model)
        found = _together(model, cache, branches)
    # Models of all makes are tried here, and how one fails is not known.
    except Exception as error:
        _set_back(model, before)
        return None, f"it fails with one ({' '.join(str(error).split()):.100})"
    if _window(model.config) is not None and cache.windows == {None}:
        _set_back(model, before)
        return None, "it does not tell its attention how far a token sees"
    if (like := _likeness(expected, found)) >= _wanted(model):
        return cache, ""
    _set_back(model, before)
    return None, f"its logits are like its own by a cosine of {like:.2f} with one"


def _window(config: Any) -> int | None:
    """How many tokens a token sees in some layers; None where it sees all in all layers."""
    kinds = getattr(config, "layer_types", None)
    if (kinds and "sliding_attention" not in kinds) or not getattr(
        config, "use_sliding_window", True
    ):
        return None
    return getattr(config, "sliding_window", None)


def _set_back(model: Any, attention: str | None) -> None:
    """Give a model its own attention again."""
    if attention is not None:
        model.set_attn_implementation(attention)


def _wanted(model: Any) -> float:
    import torch

    return ALIKE if model.dtype is torch.float32 else ALIKE_IN_HALF


def _branches(model: Any) -> list[NDArray[np.int64]]:
    """Two sequences of tokens that have their beginning in common."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    tokens = np.random.default_rng(0).integers(0, vocabulary, PREFIX + OWN + 2 * BRANCH)
    stem, first, second = np.split(tokens, [PREFIX + OWN, PREFIX + OWN + BRANCH])
    return [np.concatenate([stem, first]), np.concatenate([stem, second])]


def _alone(model: Any, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probabilities [BRANCH + 1, vocabulary] after the stem and each token of a branch."""
    import torch

    with torch.inference_mode():
        ids = torch.from_numpy(tokens).to(model.device)[None]
        logits = model(input_ids=ids, use_cache=False).logits[0, -BRANCH - 1 :]
        return np.asarray(logits.float().log_softmax(-1).cpu().double().numpy())


def _together(
    model: Any, cache: PrefixCache, branches: list[NDArray[np.int64]]
) -> list[NDArray[np.float64]]:
    """The same of both branches, in one row after a shared prefix."""
    import torch

    stem = OWN + np.arange(BRANCH)
    n = OWN + 2 * BRANCH
    mask = np.tri(n, dtype=np.bool_)
    mask[OWN + BRANCH :, OWN : OWN + BRANCH] = False  # one branch does not see the other
    own = [tokens[PREFIX:] for tokens in branches]
    row = Row(
        np.concatenate([own[0], own[1][OWN:]]), np.concatenate([np.arange(OWN), stem, stem]), mask
    )
    with torch.inference_mode():
        states = cache.forward(tuple(branches[0][:PREFIX].tolist()), [row]).states
        logprobs = OutputHead(model).logits(states).log_softmax(-1).cpu().double().numpy()
    ends = (stem, stem + BRANCH)
    return [logprobs[np.concatenate([[OWN - 1], places])] for places in ends]


def _likeness(expected: list[NDArray[np.float64]], found: list[NDArray[np.float64]]) -> float:
    """The least cosine between what is expected and found at a place, each without its mean."""
    least = 1.0
    for own, other in zip(expected, found, strict=True):
        a, b = own - own.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        least = min(least, float(((a * b).sum(axis=1) / lengths).min()))
    return least if np.isfinite(least) else -1.0
