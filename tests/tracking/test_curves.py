import json

import pytest
from PIL import Image

from cascade.tracking.curves import CurveLog, read_lines, running_means, series


class Listener:
    def __init__(self):
        self.told = []

    def log(self, step, figures):
        self.told.append((step, dict(figures)))

    def finish(self, figures):
        self.told.append(("end", dict(figures)))


def test_a_run_that_goes_on_has_one_line_for_each_step(tmp_path):
    file = tmp_path / "metrics.jsonl"
    first = CurveLog(file)
    for step in range(1, 6):
        first.write(step, {"loss": step})
    first.close()
    with file.open("a") as stream:
        stream.write('{"step": 6, "lo')  # as a kill cuts it
    again = CurveLog(file)
    for step in range(4, 8):  # from the checkpoint after step 3
        again.write(step, {"loss": 10 * step})
    again.close()
    assert series(read_lines(file), "loss") == (
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 40, 50, 60, 70],
    )


def test_parts_of_a_run_count_their_steps_apart(tmp_path):
    file = tmp_path / "metrics.jsonl"
    log = CurveLog(file)
    for part in ("sentence", "llama"):
        for step in (1, 2):
            log.write(step, {"loss": step}, part)
    log.close()
    again = CurveLog(file)
    again.write(2, {"loss": 9.0}, "llama")
    again.close()
    lines = [(line["part"], line["step"], line["loss"]) for line in read_lines(file)]
    assert lines == [("sentence", 1, 1), ("sentence", 2, 2), ("llama", 1, 1), ("llama", 2, 9)]


def test_what_is_no_number_is_left_out_and_trackers_are_told_the_rest(tmp_path):
    listener = Listener()
    log = CurveLog(tmp_path / "metrics.jsonl", [listener], timed=False)
    log.write(1, {"loss": 0.5, "validation_loss": None, "rate": float("nan")}, "sentence")
    log.finish("run", {"validation_loss": 0.25, "name": "x"})
    log.close()
    assert listener.told == [(1, {"sentence/loss": 0.5}), ("end", {"validation_loss": 0.25})]
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
        "step": 1,
        "part": "sentence",
        "loss": 0.5,
    }


@pytest.mark.parametrize("parts", [("",), ("sentence", "llama")])
def test_curves_are_drawn_once_there_are_any(tmp_path, parts):
    empty = CurveLog(tmp_path / "none.jsonl")
    empty.finish("run", {})
    assert not (tmp_path / "curves.png").exists()
    log = CurveLog(tmp_path / "metrics.jsonl")
    for part in parts:
        for step in range(1, 90):
            log.write(step, {"loss": 1 / step, "exact": step / 90}, part)
    log.finish("run", {})
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 400 * len(parts)


def test_a_running_mean_is_that_of_the_last_values():
    assert running_means([1, 3, 5, 7], 2) == [1, 2, 4, 6]
