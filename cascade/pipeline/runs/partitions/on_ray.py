"""A run over many files on a cluster, where workers see them under the same paths."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cascade.io.resumable.journal import stamp_of
from cascade.pipeline.pool import DEATHS
from cascade.pipeline.runs.cluster import Shares, import_ray
from cascade.pipeline.runs.cluster_run import threads_of
from cascade.pipeline.runs.cluster_worker import Worker, enter, run_fingerprint
from cascade.pipeline.runs.partitions.partition import (
    Done,
    FileSettings,
    Partition,
    answer_partition,
)
from cascade.pipeline.runs.partitions.run import (
    OnProgress,
    Outcome,
    died,
    prepare,
    shares_well,
    sizes_of,
)

LOOKED_AT = 20  # files whose presence is checked on each machine
EVERY = 1.0  # seconds between two looks for what is done


def answer_on_cluster(
    partitions: Sequence[Partition],
    settings: FileSettings,
    shares: Shares,
    *,
    alone: bool,
    progress: OnProgress,
) -> Outcome | None:
    """Answer files on a cluster, the largest first; each worker reads and writes.

    A worker that dies is replaced, and its file gone on with.

    Parameters
    ----------
    shares
        What each worker gets of the cluster that this process is connected to.
    alone
        Whether this machine is the only one.

    Returns
    -------
    Outcome
        None where rows must be shared out instead: files are few or of very different sizes, or
        not all machines see them.

    Raises
    ------
    CascadeError
        As `answer_in_processes`.
    """
    if not shares_well(sizes_of(partitions), shares.workers):
        return None
    if not alone and not _all_see(partitions):
        return None
    return _answered(partitions, settings, shares, progress)


def _answered(
    partitions: Sequence[Partition], settings: FileSettings, shares: Shares, progress: OnProgress
) -> Outcome:
    ray = import_ray()
    prepare(partitions, settings)
    outcome, began = Outcome(), time.monotonic()
    sizes = dict(zip(partitions, sizes_of(partitions), strict=True))
    left = sorted(partitions, key=lambda p: -sizes[p])
    deaths = dict.fromkeys(partitions, 0)
    expected = run_fingerprint(settings.taxonomy, settings.config)
    common = ray.put((settings, expected, os.getcwd(), threads_of(shares.cpus)))
    actor = ray.remote(_FileWorker).options(num_cpus=shares.cpus, num_gpus=shares.gpus)
    idle = [actor.remote(common) for _ in range(min(shares.workers, len(left)))]
    at_work: dict[Any, tuple[Any, Partition]] = {}
    size = finished = rows = 0
    try:
        while left or at_work:
            while left and idle:
                worker, partition = idle.pop(), left.pop(0)
                at_work[worker.answer.remote(partition)] = worker, partition
            ready, _ = ray.wait([*at_work], num_returns=1, timeout=EVERY)
            for each in ready:
                worker, partition = at_work.pop(each)
                try:
                    done: Done = ray.get(each)
                except ray.exceptions.RayActorError:
                    idle.append(actor.remote(common))
                    deaths[partition] += 1
                    if deaths[partition] <= DEATHS:
                        left.insert(0, partition)
                        continue
                    done = died(partition, deaths[partition])
                else:
                    idle.append(worker)
                outcome.take(partition, done)
                finished, size = finished + 1, size + sizes[partition]
                rows += done.counts.rows if done.counts is not None else 0
            progress(size, finished, rows)
    finally:
        for worker in (*idle, *(worker for worker, _ in at_work.values())):
            ray.kill(worker)
    outcome.seconds = time.monotonic() - began
    outcome.close(partitions)
    return outcome


class _FileWorker:
    """An actor with a cascade of its own that takes whole files."""

    def __init__(self, common: tuple[FileSettings, dict[str, Any], str, int]) -> None:
        self._settings, expected, folder, threads = common
        settings = self._settings
        self._worker = Worker(
            *(settings.taxonomy, settings.config.model_dump(), settings.form, ()),
            *(expected, folder, threads),
        )

    def answer(self, partition: Partition) -> Done:
        """What comes of a file."""
        return answer_partition(partition, self._settings, self._worker.loaded)


def _all_see(partitions: Sequence[Partition]) -> bool:
    """Whether every machine sees files and the folder of outputs as this one does."""
    ray = import_ray()
    step = max(1, len(partitions) // LOOKED_AT)
    stamps = {p.source: stamp_of(p.source) for p in partitions[::step]}
    folder = os.path.commonpath([Path(p.target).absolute().parent for p in partitions])
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    mark = Path(folder, f".cascade-{secrets.token_hex(8)}")
    mark.touch()
    try:
        look = ray.remote(_sees)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        asked = [
            look.options(
                num_cpus=0, resources={f"node:{node['NodeManagerAddress']}": 0.001}
            ).remote(stamps, str(mark), os.getcwd())
            for node in nodes
        ]
        return all(ray.get(asked))
    finally:
        with suppress(OSError):
            mark.unlink()


def _sees(stamps: dict[str, tuple[int, ...]], mark: str, folder: str) -> bool:
    """Whether this machine sees files with these sizes and times, and a mark."""
    enter(folder)
    return os.path.exists(mark) and all(stamp_of(name) == was for name, was in stamps.items())
