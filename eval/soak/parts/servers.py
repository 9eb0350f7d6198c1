"""Servers of language models that fail, refuse and die, and hosts of pictures that stall.

2,000 rows through each kind of server while three answers in ten are spoilt, then servers that are
dead, come back, refuse one row, or let nobody in; and 300 pictures on hosts that never end. Each
row must come out once, in its order, with a code of the taxonomy.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import inputs
from attack import Row, Run, Soak
from faulty_server import LOCKS, FaultyServer, serving

SHARE = 0.2
ROWS = 2000
AT_A_TIME = 4
FAULTY = 0.3
MOST = 600.0  # seconds of a run
KEY = "sk-never-to-be-seen"
PICTURES = 300


def run(soak: Soak) -> list[Row]:
    """All attacks of servers and hosts."""
    base = soak.place("inputs")
    inputs.taxonomy(base / "tax.csv")
    asked = [
        ("vllm", "score"),
        ("vllm", "generate"),
        ("llama.cpp", "score"),
        ("openai", "generate"),
    ]
    faulty = [
        (
            f"{kind}, {answer}: 3 answers in 10 spoilt, {ROWS:,} rows",
            _faulty(soak, base, kind, answer),
        )
        for kind, answer in asked
    ]
    others: list[tuple[str, Callable[[], Row]]] = [
        ("one row of 200 refused", lambda: _refusing(soak, base)),
        ("a dead server", lambda: _dead(soak, base)),
        ("a wrong key", lambda: _locked(soak, base, "no key")),
        ("a model that is not there", lambda: _locked(soak, base, "no model")),
        ("300 pictures on a host that stalls", lambda: _stalling(soak, base)),
    ]
    # They wait far more than they compute.
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(
            pool.map(lambda own: soak.tries(own[0], lambda one: one(), [own[1]]), faulty + others)
        )


def _faulty(soak: Soak, base: Path, kind: str, answer: str) -> Callable[[], Row]:
    def one() -> Row:
        with serving(FaultyServer(kind, FAULTY, soak.seed)) as server:
            row, found, _ = _classified(soak, base, server, inputs.rows(ROWS, 2), answer)
        unplayed = [fault for fault in server.faults if not server.played[fault]]
        if unplayed:
            row.faults.append(f"not played: {', '.join(unplayed)}")
        if not any(one["cascade_source"] == "llm" for one in found):
            row.faults.append("the model answered no row")
        return row

    return one


def _refusing(soak: Soak, base: Path) -> Row:
    """The server refuses what has a word in it, also where it stands in one request with others."""
    from cascade.models.language_models import load_tokenizer, safetensors_folder
    from cascade.models.weights import find_weights

    tokenizer = load_tokenizer(safetensors_folder(find_weights("smollm2-135m")))
    word = tokenizer(" zebra", add_special_tokens=False)["input_ids"]

    def has_word(asked: dict[str, Any]) -> bool:
        return any(
            prompt[at : at + len(word)] == word
            for prompt in asked["prompt"]
            for at in range(len(prompt))
        )

    given = inputs.rows(200, 2)
    given[77]["name"] = f"a {given[77]['name']} zebra "
    with serving(FaultyServer("vllm", 0.0, soak.seed, refused=has_word)) as server:
        row, found, _ = _classified(soak, base, server, given, "generate")
    others = [at for at, one in enumerate(found) if "failed" in one["cascade_message"]]
    if others != [77]:
        row.wrong = len(set(others) ^ {77})
    return row


def _dead(soak: Soak, base: Path) -> Row:
    with serving(FaultyServer("openai", 1.0, soak.seed, ["out of memory"])) as server:
        row, found, said = _classified(soak, base, server, inputs.rows(ROWS, 2), "generate")
    row.wrong = sum(one["cascade_source"] != "retrieval" for one in found)
    if server.asked > 200:
        row.faults.append(f"it was asked {server.asked:,} times")
    if f"{ROWS:,} of {ROWS:,} items were answered by the fallback" not in said:
        row.faults.append(f"the rate is not told: {said[-300:]}")
    return row


def _locked(soak: Soak, base: Path, fault: str) -> Row:
    """A server that lets nobody in ends the run at once, with a message and without an output."""
    folder, row = soak.place("locked"), Row("", 1)
    inputs.write(folder / "in.csv", inputs.rows(ROWS, 3))
    with serving(FaultyServer("openai", 1.0, soak.seed, [fault])) as server:
        arguments = _arguments(base, server, "generate")
        with Run(arguments, folder, env={"SOAK_KEY": KEY}) as run:
            status, said = run.wait(MOST), run.said
            row.hang_s = time.monotonic() - run.started
            row.left = run.left()
    if status != 2 or str(LOCKS[fault]) not in said:
        row.faults.append(f"it ended with {status}: {said.strip()[-200:]}")
    if KEY in said:
        row.faults.append("the key is shown")
    if server.asked > 50:
        row.faults.append(f"it was asked {server.asked} times")
    if (folder / "out.csv").exists():
        row.faults.append("there is an output")
    return row


def _stalling(soak: Soak, base: Path) -> Row:
    """Of three pictures one is there, one comes a byte a second, one lies where none may."""
    pack, folder, row = _picture_pack(base), soak.place("pictures"), Row("", 1)
    given = inputs.rows(PICTURES, 4)
    with _host(0.0) as good, _host(1.0) as slow:
        places = (f"{good}/a.png", f"{slow}/a.png", "http://169.254.169.254/a.png")
        given = [one | {"photo": places[at % 3]} for at, one in enumerate(given)]
        inputs.write(folder / "in.csv", given)
        arguments = ["classify", "in.csv", "-c", pack, "--image", "photo", "--allow-urls"]
        hosts = ["--allow-host", "127.0.0.1", "-o", "out.csv"]
        with Run([*arguments, *hosts], folder) as run:
            status = run.wait(MOST)
            row.hang_s = time.monotonic() - run.started
            row.faults += filter(None, [run.fault()])
            row.left = run.left()
            if status != 3:
                row.faults.append(f"it ended with {status}: {run.said.strip()[-200:]}")
                return row
    found = inputs.read(folder / "out.csv")
    row.lost, row.invalid = inputs.lost(found, given), inputs.invalid(found, inputs.codes())
    row.wrong = sum(
        (one["cascade_status"] == "error") != bool(at % 3) for at, one in enumerate(found)
    )
    return row


def _classified(
    soak: Soak, base: Path, server: FaultyServer, given: Sequence[dict[str, str]], answer: str
) -> tuple[Row, list[dict[str, Any]], str]:
    """What came of rows, the answered rows, and what was said."""
    folder, row = soak.place("run"), Row("", 1)
    inputs.write(folder / "in.csv", given)
    with Run(_arguments(base, server, answer), folder, env={"SOAK_KEY": KEY}) as run:
        status, said = run.wait(MOST), run.said
        row.hang_s = time.monotonic() - run.started
        row.faults += filter(None, [run.fault()])
        row.left = run.left()
    if status != 0:
        row.faults.append(f"it ended with {status}: {said.strip()[-300:]}")
    out = folder / "out.csv"
    found = inputs.read(out) if out.exists() else []
    if KEY in said or (found and KEY in out.read_text("utf-8")):
        row.faults.append("the key is shown")
    row.lost, row.invalid = inputs.lost(found, given), inputs.invalid(found, inputs.codes())
    return row, found, said


def _arguments(base: Path, server: FaultyServer, answer: str) -> list[Any]:
    settings = {
        "llm.engine": "server",
        "llm.answer": answer,
        "llm.server.url": server.url,
        "llm.server.kind": server.kind,
        "llm.server.timeout": 0.6,
        "llm.server.concurrency": 32,
        "llm.server.api_key_env": "SOAK_KEY",
    }
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    arguments = ["classify", "in.csv", "-t", base / "tax.csv", "--text", "name", "--method", "llm"]
    return [*arguments, *sets, "-o", "out.csv"]


def _picture_pack(base: Path) -> Path:
    """A pack that reads pictures, fitted to a few squares of colours."""
    from PIL import Image

    leaves = [place for place in inputs.codes().values() if " > " in place]
    rows = []
    chance = random.Random(0)
    for at in range(96):
        Image.frombytes("RGB", (8, 8), chance.randbytes(192)).resize((48, 48)).save(
            base / f"{at}.png"
        )
        rows.append({"photo": f"{at}.png", "label": leaves[at % len(leaves)]})
    inputs.write(base / "photos.csv", rows)
    arguments = ["fit", "photos.csv", "-t", "tax.csv", "--image", "photo", "--label", "label"]
    with Run([*arguments, "--recipe", "quick", "-o", "photos"], base) as run:
        if run.wait(MOST) != 0:
            raise RuntimeError(f"no pack: {run.said[-600:]}")
    return base / "photos"


@contextmanager
def _host(pause: float) -> Iterator[str]:
    """The address of a host of pictures that rests after each byte."""
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", (48, 48), (90, 20, 200)).save(made, "PNG")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(made.getvalue())))
            self.end_headers()
            for byte in made.getvalue() if pause else ():
                self.wfile.write(bytes([byte]))
                time.sleep(pause)
            if not pause:
                self.wfile.write(made.getvalue())

        def log_message(self, *_: Any) -> None:
            pass

    class Host(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Host(("127.0.0.1", 0), Handler) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()
