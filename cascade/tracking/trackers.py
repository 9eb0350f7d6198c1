"""Trackers of others: TensorBoard, MLflow, Weights & Biases, Trackio, through their own packages.

What they keep lies beside the runs, in the folder that the run's folder is in, so that one view
shows all runs of it. Nothing goes over the network unless the tracker's own environment variables
say so (`MLFLOW_TRACKING_URI`, `WANDB_MODE`, `TRACKIO_SPACE_ID`, ...).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from cascade.errors import MissingExtraError, UsageError, did_you_mean

TrackerName = Literal["tensorboard", "mlflow", "wandb", "trackio"]
NAMES: tuple[str, ...] = get_args(TrackerName)
PROJECT = "cascade"
MOST_VALUE = 250  # characters of a setting that is told

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """What is told the figures of a run."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step."""

    def finish(self, figures: Mapping[str, float]) -> None:
        """Take the figures of the whole run, which is over; none of one that was interrupted."""


Make = Callable[[str, Path, Mapping[str, Any]], Tracker]


def check_trackers(names: Sequence[str]) -> None:
    """Raise where a tracker is none, or its package is not installed.

    Raises
    ------
    UsageError
        There is no tracker of this name.
    MissingExtraError
        Its package is missing; the message has the command that installs it.
    """
    for name in names:
        if name not in NAMES:
            guess = did_you_mean(name, NAMES)
            raise UsageError(f"no tracker {name!r}{guess}; there are {', '.join(NAMES)}")
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(f"reporting to {name}", name, name)


def make_trackers(names: Sequence[str], run: Path, settings: Mapping[str, Any]) -> list[Tracker]:
    """The trackers of some names, for the run in a folder.

    Parameters
    ----------
    settings
        Nested settings of the run, which they show.

    Raises
    ------
    UsageError, MissingExtraError
        See `check_trackers`; also where one cannot begin.
    """
    check_trackers(names)
    flat = {key: _shown(value) for key, value in flat_settings(settings).items()}
    home, name = run.resolve().parent, run.resolve().name
    found: list[Tracker] = []
    for each in dict.fromkeys(names):
        try:
            with _quiet():
                found.append(_Careful(each, _MAKERS[each](name, home, flat)))
        except Exception as error:  # whatever a package of others raises, the run did not begin
            raise UsageError(
                f"{each} cannot begin: {_line(error)}; mend that, or leave it out of report_to"
            ) from error
    return found


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat_settings(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


class _Careful:
    """A tracker whose failing costs no run: the first failure is told, then it is left alone."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name, self._tracker, self._failed = name, tracker, False

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Pass on figures."""
        self._guarded(lambda: self._tracker.log(step, figures))

    def finish(self, figures: Mapping[str, float]) -> None:
        """Pass on that the run is over."""
        self._guarded(lambda: self._tracker.finish(figures))

    def _guarded(self, call: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            with _quiet():
                call()
        except Exception as error:  # of a package of others; hours of training are worth more
            self._failed = True
            logger.warning("%s is told no more of this run: %s", self._name, _line(error))


class _TensorBoard:
    def __init__(self, name: str, home: Path, settings: Mapping[str, Any]) -> None:
        writer: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self._make: Any = lambda step: writer(str(home / "tensorboard" / name), purge_step=step)
        self._settings = "\n".join(f"    {key}: {value}" for key, value in settings.items())
        self._writer: Any = None

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if self._writer is None:  # what an interrupted run had told of later steps is no more shown
            self._writer = self._make(step)
            self._writer.add_text("settings", self._settings)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, figures: Mapping[str, float]) -> None:
        if figures:
            self.log(0, {f"final/{name}": value for name, value in figures.items()})
        if self._writer is not None:
            self._writer.close()


class _MLflow:
    def __init__(self, name: str, home: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        mlflow = importlib.import_module("mlflow")
        store = os.environ.get("MLFLOW_TRACKING_URI")
        client = mlflow.MlflowClient(tracking_uri=store or f"sqlite:///{home / 'mlflow.db'}")
        known = client.get_experiment_by_name(PROJECT)
        if known is not None:
            experiment = known.experiment_id
        else:
            place = None if store else (home / "mlruns").as_uri()
            experiment = client.create_experiment(PROJECT, artifact_location=place)
        self._client, self._metric = client, mlflow.entities.Metric
        self._run = client.create_run(experiment, run_name=name).info.run_id
        told = [mlflow.entities.Param(key, str(value)) for key, value in settings.items()]
        for start in range(0, len(told), 100):  # as many as it takes at a time
            client.log_batch(self._run, params=told[start : start + 100])

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        at = int(time.time() * 1000)
        told = [self._metric(name, value, at, step) for name, value in figures.items()]
        self._client.log_batch(self._run, metrics=told)  # in one transaction

    def finish(self, figures: Mapping[str, float]) -> None:
        self.log(0, {f"final/{name}": value for name, value in figures.items()})
        self._client.set_terminated(self._run)


class _WandB:
    def __init__(self, name: str, home: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            dir=str(home),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=dict(settings),
            settings=wandb.Settings(console="off", silent=True),
        )
        self._run.define_metric("*", step_metric="step")  # parts of a fit begin at 1 again

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log({**figures, "step": step})

    def finish(self, figures: Mapping[str, float]) -> None:
        self._run.summary.update({f"final/{name}": value for name, value in figures.items()})
        self._run.finish()


class _Trackio:
    def __init__(self, name: str, home: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(home / "trackio"))
        self._trackio = importlib.import_module("trackio")
        self._run = self._trackio.init(
            project=PROJECT,
            name=name,
            config=dict(settings),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def finish(self, figures: Mapping[str, float]) -> None:
        if figures:
            self._run.log({f"final/{name}": value for name, value in figures.items()})
        self._trackio.finish()  # which also forgets it, so that nothing is said at the exit


_MAKERS: dict[str, Make] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _WandB,
    "trackio": _Trackio,
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of a tracker on standard output, which belongs to answers."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _shown(value: Any) -> str | int | float | bool:
    return value if isinstance(value, int | float) else str(value)[:MOST_VALUE]


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]
