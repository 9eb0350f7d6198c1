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

from cascade.config import LLMConfig, ServerConfig
from cascade.errors import ConfigError, EngineError
from cascade.generation.engine import Engine, Question, Reading
from cascade.generation.engines.answer_forms import (
    LlamaShares,
    LlamaText,
    ModelList,
    Scored,
    ScoredChoice,
    Tokens,
    Written,
    form_error,
    one_for_each,
    summed,
)
from cascade.generation.engines.http_client import (
    Client,
    ServerRefusesError,
    says_no_entry,
)
from cascade.generation.engines.token_engine import (
    Generated,
    GenerationRequest,
    TokenEngine,
)
from cascade.generation.engines.trie_queries import NextTokenQuery
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
    ServerRefusesError
        It does not accept the key.
    WeightsError
        The tokenizer's weights are not found.
    """
    if config.adapter is not None:
        raise ConfigError(
            "llm.adapter: a server does not take it from here; load the adapter at the server "
            "(vLLM: --enable-lora --lora-modules NAME=FOLDER) and name it in llm.server.model"
        )
    client = Client(config.server)
    kind, name = _what_it_is(client, config.server)
    if kind == "openai":
        from cascade.generation.engines.chat_engine import ChatEngine

        return ChatEngine(client, name)
    folder = safetensors_folder(find_weights(config.model, allow_download=allow_download))
    tokenizer = load_tokenizer(folder)
    engine = (VLLMServer if kind == "vllm" else LlamaCppServer)(client, name, tokenizer)
    engine.check_tokenizer(config.model)
    return engine


def _what_it_is(client: Client, config: ServerConfig) -> tuple[str, str]:
    """The kind of server, and its name of the model: as the config says, else by its list."""
    try:
        listed = client.get(f"{client.url}/models", ModelList).data
    except EngineError as error:
        if config.model is None or config.kind == "auto" or says_no_entry(error, (401,)):
            if says_no_entry(error):
                raise ServerRefusesError(str(error)) from None
            raise EngineError(
                f"{error}; see that the server runs, and that llm.server.url is its address",
                retry=error.retry,
                reason=error.reason,
            ) from None
        logger.info("the list of models is not known: %s", error)
        return config.kind, config.model
    models = {str(m["id"]): m for m in listed or [] if "id" in m}
    if not models:
        raise ConfigError(f"{client.url}/models: lists no model; is llm.server.url right?")
    name = config.model or next(iter(models))
    if config.kind != "auto":
        return config.kind, name
    # A list may leave out what there is, so that a name which is not on it is tried.
    owner = str(models.get(name, next(iter(models.values()))).get("owned_by"))
    return {"vllm": "vllm", "llamacpp": "llama.cpp"}.get(owner, "openai"), name


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
            found = self._client.post(f"{self._client.root}/tokenize", requests, Tokens).tokens_
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

    def _next_token_logprobs(
        self, queries: Sequence[NextTokenQuery]
    ) -> list[NDArray[np.float64] | EngineError]:
        def payload(group: Sequence[NextTokenQuery]) -> dict[str, Any]:
            return {
                "model": self.name,
                "prompt": [list(query.prompt) for query in group],
                "max_tokens": 1,
                "logprobs": 1,
                "logprob_token_ids": sorted({t for query in group for t in query.tokens}),
                "return_tokens_as_token_ids": True,
                **_GREEDY,
            }

        def read(group: Sequence[NextTokenQuery], answer: Scored) -> list[NDArray[np.float64]]:
            choices = one_for_each(answer.choices, len(group))
            return [_wanted(query, own) for query, own in zip(group, choices, strict=True)]

        groups = list(_groups(queries, self.widest))
        return self._client.ask(f"{self._client.url}/completions", groups, payload, Scored, read)

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated | EngineError]:
        def payload(group: Sequence[GenerationRequest]) -> dict[str, Any]:
            first = group[0]
            return {
                "model": self.name,
                "prompt": [list(request.prompt) for request in group],
                "max_tokens": first.max_tokens,
                "stop": [first.stop] if first.stop else [],
                "stop_token_ids": [self.tokenizer.eos_token_id],
                **_structured(first.constraint),
                **_GREEDY,
            }

        def read(group: Sequence[GenerationRequest], answer: Written) -> list[Generated]:
            found = []
            for request, own in zip(group, one_for_each(answer.choices, len(group)), strict=True):
                request.check(own.text)
                told = own.logprobs and own.logprobs.token_logprobs
                found.append(Generated(own.text, summed(told) if told else None))
            return found

        groups = [
            own[start : start + TOGETHER]
            for _, same in groupby(requests, lambda w: (w.max_tokens, w.stop, w.constraint))
            for own in [list(same)]
            for start in range(0, len(own), TOGETHER)
        ]
        return self._client.ask(f"{self._client.url}/completions", groups, payload, Written, read)


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
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each allowed answer; see `Engine.score`.

        Raises
        ------
        ConfigError
            The reading is global.
        """
        if reading == "global":
            raise ConfigError("a llama.cpp server has no global reading; set llm.reading to local")
        return super().score(questions, reading)

    def _next_token_logprobs(
        self, queries: Sequence[NextTokenQuery]
    ) -> list[NDArray[np.float64] | EngineError]:
        def payload(group: Sequence[NextTokenQuery]) -> dict[str, Any]:
            (query,) = group
            return {
                "prompt": list(query.prompt),
                "n_predict": 1,
                "n_probs": len(query.tokens),
                "post_sampling_probs": True,
                "samplers": ["temperature"],
                "temperature": 1,
                "logit_bias": [[token, 100.0] for token in query.tokens],
                "cache_prompt": True,
            }

        def read(group: Sequence[NextTokenQuery], answer: LlamaShares) -> list[NDArray[np.float64]]:
            return [_shares(query, answer) for query in group]

        return self._client.ask(
            f"{self._client.root}/completion", [[q] for q in queries], payload, LlamaShares, read
        )

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated | EngineError]:
        def payload(group: Sequence[GenerationRequest]) -> dict[str, Any]:
            (request,) = group
            return {
                "prompt": list(request.prompt),
                "n_predict": request.max_tokens,
                "stop": [request.stop] if request.stop else [],
                "samplers": ["top_k"],
                "top_k": 1,
                "temperature": 0,
                "cache_prompt": True,
                **({"grammar": request.constraint.gbnf} if request.constraint else {}),
            }

        def read(group: Sequence[GenerationRequest], answer: LlamaText) -> list[Generated]:
            (request,) = group
            request.check(answer.content)
            return [Generated(answer.content, None)]

        return self._client.ask(
            f"{self._client.root}/completion", [[r] for r in requests], payload, LlamaText, read
        )


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


def _wanted(query: NextTokenQuery, choice: ScoredChoice) -> NDArray[np.float64]:
    first = choice.logprobs.top_logprobs[0]
    try:
        return np.array([first[f"token_id:{token}"] for token in query.tokens], dtype=np.float64)
    except KeyError:
        raise form_error(
            "it has no log-probabilities of the tokens asked for; this needs a vLLM that knows "
            "`logprob_token_ids`; with another set llm.answer to generate"
        ) from None


def _shares(query: NextTokenQuery, answer: LlamaShares) -> NDArray[np.float64]:
    found = {one.id: one.prob for one in answer.completion_probabilities[0].top_probs}
    shares = np.array([found.get(token, 0.0) for token in query.tokens], dtype=np.float64)
    if not np.isclose(shares.sum(), 1, atol=1e-3):
        raise form_error("it has no probabilities of the tokens asked for")
    return np.log(np.maximum(shares, 1e-45))  # what is too unlikely is left out
