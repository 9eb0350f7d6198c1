"""What a run on a cluster does beside Ray; tests/cli/test_cli_cluster.py has whole runs."""

import sys
from pathlib import Path

import pytest

from cascade.config import CascadeConfig, Columns
from cascade.errors import EngineError, MissingExtraError, UsageError, WeightsError
from cascade.items import Item
from cascade.pipeline.runs.cluster import Cluster, connected, divide
from cascade.pipeline.runs.cluster_run import threads_of
from cascade.pipeline.runs.cluster_worker import _error_text, _packed, _unpacked, error_of
from cascade.pipeline.runs.columns import RowReader
from cascade.predictions import Prediction

GIB = 1 << 30


def node(cpus, gpus=0, memory=64):
    return {"CPU": float(cpus), "GPU": float(gpus), "memory": memory * GIB}


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([node(2)], Cluster(), (2, 1, 0)),
        ([node(8)], Cluster(workers=2), (2, 4, 0)),
        ([node(8)], Cluster(workers=3), (3, 2, 0)),
        ([node(8), node(4)], Cluster(workers=3), (3, 4, 0)),
        ([node(8), node(4)], Cluster(workers=2), (2, 4, 0)),  # 6 would leave one without a place
        ([node(64, memory=16)], Cluster(), (8, 8, 0)),  # each needs memory
        ([node(16, gpus=4), node(8)], Cluster(), (4, 4, 1)),
        ([node(16, gpus=2)], Cluster(gpus=0.5), (4, 4, 0.5)),
        ([node(16, gpus=2)], Cluster(gpus=0, workers=4), (4, 4, 0)),
        ([node(16, gpus=1)], Cluster(gpus=0.1), (10, 1, 0.1)),
    ],
)
def test_workers_get_as_many_cpus_as_all_of_them_can_have(nodes, wanted, expected):
    assert divide(nodes, wanted) == expected


@pytest.mark.parametrize(
    ("given", "threads"), [("", 4), ("1", 1), ("3,2", 3), ("all", 4), ("0", 4)]
)
def test_workers_have_the_threads_that_a_local_run_would_be_given(given, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads_of(4) == threads


@pytest.mark.parametrize(
    ("nodes", "wanted", "said"),
    [
        ([node(2)], Cluster(workers=3), "no room for 3 workers: the cluster has 2 CPUs"),
        ([node(8, gpus=2)], Cluster(workers=3), "2 GPUs, enough for 2"),
        ([node(8)], Cluster(gpus=1), "0 GPUs, enough for 0"),
        ([node(8, gpus=2)], Cluster(gpus=1.5), "a whole number"),
    ],
)
def test_workers_without_a_place_are_refused(nodes, wanted, said):
    with pytest.raises(UsageError, match=said):
        divide(nodes, wanted)


def test_items_arrive_as_they_were_sent():
    items = [
        Item({"name": "straw hat", "text": "zwölf \ufffd 'quotes' \"\n\t"}, "7"),
        Item({}, None, b"\x89PNG\x00\xff"),
        Prediction.failed("bytes that are not \udcff UTF-8", "8"),
        Item({"name": ""}, "", Path("photos/caf\udce9.jpg")),
        Item({"name": "a"}, None, "https://example.org/a.jpg"),
        Item({"name": "b"}, None, b"GIF"),
    ]
    labels = ["A > B", "", "", "x", "", ""]
    [chunk] = _packed(2, 5, "hash", items, labels).to_pylist()
    assert (chunk["file"], chunk["chunk"], chunk["input"]) == (2, 5, "hash")
    assert _unpacked(chunk) == (items, labels)


@pytest.mark.parametrize("error", [WeightsError("no weights"), EngineError("failed", retry=True)])
def test_errors_arrive_with_their_kind_message_and_exit_status(error):
    found = error_of(_error_text(error))
    assert (type(found), str(found), found.exit_status) == (
        type(error),
        str(error),
        error.exit_status,
    )


def test_a_missing_extra_is_told_with_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'ray\[data\]>="),
        connected(Cluster()),
    ):
        pass


def test_a_client_outside_of_the_cluster_is_refused():
    with pytest.raises(UsageError, match="ray job submit"), connected(Cluster("ray://head:10001")):
        pass


def test_more_text_columns_than_a_pack_was_fitted_to_are_refused_before_the_run():
    config = CascadeConfig(reads=["name"])
    with pytest.raises(UsageError, match="fitted to 1"):
        RowReader.of(Columns(text=["title", "description"]), config)
