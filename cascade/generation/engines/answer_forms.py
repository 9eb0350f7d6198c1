"""The forms that answers of servers must have; each is checked whole before anything of it is used.

Only the fields that are named here are kept. Numbers are finite, probabilities are such, texts are
texts that can be encoded.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from cascade.errors import EngineError
from cascade.generation.chat_form import without_thoughts

MOST_TOKENS = 10**9  # of one answer; what is told beyond is nonsense
UNASKED = "server answered in another form"

LogProb = Annotated[float, Field(le=1e-3)]  # rounding may bring one slightly above 0
Share = Annotated[float, Field(ge=0, le=1.001)]


class Answer(BaseModel):
    """What all answers have: what they cost, where the server tells."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore", frozen=True)

    usage: Any = None
    tokens_evaluated: Any = None
    tokens_predicted: Any = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The answer in a body.

        Raises
        ------
        EngineError
            It has not this form.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise form_error(
                f"{place + ': ' if place else ''}{first['msg']}; it begins with {body[:60]!r}"
            ) from None

    @property
    def tokens(self) -> int:
        """Tokens read and written; 0 where the server tells none, or nonsense."""
        total = self.usage.get("total_tokens") if isinstance(self.usage, dict) else None
        told = [total] if total is not None else [self.tokens_evaluated, self.tokens_predicted]
        return sum(_count(number) for number in told)


class ModelList(Answer):
    """The models that a server has."""

    data: list[dict[str, Any]] | None = None


class Tokens(Answer):
    """A text as token ids."""

    tokens_: list[int] = Field(alias="tokens")


class _TopLogProbs(BaseModel):
    model_config = Answer.model_config

    top_logprobs: Annotated[list[dict[str, LogProb]], Field(min_length=1)]


class _TokenLogProbs(BaseModel):
    model_config = Answer.model_config

    token_logprobs: list[LogProb] | None = None


class ScoredChoice(BaseModel):
    """How likely the next tokens of one prompt are."""

    model_config = Answer.model_config

    index: int
    logprobs: _TopLogProbs


class WrittenChoice(BaseModel):
    """What was written after one prompt."""

    model_config = Answer.model_config

    index: int
    text: str
    logprobs: _TokenLogProbs | None = None


class Scored(Answer):
    """A completion that tells how likely tokens are."""

    choices: list[ScoredChoice]


class Written(Answer):
    """A completion."""

    choices: list[WrittenChoice]


class _TokenShare(BaseModel):
    model_config = Answer.model_config

    id: int
    prob: Share


class _Place(BaseModel):
    model_config = Answer.model_config

    top_probs: list[_TokenShare]


class LlamaShares(Answer):
    """llama.cpp's probabilities of the next token."""

    completion_probabilities: Annotated[list[_Place], Field(min_length=1)]


class LlamaText(Answer):
    """What llama.cpp wrote."""

    content: str


class _Message(BaseModel):
    model_config = Answer.model_config

    content: str


class _MessageToken(BaseModel):
    model_config = Answer.model_config

    logprob: LogProb


class _MessageLogProbs(BaseModel):
    model_config = Answer.model_config

    content: list[_MessageToken] | None = None


class _MessageChoice(BaseModel):
    model_config = Answer.model_config

    message: _Message
    logprobs: _MessageLogProbs | None = None


class ChatAnswer(Answer):
    """One message of a chat."""

    choices: Annotated[list[_MessageChoice], Field(min_length=1, max_length=1)]

    @property
    def text(self) -> str:
        """What was written, after the thoughts of a model that has some."""
        return without_thoughts(self.choices[0].message.content)

    @property
    def logprob(self) -> float:
        """Of all tokens together; 0 where the server tells none."""
        told = self.choices[0].logprobs
        return summed(token.logprob for token in (told and told.content) or [])


def summed(logprobs: Iterable[float]) -> float:
    """The log-probability of tokens together; the least number where it is beyond all of them."""
    try:
        return math.fsum(logprobs)
    except OverflowError:
        return -sys.float_info.max


C = TypeVar("C", ScoredChoice, WrittenChoice)


def one_for_each(choices: list[C], n: int) -> list[C]:
    """The choices in the order of n prompts.

    Raises
    ------
    EngineError
        There is not one for each.
    """
    ordered = sorted(choices, key=lambda choice: choice.index)
    if [choice.index for choice in ordered] != list(range(n)):
        raise form_error(f"it has not one choice for each of {n} prompts")
    return ordered


def json_in(text: str) -> Any:
    """The JSON value that a model wrote; EngineError where it wrote none."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        raise form_error(f"the model wrote {text!r:.100}, which is no JSON") from None


def form_error(problem: str) -> EngineError:
    """The error of an answer that is not what was asked for; another try may bring it."""
    return EngineError(f"the answer cannot be used: {problem}", retry=True, reason=UNASKED)


def _count(told: Any) -> int:
    if isinstance(told, bool) or not isinstance(told, int | float):
        return 0
    return int(told) if 0 <= told <= MOST_TOKENS else 0  # NaN is not
