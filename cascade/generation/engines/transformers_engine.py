"""The transformers engine: a causal language model of the LLaMA kind or near it, in process.

Scoring reads all answers to a question off one forward pass; see `tree_scoring`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Prompt, Question, Reading
from cascade.generation.grammar import GrammarConstraint, choice_grammar, list_grammar
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.tree_scoring.prefix_cache import PrefixCache, Row
from cascade.generation.tree_scoring.scorer import Session, TokenizedQuestion, TreeScorer
from cascade.generation.tree_scoring.trie import Trie
from cascade.models.language_models import load_for_inference, picture_bank
from cascade.models.runtime import Precision
from cascade.models.weights import find_weights

if TYPE_CHECKING:
    import torch

TRIES = 4096  # kept; a node has one, or one for each choice of its children

Constrain = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Spelled token ids [n, steps] and logits [n, vocabulary] to logits with forbidden ones at -inf."""


class TransformersEngine:
    """Scores and generates with a model in this process.

    Parameters
    ----------
    model, tokenizer
        As loaded by transformers.
    name
        For messages and traces.
    batch_tokens
        Most tokens in one forward pass, padding included; bounds memory.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str = "llm", batch_tokens: int = 4096
    ) -> None:
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self._bank = picture_bank(model)
        self.reads_pictures = self._bank is not None
        self._encoder = PromptEncoder(tokenizer, self._bank)
        self._batch_tokens = batch_tokens
        self._prefixes = PrefixCache(model)
        self._trees = TreeScorer(model, self._prefixes, batch_tokens)
        self._trie = lru_cache(maxsize=TRIES)(self._build_trie)
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
        return cls(model, tokenizer, name=name, batch_tokens=batch_tokens)

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        import torch

        if session is None and not self._kept:
            self._trim()
        elif session is not None and session is not self._session:
            self._trim()
            self._session, self._kept = session, {}
        asked = [self._tokenized(question) for question in questions]
        with torch.inference_mode():
            return self._trees.score(asked, reading, None if session is None else self._kept)

    def _tokenized(self, question: Question) -> TokenizedQuestion:
        prefix, prompt = self._encoder.prompt(question.prompt)
        return TokenizedQuestion(
            prefix, tuple(prompt), self._trie(question.answers, question.prompt.end)
        )

    def _build_trie(self, answers: tuple[str, ...], end: str | None) -> Trie:
        return Trie.build(self._encoder.answers(answers, end))

    def _trim(self) -> None:
        """Bound the memory of pictures; what was kept of prompts goes with their tokens."""
        if self._bank is not None and self._bank.trim():
            self._session, self._kept = None, {}

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> list[str]:
        """What the model writes after each prompt; see `Engine.complete`."""
        self._trim()
        written: list[str] = [""] * len(prompts)
        for prefix, rows in self._by_prefix(prompts, max_tokens):

            def finished(tokens: list[int], end: str | None = prompts[rows[0][0]].end) -> bool:
                if tokens[-1] == self.tokenizer.eos_token_id:
                    return True
                return end is not None and end in self.tokenizer.decode(tokens[-4:])

            answers = self._decode(prefix, rows, finished, max_tokens)
            for (index, _), (tokens, _) in zip(rows, answers, strict=True):
                text = self.tokenizer.decode(tokens, skip_special_tokens=True)
                end = prompts[index].end
                written[index] = text.split(end)[0] if end else text
        return written

    def generate(self, questions: Sequence[Question]) -> list[tuple[int, float]]:
        """Greedy decoding held to the allowed answers by outlines; see `Engine.generate`."""
        self._trim()
        results: list[tuple[int, float]] = [(0, 0.0)] * len(questions)
        # A grammar would spell such a name with the control token; scoring reads it as text.
        controls = self.tokenizer.all_special_tokens
        unspellable = [
            i for i, q in enumerate(questions) if any(c in a for a in q.answers for c in controls)
        ]
        scored = self.score([questions[i] for i in unspellable], "local")
        for i, logprobs in zip(unspellable, scored, strict=True):
            results[i] = int(logprobs.argmax()), float(logprobs.max())
        # Constrained decoding may spell a name byte by byte.
        longest = max(
            (len((a + (q.prompt.end or "")).encode()) for q in questions for a in q.answers),
            default=0,
        )
        spellable = sorted(set(range(len(questions))) - set(unspellable))
        for prefix, batch in self._by_prefix([questions[i].prompt for i in spellable], longest):
            rows = [(spellable[index], own) for index, own in batch]
            asked = [questions[index] for index, _ in rows]
            grammars = [choice_grammar(q.answers, q.prompt.end) for q in asked]

            def finished(tokens: list[int]) -> bool:
                return bool(tokens[-1] == self.tokenizer.eos_token_id)

            constrain = self._constraint.logits_processor(grammars)
            answers = self._decode(prefix, rows, finished, longest + 1, constrain)
            for (index, _), (tokens, logprob) in zip(rows, answers, strict=True):
                results[index] = self._read_answer(questions[index], tokens), logprob
        return results

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> list[list[int]]:
        """Greedy decoding of a list of names; see `Engine.choose_several`."""
        self._trim()
        chosen: list[list[int]] = [[] for _ in prompts]
        longest = len((json.dumps(list(names), ensure_ascii=False) + lead).encode()) + 8
        for prefix, rows in self._by_prefix(prompts, longest):
            grammar = list_grammar(names, lead, prompts[rows[0][0]].end)

            def finished(tokens: list[int]) -> bool:
                return bool(tokens[-1] == self.tokenizer.eos_token_id)

            constrain = self._constraint.logits_processor([grammar] * len(rows))
            answers = self._decode(prefix, rows, finished, longest, constrain)
            for (index, _), (tokens, _) in zip(rows, answers, strict=True):
                text = self.tokenizer.decode(
                    tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
                )
                try:
                    chosen[index] = [names.index(name) for name in json.loads(text)]
                except ValueError:
                    raise EngineError(
                        f"the model answered {text!r}, which is no list of the names"
                    ) from None
        return chosen

    @cached_property
    def _constraint(self) -> GrammarConstraint:
        return GrammarConstraint(self.tokenizer)

    def _by_prefix(
        self, prompts: Sequence[Prompt], max_tokens: int
    ) -> Iterator[tuple[tuple[int, ...], list[tuple[int, list[int]]]]]:
        """Shared prefix, and index and own tokens of prompts that are decoded together.

        Prompts of one batch are alike in length and have the same end.
        """
        groups: dict[tuple[tuple[int, ...], str | None], list[tuple[int, list[int]]]]
        groups = defaultdict(list)
        for index, prompt in enumerate(prompts):
            prefix, own = self._encoder.prompt(prompt)
            groups[prefix, prompt.end].append((index, own))
        for (prefix, _), rows in groups.items():
            rows.sort(key=lambda row: len(row[1]))
            batch: list[tuple[int, list[int]]] = []
            for row in rows:
                if batch and (len(batch) + 1) * (len(row[1]) + max_tokens) > self._batch_tokens:
                    yield prefix, batch
                    batch = []
                batch.append(row)
            yield prefix, batch

    def _decode(
        self,
        prefix: tuple[int, ...],
        rows: list[tuple[int, list[int]]],
        finished: Callable[[list[int]], bool],
        max_tokens: int,
        constrain: Constrain | None = None,
    ) -> list[tuple[list[int], float]]:
        import torch

        with torch.inference_mode():
            return decode(
                self.model,
                self._prefixes,
                prefix,
                [own for _, own in rows],
                finished=finished,
                max_tokens=max_tokens,
                constrain=constrain,
            )

    def _read_answer(self, question: Question, tokens: list[int]) -> int:
        """Index of the answer that the tokens spell."""
        text = self.tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).removesuffix(question.prompt.end or "")
        if text not in question.answers:
            raise EngineError(f"the model answered {text!r}, which the grammar does not allow")
        return question.answers.index(text)


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

    n, device = len(prompts), model.device
    lengths = np.array([len(prompt) for prompt in prompts])
    run = cache.forward(prefix, [Row.plain(prompt) for prompt in prompts])
    last = run.states[torch.from_numpy(run.starts + lengths - 1).to(device)]
    width = int(lengths.max())
    steps = np.arange(width)
    real = steps < lengths[:, None]
    places = torch.from_numpy(np.where(real, run.starts[:, None] + steps, 0)).to(device)
    past = [(k[:, places], v[:, places]) for k, v in run.layers]
    spelled: list[list[int]] = [[] for _ in prompts]
    total = np.zeros(n)
    open_ = np.ones(n, dtype=np.bool_)
    chosen = torch.zeros((n, 1), dtype=torch.int64, device=device)
    for step in range(max_tokens):
        logits = model.get_output_embeddings()(last).float()
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
        seen = np.concatenate([real, np.ones((n, step + 1), dtype=np.bool_)], axis=1)
        rows = [
            Row(tokens[i : i + 1], lengths[i : i + 1] + step, seen[i : i + 1]) for i in range(n)
        ]
        run = cache.forward(prefix, rows, past)
        last = run.states
        past = [
            (torch.cat([k, more_k[:, :, None]], 2), torch.cat([v, more_v[:, :, None]], 2))
            for (k, v), (more_k, more_v) in zip(past, run.layers, strict=True)
        ]
    return list(zip(spelled, total.tolist(), strict=True))
