"""The server is killed while a reviewer decides; what it has acknowledged is there."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from cascade.review import open_folder

SERVER = """
import sys
import uvicorn
from cascade.config.serving import ServeConfig
from cascade.review import open_session
from cascade.review.routes import make_router
from cascade.serving.http.app import guarded
from cascade.taxonomy import Taxonomy

rows, taxonomy, port = sys.argv[1:]
session = open_session(rows, taxonomy=Taxonomy.load(taxonomy), text=["name"])
app = guarded([make_router(session)], ServeConfig())
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")
"""


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"X-Cascade-Review": "1", "Content-Type": "application/json"}
        connection.request("POST", f"/review/api/{path}", json.dumps(body), headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.fixture
def server(file, taxonomy, tmp_path):
    tree = tmp_path / "taxonomy.csv"
    taxonomy.to_csv(tree)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []

    def start():
        command = [sys.executable, "-c", SERVER, str(file), str(tree), str(port)]
        running.append(subprocess.Popen(command))
        for _ in range(600):
            try:
                post(port, "next", {"reviewer": "ann"})
                return running[-1], port
            except OSError:
                assert running[-1].poll() is None
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_every_acknowledged_decision_is_there_after_kills(server, file):
    told = []
    for _ in range(3):
        process, port = server()
        row = post(port, "next", {"reviewer": "ann"})["row"]
        for _ in range(4):
            body = {"reviewer": "ann", "row": row["row"], "action": "nowhere"}
            answer = post(port, "decisions", body)
            told.append(row["row"])
            row = answer["row"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    session = open_folder(file.with_name("out.review"))
    assert sorted(session.labels()) == sorted(told) and len(told) == 12
    session.close()
