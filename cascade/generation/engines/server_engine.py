"""Servers that take token ids, vLLM and llama.cpp, as engines; others see `chat_engine`.

Prompts are encoded here, with the tokenizer of the weights that the config names, so that no
text can become a control token at the server.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import LLMConfig
from cascade.errors import ConfigError, EngineError
from cascade.generation.engine import Engine, Question, Reading
from cascade.generation.engines.http_client import Client
from cascade.generation.engines.token_engine import (
    Generated,
    GenerationRequest,
    NextTokenQuery,
    TokenEngine,
)
from cascade.generation.grammar import ChoiceConstraint, Constraint
from cascade.models.language_models import load_tokenizer, safetensors_folder
from cascade.models.weights import find_weights

TOGETHER = 32  # prompts in one request
PROBE = "Straw hat, 12 pcs. (größe M)\nCategory: 帽子"  # tokenized here and there

_GREEDY = {"temperature": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1, "seed": 0}

logger = logging.getLogger(__name__)


def make_server_engine(config: LLMConfig, *, allow_download: bool = False) -> Engine:
    """The engine for the server that a config names, after a look at what it is.

    Raises
    ------
    ConfigError
        The settings do not fit the server.
    EngineError
        The server does not answer.
    WeightsError
        The tokenizer's weights are not found.
    """
    if config.adapter is not None:
        raise ConfigError(
            "llm.adapter: a server does not take it from here; load the adapter at the server "
            "(vLLM: --enable-lora --lora-modules NAME=FOLDER) and name it in llm.server.model"
        )
    client = Client(config.server)
    listed = client.get(f"{client.url}/models").get("data")
    models = {str(m["id"]): m for m in listed or [] if isinstance(m, dict) and "id" in m}
    if not models:
        raise ConfigError(f"{client.url}/models: lists no model; is llm.server.url right?")
    name = config.server.model or next(iter(models))
    # A list may leave out what there is, so that a name which is not on it is tried.
    kind = config.server.kind
    if kind == "auto":
        owner = str(models.get(name, next(iter(models.values()))).get("owned_by"))
        kind = {"vllm": "vllm", "llamacpp": "llama.cpp"}.get(owner, "openai")  # type: ignore[assignment]
    if kind == "openai":
        from cascade.generation.engines.chat_engine import ChatEngine

        return ChatEngine(client, name)
    folder = safetensors_folder(find_weights(config.model, allow_download=allow_download))
    tokenizer = load_tokenizer(folder)
    engine = (VLLMServer if kind == "vllm" else LlamaCppServer)(client, name, tokenizer)
    engine.check_tokenizer(config.model)
    return engine


class _Server(TokenEngine):
    """A server that takes token ids.

    Parameters
    ----------
    client
        Reaches it.
    name
        What it calls the model.
    tokenizer
        The model's, as loaded by transformers.
    """

    widest = 128

    def __init__(self, client: Client, name: str, tokenizer: Any) -> None:
        super().__init__(name, tokenizer, widest=self.widest)
        self._client = client

    def check_tokenizer(self, weights: str) -> None:
        """See that the server's model has the tokenizer of these weights.

        Raises
        ------
        ConfigError
            It has another one.
        """
        requests = {
            "model": self.name,
            "prompt": PROBE,
            "content": PROBE,
            "add_special_tokens": False,
        }
        try:
            found = self._client.post(f"{self._client.root}/tokenize", requests).get("tokens")
        except EngineError as error:
            logger.warning(
                "whether the server's tokenizer is that of %s is not known: %s", weights, error
            )
            return
        expected = self.tokenizer(PROBE, add_special_tokens=False)["input_ids"]
        if found != expected:
            raise ConfigError(
                f"the model {self.name!r} at {self._client.url} has another tokenizer than "
                f"{weights!r}; name the weights that the server runs in llm.model (their tokenizer "
                "is enough), or set llm.server.kind to openai"
            )


class VLLMServer(_Server):
    """A vLLM server: scores and generates as the engine vllm does."""

    def _next_token_logprobs(self, queries: Sequence[NextTokenQuery]) -> list[NDArray[np.float64]]:
        groups = list(_groups(queries, self.widest))
        payloads = [
            {
                "model": self.name,
                "prompt": [list(query.prompt) for query in group],
                "max_tokens": 1,
                "logprobs": 1,
                "logprob_token_ids": sorted({t for query in group for t in query.tokens}),
                "return_tokens_as_token_ids": True,
                **_GREEDY,
            }
            for group in groups
        ]
        answers = self._client.post_all(f"{self._client.url}/completions", payloads)
        return [
            _wanted(query, choice)
            for group, answer in zip(groups, answers, strict=True)
            for query, choice in zip(group, _choices(answer, len(group)), strict=True)
        ]

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated]:
        groups = [
            own[start : start + TOGETHER]
            for _, same in groupby(requests, lambda w: (w.max_tokens, w.stop, w.constraint))
            for own in [list(same)]
            for start in range(0, len(own), TOGETHER)
        ]
        payloads = [
            {
                "model": self.name,
                "prompt": [list(request.prompt) for request in group],
                "max_tokens": group[0].max_tokens,
                "stop": [group[0].stop] if group[0].stop else [],
                "stop_token_ids": [self.tokenizer.eos_token_id],
                **(
                    {"logprobs": 0} | _structured(group[0].constraint)
                    if group[0].constraint
                    else {}
                ),
                **_GREEDY,
            }
            for group in groups
        ]
        answers = self._client.post_all(f"{self._client.url}/completions", payloads)
        return [
            _generated_of(choice)
            for group, answer in zip(groups, answers, strict=True)
            for choice in _choices(answer, len(group))
        ]


class LlamaCppServer(_Server):
    """A llama.cpp server.

    The tokens of a branching are lifted above all others, so that what is sampled from has them
    alone: their shares are exact, and nothing else is told. So there is no global reading.
    """

    widest = 1_000_000

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each allowed answer; see `Engine.score`.

        Raises
        ------
        ConfigError
            The reading is global.
        """
        if reading == "global":
            raise ConfigError("a llama.cpp server has no global reading; set llm.reading to local")
        return super().score(questions, reading)

    def _next_token_logprobs(self, queries: Sequence[NextTokenQuery]) -> list[NDArray[np.float64]]:
        payloads = [
            {
                "prompt": list(query.prompt),
                "n_predict": 1,
                "n_probs": len(query.tokens),
                "post_sampling_probs": True,
                "samplers": ["temperature"],
                "temperature": 1,
                "logit_bias": [[token, 100.0] for token in query.tokens],
                "cache_prompt": True,
            }
            for query in queries
        ]
        answers = self._client.post_all(f"{self._client.root}/completion", payloads)
        return [_shares(query, answer) for query, answer in zip(queries, answers, strict=True)]

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated]:
        payloads = [
            {
                "prompt": list(request.prompt),
                "n_predict": request.max_tokens,
                "stop": [request.stop] if request.stop else [],
                "samplers": ["top_k"],
                "top_k": 1,
                "temperature": 0,
                "cache_prompt": True,
                **({"grammar": request.constraint.gbnf} if request.constraint else {}),
            }
            for request in requests
        ]
        answers = self._client.post_all(f"{self._client.root}/completion", payloads)
        return [Generated(_text(answer.get("content")), None) for answer in answers]


