import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from cascade.errors import MissingExtraError, UsageError
from cascade.tracking import trackers
from cascade.tracking.trackers import check_trackers, flat_settings, make_trackers


class Told:
    """Stands in for the package of a tracker; raises from some call on."""

    def __init__(self, fails_at=None):
        self.lines, self._fails_at = [], fails_at

    def log(self, step, figures):
        if step == self._fails_at:
            raise ConnectionError("the disk of others\nis full")
        self.lines.append((step, dict(figures)))
        sys.stdout.write("noise on standard output")

    def finish(self, figures):
        self.lines.append("finished")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    def make(told):
        monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: object())
        monkeypatch.setitem(trackers._MAKERS, "wandb", lambda *_: told)
        return make_trackers(["wandb"], tmp_path / "run", {})[0]

    return make


def test_a_tracker_that_fails_is_told_once_and_costs_no_run(stand_in, caplog, capsys):
    told = Told(fails_at=2)
    tracker = stand_in(told)
    for step in (1, 2, 3):
        tracker.log(step, {"loss": 1.0})
    tracker.finish({})
    assert told.lines == [(1, {"loss": 1.0})]
    assert len(caplog.messages) == 1
    assert "wandb is told no more of this run: the disk of others is full" in caplog.messages[0]
    assert capsys.readouterr().out == ""


def test_a_tracker_that_cannot_begin_is_refused_before_the_run(monkeypatch, tmp_path):
    def make(*_):
        raise ValueError("no key")

    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(trackers._MAKERS, "mlflow", make)
    with pytest.raises(UsageError, match="mlflow cannot begin: no key"):
        make_trackers(["mlflow"], tmp_path / "run", {})


def test_missing_packages_and_misspelt_trackers_are_told(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"reporting to trackio needs trackio.*pip install"):
        check_trackers(["trackio"])
    with pytest.raises(UsageError, match=r"no tracker 'tensorbord' .did you mean 'tensorboard'"):
        check_trackers(["tensorbord"])


def test_wandb_is_offline_unless_the_user_says_otherwise(monkeypatch, tmp_path):
    seen = []
    run = SimpleNamespace(define_metric=lambda *_, **__: None)
    module = SimpleNamespace(
        init=lambda **given: seen.append(given) or run, Settings=lambda **given: given
    )
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: object())
    for mode in (None, "online"):
        monkeypatch.delenv("WANDB_MODE", raising=False)
        if mode:
            monkeypatch.setenv("WANDB_MODE", mode)
        make_trackers(["wandb"], tmp_path / "runs" / "a", {"lora": {"rank": 4}})
    assert [given["mode"] for given in seen] == ["offline", "online"]
    assert seen[0]["dir"] == str(tmp_path / "runs")
    assert seen[0]["config"] == {"lora.rank": 4}


@pytest.mark.parametrize("name", trackers.NAMES)
def test_a_tracker_that_is_installed_keeps_a_run_beside_it(name, tmp_path):
    if find_spec(name) is None:  # not imported here: one reads where it writes when it is
        pytest.skip(f"{name} is not installed")
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    (tracker,) = make_trackers([name], run, {"seed": 0})
    tracker.log(1, {"loss": 1.0})
    tracker.finish({"validation_loss": 0.5})
    assert len(list((tmp_path / "runs").iterdir())) > 1


def test_settings_are_told_by_dotted_keys():
    assert flat_settings({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }
