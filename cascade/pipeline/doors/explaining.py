"""Why an item was filed where it was: an account to read, and a picture."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from cascade.confidence.climbing import in_percent
from cascade.errors import UsageError
from cascade.items import Item
from cascade.pipeline.doors.asked import Asked
from cascade.predictions import Candidate, Level, Prediction
from cascade.values import is_visible, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_WORDS = 40  # that are left out, one at a time
SHOWN = 4  # candidates of a level
STEP = 8_000  # characters of the items that are answered without a pause
SEEN = 24  # paths that are compared where a word is left out
QUICK = ("retrieval", "ttc", "neighbours", "cascade")
STATUS = {
    "ok": "accepted",
    "review": "to be looked at by a person",
    "partial": "as far as is sure, or by the fallback",
    "nowhere": "fits nowhere in the taxonomy",
    "error": "not answered",
}
_WORD = re.compile(r"\w[\w'’.-]*")


@dataclass(frozen=True)
class Word:
    """A word of an item, and what it did for the answer.

    Parameters
    ----------
    field
        The column that it stands in.
    text
        The word.
    start
        Where it begins in the field's text.
    weight
        The confidence in the answer, less that without this word: from -1 to 1. A word above zero
        spoke for the answer.
    """

    field: str
    text: str
    start: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """What `Classifier.explain` returns; `print` it, or let a notebook show it.

    Attributes
    ----------
    item, prediction
        What was asked, and the answer.
    words
        The words of the item with what each did for the answer; empty where that was not tried.
    """

    item: Item
    prediction: Prediction
    words: tuple[Word, ...] = ()

    def __str__(self) -> str:
        """The account as text; what steers a terminal or the direction of text is left out."""
        return "\n".join(map(printable, _account(self)))

    def __repr__(self) -> str:
        return f"Explanation({self.prediction})"

    def _repr_html_(self) -> str:
        return _html(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "item": dict(self.item.fields),
            "prediction": self.prediction.to_dict(),
            "words": [
                {"field": w.field, "text": w.text, "start": w.start, "weight": round(w.weight, 6)}
                for w in self.words
            ],
        }

    def plot(self) -> Figure:
        """The candidates of each level as bars, and what each word did; a matplotlib figure.

        Raises
        ------
        UsageError
            There is no answer.
        """
        if not self.prediction.levels:
            raise UsageError(f"there is nothing to draw: {self.prediction.message}")
        from cascade.pipeline.doors.drawing import draw

        return draw(self.prediction, self.words)


class Explaining(Asked):
    """The part of `Classifier` that is about why."""

    def explain(
        self,
        item: Item | str | Mapping[str, Any],
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        words: bool | None = None,
    ) -> Explanation:
        """Why an item is filed where it is: what was considered, by which scores, for which words.

        Parameters
        ----------
        item, text, image
            As for `classify`.
        words
            Whether the item is answered again without each of its first 40 words, so that what
            each did for the answer is known; by default where that is quick, which it is not with
            language models and other models that read one candidate at a time.

        Returns
        -------
        An `Explanation`: text for `print`, a table for a notebook, `plot()` for a picture, `words`
        and `prediction` for programs.

        Raises
        ------
        UsageError
            `item` is none.

        Examples
        --------
        >>> import cascade
        >>> clf = cascade.load("store")
        >>> why = clf.explain("straw panama hat, light")
        >>> max(why.words, key=lambda word: word.weight).text
        'hat'
        >>> print(why)  # doctest: +ELLIPSIS
        straw panama hat, light
        -> Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps ...
        """
        found = self._intake(text, image, None).one(item)
        if isinstance(found, Prediction):
            return Explanation(Item({"text": str(item)[:200]}), found)
        steps = self.explain_in_steps(found, words=words)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                why: Explanation = end.value
                return why

    def explain_in_steps(
        self, item: Item, *, words: bool | None = None
    ) -> Generator[None, None, Explanation]:
        """As `explain`, with a pause after each step, whose texts have 8,000 characters at most.

        Who answers others too, answers them between the steps. What it returns is the explanation.
        """
        unwatched = self.unwatched()
        (prediction,) = unwatched.classify_read([item])
        if words is None:
            words = self.is_quick
        if not words or prediction.code is None:
            return Explanation(item, prediction)
        places = list(_words(item))
        if len(places) < 2:  # without its only word there is no item
            return Explanation(item, prediction)
        without = [_without(item, field, match) for field, match in places]
        asked = unwatched.variant(beam=SEEN).unwatched()
        length = sum(map(len, item.fields.values()))
        many = max(1, STEP // max(1, length))
        answers: list[Prediction] = []
        for start in range(0, len(without), many):
            yield
            answers += asked.classify_read(without[start : start + many])
        return Explanation(
            item,
            prediction,
            tuple(
                Word(field, match[0], match.start(), prediction.confidence - _sure(p, prediction))
                for (field, match), p in zip(places, answers, strict=True)
            ),
        )

    @property
    def is_quick(self) -> bool:
        """Whether some more items cost little, as long as no language model has a say."""
        config = self._components.config
        scorers = {*config.fusion.weights, *config.routing.fast}
        fitted = all(name.partition(".")[0] in QUICK for name in scorers)
        method = self._components.method
        return method in QUICK and (method != "cascade" or bool(config.heads and fitted))


def _words(item: Item) -> Iterator[tuple[str, re.Match[str]]]:
    """The first words of an item, with the fields that they stand in."""
    found = ((name, match) for name, text in item.fields.items() for match in _WORD.finditer(text))
    for at, (name, match) in enumerate(found):
        if at == MOST_WORDS:
            return
        yield name, match


def _without(item: Item, field: str, match: re.Match[str]) -> Item:
    """The item without one word."""
    text = item.fields[field]
    fields = {**item.fields, field: f"{text[: match.start()]}{text[match.end() :]}"}
    return replace(item, fields=fields)


def _sure(found: Prediction, answer: Prediction) -> float:
    """The confidence of a prediction in the node that another one has for its answer.

    As far as it is told: a node that was not even considered has 0.
    """
    sure = 1.0
    for level, wanted in enumerate(answer.levels):
        if level >= len(found.levels):
            return 0.0
        here = found.levels[level]
        if here.code == wanted.code:
            sure = here.confidence
            continue
        others = [a.confidence for a in found.alternatives if a.code == answer.code]
        if others:
            return others[0]
        if level + 1 < len(answer.levels):
            return 0.0
        shares = [c.probability for c in here.candidates if c.code == wanted.code]
        return min(sure, sure * shares[0]) if shares else 0.0
    return sure


def _account(why: Explanation) -> Iterator[str]:
    prediction = why.prediction
    yield why.item.text or "(no text)"
    if prediction.code is None:
        yield f"-> no answer: {prediction.message}"
        return
    yield f"-> {prediction.path}  [{prediction.code}]"
    status = STATUS.get(prediction.status, prediction.status)
    reason = f": {prediction.message}" if prediction.message else ""
    sure = in_percent(prediction.confidence)
    yield f"   {sure} sure, by {prediction.source}; {status}{reason}"
    above = "the top"
    for level in prediction.levels:
        yield ""
        sure = in_percent(level.confidence)
        yield f"level {level.level}: {level.name}; {sure} sure that it is here"
        if len(level.candidates) < 2:
            yield "   the only one there"
        else:
            yield f"   shares of what is below {above}, and scores (logarithms):"
        above = level.name
        for candidate in _seen(level):
            mark = "*" if candidate.code == level.code else " "
            scores = _scores(candidate)
            told = f" ({scores})" if scores else ""
            yield (
                f" {mark} {_bar(candidate.probability)} {candidate.probability:4.0%} "
                f"{candidate.name}{told}"
            )
    for facet in prediction.facets:
        said = f"{facet.name} [{facet.code}]" if facet.code else facet.message
        if facet.words:
            said += f', as the text says "{" ".join(facet.words)}"'
        yield f"{facet.category} {facet.label}: {said} ({facet.confidence:.0%})"
    if prediction.alternatives:
        yield ""
        yield "else it may be (of all, as the confidence of the answer)"
        for other in prediction.alternatives[:SHOWN]:
            yield f"   {other.confidence:4.0%} {other.path}"
    if telling := _telling(why.words):
        yield ""
        yield "without this word the answer would be less (+) or more (-) sure by"
        for word in telling:
            yield f"   {word.weight:+5.0%} {word.text}"


def _seen(level: Level) -> Sequence[Candidate]:
    """The best candidates of a level, the one that was taken among them."""
    best = list(level.candidates[:SHOWN])
    if len(level.candidates) < 2:
        return []
    taken = [c for c in level.candidates[SHOWN:] if c.code == level.code]
    return [*best, *taken]


def _telling(words: Sequence[Word]) -> list[Word]:
    """Words that matter, those first that do most."""
    found = sorted(words, key=lambda word: -abs(word.weight))
    return [word for word in found if abs(word.weight) >= 0.005][:10]


def _scores(candidate: Candidate) -> str:
    return ", ".join(f"{name} {score:.2f}" for name, score in candidate.scores.items())


def _bar(share: float) -> str:
    return f"{'█' * round(10 * share):·<10}"


def _html(why: Explanation) -> str:
    prediction = why.prediction
    known = {(word.field, word.start): word for word in why.words}
    most = max((abs(word.weight) for word in why.words), default=0.0) or 1.0
    lines = []
    for field, text in why.item.fields.items():
        if not is_visible(text):
            continue
        shown, end = [], 0
        for match in _WORD.finditer(text):
            word = known.get((field, match.start()))
            shown.append(escape(text[end : match.start()]))
            shown.append(escape(match[0]) if word is None else _marked(word, most))
            end = match.end()
        lines.append("".join([*shown, escape(text[end:])]))
    hint = (
        "<div style='color:#777'>Words that spoke for the answer are blue, those against it are "
        "orange; point at one for its share.</div>"
        if why.words
        else ""
    )
    own = "<br>".join(map(printable, lines))
    return f"<div>{own}</div>{hint}{prediction._repr_html_()}"


def _marked(word: Word, most: float) -> str:
    colour = "31,95,166" if word.weight > 0 else "217,119,6"
    strength = min(1.0, abs(word.weight) / most) * 0.6
    return (
        f"<span style='background:rgba({colour},{strength:.2f})' "
        f"title='{word.weight:+.1%}'>{escape(word.text)}</span>"
    )
