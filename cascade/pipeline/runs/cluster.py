"""Starting Ray on this machine or joining a cluster, and what each worker gets of it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import MissingExtraError, UsageError

WORKER_BYTES = 2 << 30  # memory of a worker on a CPU, for how many there are if nobody says


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a run asks of a cluster.

    Parameters
    ----------
    address
        `auto` for the cluster that this machine belongs to, or HOST:PORT of its head; if None, Ray
        is started on this machine, for this run alone.
    workers
        Cascades that answer at once; by default as many as there are GPUs, or else CPUs with
        2 GiB of memory for each.
    gpus
        GPUs of a worker; a fraction lets several share one. By default 1 where there are any.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """How a cluster is divided among workers.

    Parameters
    ----------
    cpus, gpus
        Of each worker.
    here
        The Ray resource that only this machine has, which keeps a task on it.
    """

    workers: int
    cpus: int
    gpus: float
    here: str


def import_ray() -> Any:
    """Ray with Ray Data, or a MissingExtraError."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("a run with --engine ray", "ray[data]", "ray") from None
    return ray


@contextmanager
def connected(wanted: Cluster) -> Iterator[Shares]:
    """A connection to a cluster, closed at the end; a cluster started here is stopped.

    If this process is connected already, that connection is used, and kept.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    UsageError
        There is no such cluster, or it has no room for the workers.
    """
    if wanted.address is not None and "://" in wanted.address:
        raise UsageError(
            f"--ray-address {wanted.address}: expected auto, or HOST:PORT of the head; a run is "
            "part of its cluster: start it on one of its machines, or with ray job submit"
        )
    _prepare(alone=wanted.address is None)
    ray = import_ray()
    if ray.is_initialized():
        yield _shares(ray, wanted)
        return
    folder = None
    if wanted.address is None:
        # Ray puts sockets in it, whose paths must be short.
        short = "/tmp" if Path("/tmp").is_dir() else None
        folder = tempfile.mkdtemp(prefix="cascade-", dir=short)
    try:
        with _silence():
            _start(ray, wanted.address, folder)
        # Ray prints on standard output, which may be ours, that a worker died. Nothing else
        # prevents that; its debugger uses the same.
        ray._private.worker._worker_logs_enabled = False
        yield _shares(ray, wanted)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _prepare(*, alone: bool) -> None:
    """Set what Ray and its processes read from the environment; `alone` if it starts here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else its C++ writes to the terminal
    if alone and "ray" not in sys.modules:
        # Whoever reaches a Ray cluster can run code in it. So it listens to this machine alone (the
        # first variable is made for other systems, but works on all), and wants a token.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _start(ray: Any, address: str | None, folder: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        ray.init("local", include_dashboard=False, _temp_dir=folder, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UsageError(
            f"--ray-address {address}: cannot join that cluster ({reason}); start one with "
            "ray start --head, or leave the option out to use this machine alone"
        ) from None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Ray's C++ writes to standard error while it starts from the terminal."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _shares(ray: Any, wanted: Cluster) -> Shares:
    nodes = [node for node in ray.nodes() if node["Alive"]]
    me = ray.get_runtime_context().get_node_id()
    here = next(node["NodeManagerAddress"] for node in nodes if node["NodeID"] == me)
    workers, cpus, gpus = divide([node["Resources"] for node in nodes], wanted)
    return Shares(workers, cpus, gpus, f"node:{here}")


def divide(nodes: Sequence[Mapping[str, float]], wanted: Cluster) -> tuple[int, int, float]:
    """How many workers there are, and the CPUs and GPUs of each.

    Each gets as many CPUs as all can have; a worker is on one machine.

    Parameters
    ----------
    nodes
        `CPU`, `GPU` and `memory` (bytes) of each machine.

    Raises
    ------
    UsageError
        There is no room for as many as are wanted.
    """
    all_cpus, all_gpus = (int(sum(n.get(kind, 0) for n in nodes)) for kind in ("CPU", "GPU"))
    gpus = wanted.gpus if wanted.gpus is not None else float(all_gpus > 0)
    if gpus > 1 and gpus != int(gpus):
        raise UsageError(f"--gpus-per-worker {gpus}: expected a whole number, or less than 1")

    def room(cpus: int) -> int:
        """How many workers with so many CPUs there is room for."""
        places = 0
        for node in nodes:
            fit = int(node.get("CPU", 0) // cpus)
            places += min(fit, int(node.get("GPU", 0) / gpus + 1e-9)) if gpus else fit
        return places

    most, workers = room(1), wanted.workers
    if workers is None:
        memory = sum(int(node.get("memory", 0) // WORKER_BYTES) for node in nodes)
        workers = max(1, most if gpus else min(most, memory))
    if workers > most:
        asked = f"{workers} workers" + (f" of {gpus:g} GPUs" if gpus else "")
        raise UsageError(
            f"there is no room for {asked}: the cluster has {all_cpus} CPUs and {all_gpus} GPUs, "
            f"enough for {most}; give fewer --workers"
            + (", or less --gpus-per-worker" if gpus else "")
        )
    widest = int(max(node.get("CPU", 0) for node in nodes))
    return workers, max(c for c in range(1, widest + 1) if room(c) >= workers), gpus
