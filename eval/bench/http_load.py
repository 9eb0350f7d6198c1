r"""Many clients ask `cascade serve` at once: what is lost or wrong, how quick, what overload does.

A quick pack is fitted to the example products; `--sources` names other packs and taxonomies. What
they answer to texts of words of the products is known from `classify_many`; each answer that comes
over HTTP is compared with it (code, and confidence to 1e-6). Clients are connections that send
their next request when the last one is answered, until the time is over and all is answered. They
live in a process of their own, the server in another.

On a machine with two cores the clients take processor time that the server would use, so that two
ratios are told, both against `classify_many` in batches of 128 in the same run, parts of the runs
taking turns: of rows a second as a clock sees them, and of rows for each second of processor time
of the server alone, which clients and other programs on the machine do not change.

Overload: the queue is short, and more clients ask than fit into it. Who gets a 503 asks again after
a tenth of a second. Goodput are the rows that are answered.

python eval/bench/http_load.py --sources "quick pack" store --out eval/results/serve.json
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recording import command, record

import cascade

ROOT = Path(__file__).parents[2]
PRODUCTS = ROOT / "examples" / "products.csv"
BATCH, PARTS = 128, 3
QUICK = "quick pack"
CLIENTS = 200
PATIENCE = 0.1  # seconds that a client waits after a 503
TARGET = 0.8
TEXTS = 2_000


def make_pack(folder: Path) -> Path:
    """A quick pack of the example products."""
    pack = folder / "pack"
    with PRODUCTS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    cascade.fit(rows, label="label", text="name", recipe="quick", progress=False, out=pack)
    return pack


def make_texts(count: int) -> list[str]:
    """Texts of words of the products."""
    draw = random.Random(7)
    with PRODUCTS.open(encoding="utf-8", newline="") as file:
        words = [word for row in csv.DictReader(file) for word in row["name"].split()]
    return [" ".join(draw.choices(words, k=draw.randint(3, 9))) for _ in range(count)]


def offline(pack: str, texts: Sequence[str], seconds: float) -> None:
    """Print what `classify_many` does in some seconds; and write what it answers."""
    classifier = cascade.load(pack)
    expected = [(p.code, p.confidence) for p in classifier.classify_many(texts, batch_size=BATCH)]
    rows, began, busy = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        part = [texts[(rows + at) % len(texts)] for at in range(BATCH * 8)]
        rows += sum(1 for _ in classifier.classify_many(part, batch_size=BATCH))
    took, busy = time.perf_counter() - began, time.process_time() - busy
    print(json.dumps({"rows": rows, "seconds": took, "processor": busy, "expected": expected}))


class Client(asyncio.Protocol):
    """One connection: asks, checks the answer, asks again."""

    def __init__(self, load: Load, first: int) -> None:
        self.load, self.at = load, first
        self.buffer = b""
        self.since = 0.0

    def connection_made(self, transport: Any) -> None:  # noqa: D102
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        if self.load.over:
            self.load.end(self)
            return
        self.at = (self.at + CLIENTS) % len(self.load.requests)
        self.since = time.perf_counter()
        self.load.open += 1
        self.transport.write(self.load.requests[self.at])

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(re.search(rb"content-length: (\d+)", self.buffer[:head])[1])
        if len(self.buffer) < head + 4 + length:
            return
        status, body = int(self.buffer[9:12]), self.buffer[head + 4 : head + 4 + length]
        self.buffer = self.buffer[head + 4 + length :]
        self.load.open -= 1
        self.load.take(self.at, status, body, time.perf_counter() - self.since)
        if status == 200:
            self.ask()
        else:
            self.load.loop.call_later(PATIENCE, self.ask)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: D102
        if not self.load.over or self.since:
            self.load.lost += self not in self.load.ended


class Load:
    """What all connections do and find together."""

    def __init__(self, texts: Sequence[str], expected: Sequence[Any], items: int) -> None:
        self.items, self.over = items, False
        self.requests, self.expected = [], []
        for at in range(0, len(texts) - items + 1, items):
            part = list(texts[at : at + items])
            path, body = ("/v1/classify", {"text": part[0]})
            if items > 1:
                path, body = ("/v1/classify/batch", {"items": part})
            sent = json.dumps(body).encode()
            head = (
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(sent)}\r\n\r\n"
            )
            self.requests.append(head.encode() + sent)
            self.expected.append(expected[at : at + items])
        self.statuses: Counter[int] = Counter()
        self.wrong = self.lost = self.open = 0
        self.last = 0.0
        self.took: deque[float] = deque(maxlen=200_000)
        self.ended: set[Client] = set()

    def take(self, at: int, status: int, body: bytes, seconds: float) -> None:
        """Compare an answer with the one that is known."""
        self.statuses[status] += 1
        if status != 200:
            return
        self.took.append(seconds)
        self.last = time.perf_counter()
        found = json.loads(body)
        answers = found["answers"] if self.items > 1 else [found]
        for answer, (code, sure) in zip(answers, self.expected[at], strict=True):
            same = answer["code"] == code and (
                code is None or abs(answer["confidence"] - sure) <= 1e-6
            )
            self.wrong += not same

    def end(self, client: Client) -> None:
        """A connection has its last answer."""
        self.ended.add(client)
        client.transport.close()

    async def run(self, port: int, clients: int, seconds: float) -> dict[str, Any]:
        """All connections at work for some seconds; then each waits for its last answer."""
        self.loop = asyncio.get_running_loop()
        for at in range(clients):
            await self.loop.create_connection(lambda at=at: Client(self, at), "127.0.0.1", port)
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        self.over = True
        for _ in range(300):
            await asyncio.sleep(0.1)
            if not self.open:
                break
        found = sorted(self.took) or [0.0]
        return {
            "rows": self.statuses[200] * self.items,
            "seconds": self.last - began,
            "statuses": dict(self.statuses),
            "wrong": self.wrong,
            "lost": self.lost + self.open,
            "median_ms": 1000 * found[len(found) // 2],
            "p99_ms": 1000 * found[int(len(found) * 0.99)],
        }


class Served:
    """A server in a process of its own, as a context manager."""

    def __init__(self, pack: Path | str, texts: int, *settings: str) -> None:
        self.texts = texts
        self._command = [sys.executable, "-m", "cascade", "serve", "-c", str(pack), "--port", "0"]
        for setting in settings:
            self._command += ["--set", setting]

    def __enter__(self) -> Served:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            if found := re.search(r"http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                return self
        raise SystemExit("the server did not start")

    def processor(self) -> float:
        """Seconds of processor time so far."""
        parts = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def load(self, clients: int, items: int, seconds: float, known: Path) -> dict[str, Any]:
        """What clients find in some seconds, with the processor time of server and clients."""
        before = self.processor()
        asked = [sys.executable, __file__, "--as", "clients", "--port", str(self.port)]
        asked += ["--clients", str(clients), "--items", str(items), "--seconds", str(seconds)]
        asked += ["--texts", str(self.texts)]
        run = subprocess.run([*asked, "--known", str(known)], stdout=subprocess.PIPE, check=True)
        return {**json.loads(run.stdout), "processor": self.processor() - before}

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        rest = self._process.stderr.read()
        if self._process.wait() != 0:
            raise SystemExit(f"the server ended with {self._process.returncode}: {rest}")


def asked_offline(pack: Path | str, texts: int, known: Path, seconds: float) -> dict[str, Any]:
    """`offline` in a process of its own."""
    made = [sys.executable, __file__, "--as", "offline", "--pack", str(pack)]
    made += ["--texts", str(texts)]
    run = subprocess.run(
        [*made, "--seconds", str(seconds)], stdout=subprocess.PIPE, check=True, text=True
    )
    found = json.loads(run.stdout)
    known.write_text(json.dumps(found.pop("expected")))
    return found


def together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Parts of a run as one."""
    sums = {key: sum(part[key] for part in parts) for key in ("rows", "seconds", "processor")}
    found: dict[str, Any] = {
        "rows_per_second": sums["rows"] / sums["seconds"],
        "rows_per_processor_second": sums["rows"] / sums["processor"],
    }
    if "wrong" in parts[0]:
        statuses: Counter[str] = Counter()
        for part in parts:
            statuses.update(part["statuses"])
        found |= {
            "statuses": dict(statuses),
            "wrong": sum(part["wrong"] for part in parts),
            "lost": sum(part["lost"] for part in parts),
            "median_ms": max(part["median_ms"] for part in parts),
            "p99_ms": max(part["p99_ms"] for part in parts),
        }
    return found


