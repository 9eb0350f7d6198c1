"""What Prometheus reads: requests, items, batches, the queue. No text and no code is in a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cascade.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The counts of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.stopped = 0  # requests that were at work when the time of the end was over
        self._requests = Counter(
            "cascade_http_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "cascade_http_request_seconds",
            "Seconds from the head of a request to its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._items = Counter(
            "cascade_items", "Items by the status of their answer.", ["status"], registry=registry
        )
        self._refused = Counter(
            "cascade_refused",
            "Requests that were not answered: too much waited (full), their time was over (late), "
            "the client went away (gone), the service ended (stopped).",
            ["reason"],
            registry=registry,
        )
        self._batch = Histogram(
            "cascade_batch_items", "Items of a batch.", buckets=SIZES, registry=registry
        )
        self._together = Histogram(
            "cascade_batch_requests", "Requests of a batch.", buckets=SIZES, registry=registry
        )
        self._busy = Counter(
            "cascade_busy_seconds", "Seconds in which batches were answered.", registry=registry
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._statuses: dict[str, Counter] = {}
        self._queue = Gauge("cascade_queue_items", "Items that wait.", registry=registry)
        Gauge("cascade_info", "The version.", ["version"], registry=registry).labels(
            __version__
        ).set(1)

    def follow_queue(self, size: Callable[[], int]) -> None:
        """Read the length of the queue when it is asked for."""
        self._queue.set_function(size)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = method, route, status
        if key not in self._known:  # finding a label takes longer than counting
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._known[key] = found
        count, took = self._known[key]
        count.inc()
        took.observe(seconds)

    def items(self, statuses: Sequence[str]) -> None:
        """Count items by the status of their answers."""
        for status in set(statuses):
            if status not in self._statuses:
                self._statuses[status] = self._items.labels(status)
            self._statuses[status].inc(statuses.count(status))

    def refused(self, reason: str) -> None:
        """Count a request that was not answered."""
        self.stopped += reason == "stopped"
        self._refused.labels(reason).inc()

    def answered(self, requests: int, items: int, seconds: float) -> None:
        """Count a batch."""
        self._batch.observe(items)
        self._together.observe(requests)
        self._busy.inc(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
