"""What every language-model engine can do: score given answers, and generate under a grammar.

An engine sees prompts and answers, never taxonomies. Both calls take batches of any size; how
they are cut up for the hardware is the engine's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.records import Record, RecordField

Reading = Literal["global", "local"]
"""How a tree of answers is read: `global` is the log-probability of the whole answer under the
model; `local` renormalises at each branching over the answers that are left, which is what
constrained decoding samples from."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `content` is data and can never become a control token."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands before the answer.

    Parameters
    ----------
    messages
        The conversation in the model's own chat form; empty for plain text.
    shared
        Text that comes first in plain text and is the same for all items: instructions and
        examples. It is computed once, as are all messages before the last.
    start
        Text that the answer continues: all of the prompt when there are no messages, else the
        beginning of the assistant's turn.
    end
        Text that ends an answer; None is the model's own end of turn. Without it a name that
        is the beginning of another (`Shoe`, `Shoe care`) would always look likelier.
    image
        A picture, as `io.pictures.open_picture` takes it, that stands before the last message,
        or before the text that is not shared; for engines that read pictures.
    """

    messages: tuple[Message, ...] = ()
    shared: str = ""
    start: str = ""
    end: str | None = None
    image: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with the answers that are allowed, in full (with their leading blank, if any)."""

    prompt: Prompt
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """A prompt with the commands that may follow it.

    Parameters
    ----------
    plain
        Commands in full, such as `open 2`.
    quoted
        Words that a text in quotes follows: `search "red shoes"`. Such a text has no control
        characters, and none of the signs that JSON and control tokens are made of.
    lead
        Stands between the prompt and the command.
    longest
        Most characters of a quoted text.
    """

    prompt: Prompt
    plain: tuple[str, ...]
    quoted: tuple[str, ...] = ()
    lead: str = " "
    longest: int = 60


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was written, and the tokens read and written for it (0 where not told)."""

    text: str
    tokens: int = 0


@dataclass
class Usage:
    """What a language model was asked: prompts, and the tokens of these, as it counts them.

    Tokens that prompts share count for each, also where they are computed once. Of a server that
    takes texts, they are what it tells, those that it wrote among them.
    """

    prompts: int = 0
    tokens: int = 0

    def add(self, tokens: int) -> None:
        """Count a prompt."""
        self.prompts += 1
        self.tokens += tokens


class Engine(Protocol):
    """A loaded language model.

    Where the model could not answer one of several prompts, an EngineError stands in the place of
    its answer. Where it answers none at all, calls may raise it.

    Attributes
    ----------
    reads_pictures
        Whether prompts may have a picture.
    usage
        What it was asked so far.
    """

    name: str
    reads_pictures: bool

    @property
    def usage(self) -> Usage:
        """What it was asked so far."""
        ...

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each allowed answer, its end included.

        Parameters
        ----------
        session
            Any object. Calls that name the same one belong together, as those about a batch do:
            what was computed of a prompt may be kept from one to the next. Another begins afresh,
            so that answers never depend on which batches came before; None keeps nothing, uses
            nothing that was kept, and leaves the last session as it is.

        Returns
        -------
        list of float64 [n_answers]
            One array for each question, in the order of its answers. With `reading="local"` an
            array sums to one after exp.
        """
        ...

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> Sequence[str | EngineError]:
        """What the model writes after each prompt, greedily, up to the prompt's end."""
        ...

    def generate(self, questions: Sequence[Question]) -> Sequence[tuple[int, float] | EngineError]:
        """The answer that greedy decoding under a grammar of the allowed answers spells.

        Returns
        -------
        list of (index, logprob)
            Index into the question's answers, and the log-probability of the spelled tokens
            among those that the grammar allowed.
        """
        ...

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> Sequence[list[int] | EngineError]:
        """The JSON list of names that greedy decoding under a grammar writes after each prompt.

        Parameters
        ----------
        lead
            Stands between the prompt and the list.

        Returns
        -------
        Indices into the names, in their order; perhaps none.
        """
        ...

    def command(self, asked: Sequence[Commands]) -> Sequence[Command | EngineError]:
        """The command that greedy decoding under a grammar writes after each prompt."""
        ...

    def write_records(
        self, prompts: Sequence[Prompt], fields: Sequence[RecordField], lead: str = ""
    ) -> Sequence[Record | EngineError]:
        """The JSON object with these fields that greedy decoding under a grammar writes.

        Parameters
        ----------
        lead
            Stands between the prompt and the object.
        """
        ...
