"""A small HTTP server on this machine that answers with JSON, or as badly as a test wants."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = {"data": [{"id": "tiny", "owned_by": "vllm"}]}


class Reply:
    """What is sent: a status, headers, and a body that may come slowly, byte by byte."""

    def __init__(self, body, status=200, headers=None, pause=0.0):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers, self.pause = status, headers or {}, pause


class JsonServer(ThreadingHTTPServer):
    """Answers each path with what `answer(path, payload)` returns: a `Reply`, or JSON.

    Attributes
    ----------
    asked
        Path, payload and headers of each POST.
    busiest
        Most requests that were under way at a time.
    """

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.asked, self.busiest = answer, [], 0
        self.under_way, self.lock = 0, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """Nothing: a client that has gone away is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(self.server.answer(self.path, None))

    def do_POST(self):
        server = self.server
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.asked.append((self.path, payload, dict(self.headers)))
            server.under_way += 1
            server.busiest = max(server.busiest, server.under_way)
        try:
            found = server.answer(self.path, payload)
        finally:
            with server.lock:
                server.under_way -= 1
        self.reply(found)

    def reply(self, found):
        if found is None:
            self.connection.close()
            return
        reply = found if isinstance(found, Reply) else Reply(found)
        self.send_response(reply.status)
        for name, value in {"Content-Length": len(reply.body), **reply.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        for at in range(0, len(reply.body), 1 if reply.pause else len(reply.body)):
            self.wfile.write(reply.body[at : at + 1] if reply.pause else reply.body)
            self.wfile.flush()
            time.sleep(reply.pause)

    def log_message(self, *_):
        """Nothing."""


@contextmanager
def json_server(answer):
    server = JsonServer(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
