"""A classifier as a service: what is read of requests, answered in batches, and written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Sequence
from functools import cached_property
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from starlette.types import Receive

from cascade.config.serving import ServeConfig
from cascade.errors import UsageError
from cascade.items import Item, as_text
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.doors.explaining import Explanation
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.predictions import Prediction
from cascade.serving.http.batches.batcher import Batcher
from cascade.serving.http.clock import Clock
from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import Problem
from cascade.serving.http.reading import Headers, ItemReader, body_of, seconds_of
from cascade.serving.http.values import (
    ClassifyBody,
    ClassifyManyBody,
    ExplainBody,
    FormBody,
    ItemBody,
)
from cascade.serving.tools import Tools
from cascade.serving.values import FacetValue, FoundValue
from cascade.values import is_visible
from cascade.version import __version__

EXPLAINED = 4  # items that a step of an explanation takes as long as
QUICK_ITEMS = 100  # of a request; more are read in a thread


class Service:
    """Answers requests to one classifier; whatever protocol asks.

    Parameters
    ----------
    settings
        Its bounds; by default those of the classifier's config.

    Raises
    ------
    UsageError
        `classifier` is none.
    """

    def __init__(self, classifier: Classifier, settings: ServeConfig | None = None) -> None:
        if not isinstance(classifier, Classifier):
            raise UsageError(
                f"a service needs a classifier, found {type(classifier).__name__}; see cascade.load"
            )
        self.classifier = classifier
        self.settings = settings = settings or classifier.config.serve
        self.metrics = Metrics()
        self.batcher = Batcher(
            classifier,
            self.metrics,
            batch=settings.batch,
            wait=settings.wait_ms / 1000,
            queue=settings.queue,
        )
        self.tools = Tools(classifier.taxonomy, lambda: classifier)
        self._reader = ItemReader(classifier.config, settings)

    async def classify_one(self, headers: Headers, receive: Receive) -> bytes:
        """The answer to a request with one item, as JSON."""
        async with self._clock(headers) as clock:
            body = await body_of(headers, receive, ClassifyBody, self.settings)
            clock.has_read(receive)
            (answer,) = await self.classify([body], body, clock.deadline)
            return as_json(answer)

    async def classify_many(self, headers: Headers, receive: Receive) -> bytes:
        """The answers to a request with several items, as JSON."""
        async with self._clock(headers) as clock:
            body = await body_of(headers, receive, ClassifyManyBody, self.settings)
            clock.has_read(receive)
            return as_json({"answers": await self.classify(body.items, body, clock.deadline)})

    async def explain_one(self, headers: Headers, receive: Receive) -> bytes:
        """The account of an answer, as JSON."""
        async with self._clock(headers) as clock:
            body = await body_of(headers, receive, ExplainBody, self.settings)
            clock.has_read(receive)
            return as_json(await self.explain(body, clock.deadline))

    async def search_nodes(self, headers: Headers, words: str, limit: int, by: str) -> bytes:
        """Nodes for some words, as JSON."""
        async with self._clock(headers) as clock:
            clock.reads_no_body()
            return as_json(await self.search(words, limit, by, clock.deadline))

    async def classify(
        self, given: Sequence[str | ItemBody | None], form: FormBody, deadline: float
    ) -> list[dict[str, Any]]:
        """Answers in the order of the items, as plain values.

        Raises
        ------
        Problem
            The request is out of bounds, or its turn has not come in time.
        """
        if form.top > self.settings.max_top:
            raise Problem(422, f"top: expected {self.settings.max_top} or less")
        has_pictures = any(isinstance(one, ItemBody) and one.image for one in given)
        if has_pictures or len(given) > QUICK_ITEMS:
            read = await asyncio.to_thread(self._reader.read, given)
        else:
            read = self._reader.read(given)
        found: list[Prediction] = await self.batcher.answer(
            read.items, deadline=deadline, top=form.top
        )
        self.metrics.items([prediction.status for prediction in found])
        shown = AnswerForm(form.top, form.trace, question=self._asks, set=self._has_sets)
        return [
            self._answer(prediction, shown, id_)
            for prediction, id_ in zip(found, read.ids, strict=True)
        ]

    def _answer(self, prediction: Prediction, form: AnswerForm, id_: str | None) -> dict[str, Any]:
        known = prediction.id if id_ is None else as_text(id_)
        answer = {"id": known, **form.answer(prediction, nested=True)}
        if prediction.facets:
            answer["facets"] = [FacetValue.of(facet).model_dump() for facet in prediction.facets]
        return answer

    async def explain(self, asked: ExplainBody, deadline: float) -> dict[str, Any]:
        """The account of an answer, as plain values."""
        read = await asyncio.to_thread(self._reader.read, [asked])
        (item,) = read.items

        def explain() -> Generator[None, None, dict[str, Any]]:
            if isinstance(item, Prediction):
                why = Explanation(Item(asked.fields or {"text": asked.text}), item)
            else:
                why = yield from self.classifier.explain_in_steps(item, words=asked.words)
            values = why.to_dict()
            prediction = values["prediction"] | {"id": asked.id}
            return {
                "item": values["item"],
                "answer": prediction,
                "words": values["words"],
                "text": str(why),
            }

        size = 1 if asked.words is False else EXPLAINED
        found: dict[str, Any] = await self.batcher.answer(explain, size=size, deadline=deadline)
        return found

    async def search(self, words: str, limit: int, by: str, deadline: float) -> dict[str, Any]:
        """Nodes for some words, as plain values; none where no character can be seen."""
        words = as_text(words)
        if not is_visible(words):
            return FoundValue(nodes=[]).model_dump()
        if by == "words":
            found = await asyncio.to_thread(self.tools.search_words, words, limit)
        else:
            found = await self.batcher.answer(
                lambda: self.tools.search(words, limit), size=1, deadline=deadline
            )
        values: dict[str, Any] = found.model_dump()
        return values

    @cached_property
    def about(self) -> dict[str, Any]:
        """What answers here, as plain values."""
        taxonomy, settings = self.classifier.taxonomy, self.settings
        limits = ("timeout", "batch", "queue")
        return {
            "version": __version__,
            "title": taxonomy.title or taxonomy.name or "",
            "nodes": len(taxonomy),
            "leaves": len(taxonomy.leaves),
            "levels": taxonomy.depth,
            "fingerprint": taxonomy.fingerprint,
            "method": self.classifier.method,
            "reads": list(self.classifier.config.reads or self.classifier.config.columns.text),
            "limits": {
                name: value
                for name, value in settings.model_dump().items()
                if name in limits or name.startswith("max_")
            },
        }

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self.batcher.is_open

    def warm_up(self) -> None:
        """Answer an item, so that all models are loaded.

        Raises
        ------
        CascadeError
            A model cannot be loaded.
        """
        self.classifier.classify("an item")
        if self.settings.search_by_meaning:
            self.classifier.search("an item", 1)

    def open(self) -> None:
        """Take requests, perhaps again after `close`."""
        self.batcher.open()

    async def close(self) -> bool:
        """Answer what waits, then end; whether that was done in time."""
        return await asyncio.to_thread(self.batcher.close, self.settings.stop_seconds)

    def _clock(self, headers: Headers) -> Clock:
        return Clock(seconds_of(headers, self.settings), self.metrics)

    @cached_property
    def _asks(self) -> bool:
        return self.classifier.method == "agent"

    @cached_property
    def _has_sets(self) -> bool:
        return self.classifier.config.calibration.set_coverage is not None


def as_json(values: Any) -> bytes:
    """Plain values as JSON."""
    try:
        return to_json(values, inf_nan_mode="null")
    except PydanticSerializationError:  # half of a surrogate pair, in a taxonomy's names
        return json.dumps(values).encode("ascii")