def measure(source: str, texts: int, seconds: float, kinds: Sequence[int]) -> dict[str, Any]:
    """All runs of a source, parts of them taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.json"
        pack = make_pack(Path(folder)) if source == QUICK else source
        found: dict[str, list[dict[str, Any]]] = {"offline": []}
        with Served(pack, texts, f"serve.queue={CLIENTS * max(kinds)}") as server:
            for _ in range(PARTS):
                found["offline"].append(asked_offline(pack, texts, known, seconds / PARTS / 2))
                for items in kinds:
                    run = server.load(CLIENTS, items, seconds / PARTS, known)
                    found.setdefault(f"items a request: {items}", []).append(run)
        with Served(pack, texts, "serve.queue=150", "serve.batch=64") as server:
            for clients in (100, 500):
                run = server.load(clients, 1, seconds / PARTS, known)
                found[f"a queue of 150 items, {clients} clients"] = [run]
        return {name: together(parts) for name, parts in found.items()}


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = []
    runs = [(source, *run) for source, found in result["found"].items() for run in found.items()]
    for source, name, run in runs:
        base = result["found"][source]["offline"]
        shares = [
            f"{run[key] / base[key]:.2f}"
            for key in ("rows_per_second", "rows_per_processor_second")
        ]
        statuses = ", ".join(
            f"{count:,} x {status}" for status, count in run.get("statuses", {}).items()
        )
        cells = [
            *(source, name, f"{run['rows_per_second']:,.0f}", shares[0]),
            *(f"{run['rows_per_processor_second']:,.0f}", shares[1]),
            *(statuses, str(run.get("wrong", "")), str(run.get("lost", ""))),
            *((f"{run['median_ms']:.0f}", f"{run['p99_ms']:.0f}") if "wrong" in run else ("", "")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            "# HTTP service under load",
            "",
            "| source | what | rows/s | to offline | rows per processor second | to offline | "
            "statuses | wrong | lost | median ms | p99 ms |",
            f"|{' --- |' * 11}",
            *lines,
            "",
            f"{CLIENTS} clients, each a connection that asks again when it is answered, in a "
            f"process of their own; {result['cores']} cores, Python {result['python']}, load "
            f"average {result['load']:.1f} before. `offline` is `classify_many` in batches of "
            f"{BATCH}. Wanted: {TARGET} of it, and nothing lost or wrong. Made by:",
            "",
            "```sh",
            result["command"],
            "```",
            "",
        ]
    )


def main() -> None:
    """Run the benchmark, or the part of it that is a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kinds", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--sources", nargs="+", default=[QUICK])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--as", dest="role", choices=["offline", "clients"])
    parser.add_argument("--pack")
    parser.add_argument("--known", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--items", type=int, default=1)
    options = parser.parse_args()
    if options.role == "offline":
        offline(options.pack, make_texts(options.texts), options.seconds)
        return
    if options.role == "clients":
        import uvloop

        expected = json.loads(options.known.read_text())
        load = Load(make_texts(options.texts), expected, options.items)
        asked = load.run(options.port, options.clients, options.seconds)
        print(json.dumps(uvloop.run(asked)))
        return
    before = os.getloadavg()[0]
    result = {
        "found": {
            source: measure(source, options.texts, options.seconds, options.kinds)
            for source in options.sources
        },
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": before,
    }
    told = page({"command": command(), **result})
    print(told)
    if options.out is not None:
        record(options.out, result, told)


if __name__ == "__main__":
    main()
