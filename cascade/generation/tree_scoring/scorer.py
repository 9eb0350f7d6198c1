"""Scoring: each prompt with the tries of all its questions as one row of one forward pass.

Rows are made of what is new: prompt tokens beyond the shared prefix and beyond what is kept of
earlier questions, then the trie nodes that a reading needs, under a tree attention mask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Reading
from cascade.generation.tree_scoring.prefix_cache import KeptPrompts, Pass, PrefixCache, Row
from cascade.generation.tree_scoring.trie import Reads, Trie

if TYPE_CHECKING:
    import torch

PAIRS = 16_384  # states and tokens that are multiplied at a time
ROWS = 256  # states that meet the whole vocabulary at a time
COLUMNS = 512  # tokens of the vocabulary that meet ROWS_OF_PARTS states at a time
COLUMNS_ON_GPU = 8192
ROWS_OF_PARTS = 4096
NODES = 256  # of the tries after one prompt that share a row
SEEN = 1 << 21  # pairs of tokens in the attention masks of one forward pass

Prefix = tuple[int, ...]
Session = dict[Prefix, KeptPrompts]
"""What is kept from one call to the next, by shared prefix."""


@dataclass(frozen=True)
class Asked:
    """A question in tokens: what its prompt shares with others, the rest, and its answers."""

    prefix: Prefix
    prompt: tuple[int, ...]
    trie: Trie


@dataclass
class _Sequence:
    """A prompt with the questions that are asked after it.

    Parameters
    ----------
    questions, reads
        Their places in the call, and what is read of each one's trie, or of a part of it.
    known
        Places of what is kept of the prompt.
    state
        Place of its last token's kept state; None where it must be computed.
    """

    prompt: tuple[int, ...]
    questions: list[int]
    reads: list[Reads]
    known: NDArray[np.int64]
    state: int | None

    def __post_init__(self) -> None:
        self.rest = len(self.prompt) - len(self.known)
        self.width = self.rest + sum(len(reads.nodes) for reads in self.reads)

    def row(self) -> Row:
        """The new tokens: the rest of the prompt, then the nodes of each trie."""
        n, known, rest = len(self.prompt), len(self.known), self.rest
        sees = np.zeros((self.width, known + self.width), dtype=np.bool_)
        sees[:rest, :n] = np.tri(rest, n, known, dtype=np.bool_)
        sees[rest:, :n] = True
        at = rest
        for reads in self.reads:
            end = at + len(reads.nodes)
            sees[at:end, known + at : known + end] = reads.sees
            at = end
        tokens = [np.array(self.prompt[known:], dtype=np.int64)]
        positions = [np.arange(known, n)]
        return Row(
            np.concatenate(tokens + [reads.token for reads in self.reads]),
            np.concatenate(positions + [n - 1 + reads.depth for reads in self.reads]),
            sees,
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
        self._model = model
        self._prefixes = prefixes
        self._batch_tokens = batch_tokens

    def score(
        self, asked: Sequence[Asked], reading: Reading, session: Session | None
    ) -> list[NDArray[np.float64]]:
        """float64 [n_answers] of each question; see `Engine.score`.

        Parameters
        ----------
        session
            What is kept of earlier calls, and grows; None keeps nothing.
        """
        found = [np.zeros(len(question.trie)) for question in asked]
        by_prefix: dict[Prefix, dict[tuple[int, ...], list[int]]] = defaultdict(dict)
        for index, question in enumerate(asked):
            by_prefix[question.prefix].setdefault(question.prompt, []).append(index)
        for prefix, prompts in by_prefix.items():
            kept = None if session is None else session.setdefault(prefix, KeptPrompts())
            sequences = []
            for prompt, questions in prompts.items():
                parts = [
                    (index, part)
                    for index in questions
                    for part in _reads(asked[index].trie, reading).divided(NODES)
                ]
                known, state = (np.empty(0, np.int64), None) if kept is None else kept.find(prompt)
                for start, end in _together([part for _, part in parts]):
                    which = [index for index, _ in parts[start:end]]
                    reads = [part for _, part in parts[start:end]]
                    sequences.append(_Sequence(prompt, which, reads, known, state))
            for batch in self._batches(sequences):
                edges = self._edges(prefix, batch, kept)
                logprob = self._local(edges) if reading == "local" else self._global(edges)
                at = 0
                for row in batch:
                    for index, own in zip(row.questions, row.reads, strict=True):
                        end = at + len(own.edges)
                        found[index][own.edges] = logprob[at:end]
                        at = end
        return [question.trie.totals(edges) for question, edges in zip(asked, found, strict=True)]

    def _batches(self, sequences: list[_Sequence]) -> Iterator[list[_Sequence]]:
        """Rows alike in length, whose tokens and masks stay in bounds."""
        batch: list[_Sequence] = []
        tokens = longest = 0
        for row in sorted(sequences, key=lambda row: (row.width, len(row.known))):
            seen = max(longest, len(row.known)) + row.width
            many = (len(batch) + 1) * row.width * seen
            if batch and (tokens + row.width > self._batch_tokens or many > SEEN):
                yield batch
                batch, tokens, longest = [], 0, 0
            batch.append(row)
            tokens += row.width
            longest = max(longest, len(row.known))
        if batch:
            yield batch

    def _edges(
        self, prefix: Prefix, batch: Sequence[_Sequence], kept: KeptPrompts | None
    ) -> _Edges:
        """One forward pass over the rows, and where the edges of all questions are read."""
        import torch

        new = [row for row in batch if row.width]
        states = []
        starts = [0] * len(batch)
        if new:
            past = None if kept is None else kept.past([row.known for row in new])
            run = self._prefixes.forward(prefix, [row.row() for row in new], past)
            states.append(run.states)
            starts[-len(new) :] = run.starts.tolist()  # rows without new tokens come first
            if kept is not None:
                _keep(kept, new, run)
        first = len(states[0]) if states else 0  # kept states come after the new ones
        if kept is not None and kept.states is not None:
            states.append(kept.states)
        token, start, source = [], [], []
        n_edges = 0
        for row, at in zip(batch, starts, strict=True):
            end = at + row.rest - 1 if row.state is None else first + row.state
            node = at + row.rest - 1  # the place of node i is node + i
            for reads in row.reads:
                token.append(reads.edge_token)
                start.append(n_edges + reads.starts)
                source.append(np.where(reads.sources == 0, end, node + reads.sources))
                n_edges += len(reads.edge_token)
                node += len(reads.nodes)
        together = torch.cat(states)
        wanted = torch.from_numpy(np.concatenate(source)).to(together.device)
        return _Edges(np.concatenate(token), np.concatenate(start), together[wanted])

    def _local(self, edges: _Edges) -> NDArray[np.float64]:
        """float64 [n_edges], renormalised over the edges of each source."""
        if not len(edges.token):
            return np.empty(0)
        logits = self._chosen(edges)
        total = np.logaddexp.reduceat(logits, edges.starts)
        return np.asarray(logits - np.repeat(total, edges.sizes))

    def _chosen(self, edges: _Edges) -> NDArray[np.float64]:
        """float64 [n_edges], the logit of each edge's token, in float32; no other is computed."""
        import torch

        head = self._model.get_output_embeddings()
        if type(head) is not torch.nn.Linear:
            return self._over_all(edges)[0]
        device = edges.states.device
        which = torch.from_numpy(np.repeat(np.arange(len(edges.starts)), edges.sizes)).to(device)
        token = torch.from_numpy(edges.token).to(device)
        found = []
        for start in range(0, len(token), PAIRS):
            part = slice(start, start + PAIRS)
            states, weights = edges.states[which[part]], head.weight[token[part]]
            logits = torch.linalg.vecdot(states.float(), weights.float())
            if head.bias is not None:
                logits += head.bias[token[part]]
            found.append(logits)
        return np.asarray(torch.cat(found).cpu().double().numpy())

    def _global(self, edges: _Edges) -> NDArray[np.float64]:
        """float64 [n_edges], normalised over the whole vocabulary."""
        import torch

        if type(self._model.get_output_embeddings()) is torch.nn.Linear:
            chosen, total = self._chosen(edges), self._totals(edges.states)
        else:
            chosen, total = self._over_all(edges)
        return np.asarray(chosen - np.repeat(total, edges.sizes))

    def _totals(self, states: torch.Tensor) -> NDArray[np.float64]:
        """float64 [n_states], the log of the sum over the whole vocabulary.

        The vocabulary is taken in parts, the logits of which stay in a CPU's cache.
        """
        import torch

        head = self._model.get_output_embeddings()
        columns = COLUMNS if states.device.type == "cpu" else COLUMNS_ON_GPU
        biases = [None] if head.bias is None else head.bias.split(columns)
        parts = list(zip(head.weight.split(columns), cycle(biases), strict=False))
        found = [np.empty(0)]
        for some in states.split(ROWS_OF_PARTS):
            sums = [
                torch.nn.functional.linear(some, weight, bias).float().logsumexp(-1)
                for weight, bias in parts
            ]
            found.append(torch.stack(sums).logsumexp(0).cpu().double().numpy())
        return np.concatenate(found)

    def _over_all(self, edges: _Edges) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The logit of each edge's token, and of each source the log of the sum over all tokens."""
        import torch

        head, sizes = self._model.get_output_embeddings(), edges.sizes
        chosen, total = [np.empty(0)], [np.empty(0)]
        for start in range(0, len(edges.starts), ROWS):
            logits = head(edges.states[start : start + ROWS]).float()
            own = sizes[start : start + ROWS]
            first = int(edges.starts[start])
            token = torch.from_numpy(edges.token[first : first + int(own.sum())])
            row = torch.from_numpy(np.repeat(np.arange(len(own)), own))
            chosen.append(logits[row.to(logits.device), token.to(logits.device)].cpu().numpy())
            total.append(torch.logsumexp(logits, dim=-1).cpu().numpy())
        return np.concatenate(chosen), np.concatenate(total)


def _reads(trie: Trie, reading: Reading) -> Reads:
    return trie.branchings if reading == "local" else trie.whole


def _together(reads: Sequence[Reads]) -> Iterator[tuple[int, int]]:
    """Where runs of questions begin and end whose tries go into one row.

    A row's attention to itself grows with its square, so many tries are better apart.
    """
    start = nodes = 0
    for end, own in enumerate(reads):
        nodes += len(own.nodes)
        if end > start and nodes > NODES:
            yield start, end
            start, nodes = end, len(own.nodes)
    yield start, len(reads)


def _keep(kept: KeptPrompts, rows: Sequence[_Sequence], run: Pass) -> None:
    """Keep what was computed of the rows' prompts."""
    new = list(
        {
            row.prompt: (row, start)
            for row, start in zip(rows, run.starts.tolist(), strict=True)
            if row.rest and not kept.knows(row.prompt)
        }.values()
    )
    if new:
        kept.add(
            [row.prompt for row, _ in new],
            [row.known for row, _ in new],
            [np.arange(start, start + row.rest) for row, start in new],
            run,
        )
