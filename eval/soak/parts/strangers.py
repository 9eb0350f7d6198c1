"""Packs, model folders and prompts of strangers, changed and sealed anew.

Folders whose code would leave a file, with a `y` for whoever asks; packs that fetch, reach outside
of their folder, or hold arrays and files of another kind; templates and YAML that would not end.
Each is refused by a message of ours within seconds, or answered as if nothing were there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import inputs
import works
from attack import ROOT, Row, Run, Soak

SHARE = 0.2
SOON = 60.0  # seconds of a command that refuses, on a busy machine
DOORS = {"retrieval": "retrieval.encoder", "llm": "llm.model", "rerank": "rerank.model"}


def run(soak: Soak) -> list[Row]:
    """Code first, which is the worst; then what needs a process for each kind alone."""
    base = works.folder(soak)
    inputs.write(base / "items.csv", inputs.rows(60, 4))
    _helpers().save_model(base / "model")
    soak.extend(soak.seconds)  # what is made once takes no time from the tries
    rows = [
        soak.tries(
            "code in a model folder", lambda how: _code(soak, base, *how), _ways(), share=0.6
        ),
        soak.tries(
            "a pack that fetches, or asks a server",
            lambda fields: _fetching(soak, base, fields),
            _fetches(),
            share=0.6,
        ),
    ]
    kinds = ("settings", "places", "arrays", "files", "folders", "templates", "configs")
    names = {
        "settings": "a pack that sets what it may not",
        "places": "a pack that names what lies outside",
        "arrays": "arrays of a pack that do not fit",
        "files": "files of a pack that hold something else",
        "folders": "model folders: pickles, half weights, no sense",
        "templates": "prompts and chat templates that would not end",
        "configs": "bombs of YAML and JSON as settings",
    }
    found = {kind: Row(names[kind]) for kind in kinds}

    def one(kind: str) -> Row:
        found[kind].add(_many(base, kind))
        return found[kind]

    soak.extend(30.0)  # each takes seconds, and counts more than another try of the first
    soak.tries("the rest", one, kinds)
    return [*rows, *found.values()]


def _helpers() -> Any:
    """Models as the tests make them."""
    sys.path.insert(0, str(ROOT / "tests"))
    import strange_models
    from transformers.utils import logging

    logging.disable_progress_bar()
    return strange_models


def _ways() -> Iterator[tuple[str, str]]:
    """Each file that can name code, by each door through which weights come."""
    return ((file, method) for file in _helpers().ASKS for method in DOORS)


def _code(soak: Soak, base: Path, file: str, method: str) -> Row:
    """A whole model, one of whose files names code that leaves a file when it is run."""
    place, row = soak.place("model"), Row("", 1)
    mark, weights = place / "ran", place / "model"
    shutil.copytree(base / "model", weights)
    _helpers().ask_for_code(weights, file, mark)
    arguments = ["classify", base / "items.csv", "-t", base / "tax.csv", "--text", "name"]
    arguments += ["--method", method, "--set", f"{DOORS[method]}={weights}", "-o", "out.csv"]
    with Run(arguments, place, stdin=b"y\n" * 100) as started:
        _ends_refused(started, row, "asks to run code")
    row.wrong += mark.exists() + (place / "out.csv").exists()
    return row


def _fetches() -> list[dict[str, Any]]:
    return [
        {"pictures.urls": True, "pictures.hosts": ["127.0.0.1"], "columns.image": "picture"},
        {"pictures.anywhere": True, "pictures.root": "/", "columns.image": "picture"},
        {"method": "llm", "llm.engine": "server", "llm.server.url": "{url}/v1"},
    ]


def _fetching(soak: Soak, base: Path, fields: dict[str, Any]) -> Row:
    """A pack that would have an address of the items, or a server of its own, be asked."""
    place, row = soak.place("fetching"), Row("", 1)
    with _counting() as (url, asked):
        told = json.loads(json.dumps(fields).replace("{url}", url))
        set_in(base / "pack", place / "pack", told)
        made = [{**one, "picture": f"{url}/{one['id']}.png"} for one in inputs.rows(20, 5)]
        inputs.write(place / "items.csv", made)
        key = {"SOAK_KEY": "sk-never-to-be-sent"}
        with Run(["classify", "items.csv", "-c", "pack", "-o", "out.csv"], place, env=key) as done:
            if done.wait(SOON) is None:
                row.faults.append(f"{sorted(told)}: did not end")
            row.hang_s = time.monotonic() - done.started
            row.faults += filter(None, [done.fault()])
            row.left += done.left()
    if asked:
        row.wrong += 1
        row.faults.append(f"{sorted(told)}: asked for {asked[0]}")
    if (place / "out.csv").exists():
        answered = inputs.read(place / "out.csv")
        row.lost += inputs.lost(answered, made)
        row.invalid += inputs.invalid(answered, inputs.codes())
    return row


@contextmanager
def _counting() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def set_in(pack: Path, copy: Path, fields: dict[str, Any]) -> Path:
    """A copy of a pack with other settings, sealed as its author could."""
    import yaml

    from cascade.pipeline.pack import seal

    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pack, copy)
    config = yaml.safe_load((copy / "cascade.yaml").read_text("utf-8"))
    for dotted, value in fields.items():
        *sections, last = dotted.split(".")
        at = config
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    (copy / "cascade.yaml").write_text(yaml.safe_dump(config), "utf-8")
    seal(copy)
    return copy


def _ends_refused(started: Run, row: Row, why: str) -> None:
    status = started.wait(SOON)
    row.hang_s = time.monotonic() - started.started
    row.faults += filter(None, [started.fault()])
    said = " ".join(started.said.split())
    if status in (0, None):
        row.faults.append(f"ended with {status}: {said[-200:]}")
    elif why not in said:
        row.faults.append(f"no word on why: {said[-200:]}")
    row.left += started.left()


def _many(base: Path, kind: str) -> Row:
    """All attacks of one kind in a process of its own, each under an alarm."""
    folders = os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])])
    env = {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    command: Sequence[str] = [sys.executable, "-m", "stranger", kind, str(base / "pack")]
    row = Row("")
    try:
        done = subprocess.run(
            command, env=env, input=b"y\n" * 1000, capture_output=True, timeout=600
        )
    except subprocess.TimeoutExpired:
        row.faults.append("did not end: an input that no alarm could stop")
        return row
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no word"]
        row.faults.append(f"{shlex.join(command[1:4])} ended: {said[-1][:200]}")
        return row
    found = json.loads(done.stdout.splitlines()[-1])
    return Row(
        "", found["tries"], wrong=found["wrong"], hang_s=found["hang_s"], faults=found["faults"]
    )
