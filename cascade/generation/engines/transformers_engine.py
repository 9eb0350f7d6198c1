"""The transformers engine: a causal language model in process.

Scoring reads all answers to a question off one forward pass; see `tree_scoring`. Models that take
no tree attention mask score each answer on its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Question, Reading
from cascade.generation.engines.token_engine import Generated, GenerationRequest, TokenEngine
from cascade.generation.grammar import GrammarMasks
from cascade.generation.tree_scoring.agreement import prefix_cache_of
from cascade.generation.tree_scoring.output_head import OutputHead
from cascade.generation.tree_scoring.plain import PlainScorer
from cascade.generation.tree_scoring.prefix_cache import PrefixCache, Row
from cascade.generation.tree_scoring.tree_scorer import Session, TokenizedQuestion, TreeScorer
from cascade.models.inspection import reading
from cascade.models.language_models import keep_softcap, load_for_inference, picture_bank
from cascade.models.runtime import Precision
from cascade.models.weights import Weights, find_weights

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

Constrain = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Spelled token ids [n, steps] and logits [n, vocabulary] to logits with forbidden ones at -inf."""


class TransformersEngine(TokenEngine):
    """Scores and generates with a model in this process.

    Parameters
    ----------
    model
        As loaded by transformers, or a `models.llama.Llama`.
    tokenizer
        Of transformers.
    name
        For messages and traces.
    batch_tokens
        Most tokens in one forward pass, padding included; bounds memory.

    Attributes
    ----------
    identity
        All that scores depend on beside what is asked, where it is known: then they can be kept.
    """

    identity: str | None = None

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str = "llm", batch_tokens: int = 4096
    ) -> None:
        self._bank = picture_bank(model)
        super().__init__(name, tokenizer, bank=self._bank)
        self.model = model
        self._batch_tokens = batch_tokens
        keep_softcap(model)
        self._prefixes, why_not = prefix_cache_of(model)
        if self._prefixes is not None:
            self._trees = TreeScorer(model, self._prefixes, batch_tokens)
        else:
            self._plain = PlainScorer(model, batch_tokens)
            logger.warning(
                "the language model %s takes no tree attention mask (%s): each candidate is scored "
                "on its own, which is right too but slow",
                name,
                why_not,
            )
        self._session: object = None
        self._kept: Session = {}

    @classmethod
    def load(
        cls,
        name: str = "smollm2-135m",
        *,
        adapter: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        batch_tokens: int = 4096,
        allow_download: bool = False,
    ) -> TransformersEngine:
        """The engine over the weights called `name`, with the LoRA adapter in a folder if named.

        Raises
        ------
        WeightsError
            The weights or the adapter are not found, or are not what they should be.
        """
        weights = find_weights(name, allow_download=allow_download)
        model, tokenizer = load_for_inference(weights, device, precision, adapter=adapter)
        engine = cls(model, tokenizer, name=name, batch_tokens=batch_tokens)
        if adapter is None:
            engine.identity = _identity(weights, model, batch_tokens)
        return engine

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        import torch

        if session is None and not self._kept:
            self._begin()
        elif session is not None and session is not self._session:
            self._begin()
            self._session, self._kept = session, {}
        with self._running(), torch.inference_mode():
            asked = self._tokenized(questions)
            if self._prefixes is None:
                return self._plain.score(asked, reading)
            return self._trees.score(asked, reading, None if session is None else self._kept)

    def _tokenized(self, questions: Sequence[Question]) -> list[TokenizedQuestion]:
        asked = []
        for question, trie in zip(questions, self._tries.of(questions), strict=True):
            prefix, prompt = self._encoder.prompt(question.prompt)
            asked.append(TokenizedQuestion(prefix, tuple(prompt), trie))
        return asked

    def _begin(self) -> None:
        """Bound the memory of pictures; what was kept of prompts goes with their tokens."""
        if self._bank is not None and self._bank.trim():
            self._session, self._kept = None, {}

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated]:
        import torch

        found: list[Generated | None] = [None] * len(requests)
        for batch in self._batches(requests):
            some = [requests[index] for index in batch]
            constrain = None
            if some[0].constraint is not None:
                grammars = [r.constraint.lark for r in some if r.constraint is not None]
                constrain = self._grammars.logits_processor(grammars)
            with self._running(), torch.inference_mode():
                finished = partial(self._is_finished, some[0].stop)
                longest = max(request.max_tokens for request in some)
                if self._prefixes is None:
                    answers = self._plain.write(
                        [request.prompt for request in some],
                        finished=finished,
                        max_tokens=longest,
                        constrain=constrain,
                    )
                else:
                    answers = decode(
                        self.model,
                        self._prefixes,
                        some[0].shared,
                        [list(request.own) for request in some],
                        finished=finished,
                        max_tokens=longest,
                        constrain=constrain,
                    )
            for index, (tokens, logprob) in zip(batch, answers, strict=True):
                found[index] = Generated(self._encoder.decode(tokens), logprob)
        return [generated for generated in found if generated is not None]

    def _running(self) -> AbstractContextManager[None]:
        """Failures of the model and its tokenizer as errors of the engine; a fallback answers."""
        return reading(f"the language model {self.name!r}", "failed", EngineError)

    def _is_finished(self, stop: str | None, tokens: list[int]) -> bool:
        if tokens[-1] == self.tokenizer.eos_token_id:
            return True
        return stop is not None and stop in self.tokenizer.decode(tokens[-4:])

    @cached_property
    def _grammars(self) -> GrammarMasks:
        return GrammarMasks(self.tokenizer)

    def _batches(self, requests: Sequence[GenerationRequest]) -> Iterator[list[int]]:
        """Which requests are decoded together: with one prefix and one end, alike in length."""
        max_tokens = max(request.max_tokens for request in requests)
        groups: dict[tuple[tuple[int, ...], str | None], list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            groups[request.shared, request.end].append(index)
        for group in groups.values():
            group.sort(key=lambda index: len(requests[index].own))
            batch: list[int] = []
            for index in group:
                longest = len(requests[index].own) + max_tokens
                if batch and (len(batch) + 1) * longest > self._batch_tokens:
                    yield batch
                    batch = []
                batch.append(index)
            yield batch


def _identity(weights: Weights, model: Any, batch_tokens: int) -> str:
    """Weights, and what changes how their products are rounded."""
    import torch

    kernels = torch.__version__, torch.backends.cpu.get_cpu_capability()
    return f"{weights.identity}:{model.dtype}:{model.device}:{batch_tokens}:{kernels}"


def decode(
    model: Any,
    cache: PrefixCache,
    prefix: tuple[int, ...],
    prompts: list[list[int]],
    *,
    finished: Callable[[list[int]], bool],
    max_tokens: int,
    constrain: Constrain | None = None,
) -> list[tuple[list[int], float]]:
    """The likeliest next token, again and again, until each row is finished.

    Parameters
    ----------
    prefix, prompts
        Token ids that all rows share, and what each has beyond them (at least one).
    finished
        Whether a row's spelled tokens are complete.
    max_tokens
        Most tokens of an answer.

    Returns
    -------
    list of (tokens, logprob)
        For each prompt the spelled tokens and their log-probability among allowed ones.
    """
    import torch

    n, device, head = len(prompts), model.device, OutputHead(model)
    lengths = np.array([len(prompt) for prompt in prompts])
    ends = np.cumsum(lengths)
    run = cache.forward(prefix, [Row.plain(prompt) for prompt in prompts], ends - 1)
    last, bank = run.states, run.layers
    past = [np.arange(end - length, end) for length, end in zip(lengths, ends, strict=True)]
    spelled: list[list[int]] = [[] for _ in prompts]
    total = np.zeros(n)
    open_ = np.ones(n, dtype=np.bool_)
    chosen = torch.zeros((n, 1), dtype=torch.int64, device=device)
    for step in range(max_tokens):
        logits = head.logits(last)
        if constrain is not None:
            logits = constrain(chosen, logits)
        best, token = torch.max(logits.log_softmax(-1), dim=-1)
        total += np.where(open_, best.cpu().numpy(), 0.0)
        tokens = token.cpu().numpy()
        for i, t in enumerate(tokens.tolist()):
            if open_[i]:
                spelled[i].append(t)
                open_[i] = not finished(spelled[i])
        if not open_.any() or step + 1 == max_tokens:
            break
        chosen = torch.cat([chosen, token[:, None]], dim=1)
        position = lengths + step
        rows = [
            Row(
                tokens[i : i + 1], position[i : i + 1], np.ones((1, position[i] + 1), bool), past[i]
            )
            for i in range(n)
        ]
        run = cache.forward(prefix, rows, bank=bank)
        last = run.states
        past = [np.append(own, ends[-1] + n * step + i) for i, own in enumerate(past)]
        bank = [
            (torch.cat([k, more_k]), torch.cat([v, more_v]))
            for (k, v), (more_k, more_v) in zip(bank, run.layers, strict=True)
        ]
    return list(zip(spelled, total.tolist(), strict=True))
