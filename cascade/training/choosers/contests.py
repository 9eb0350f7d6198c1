"""Candidates that compete by how likely an item's text is under each, and learning from that.

Text that is merely likely is not what is wanted, but text that is likelier under the right
candidate than under the others. So the loss is that of the choice which is made in use, with
retrieval's probabilities beside the model's, and not that of writing the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.listed.candidates import CandidateTexts
from cascade.scoring.listed.channel import channel_questions
from cascade.training.adapters.instructions import Example, Instruction
from cascade.training.adapters.training import AdapterLoop, answer_log_probs
from cascade.training.choosers.lists import Choice

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Contest:
    """The candidates of an item; `len` counts the padded tokens of all.

    Parameters
    ----------
    candidates
        Of each the prompt, and the item's text as its answer, the same for all.
    log_p
        float64 [n_candidates], by retrieval.
    right
        Place of the right candidate.
    """

    candidates: tuple[Example, ...]
    log_p: NDArray[np.float64]
    right: int

    @property
    def shared(self) -> tuple[int, ...]:
        """What all prompts begin with."""
        return self.candidates[0].shared

    def __len__(self) -> int:
        return len(self.candidates) * max(map(len, self.candidates))


def contest(
    choice: Choice, texts: CandidateTexts, template: PromptTemplate, encoder: PromptEncoder
) -> Contest | None:
    """The choice as a contest; None where the right leaf is not listed."""
    n = len(choice.nodes)
    if choice.right >= n:
        return None
    questions = channel_questions(template, choice.text, texts(choice.nodes.tolist()))
    candidates = [Instruction(q.prompt, q.answers[0]).encode(encoder) for q in questions]
    return Contest(tuple(candidates), choice.log_p[:n], choice.right)


class ContestLoop(AdapterLoop[Contest]):
    """A run that learns to tell candidates apart; losses are for each contest.

    Parameters
    ----------
    weight
        Of the model's log-likelihoods beside retrieval's log-probabilities.
    """

    def __init__(self, *args: Any, weight: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._weight = weight

    def summed(self, examples: Sequence[Contest]) -> torch.Tensor:
        """See `contest_loss`."""
        return contest_loss(self.model, examples, self._weight)

    def counted(self, examples: Sequence[Contest]) -> int:
        """All of them."""
        return len(examples)


def contest_loss(model: Any, contests: Sequence[Contest], weight: float) -> torch.Tensor:
    """Sum over contests of the cross-entropy of the right candidate, a float32 scalar.

    The logits of candidates are `log p by retrieval + weight * log p(text | candidate)`.
    """
    import torch

    examples = [example for each in contests for example in each.candidates]
    found = answer_log_probs(model, examples)
    total = found.new_zeros(())
    start = 0
    for each in contests:
        own = found[start : start + len(each.candidates)]
        start += len(each.candidates)
        known = torch.as_tensor(each.log_p, dtype=own.dtype, device=own.device)
        total = total - (known + weight * own).log_softmax(0)[each.right]
    return total
