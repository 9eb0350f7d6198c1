"""Answers for programs that `await` them; calls that wait at the same time share a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cascade.items import Item
from cascade.pipeline.doors.asked import Asked
from cascade.predictions import Prediction

if TYPE_CHECKING:
    import asyncio

MOST = 128  # items of calls that are answered together


class Awaiting(Asked):
    """The part of `Classifier` that is about `await`."""

    async def aclassify(
        self,
        item: Any,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
    ) -> Prediction:
        """As `classify`, without keeping the event loop from other work meanwhile.

        Models work in a thread. Calls that wait at the same time are answered together, so a
        hundred of them with `asyncio.gather` take about as long as one `classify_many`. The call
        of a task that is cancelled before its turn is not answered.

        Raises
        ------
        UsageError
            `item` is none.

        Examples
        --------
        >>> import asyncio, cascade
        >>> clf = cascade.load("store")
        >>> asyncio.run(clf.aclassify("straw panama hat")).names[0]
        'Shoes, Bags & Accessories'
        """
        found = self._intake(text, image, id).one(item)
        if isinstance(found, Prediction):
            return found
        return await self._gatherer().answer(found)

    async def aclassify_many(
        self,
        items: Any,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
        batch_size: int = MOST,
    ) -> AsyncIterator[Prediction]:
        """As `classify_many`, for `async for`; items are read and answered in a thread.

        Parameters
        ----------
        items
            As for `classify_many`, or an asynchronous iterable of texts, mappings or `Item`s.

        Raises
        ------
        UsageError, InputError
            As for `classify_many`.
        """
        import asyncio

        named: dict[str, Any] = {"text": text, "image": image, "id": id}
        if hasattr(items, "__aiter__"):
            chunk: list[Any] = []
            async for item in items:
                chunk.append(item)
                if len(chunk) >= batch_size:
                    for prediction in await asyncio.to_thread(self._all, chunk, named):
                        yield prediction
                    chunk = []
            for prediction in await asyncio.to_thread(self._all, chunk, named) if chunk else ():
                yield prediction
            return
        answers = self.classify_many(items, batch_size=batch_size, **named)
        while (found := await asyncio.to_thread(next, answers, None)) is not None:
            yield found

    def _all(self, items: Sequence[Any], named: dict[str, Any]) -> list[Prediction]:
        return list(self.classify_many(items, **named))

    def _gatherer(self) -> Gatherer:
        """That of the running event loop."""
        import asyncio

        loops = vars(self).setdefault("_gatherers", WeakKeyDictionary())
        found: Gatherer = loops.setdefault(asyncio.get_running_loop(), Gatherer(self))
        return found


class Gatherer:
    """Answers the items of calls that wait in one event loop, as many together as have come."""

    def __init__(self, classifier: Awaiting) -> None:
        self._classifier = classifier
        self._waiting: list[tuple[Item, asyncio.Future[Prediction]]] = []
        self._work: asyncio.Task[None] | None = None

    async def answer(self, item: Item) -> Prediction:
        """The prediction, when its turn has come."""
        import asyncio

        future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        import asyncio

        while self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            some = [(item, future) for item, future in some if not future.done()]
            if not some:
                continue
            try:
                answers = await asyncio.to_thread(
                    self._classifier.classify_read, [item for item, _ in some]
                )
            except Exception as error:  # whatever it is, the callers are told, each of them
                for _, future in some:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(some, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
