"""Constraints on generated answers: outlines with its llguidance backend.

llguidance builds a grammar of thousands of names in milliseconds, where automaton-based
engines take seconds to minutes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cascade.errors import EngineError
from cascade.generation.records import RecordConstraint


def choice_grammar(answers: Sequence[str], end: str | None) -> str:
    """A Lark grammar whose sentences are exactly `answers`, each followed by `end`."""
    tail = f" {_literal(end)}" if end else ""
    return f"start: choice{tail}\nchoice: " + "\n  | ".join(map(_literal, answers)) + "\n"


def list_grammar(names: Sequence[str], lead: str, end: str | None) -> str:
    """A Lark grammar of JSON lists of some of the names, each once and in their order, or none."""
    tail = f" {_literal(end)}" if end else ""
    head = f"{_literal(lead)} " if lead else ""
    begin = "".join(f'\n  | "[" from{at} "]"' for at in range(len(names)))
    rules = [f"start: {head}list{tail}", f'list: "[]"{begin}']
    for at, name in enumerate(names):
        more = "".join(f' | ", " from{after}' for after in range(at + 1, len(names)))
        rules += [f"from{at}: {_literal(json.dumps(name, ensure_ascii=False))} rest{at}"]
        rules += [f'rest{at}: ""{more}']
    return "\n".join(rules) + "\n"


def gbnf_choice(answers: Sequence[str], end: str | None) -> str:
    """`choice_grammar` in GBNF, which llama.cpp and xgrammar read."""
    return f"root ::= choice {_gbnf_literal(end or '')}\nchoice ::= " + " | ".join(
        map(_gbnf_literal, answers)
    )


def gbnf_list(names: Sequence[str], lead: str, end: str | None) -> str:
    """`list_grammar` in GBNF."""
    begin = "".join(f' | "[" from{at} "]"' for at in range(len(names)))
    rules = [
        f"root ::= {_gbnf_literal(lead)} list {_gbnf_literal(end or '')}",
        f'list ::= "[]"{begin}',
    ]
    for at, name in enumerate(names):
        more = "".join(f' | ", " from{after}' for after in range(at + 1, len(names)))
        rules += [f"from{at} ::= {_gbnf_literal(json.dumps(name, ensure_ascii=False))} rest{at}"]
        rules += [f'rest{at} ::= ""{more}']
    return "\n".join(rules)


def _gbnf_literal(text: str) -> str:
    """`text` as a GBNF string."""
    spelled = (f"\\x{ord(char):02x}" if char < " " or char in '"\\\x7f' else char for char in text)
    return f'"{"".join(spelled)}"'


def _literal(text: str) -> str:
    """`text` as a Lark string; JSON escapes are a subset of Lark's."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class ChoiceConstraint:
    """One of the answers, then the end."""

    answers: tuple[str, ...]
    end: str | None

    @property
    def lark(self) -> str:
        """As a Lark grammar, for llguidance."""
        return choice_grammar(self.answers, self.end)

    @property
    def gbnf(self) -> str:
        """In GBNF."""
        return gbnf_choice(self.answers, self.end)


@dataclass(frozen=True)
class ListConstraint:
    """The lead, a JSON list of some of the names in their order, then the end."""

    names: tuple[str, ...]
    lead: str
    end: str | None

    @property
    def lark(self) -> str:
        """As a Lark grammar, for llguidance."""
        return list_grammar(self.names, self.lead, self.end)

    @property
    def gbnf(self) -> str:
        """In GBNF."""
        return gbnf_list(self.names, self.lead, self.end)


QUOTE = '"'
# A quoted text begins with a letter or digit; signs that control tokens and JSON are made of, and
# the quote that ends it, cannot be in it.
_FIRST = r"[\p{L}\p{N}]"
_SIGNS = r"\x00-\x1f\x7f\"\\<>\[\]{}|"
_COMMAND = re.compile(r'(\w+)(?: "([^"\\<>\[\]{}|\x00-\x1f\x7f]*)")?')


