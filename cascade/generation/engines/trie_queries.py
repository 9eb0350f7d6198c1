"""A trie of answers read by next-token queries, for engines that have no tree attention mask.

At each branching the engine is asked how likely each token is that goes on from there. All of these
prompts begin alike, so that with a prefix cache each costs little more than its last tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Question, Reading
from cascade.generation.engines.answer_forms import form_error
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.tree_scoring.trie import Trie


@dataclass(frozen=True)
class NextTokenQuery:
    """A prompt after which one next token is asked for.

    Parameters
    ----------
    question
        Index of the question.
    prompt
        Token ids of the question's prompt and of the answers' common beginning.
    edges
        int64 [k], nodes of the question's trie.
    tokens
        Token ids on the edges into these nodes [k], all different.
    """

    question: int
    prompt: tuple[int, ...]
    edges: NDArray[np.int64]
    tokens: list[int]


class TrieQueries:
    """All next tokens that must be known to score the answers to some questions.

    Parameters
    ----------
    tries
        Of the answers to each question.
    widest
        Most tokens of a query; a branching of more becomes several queries.

    Attributes
    ----------
    queries
        In the order of their token ids, so that equal beginnings come together.
    """

    def __init__(
        self,
        encoder: PromptEncoder,
        questions: Sequence[Question],
        tries: Sequence[Trie],
        reading: Reading,
        widest: int,
    ) -> None:
        self._reading = reading
        self._tries = tries
        queries: list[NextTokenQuery] = []
        for index, (question, trie) in enumerate(zip(questions, tries, strict=True)):
            shared, rest = encoder.prompt(question.prompt)
            queries += _queries(index, (*shared, *rest), trie, reading, widest)
        self.queries = sorted(queries, key=lambda query: query.prompt)

    def scores(
        self, logprobs: Iterable[NDArray[np.float64] | EngineError]
    ) -> list[NDArray[np.float64] | EngineError]:
        """Log-probability of each answer to each question; see `Engine.score`.

        Parameters
        ----------
        logprobs
            For each query the log-probability of each of its tokens, or why there is none.
        """
        edges = [np.zeros(len(trie)) for trie in self._tries]
        failed: dict[int, EngineError] = {}
        for query, own in zip(self.queries, logprobs, strict=True):
            if isinstance(own, EngineError):
                failed[query.question] = own
            elif not np.all((own > -np.inf) & (own <= 1e-3)):  # NaN is neither
                failed[query.question] = form_error(f"the model gave {own} as log-probabilities")
            else:
                edges[query.question][query.edges] = own
        if self._reading == "local":
            edges = [_renormalised(t, e) for t, e in zip(self._tries, edges, strict=True)]
        return [
            failed.get(at, trie.totals(own))
            for at, (trie, own) in enumerate(zip(self._tries, edges, strict=True))
        ]


def _queries(
    index: int, prompt: tuple[int, ...], trie: Trie, reading: Reading, widest: int
) -> Iterable[NextTokenQuery]:
    order = np.argsort(trie.parent[1:], kind="stable") + 1
    children = np.split(order, np.cumsum(trie.n_children)[:-1])
    reached: list[tuple[int, ...]] = [prompt]
    for node in range(1, len(trie)):
        reached.append((*reached[trie.parent[node]], int(trie.token[node])))
    for node, own in enumerate(children):
        if len(own) >= (2 if reading == "local" else 1):
            for start in range(0, len(own), widest):
                part = own[start : start + widest]
                yield NextTokenQuery(index, reached[node], part, trie.token[part].tolist())


def _renormalised(trie: Trie, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges as shares among their siblings; a lone edge has probability one."""
    total = np.full(len(trie), -np.inf)
    np.logaddexp.at(total, trie.parent[1:], edges[1:])
    shares = edges.copy()
    shares[1:] -= total[trie.parent[1:]]
    return shares
