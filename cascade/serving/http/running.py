"""The server: its address, its token, its signals, its end."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI

from cascade.config.serving import ServeConfig
from cascade.errors import InputError, UsageError
from cascade.serving.http.connections import Connection

VARIABLE = "CASCADE_TOKEN"
BACKLOG = 2048
ACCEPTED = 16  # connections in a turn of the event loop
KEEP_ALIVE = 75  # seconds that a connection may rest, longer than the proxies' 60
MOST_BYTES = 4096  # of a file with a token
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def read_token(settings: ServeConfig) -> str | None:
    """The token in the file that is named, else in the environment; None without either.

    Raises
    ------
    InputError
        The file cannot be read, or is none of a token.
    """
    if settings.token_file is None:
        return os.environ.get(VARIABLE) or None
    path = Path(settings.token_file)
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        token = found.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or len(found) > MOST_BYTES:
        raise InputError("holds no token; make one with: openssl rand -hex 32", file=path)
    return token


def bound(settings: ServeConfig) -> socket.socket:
    """A socket at the address, which does not take connections yet.

    Raises
    ------
    UsageError
        The address is none of this machine, or it is taken.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"cannot listen at {where}: {_reason(error)}; name an address of this machine with "
            "--host, such as 127.0.0.1 or 0.0.0.0"
        ) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise _taken(where, error) from None
    return made


def _taken(where: str, error: OSError) -> UsageError:
    return UsageError(f"cannot listen at {where}: {_reason(error)}; {_cure(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "it is no name of a host"


def _cure(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program listens there; stop it, or choose another --port"
        case errno.EACCES | errno.EPERM:
            return "ports below 1024 need rights; choose another --port"
    return "name an address of this machine with --host, such as 127.0.0.1 or 0.0.0.0"


def address_of(listening: socket.socket) -> str:
    """Where a socket is reached, as `http://127.0.0.1:8000`."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def take_connections(listening: socket.socket) -> None:
    """Let clients connect to a bound socket; they wait until `serve` answers.

    Raises
    ------
    UsageError
        Another program has begun to listen at the address.
    """
    try:
        listening.listen(BACKLOG)
    except OSError as error:
        raise _taken(address_of(listening), error) from None


def serve(app: FastAPI, listening: socket.socket, settings: ServeConfig) -> None:
    """Answer until a signal comes, then answer what waits and return.

    A second Ctrl-C ends without that.

    Parameters
    ----------
    listening
        One that takes connections.
    """
    server = make_server(app, settings)
    gc.collect()
    gc.freeze()  # models stay: they need not be looked through again and again
    # A turn of uvloop accepts one connection of a socket: hundreds would wait for seconds.
    same = [listening, *(listening.dup() for _ in range(ACCEPTED - 1))]
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=same))


def end_at_once() -> NoReturn:
    """End the process with the status 0, though a thread is still at work in a model.

    Python would abort while it ends in order: such a thread cannot be stopped.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def make_server(app: FastAPI, settings: ServeConfig) -> Server:
    """Uvicorn's server with the bounds of the settings."""
    config = uvicorn.Config(
        app,
        http=partial(Connection, most=settings.connections),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(settings.stop_seconds),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return Server(config)


class Server(uvicorn.Server):
    """Uvicorn's server; a signal that ends it in order is no failure of the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server, not the process."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {}
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # ignored by `nohup`: it stays so
                before[number] = signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