@dataclass(frozen=True)
class CommandConstraint:
    """One of some commands, as they stand, or a word followed by a text in quotes; then the end.

    Parameters
    ----------
    plain
        Commands in full, such as `open 2`.
    quoted
        Words that a text follows, such as `search`: `search "red shoes"`.
    longest
        Most characters of a text.
    """

    plain: tuple[str, ...]
    quoted: tuple[str, ...]
    lead: str
    end: str | None
    longest: int = 60

    @property
    def lark(self) -> str:
        """As a Lark grammar, for llguidance."""
        tail = f" {_literal(self.end)}" if self.end else ""
        head = f"{_literal(self.lead)} " if self.lead else ""
        choices = [_literal(command) for command in self.plain]
        choices += [f"{_literal(f'{word} {QUOTE}')} TEXT {_literal(QUOTE)}" for word in self.quoted]
        rules = [f"start: {head}command{tail}", "command: " + "\n  | ".join(choices)]
        if self.quoted:
            rules.append(f"TEXT: /{_FIRST}[^{_SIGNS}]{{0,{self.longest - 1}}}/")
        return "\n".join(rules) + "\n"

    @property
    def gbnf(self) -> str:
        """In GBNF."""
        choices = [_gbnf_literal(command) for command in self.plain]
        quote = _gbnf_literal(QUOTE)
        choices += [f"{_gbnf_literal(f'{word} {QUOTE}')} text {quote}" for word in self.quoted]
        rules = [
            f"root ::= {_gbnf_literal(self.lead)} command {_gbnf_literal(self.end or '')}",
            "command ::= " + " | ".join(choices),
        ]
        if self.quoted:
            first = r"[^\x00-/:-@\x5b-`{-\x7f]"  # no ASCII but letters and digits
            rest = r"[^\x00-\x1f\x7f\x22\x5c<>\x5b\x5d{}|]"
            rules.append(f"text ::= {first} {rest}{{0,{self.longest - 1}}}")
        return "\n".join(rules)

    def read(self, text: str) -> str:
        """The command that was written, without lead and end.

        Raises
        ------
        ValueError
            It is none that is allowed.
        """
        own = text.removesuffix(self.end or "").removeprefix(self.lead).strip()
        found = _COMMAND.fullmatch(own)
        if own in self.plain:
            return own
        if found and found[1] in self.quoted and found[2] and found[2].strip():
            return f'{found[1]} "{" ".join(found[2][: self.longest].split())}"'
        raise ValueError(f"{text!r:.100} is none of the allowed commands")


Constraint = ChoiceConstraint | ListConstraint | CommandConstraint | RecordConstraint


class GrammarMasks:
    """Holds the rows of a generated batch to grammars, each row to its own.

    Parameters
    ----------
    tokenizer
        Of transformers; its vocabulary is read once, here.
    """

    def __init__(self, tokenizer: Any) -> None:
        import llguidance.hf

        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer)

    def logits_processor(self, grammars: Sequence[str]) -> Any:
        """An outlines logits processor that holds row i of a batch to `grammars[i]`.

        Raises
        ------
        EngineError
            A grammar that llguidance refuses.
        """
        import llguidance
        import llguidance.torch
        import numpy as np
        import torch
        from llguidance import LLMatcher
        from outlines.backends.llguidance import LLGuidanceLogitsProcessor

        specs = [llguidance.grammar_from("lark", grammar) for grammar in grammars]

        class RowwiseProcessor(LLGuidanceLogitsProcessor):  # type: ignore[misc]
            """Outlines gives all rows one grammar and compiles its masking, which takes a
            C compiler and half a minute; here each row has its own and NumPy unpacks the bits.
            """

            def _setup(self, batch_size: int) -> None:
                super()._setup(batch_size)
                self.ll_matchers = [LLMatcher(self.llg_tokenizer, spec) for spec in specs]
                for matcher in self.ll_matchers:
                    if error := matcher.get_error():
                        raise EngineError(f"the grammar of the answers was refused: {error}")

            def _bias_logits_torch(  # type: ignore[override]
                self, input_ids: torch.Tensor, logits: torch.Tensor
            ) -> torch.Tensor:
                for row, matcher in enumerate(self.ll_matchers):
                    llguidance.torch.fill_next_token_bitmask(matcher, self.bitmask, row)
                packed = self.bitmask.numpy().view(np.uint8)
                forbidden = np.ones(tuple(logits.shape), dtype=np.bool_)
                allowed = np.unpackbits(packed, axis=1, bitorder="little", count=logits.shape[1])
                forbidden[:, : allowed.shape[1]] = allowed == 0
                return logits.masked_fill_(
                    torch.from_numpy(forbidden).to(logits.device), float("-inf")
                )

        return RowwiseProcessor(specs[0], self._tokenizer, "torch")
