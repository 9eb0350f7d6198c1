"""Each answer on its own, for models that take no tree attention mask.

Sequences are run as the model runs any, without cache, mask or padding, so that this holds for all
kinds of models; it takes as many tokens as all answers with their prompts have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Reading
from cascade.generation.tree_scoring.tree_scorer import TokenizedQuestion
from cascade.generation.tree_scoring.trie import Trie

if TYPE_CHECKING:
    import torch

MAX_LOGITS = 1 << 27  # held at a time


class PlainScorer:
    """Log-probabilities of the answers to questions, and what a model writes.

    Parameters
    ----------
    model
        A causal language model of transformers.
    batch_tokens
        Most tokens in one forward pass, unless a sequence alone has more.
    """

    def __init__(self, model: Any, batch_tokens: int) -> None:
        self._model = model
        self._batch_tokens = batch_tokens

    def score(
        self, questions: Sequence[TokenizedQuestion], reading: Reading
    ) -> list[NDArray[np.float64]]:
        """float64 [n_answers] of each question; see `Engine.score`."""
        edges = [np.zeros(len(question.trie)) for question in questions]
        for index, question in enumerate(questions):
            whole = (*question.prefix, *question.prompt)
            paths = _paths(question.trie)
            for batch in self._batches([len(whole) + len(path) - 1 for path in paths]):
                some = [paths[at] for at in batch]
                steps = len(some[0])
                spelled = question.trie.token[np.array(some)]
                rows = np.hstack([np.tile(whole, (len(some), 1)), spelled[:, :-1]])
                logits = self._last_logits(rows, steps)
                for path, own in zip(some, logits, strict=True):
                    _read(question.trie, path, own, reading, edges[index])
        return [q.trie.totals(own) for q, own in zip(questions, edges, strict=True)]

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        finished: Callable[[list[int]], bool],
        max_tokens: int,
        constrain: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ) -> list[tuple[list[int], float]]:
        """The likeliest next token, again and again; see `transformers_engine.decode`."""
        import torch

        spelled: list[list[int]] = [[] for _ in prompts]
        total, open_ = np.zeros(len(prompts)), np.ones(len(prompts), dtype=np.bool_)
        chosen = torch.zeros((len(prompts), 1), dtype=torch.int64)
        for _ in range(max_tokens):
            rows = [[*prompt, *own] for prompt, own in zip(prompts, spelled, strict=True)]
            last: list[Any] = [None] * len(rows)
            for batch in self._batches([len(row) for row in rows]):
                for at, own in zip(
                    batch, self._last_logits(np.array([rows[i] for i in batch]), 1), strict=True
                ):
                    last[at] = own[0]
            logits = torch.from_numpy(np.stack(last)).float()
            if constrain is not None:
                logits = constrain(chosen, logits)
            best, token = torch.max(logits.log_softmax(-1), dim=-1)
            total += np.where(open_, best.numpy(), 0.0)
            for i, t in enumerate(token.tolist()):
                spelled[i].append(t)
                open_[i] = open_[i] and not finished(spelled[i])
            chosen = torch.cat([chosen, token[:, None]], dim=1)
            if not open_.any():
                break
        return [
            (_until(own, finished), value)
            for own, value in zip(spelled, total.tolist(), strict=True)
        ]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Places of sequences of one length that are run together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for place, length in enumerate(lengths):
            groups[length].append(place)
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        for length, places in groups.items():
            n = max(1, min(self._batch_tokens // length, MAX_LOGITS // (length * vocabulary)))
            yield from (places[start : start + n] for start in range(0, len(places), n))

    def _last_logits(self, rows: NDArray[np.int64], steps: int) -> NDArray[np.float32]:
        """float32 [n_rows, steps, vocabulary], after the last tokens of sequences of one length."""
        import torch

        with torch.inference_mode():
            ids = torch.from_numpy(rows).to(self._model.device)
            logits = self._model(input_ids=ids, use_cache=False).logits[:, -steps:]
            return np.asarray(logits.float().cpu().numpy())


def _paths(trie: Trie) -> list[list[int]]:
    """For each leaf of a trie, and so for each of its nodes, the nodes on the way, top first."""
    leaves = np.setdiff1d(np.arange(1, len(trie)), trie.parent[1:])
    paths = []
    for leaf in leaves.tolist():
        path = [leaf]
        while trie.parent[path[-1]] > 0:
            path.append(int(trie.parent[path[-1]]))
        paths.append(path[::-1])
    return paths


def _read(
    trie: Trie,
    path: Sequence[int],
    logits: NDArray[np.float32],
    reading: Reading,
    edges: NDArray[np.float64],
) -> None:
    """Set the edges [n_nodes] of a path, of the logits [n_path, vocabulary] before its nodes."""
    for node, own in zip(path, logits.astype(np.float64), strict=True):
        beside = np.flatnonzero(trie.parent == trie.parent[node])
        beside = beside[beside > 0]
        among = own[trie.token[beside]] if reading == "local" else own
        edges[node] = own[trie.token[node]] - np.logaddexp.reduce(among)


def _until(tokens: list[int], finished: Callable[[list[int]], bool]) -> list[int]:
    """The tokens up to where a row was finished."""
    ends = (end for end in range(1, len(tokens) + 1) if finished(tokens[:end]))
    return tokens[: next(ends, len(tokens))]
