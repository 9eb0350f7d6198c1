"""Scoring: each prompt with the tries of all its questions as one row of one forward pass.

Rows are made of what is new: prompt tokens beyond the shared prefix and beyond what is cached of
earlier questions, then the trie nodes that a reading needs, under a tree attention mask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Reading
from cascade.generation.tree_scoring.output_head import OutputHead
from cascade.generation.tree_scoring.prefix_cache import PrefixCache, PromptCache, Row
from cascade.generation.tree_scoring.trie import ScoringPlan, Trie, plans_of

if TYPE_CHECKING:
    import torch

MAX_TREE_NODES = 256  # of the tries after one prompt that share a row
MAX_MASK_SIZE = 1 << 21  # pairs of tokens in the attention masks of one forward pass

Prefix = tuple[int, ...]
Session = dict[Prefix, PromptCache]
"""The cache from one call to the next, by shared prefix."""


@dataclass(frozen=True)
class TokenizedQuestion:
    """A question in tokens: what its prompt shares with others, the rest, and its answers."""

    prefix: Prefix
    prompt: tuple[int, ...]
    trie: Trie


@dataclass
class _PromptRow:
    """A prompt with the questions after it: one row of a forward pass.

    Parameters
    ----------
    indices, plans
        Which questions of the call, and the plan of the trie of each, or of a part of it.
    known
        Slots of the prompt's cached tokens.
    state
        Slot of its last token's cached state; None where it must be computed.
    """

    prompt: tuple[int, ...]
    indices: list[int]
    plans: list[ScoringPlan]
    known: NDArray[np.int64]
    state: int | None

    def __post_init__(self) -> None:
        self.rest = len(self.prompt) - len(self.known)
        self.width = self.rest + sum(len(plan.nodes) for plan in self.plans)

    def row(self) -> Row:
        """The new tokens: the rest of the prompt, then the nodes of each trie."""
        n, known, rest = len(self.prompt), len(self.known), self.rest
        mask = np.zeros((self.width, known + self.width), dtype=np.bool_)
        mask[:rest, :n] = np.tri(rest, n, known, dtype=np.bool_)
        mask[rest:, :n] = True
        at = rest
        for plan in self.plans:
            end = at + len(plan.nodes)
            mask[at:end, known + at : known + end] = plan.attention_mask
            at = end
        tokens = [np.array(self.prompt[known:], dtype=np.int64)]
        positions = [np.arange(known, n)]
        return Row(
            np.concatenate(tokens + [plan.token for plan in self.plans]),
            np.concatenate(positions + [n - 1 + plan.depth for plan in self.plans]),
            mask,
            self.known,
        )


@dataclass
class _Edges:
    """Edges of many questions, and the states that they are read off.

    Parameters
    ----------
    token
        int64 [n_edges], in the order of their sources.
    starts
        int64 [n_sources], where the edges of each begin.
    states
        [n_sources, hidden]
    """

    token: NDArray[np.int64]
    starts: NDArray[np.int64]
    states: torch.Tensor

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 [n_sources], edges of each source."""
        return np.diff(self.starts, append=len(self.token))


