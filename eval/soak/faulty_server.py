"""A server of a language model that fails in many ways, as one of three kinds, on this machine.

It speaks as vLLM, llama.cpp and other OpenAI-compatible servers do, answers at random, and spoils a
share of its answers with faults drawn from `FAULTS`.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

Answer = dict[str, Any]
KINDS = ("vllm", "llama.cpp", "openai")
OWNERS = {"vllm": "vllm", "llama.cpp": "llamacpp", "openai": "somebody"}
SLOW = 1.0  # seconds that a fault holds a request at the most
WORDS = ("shirt", "garden hose", "green tea", "lamp", "hat")

STATUSES: dict[str, tuple[int, dict[str, str]]] = {
    "busy": (429, {"Retry-After": "0"}),
    "busy, wait until long ago": (429, {"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2359"}),
    "busy, wait for nan": (503, {"Retry-After": "nan"}),
    "busy, wait for -5": (408, {"Retry-After": "-5"}),
    "out of memory": (500, {}),
    "bad gateway": (502, {}),
    "refused": (400, {}),
    "too long": (413, {}),
    "filtered": (422, {}),
    "redirect": (307, {"Location": "http://127.0.0.1:9/x"}),
}
LOCKS = {"no key": 401, "no entry": 403, "no model": 404}  # of all requests, or of none
BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "empty": (b"", {}),
    "garbage": (b"\x00\xff{{{]", {}),
    "html": (b"<html>gateway</html>", {}),
    "no object": (b"[1]", {}),
    "deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "huge number": (b'{"usage":{"total_tokens":' + b"9" * 6000 + b'},"choices":[]}', {}),
    "no UTF-8": (b'{"choices":"\xff\xfe"}', {}),
    "UTF-16": ('{"choices":[]}'.encode("utf-16"), {}),
    "no gzip": (b"\x1f\x8b\x08\0\0\0", {"Content-Encoding": "gzip"}),
    "gzip bomb": (gzip.compress(b" " * 30_000_000, 9), {"Content-Encoding": "gzip"}),
    "said to be endless": (b"{}", {"Content-Length": str(10**12)}),
    "said to be shorter": (b'{"choices":[{"index":0}]}', {"Content-Length": "5"}),
}
WIRES: dict[str, tuple[bytes, float]] = {  # what is sent, and how long the connection then stays
    "broken off": (b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"choices":', 0.0),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", 0.0),
    "error, bad chunk": (b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", 0.0),
    "error, then silence": (b"HTTP/1.1 500 X\r\nContent-Length: 5000\r\n\r\nabc", SLOW),
    "silence": (b"", SLOW),
    "no HTTP": (b"220 ready\r\n", 0.0),
}
DRIPS = {
    "body byte by byte": b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
    "headers byte by byte": b"HTTP/1.1 200 OK\r\nX-Slow: ",
}
LOGPROBS = {
    "nan": math.nan,
    "no number": None,
    "a text": "x",
    "infinite": -math.inf,
    "positive": 7.0,
    "true": True,
}
USAGES = {
    "usage is a list": [1],
    "usage is a text": {"total_tokens": "many"},
    "usage is endless": 1,
}
CHOICES: dict[str, Callable[[list[Any]], Any]] = {
    "one too few": lambda choices: choices[:-1],
    "one too many": lambda choices: [*choices, choices[0]],
    "no choices": lambda choices: [],
    "choices are null": lambda choices: [None] * len(choices),
    "choices are a text": lambda choices: "none",
    "wrong places": lambda choices: [{**one, "index": 5} for one in choices],
}
TEXTS = {"half a surrogate": "\ud800 x", "no text": None, "a number for a text": 5}
FAULTS = (
    *STATUSES,
    *BODIES,
    *WIRES,
    *DRIPS,
    *LOGPROBS,
    *USAGES,
    *CHOICES,
    *TEXTS,
    "reset",
    "fields are missing",
    "none of the allowed",
    "log-probabilities are a list",
)


class FaultyServer(ThreadingHTTPServer):
    """Answers as one kind of server, with faults.

    Parameters
    ----------
    kind
        One of `KINDS`.
    share
        Of answers that are spoilt.
    refused
        Whether a request is refused, with status 400.

    Attributes
    ----------
    played
        How often each fault was.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        kind: str,
        share: float,
        seed: int = 0,
        faults: Sequence[str] = FAULTS,
        refused: Callable[[Answer], bool] = lambda _: False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind, self.share, self.faults, self.refused = kind, share, faults, refused
        self.chance, self.lock = random.Random(seed), threading.Lock()
        self.played: Counter[str] = Counter()
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that go away are expected."""

    def fault(self) -> str | None:
        """The fault of the next answer, if it has one."""
        with self.lock:
            self.asked += 1
            if self.chance.random() >= self.share:
                return None
            found = self.chance.choice(self.faults)
            self.played[found] += 1
            return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.send({"data": [{"id": "m", "owned_by": OWNERS[self.server.kind]}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/tokenize"):
            self.send({}, 404)
        elif self.server.refused(asked):
            self.send({"error": "content filter"}, 400)
        else:
            self.answer(asked, self.server.fault())

    def answer(self, asked: Answer, fault: str | None) -> None:
        if fault in LOCKS:
            told = f"the key {self.headers.get('Authorization')} is not right"
            self.send({"error": told}, LOCKS[fault])
        elif fault in STATUSES:
            status, headers = STATUSES[fault]
            self.send({"error": fault}, status, headers)
        elif fault in BODIES:
            body, headers = BODIES[fault]
            self.send(body, 200, headers)
            self.close_connection = True
        elif fault in WIRES:
            sent, stays = WIRES[fault]
            self.wfile.write(sent)
            self.wfile.flush()
            time.sleep(stays)
            self.close_connection = True
        elif fault in DRIPS:
            self.wfile.write(DRIPS[fault])
            for _ in range(20):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(SLOW / 20)
            self.close_connection = True
        elif fault == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            self.send(_spoilt(self.good(asked, fault), fault))

    def good(self, asked: Answer, fault: str | None) -> Answer:
        if self.server.kind == "vllm":
            choices = [
                {"index": at, **self.completion(asked, fault)} for at in range(len(asked["prompt"]))
            ]
            return {"choices": choices, "usage": {"total_tokens": 10}}
        if self.server.kind == "llama.cpp":
            return self.llama(asked, fault)
        return {"choices": [self.message(asked, fault)], "usage": {"total_tokens": 5}}

    def completion(self, asked: Answer, fault: str | None) -> Answer:
        chance = self.server.chance
        found: Answer = {"text": self.text(fault)}
        structured = asked.get("structured_outputs") or {}
        if "choice" in structured and fault != "none of the allowed" and fault not in TEXTS:
            found["text"] = chance.choice(structured["choice"])
        if "choice" in structured:
            found["logprobs"] = {"token_logprobs": [self.logprob(fault), self.logprob(fault)]}
        if "logprob_token_ids" in asked:
            ids = asked["logprob_token_ids"]
            if fault in ("none of the allowed", "fields are missing"):
                ids = ids[1:]
            told = {f"token_id:{token}": self.logprob(fault) for token in ids}
            found["logprobs"] = {"top_logprobs": [told]}
        if fault == "log-probabilities are a list":
            found["logprobs"] = [1]
        return found

    def llama(self, asked: Answer, fault: str | None) -> Answer:
        if not asked.get("n_probs"):
            return {"content": self.text(fault), "tokens_evaluated": 3}
        chance, ids = self.server.chance, [token for token, _ in asked["logit_bias"]]
        weights = [chance.random() for _ in ids]
        told = [
            {"id": token, "prob": weight / sum(weights)}
            for token, weight in zip(ids, weights, strict=True)
        ]
        if fault in LOGPROBS:
            told[0]["prob"] = LOGPROBS[fault]
        if fault in ("none of the allowed", "wrong places", "one too few"):
            told = [{"id": 1, "prob": 0.5}]
        return {"content": "x", "completion_probabilities": [{"top_probs": told}]}

    def message(self, asked: Answer, fault: str | None) -> Answer:
        text: Any = self.text(fault)
        if (form := asked.get("response_format")) and fault not in TEXTS:
            names = form["json_schema"]["schema"]["properties"]["answer"]["enum"]
            name = "zzz" if fault == "none of the allowed" else self.server.chance.choice(names)
            text = json.dumps({"answer": name})
        told: Any = {"content": [{"logprob": self.logprob(fault)}]}
        if fault == "log-probabilities are a list":
            told = [1]
        return {"index": 0, "message": {"content": text}, "logprobs": told}

    def text(self, fault: str | None) -> Any:
        return TEXTS[fault] if fault in TEXTS else self.server.chance.choice(WORDS)

    def logprob(self, fault: str | None) -> Any:
        return LOGPROBS[fault] if fault in LOGPROBS else -5 * self.server.chance.random()

    def send(
        self, told: Answer | bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _spoilt(answer: Answer, fault: str | None) -> Answer:
    if fault in USAGES:
        answer["usage"] = (
            USAGES[fault] if fault != "usage is endless" else {"total_tokens": math.inf}
        )
    if fault == "fields are missing":
        return {"usage": answer.get("usage")}
    if fault in CHOICES and "choices" in answer:
        answer["choices"] = CHOICES[fault](answer["choices"])
    return answer


@contextmanager
def serving(server: FaultyServer) -> Iterator[FaultyServer]:
    """Serve while the block runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
