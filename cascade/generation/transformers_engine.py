"""The transformers engine: any causal language model that transformers loads, in process.

Scoring packs each question into one sequence: what its prompt has beyond the prefix that all
prompts share, then the token trie of its answers under a tree attention mask. The shared prefix
is computed once and kept; each question is one row of one forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.encode import PromptEncoder
from cascade.generation.engine import Prompt, Question, Reading
from cascade.generation.grammar import GrammarConstraint, choice_grammar
from cascade.generation.tries import Trie
from cascade.models.find import find_weights
from cascade.models.load import Precision, load_llm

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Packed:
    """One question as a row: prompt tokens beyond the shared prefix, then trie nodes.

    `nodes` are the trie nodes in the row, `read` the trie nodes whose children are read,
    as positions in the row's outputs (the last prompt token stands for node 0).
    """

    index: int
    prompt: list[int]
    trie: Trie
    nodes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.nodes)


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
        self._encoder = PromptEncoder(tokenizer)
        self._batch_tokens = batch_tokens
        self._prefix: list[int] = []
        self._prefix_cache: list[tuple[torch.Tensor, torch.Tensor]] = []

    @classmethod
    def load(
        cls,
        name: str = "smollm2-135m",
        *,
        device: str = "auto",
        precision: Precision = "auto",
        batch_tokens: int = 4096,
        allow_download: bool = False,
    ) -> TransformersEngine:
        """The engine over the weights called `name`.

        Raises
        ------
        WeightsError
            The weights are not found, or are not what they were pinned to be.
        """
        weights = find_weights(name, allow_download=allow_download)
        model, tokenizer = load_llm(weights, device, precision)
        return cls(model, tokenizer, name=name, batch_tokens=batch_tokens)

    def score(
        self, questions: Sequence[Question], reading: Reading = "global"
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        import torch

        results: list[NDArray[np.float64]] = [np.empty(0)] * len(questions)
        with torch.inference_mode():
            packed = self._pack(questions, local=reading == "local")
            for rows in self._batches(packed):
                for row, edges in zip(rows, self._forward(rows, reading), strict=True):
                    results[row.index] = row.trie.totals(edges)
        return results

    def _pack(self, questions: Sequence[Question], *, local: bool) -> list[_Packed]:
        """Every question as a row, shortest first; sets the shared prefix."""
        prompts = {q.prompt: self._encoder.prompt(q.prompt) for q in questions}
        prefix = self._share(list(prompts.values()))
        packed = []
        for index, question in enumerate(questions):
            trie = self._trie(question.answers, question.prompt)
            prompt = prompts[question.prompt][prefix:]
            packed.append(_Packed(index, prompt, trie, trie.to_forward(local=local)))
        return sorted(packed, key=len)

    def _trie(self, answers: Sequence[str], prompt: Prompt) -> Trie:
        return Trie.build([self._encoder.answer(answer, prompt.end) for answer in answers])

    def _share(self, prompts: list[list[int]]) -> int:
        """Length of the prefix that all prompts share; its keys and values are kept.

        At least one token of each prompt is left to compute, so that each has a last output.
        """
        if not prompts:
            return 0
        shortest = min(map(len, prompts))
        if shortest == 0:
            raise EngineError("a prompt without any token; the prompt file needs some text")
        held = len(self._prefix)
        if 0 < held < shortest and all(p[:held] == self._prefix for p in prompts):
            return held
        prefix = _common_prefix(prompts)[: shortest - 1] if len(prompts) > 1 else []
        if prefix != self._prefix:
            self._prefix, self._prefix_cache = prefix, self._compute_prefix(prefix)
        return len(prefix)

    def _compute_prefix(self, prefix: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        import torch

        if not prefix:
            return []
        ids = torch.tensor([prefix], device=self.model.device)
        cache = self.model.base_model(input_ids=ids, use_cache=True).past_key_values
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _batches(self, packed: list[_Packed]) -> list[list[_Packed]]:
        """Consecutive rows whose padded size, shared prefix included, stays in bounds."""
        batches: list[list[_Packed]] = []
        for row in packed:  # shortest first, so the newest is the widest of its batch
            width = len(row)
            if batches and (len(batches[-1]) + 1) * width <= self._batch_tokens:
                batches[-1].append(row)
            else:
                batches.append([row])
        return batches

    def _forward(self, rows: list[_Packed], reading: Reading) -> list[NDArray[np.float64]]:
        """Log-probability of each trie edge, for each row [n_nodes] (0 for node 0)."""
        import torch
        from transformers import DynamicCache

        device, held = self.model.device, len(self._prefix)
        width, n = len(rows[-1]), len(rows)
        ids = np.zeros((n, width), dtype=np.int64)
        positions = np.zeros((n, width), dtype=np.int64)
        mask = np.zeros((n, 1, width, held + width), dtype=np.bool_)
        mask[..., :held] = True
        for i, row in enumerate(rows):
            p, end = len(row.prompt), len(row)
            ids[i, :p], ids[i, p:end] = row.prompt, row.trie.token[row.nodes]
            positions[i, :p] = held + np.arange(p)
            positions[i, p:end] = held + p - 1 + row.trie.depth[row.nodes]
            mask[i, 0, :p, held : held + p] = np.tri(p, dtype=np.bool_)
            mask[i, 0, p:end, held : held + p] = True
            mask[i, 0, p:end, held + p : held + end] = row.trie.attention(row.nodes)
            if not held:
                mask[i, 0, end:, 0] = True  # a padded row must see something
        cache = None
        if held:
            cache = DynamicCache(
                [(k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in self._prefix_cache]
            )
        states = self.model.base_model(
            input_ids=torch.from_numpy(ids).to(device),
            position_ids=torch.from_numpy(positions).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return [self._edges(states[i], row, reading) for i, row in enumerate(rows)]

    def _edges(self, states: torch.Tensor, row: _Packed, reading: Reading) -> NDArray[np.float64]:
        """Log-probability of each edge of a row's trie, read off its parent's state."""
        import torch

        place = np.full(len(row.trie), -1)
        place[0] = len(row.prompt) - 1
        place[row.nodes] = len(row.prompt) + np.arange(len(row.nodes))
        edges = np.zeros(len(row.trie))
        children = np.arange(1, len(row.trie))
        read = children[place[row.trie.parent[1:]] >= 0]
        sources, which = np.unique(place[row.trie.parent[read]], return_inverse=True)
        logits = self._logits(states[torch.from_numpy(sources).to(states.device)])
        tokens = torch.from_numpy(row.trie.token[read]).to(states.device)
        chosen = logits[torch.from_numpy(which).to(states.device), tokens].cpu().numpy()
        if reading == "global":
            total = torch.logsumexp(logits, dim=-1).cpu().numpy()
        else:
            total = np.full(len(sources), -np.inf)
            np.logaddexp.at(total, which, chosen)
        edges[read] = chosen - total[which]
        return edges

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [n, vocabulary] of hidden states [n, width]."""
        logits: torch.Tensor = self.model.get_output_embeddings()(states).float()
        return logits

    @cached_property
    def _constraint(self) -> GrammarConstraint:
        return GrammarConstraint(self.model, self.tokenizer)

    def generate(self, questions: Sequence[Question]) -> list[tuple[int, float]]:
        """Greedy decoding held to the allowed answers by outlines; see `Engine.generate`."""
        results: list[tuple[int, float]] = [(0, 0.0)] * len(questions)
        order = sorted(
            range(len(questions)), key=lambda i: len(self._encoder.prompt(questions[i].prompt))
        )
        size = max(1, self._batch_tokens // 256)
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            answers = self._generate_batch([questions[i] for i in chunk])
            for i, answer in zip(chunk, answers, strict=True):
                results[i] = answer
        return results

    def _generate_batch(self, questions: list[Question]) -> list[tuple[int, float]]:
        import torch

        prompts = [self._encoder.prompt(q.prompt) for q in questions]
        width = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        grammars = [choice_grammar(q.answers, q.prompt.end) for q in questions]
        # Constrained decoding may spell a name byte by byte.
        longest = max(
            len((answer + (q.prompt.end or "")).encode()) for q in questions for answer in q.answers
        )
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                logits_processor=[self._constraint.logits_processor(grammars)],
                max_new_tokens=longest + 1,
                do_sample=False,
                pad_token_id=pad,
                output_logits=False,
                output_scores=True,
                return_dict_in_generate=True,
            )
        spelled = output.sequences[:, width:]
        steps = torch.stack(output.scores, dim=1).float().log_softmax(-1)
        logprobs = steps.gather(2, spelled[..., None])[..., 0].cpu().numpy()
        return [
            self._read_answer(question, tokens.tolist(), row)
            for question, tokens, row in zip(questions, spelled, logprobs, strict=True)
        ]

    def _read_answer(
        self, question: Question, tokens: list[int], logprobs: NDArray[np.float32]
    ) -> tuple[int, float]:
        end = self.tokenizer.eos_token_id
        stop = tokens.index(end) + 1 if end in tokens else len(tokens)
        text = self.tokenizer.decode(
            tokens[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        text = text.removesuffix(question.prompt.end or "")
        if text not in question.answers:
            raise EngineError(f"the model answered {text!r}, which the grammar does not allow")
        return question.answers.index(text), float(logprobs[:stop].sum())


def _common_prefix(sequences: Sequence[list[int]]) -> list[int]:
    """What all sequences begin with; between the least and the greatest lie all others."""
    low, high = min(sequences), max(sequences)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:same]
