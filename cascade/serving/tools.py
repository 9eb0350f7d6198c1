"""What each tool does: a taxonomy's classifier within bounds, without anything of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

from cascade.errors import UsageError
from cascade.foodex2.checking import make_checker
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.intake import Intake
from cascade.predictions import Prediction, Step
from cascade.serving.values import (
    AnswersValue,
    AnswerValue,
    CheckValue,
    ChildrenValue,
    ExplanationValue,
    FoundValue,
    LevelValue,
    NodeValue,
    RuleValue,
)
from cascade.taxonomy import Taxonomy

Steps = Iterable[Step | Mapping[str, Any]]

LONGEST_TEXT = 20_000  # characters of an item
LONGEST_WORDS = 500  # characters of a search, or of a code
MOST_TEXTS = 200  # items in one call
MOST_NODES = 200  # in one answer

CURE = (
    'which of the fields is the text is not known; send it as "text" in place of "fields", or call '
    "its column text, name, title or description"
)
"""What a client is told whose fields have other names than those that texts have."""


def _warning(classifier: Classifier) -> str:
    """That the items so far, a stream, are others than a pack was tested on; or nothing."""
    shift = classifier.shift
    if shift is None or shift.since is None:
        return ""
    what = "; ".join(map(str, shift.moved))
    return (
        f"the {shift.rows:,} items so far differ from those that the pack was tested on, so "
        f"confidences may promise too much{f': {what}' if what else ''}; label some of them and "
        "run cascade eval"
    )


class Tools:
    """The tools of one taxonomy and its classifier.

    Parameters
    ----------
    classifier
        Gives the classifier, perhaps after it was loaded. Most tools raise what it raises.
    processes
        File of EFSA's table of processes, for the rules of a catalogue.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        classifier: Callable[[], Classifier],
        processes: str | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self._load = classifier
        self._processes = processes

    @property
    def _classifier(self) -> Classifier:
        return self._load()

    def classify(self, text: str, fields: Mapping[str, str] | None = None) -> AnswerValue:
        """Where an item belongs, see `item_of`."""
        classifier = self._classifier
        return AnswerValue.of(_classified(classifier, item_of(text, fields)), _warning(classifier))

    def classify_many(self, texts: Sequence[str]) -> AnswersValue:
        """Where each of several texts belongs; one that cannot be answered says why."""
        classifier = self._classifier
        found = [AnswerValue.of(one) for one in classifier.classify_many(list(texts))]
        return AnswersValue(answers=found, warning=_warning(classifier))

    def explain(self, text: str, fields: Mapping[str, str] | None = None) -> ExplanationValue:
        """The answer for an item with what was considered at each level."""
        prediction = _classified(self._classifier.unwatched(), item_of(text, fields))
        return ExplanationValue(
            answer=AnswerValue.of(prediction),
            levels=[LevelValue.of(level) for level in prediction.levels],
        )

    def search(self, words: str, limit: int) -> FoundValue:
        """Nodes for some words, by name and by meaning.

        Raises
        ------
        UsageError
            There are no words.
        """
        found = self._classifier.search(words, limit)
        return FoundValue(nodes=[NodeValue.of(node, self.taxonomy) for node in found])

    def search_words(self, words: str, limit: int) -> FoundValue:
        """Nodes that have some words in their names, synonyms or codes; no model is asked."""
        found = self.taxonomy.search(words, limit)
        return FoundValue(nodes=[NodeValue.of(node, self.taxonomy) for node in found])

    def children(self, code: str, offset: int, limit: int) -> ChildrenValue:
        """The nodes below that of a code or path; those of the top without one.

        Raises
        ------
        TaxonomyError
            There is no such node; close ones are named.
        """
        taxonomy = self.taxonomy
        node = taxonomy.node(code) if code else None
        below = taxonomy.children(-1 if node is None else node.index).tolist()
        part = below[offset : offset + limit]
        end = offset + len(part)
        return ChildrenValue(
            node=None if node is None else NodeValue.of(node, taxonomy),
            children=[NodeValue.of(taxonomy.node(child), taxonomy) for child in part],
            total=len(below),
            next_offset=end if part and end < len(below) else None,
        )

    def walk(self, item: str | dict[str, str]) -> Prediction:
        """The agent's answer for an item, or the question that it asks."""
        return _classified(self._classifier, item)

    def replay(self, item: str | dict[str, str], steps: Steps) -> Prediction:
        """The answer that recorded steps lead to; see `Classifier.replay`."""
        return self._classifier.replay(item, steps)

    def resume(self, item: str | dict[str, str], steps: Steps, answer: str) -> Prediction:
        """The answer after a question was answered; see `Classifier.resume`."""
        return self._classifier.resume(item, steps, answer)

    @cached_property
    def checker(self) -> Checker | None:
        """EFSA's rules for the catalogue; None where the taxonomy is none of EFSA's."""
        if not isinstance(self.taxonomy, FoodEx2Taxonomy):
            return None
        return make_checker(self.taxonomy, self._processes)

    def check(self, code: str) -> CheckValue:
        """What EFSA's rules say of a code.

        Raises
        ------
        UsageError
            The taxonomy is no catalogue of EFSA.
        """
        if self.checker is None:
            raise UsageError("there are no rules for this taxonomy; it is no catalogue of EFSA")
        messages = [RuleValue(**asdict(message)) for message in self.checker.check(code)]
        accepted = all(message.severity == "LOW" for message in messages)
        return CheckValue(code=code, accepted=accepted, messages=messages)


def _classified(classifier: Classifier, given: str | dict[str, str]) -> Prediction:
    """The answer for what a client gave; what cannot be read is told in the words of clients."""
    item = Intake(classifier.config, cure=CURE).one(given)
    return item if isinstance(item, Prediction) else classifier.classify(item)


def item_of(text: str, fields: Mapping[str, str] | None) -> str | dict[str, str]:
    """The item of a tool's arguments: its fields by column where there are any, else its text.

    Raises
    ------
    UsageError
        Both are given, or fields that are longer than an item may be.
    """
    if not fields:
        return text
    if text:
        raise UsageError("give the item as text or as fields, not as both")
    if sum(map(len, fields.values())) > LONGEST_TEXT:
        raise UsageError(f"the fields have more than {LONGEST_TEXT:,} characters; shorten them")
    return dict(fields)