class TreeScorer:
    """Log-probabilities of the answers to questions.

    Parameters
    ----------
    model
        A causal language model of transformers.
    prefixes
        Runs it.
    batch_tokens
        Most tokens in one forward pass, where padding is left out.
    """

    def __init__(self, model: Any, prefixes: PrefixCache, batch_tokens: int) -> None:
        self._head = OutputHead(model)
        self._prefixes = prefixes
        self._batch_tokens = batch_tokens

    def score(
        self, questions: Sequence[TokenizedQuestion], reading: Reading, session: Session | None
    ) -> list[NDArray[np.float64]]:
        """float64 [n_answers] of each question; see `Engine.score`.

        Parameters
        ----------
        session
            The cache of earlier calls, which grows; None caches nothing.
        """
        found = [np.zeros(len(question.trie)) for question in questions]
        whole = plans_of([question.trie for question in questions], reading)
        by_prefix: dict[Prefix, dict[tuple[int, ...], list[int]]] = defaultdict(dict)
        for index, question in enumerate(questions):
            by_prefix[question.prefix].setdefault(question.prompt, []).append(index)
        for prefix, prompts in by_prefix.items():
            cache = None if session is None else session.setdefault(prefix, PromptCache())
            sequences = []
            for prompt, indices in prompts.items():
                parts = [
                    (index, part)
                    for index in indices
                    for part in whole[index].split(MAX_TREE_NODES)
                ]
                known, state = (
                    (np.empty(0, np.int64), None) if cache is None else cache.find(prompt)
                )
                for start, end in _together([part for _, part in parts]):
                    which = [index for index, _ in parts[start:end]]
                    plans = [part for _, part in parts[start:end]]
                    sequences.append(_PromptRow(prompt, which, plans, known, state))
            for batch in self._batches(sequences):
                edges = self._edges(prefix, batch, cache)
                logprob = (
                    self._local(edges)
                    if reading == "local"
                    else self._head.logprobs(edges.states, edges.token, edges.sizes)
                )
                at = 0
                for row in batch:
                    for index, own in zip(row.indices, row.plans, strict=True):
                        end = at + len(own.edges)
                        found[index][own.edges] = logprob[at:end]
                        at = end
        return [
            question.trie.totals(edges) for question, edges in zip(questions, found, strict=True)
        ]

    def _batches(self, sequences: list[_PromptRow]) -> Iterator[list[_PromptRow]]:
        """Rows alike in length, whose tokens and masks stay in bounds."""
        batch: list[_PromptRow] = []
        tokens = longest = 0
        for row in sorted(sequences, key=lambda row: (row.width, len(row.known))):
            seen = max(longest, len(row.known)) + row.width
            many = (len(batch) + 1) * row.width * seen
            if batch and (tokens + row.width > self._batch_tokens or many > MAX_MASK_SIZE):
                yield batch
                batch, tokens, longest = [], 0, 0
            batch.append(row)
            tokens += row.width
            longest = max(longest, len(row.known))
        if batch:
            yield batch

    def _edges(
        self, prefix: Prefix, batch: Sequence[_PromptRow], cache: PromptCache | None
    ) -> _Edges:
        """One forward pass over the rows, and where the edges of all questions are read."""
        import torch

        widths = np.array([row.width for row in batch])
        starts, n_new = (np.cumsum(widths) - widths).tolist(), int(widths.sum())
        token, start, source = [], [], []
        n_edges = 0
        for row, at in zip(batch, starts, strict=True):
            # Cached states come after the new ones.
            end = at + row.rest - 1 if row.state is None else n_new + row.state
            node = at + row.rest - 1  # the place of node i is node + i
            for plan in row.plans:
                token.append(plan.edge_token)
                start.append(n_edges + plan.starts)
                source.append(np.where(plan.sources == 0, end, node + plan.sources))
                n_edges += len(plan.edge_token)
                node += len(plan.nodes)
        sources = np.concatenate(source)
        added = [] if cache is None else _to_cache(cache, batch, starts)
        ends = np.array([at + row.rest - 1 for row, at in added], dtype=np.int64)
        is_new = sources < n_new
        needed, place = np.unique(np.concatenate([sources[is_new], ends]), return_inverse=True)
        states = [] if cache is None or cache.states is None else [cache.states]
        if n_new:
            rows = [row.row() for row in batch if row.width]
            bank = None if cache is None else cache.bank
            run = self._prefixes.forward(prefix, rows, needed, bank)
            states.insert(0, run.states)
            if cache is not None and added:
                cache.add(
                    [row.prompt for row, _ in added],
                    [row.known for row, _ in added],
                    [np.arange(at, at + row.rest) for row, at in added],
                    run.states[torch.from_numpy(place[len(place) - len(ends) :])],
                    run.layers,
                )
        sources[~is_new] += len(needed) - n_new
        sources[is_new] = place[: len(place) - len(ends)]
        together = torch.cat(states)
        wanted = torch.from_numpy(sources).to(together.device)
        return _Edges(np.concatenate(token), np.concatenate(start), together[wanted])

    def _local(self, edges: _Edges) -> NDArray[np.float64]:
        """float64 [n_edges], renormalised over the edges of each source."""
        if not len(edges.token):
            return np.empty(0)
        logits = self._head.chosen(edges.states, edges.token, edges.sizes)
        total = np.logaddexp.reduceat(logits, edges.starts)
        return np.asarray(logits - np.repeat(total, edges.sizes))


def _together(plans: Sequence[ScoringPlan]) -> Iterator[tuple[int, int]]:
    """Where runs of questions begin and end whose tries go into one row.

    A row's attention to itself grows with its square, so many tries are better apart.
    """
    start = nodes = 0
    for end, own in enumerate(plans):
        nodes += len(own.nodes)
        if end > start and nodes > MAX_TREE_NODES:
            yield start, end
            start, nodes = end, len(own.nodes)
    yield start, len(plans)


def _to_cache(
    cache: PromptCache, batch: Sequence[_PromptRow], starts: Sequence[int]
) -> list[tuple[_PromptRow, int]]:
    """A row of each prompt that is to be added to the cache, and where it starts."""
    return list(
        {
            row.prompt: (row, at)
            for row, at in zip(batch, starts, strict=True)
            if row.rest and not cache.contains(row.prompt)
        }.values()
    )
