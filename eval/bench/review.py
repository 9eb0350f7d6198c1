r"""The review page under load: how long until the next item, and what kills of its server lose.

Makes a taxonomy of 30,000 nodes and a file of 100,000 classified rows, opens a session and asks its
server over HTTP as the page does: a decision, and in its answer the next item. Then kills the
server again and again (SIGKILL) while reviewers decide, and compares what it has acknowledged with
what is in the session.

python eval/bench/review.py --rows 100000 --nodes 30000 --kills 20 --out eval/results/review.json
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from cascade.review import open_folder, open_session
from cascade.taxonomy import Taxonomy

WORDS = [
    f"{a}{b}{c}"
    for a in ("ka", "lo", "mi", "ru", "se")
    for b in "abcdefgh"
    for c in ("n", "r", "st")
]


def make_files(folder: Path, n_rows: int, n_nodes: int) -> tuple[Path, Path]:
    """A taxonomy of four levels, and rows with answers in it."""
    rng = random.Random(0)
    top = max(2, round(n_nodes**0.25))
    paths = []
    for at in range(n_nodes - top - top**2 - top**3):
        keys = [at % top**depth for depth in (1, 2, 3)]
        names = [f"{WORDS[key * 7 % len(WORDS)]} {key}" for key in keys]
        paths.append([*names, f"{rng.choice(WORDS)} {rng.choice(WORDS)} {at}"])
    taxonomy = Taxonomy.from_paths(paths, name="bench")
    tree, rows = folder / "taxonomy.csv", folder / "out.csv"
    taxonomy.to_csv(tree)
    leaves = taxonomy.leaves.tolist()
    with rows.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "name",
                "about",
                "cascade_code",
                "cascade_confidence",
                "cascade_status",
                "cascade_code_2",
            ]
        )
        for at in range(n_rows):
            name = " ".join(rng.choices(WORDS, k=6))
            codes = [taxonomy.codes[leaf] for leaf in rng.choices(leaves, k=2)]
            sure = round(rng.random(), 4)
            writer.writerow([f"{name} {at}", rng.choice(WORDS) * 4, codes[0], sure, "ok", codes[1]])
    return tree, rows


class Server:
    """`cascade review` in a process of its own."""

    def __init__(self, rows: Path, tree: Path) -> None:
        self.rows, self.tree = rows, tree
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; seconds until it answers."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "cascade", "review", str(self.rows), "-t", str(self.tree)]
        self.process = subprocess.Popen(
            [*command, "--no-model", "--port", str(self.port)], stderr=subprocess.DEVNULL
        )
        while True:
            try:
                self.call("GET", "/review/api/tree")
                return time.perf_counter() - began
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit("the server ended") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            return ask(connection, method, path, body)
        finally:
            connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
    """One request; its answer."""
    data = None if body is None else json.dumps(body)
    headers = {"X-Cascade-Review": "1", "Content-Type": "application/json"}
    try:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {text[:300]!r}")
    return json.loads(text)


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    found = np.quantile(np.array(seconds) * 1000, [0.5, 0.95, 1.0])
    return dict(zip(("median", "p95", "worst"), np.round(found, 1).tolist(), strict=True))


def time_queues(server: Server, decisions: int) -> dict[str, Any]:
    """Milliseconds from a decision to the next item, by queue; and of what else the page asks."""
    tops = server.call("GET", "/review/api/tree")["nodes"]
    queues = {
        "doubt": {"order": "doubt"},
        "value": {"order": "value"},
        "random": {"order": "random"},
        "below a node": {"order": "doubt", "below": tops[0]["code"]},
        "with words": {"order": "doubt", "words": WORDS[0]},
    }
    found: dict[str, Any] = {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for name, queue in queues.items():
        row = ask(connection, "POST", "/review/api/next", {"reviewer": "bench", "queue": queue})[
            "row"
        ]
        seconds = []
        for at in range(decisions):
            body = {"reviewer": "bench", "queue": queue, "row": row["row"], "action": "accept"}
            began = time.perf_counter()
            row = ask(
                connection, "POST", "/review/api/decisions", {**body, "request": f"{name}{at}"}
            )["row"]
            seconds.append(time.perf_counter() - began)
        found[f"next item, {name}"] = quantiles(seconds)
    others = {
        "search": [f"/review/api/search?words={word}" for word in WORDS[:50]],
        "nodes below one": [
            f"/review/api/tree?code={t['code']}".replace(" ", "%20") for t in tops[:20]
        ],
        "why": [f"/review/api/rows/{row}/why" for row in range(1, 51)],
        "figures": ["/review/api/figures"] * 10,
    }
    for name, paths in others.items():
        seconds = []
        for path in paths:
            began = time.perf_counter()
            ask(connection, "GET", path)
            seconds.append(time.perf_counter() - began)
        found[name] = quantiles(seconds)
    return found


def survive(server: Server, kills: int) -> dict[str, int]:
    """Kill the server while three reviewers decide; what was acknowledged, and what is lost."""
    told: list[tuple[int, int, str]] = []  # decision, row, reviewer
    ends = threading.Event()

    def review(name: str) -> None:
        while not ends.is_set():
            try:
                row = server.call("POST", "/review/api/next", {"reviewer": name})["row"]
                while not ends.is_set():
                    body = {"reviewer": name, "row": row["row"], "action": "accept"}
                    answer = server.call("POST", "/review/api/decisions", body)
                    told.append((answer["decision"], row["row"], name))
                    row = answer["row"]
            except OSError:
                time.sleep(0.02)

    threads = [threading.Thread(target=review, args=(name,)) for name in ("ann", "bob", "cy")]
    for thread in threads:
        thread.start()
    rng = random.Random(1)
    for _ in range(kills):
        time.sleep(rng.uniform(0.3, 1.2))
        server.kill()
        server.start()
    ends.set()
    for thread in threads:
        thread.join()
    server.kill()
    session = open_folder(server.rows.with_name("out.review"))
    kept = session.db.all("SELECT id, row, reviewer FROM decisions")
    verdicts = {(d.row, d.reviewer) for d in session.decisions()}
    session.close()
    there = {(d["id"], d["row"], d["reviewer"]) for d in kept}
    twice = len(told) - len({row for _, row, _ in told})
    lost = sum(one not in there or (one[1], one[2]) not in verdicts for one in told)
    return {"kills": kills, "acknowledged": len(told), "lost": lost, "given to two": twice}


def main() -> None:
    """Print, and write, all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=30_000)
    parser.add_argument("--decisions", type=int, default=200, help="for each queue")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, rows = make_files(Path(folder), args.rows, args.nodes)
        taxonomy = Taxonomy.load(tree)
        began = time.perf_counter()
        open_session(rows, taxonomy=taxonomy).close()
        found: dict[str, Any] = {"rows": args.rows, "nodes": len(taxonomy)}
        found["seconds to begin a session"] = round(time.perf_counter() - began, 1)
        server = Server(rows, tree)
        found["seconds until the server answers"] = round(server.start(), 1)
        found["milliseconds"] = time_queues(server, args.decisions)
        found["kills"] = survive(server, args.kills)
        found["machine"] = (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
    print(json.dumps(found, indent=2))
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