def _groups(queries: Sequence[NextTokenQuery], widest: int) -> Iterator[list[NextTokenQuery]]:
    """Consecutive queries that one request can ask for, since it names its tokens once."""
    group: list[NextTokenQuery] = []
    tokens: set[int] = set()
    for query in queries:
        if group and (len(group) == TOGETHER or len(tokens | set(query.tokens)) > widest):
            yield group
            group, tokens = [], set()
        group.append(query)
        tokens |= set(query.tokens)
    if group:
        yield group


def _structured(constraint: Constraint | None) -> dict[str, Any]:
    """The constraint in vLLM's words, and what is told of constrained tokens."""
    if constraint is None:
        return {}
    if isinstance(constraint, ChoiceConstraint):
        end = constraint.end or ""
        choice = [f"{answer}{end}" for answer in constraint.answers]
        return {"logprobs": 0, "structured_outputs": {"choice": choice}}
    return {"logprobs": 0, "structured_outputs": {"grammar": constraint.gbnf}}


def _choices(answer: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """The choices of a completion, one for each prompt."""
    try:
        choices: list[dict[str, Any]] = sorted(
            answer["choices"], key=lambda choice: choice["index"]
        )
        if [choice["index"] for choice in choices] == list(range(n)):
            return choices
    except (KeyError, TypeError):
        pass
    raise EngineError(f"the server's answer has not one choice for each of {n} prompts")


def _generated_of(choice: dict[str, Any]) -> Generated:
    logprobs = (choice.get("logprobs") or {}).get("token_logprobs")
    total = sum(logprobs) if logprobs else None
    return Generated(_text(choice.get("text")), total)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise EngineError("the server's answer has no text")
    return found


def _wanted(query: NextTokenQuery, choice: dict[str, Any]) -> NDArray[np.float64]:
    try:
        first = choice["logprobs"]["top_logprobs"][0]
        return np.array([first[f"token_id:{token}"] for token in query.tokens], dtype=np.float64)
    except (KeyError, TypeError, IndexError, ValueError):
        raise EngineError(
            "the server gave no log-probabilities of the tokens asked for; this needs a vLLM that "
            "knows `logprob_token_ids`; with another set llm.answer to generate"
        ) from None


def _shares(query: NextTokenQuery, answer: dict[str, Any]) -> NDArray[np.float64]:
    try:
        found = {
            one["id"]: one["prob"] for one in answer["completion_probabilities"][0]["top_probs"]
        }
        shares = np.array([found.get(token, 0.0) for token in query.tokens], dtype=np.float64)
    except (KeyError, TypeError, IndexError, ValueError):
        shares = np.zeros(1)
    if not np.isclose(shares.sum(), 1, atol=1e-3):
        raise EngineError("the server gave no probabilities of the tokens asked for")
    return np.log(np.maximum(shares, 1e-45))  # what is too unlikely is left out
