"""FAISS indexes of each kind, beside the vectors on disk."""

import faiss
import numpy as np
import pytest
from bounded_memory import bounded
from hash_encoder import HashEncoder

from cascade.config import CascadeConfig
from cascade.retrieval import faiss_index
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(
    [f"{a} > {b} > {a}{b}{i}" for a in "ABC" for b in "DEFG" for i in range(25)]
)
QUERIES = np.stack([HashEncoder().vector(f"query {i}") for i in range(20)]).astype(np.float32)
BESIDE = ["hnsw", "ivf"]


def opened(folder, kind):
    return NodeIndex.open(TAXONOMY, HashEncoder(), "leaf", kind=kind, folder=folder)


def file_of(folder, kind):
    (path,) = folder.glob(f"*{faiss_index.file_suffix(kind)}")
    return path


def refuse(*_):
    raise AssertionError("built again")


@pytest.mark.parametrize("kind", ["flat", *BESIDE])
def test_each_kind_finds_the_nearest_texts(tmp_path, kind):
    index = opened(tmp_path, kind)
    similar, text = index.searcher.search(QUERIES, 10)
    exact = QUERIES @ index.vectors.T
    expected = np.sort(-exact, axis=1)[:, :10]
    if kind == "ivf":  # looks into some of the lists
        assert len(np.unique(text)) > 10
    else:
        np.testing.assert_allclose(-similar, expected, atol=1e-6)
    np.testing.assert_allclose(similar, np.take_along_axis(exact, text, axis=1), atol=1e-6)


@pytest.mark.parametrize("kind", BESIDE)
def test_an_index_is_built_once_beside_the_vectors_and_read_afterwards(tmp_path, kind, monkeypatch):
    before = opened(tmp_path, kind).searcher.search(QUERIES, 10)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(faiss_index, "build", refuse)
    index = opened(tmp_path, kind)
    assert index.searcher.kind == kind
    after = index.searcher.search(QUERIES, 10)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    np.testing.assert_array_equal(index.vectors, opened(tmp_path, "flat").vectors)


def test_a_graph_is_kept_without_the_vectors(tmp_path):
    opened(tmp_path, "hnsw")
    alone = faiss.read_index(str(file_of(tmp_path, "hnsw")), faiss.IO_FLAG_SKIP_STORAGE)
    assert alone.storage is None


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("damage", ["empty", "text", "head alone", "cut", "a byte short"])
def test_a_damaged_index_is_built_again(tmp_path, kind, damage):
    expected = opened(tmp_path, kind).searcher.search(QUERIES, 10)
    file = file_of(tmp_path, kind)
    whole = file.read_bytes()
    file.unlink()  # a reader may still have it mapped
    file.write_bytes(
        {
            "empty": b"",
            "text": b"no index at all",
            "head alone": whole[:40],
            "cut": whole[: len(whole) // 2],
            "a byte short": whole[:-1],
        }[damage]
    )
    found = opened(tmp_path, kind).searcher.search(QUERIES, 10)
    np.testing.assert_array_equal(found[1], expected[1])
    assert len(file.read_bytes()) == len(whole)


def test_a_graph_whose_links_lead_nowhere_is_built_again(tmp_path):
    expected = opened(tmp_path, "hnsw").searcher.search(QUERIES, 10)
    file = file_of(tmp_path, "hnsw")
    graph = faiss.read_index(str(file), faiss.IO_FLAG_SKIP_STORAGE)
    links = faiss.vector_to_array(graph.hnsw.neighbors)
    whole, nowhere = file.read_bytes(), np.full(8, 10**8, np.int32)
    file.unlink()
    file.write_bytes(whole.replace(links[:8].tobytes(), nowhere.tobytes()))
    assert file.read_bytes() != whole
    found = opened(tmp_path, "hnsw").searcher.search(QUERIES, 10)
    assert file.read_bytes() == whole
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("kind", BESIDE)
def test_an_index_of_other_texts_is_built_again(tmp_path, kind, caplog):
    opened(tmp_path, kind)
    file = file_of(tmp_path, kind)
    other = faiss_index.build(kind, QUERIES)
    file.unlink()
    faiss_index.write(kind, other, str(file))
    index = opened(tmp_path, kind)
    assert "damaged" in caplog.text
    assert index.searcher.search(QUERIES, 400)[1].max() > len(QUERIES)


def test_lists_that_lack_a_text_are_built_again(tmp_path, caplog):
    opened(tmp_path, "ivf")
    file = file_of(tmp_path, "ivf")
    lists = faiss.read_index(str(file))
    twice = np.arange(lists.ntotal, dtype=np.int64)
    twice[3] = 2
    lists.reset()
    vectors = opened(tmp_path, "flat").vectors
    lists.add_with_ids(np.ascontiguousarray(vectors), twice)
    file.unlink()
    faiss.write_index(lists, str(file))
    opened(tmp_path, "ivf")
    assert "damaged" in caplog.text


def test_auto_is_flat_for_few_texts_and_a_graph_for_many(tmp_path, monkeypatch):
    assert faiss_index.choose_kind("auto", faiss_index.MAX_EXACT) == "flat"
    assert faiss_index.choose_kind("auto", faiss_index.MAX_EXACT + 1) == "hnsw"
    assert [faiss_index.choose_kind(kind, 10**7) for kind in ("flat", "hnsw", "ivf")] == [
        "flat",
        *BESIDE,
    ]
    few = Retriever(TAXONOMY, HashEncoder(), "leaf", folder=tmp_path)
    assert not few.uses_hits
    monkeypatch.setattr(faiss_index, "MAX_EXACT", len(TAXONOMY) - 1)
    many = Retriever(TAXONOMY, HashEncoder(), "leaf", folder=tmp_path)
    assert many.uses_hits
    assert many._index.searcher.kind == "hnsw"
    exact = Retriever(TAXONOMY, HashEncoder(), "leaf", index="flat", folder=tmp_path)
    assert exact.uses_hits  # searched exactly, and then worked on the hits
    assert exact._index.searcher.kind == "flat"


def test_the_kind_is_one_word_in_a_config():
    assert CascadeConfig().retrieval.index == "auto"
    with pytest.raises(ValueError, match="index"):
        CascadeConfig.model_validate({"retrieval": {"index": "tree"}})


class StandIn:
    """In place of a GPU, which no test here has: an index that counts how often it is asked."""

    def __init__(self, index):
        self.index, self.asked = index, 0

    def search(self, vectors, k):
        self.asked += 1
        return self.index.search(vectors, k)


def with_gpus(monkeypatch, move):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", move, raising=False)


@pytest.mark.parametrize(("kind", "asked"), [("flat", 1), ("ivf", 1), ("hnsw", 0)])
def test_what_faiss_has_for_gpus_is_searched_there(tmp_path, monkeypatch, kind, asked):
    expected = opened(tmp_path, kind).searcher.search(QUERIES, 5)
    moved = []
    with_gpus(monkeypatch, lambda index: moved.append(StandIn(index)) or moved[-1])
    found = opened(tmp_path, kind).searcher.search(QUERIES, 5)
    assert sum(each.asked for each in moved) == asked
    np.testing.assert_array_equal(found[1], expected[1])


def test_with_a_gpu_auto_compares_with_all(monkeypatch):
    with_gpus(monkeypatch, StandIn)
    assert faiss_index.choose_kind("auto", 10**7) == "flat"


def test_an_index_that_does_not_fit_on_the_gpu_stays_on_the_processor(
    tmp_path, monkeypatch, caplog
):
    def full(_):
        raise RuntimeError("out of memory")

    with_gpus(monkeypatch, full)
    similar, _ = opened(tmp_path, "flat").searcher.search(QUERIES, 5)
    assert similar.shape == (len(QUERIES), 5)
    assert "out of memory" in caplog.text


@pytest.mark.parametrize("kind", ["flat", *BESIDE])
def test_sizes_that_a_file_declares_and_has_not_cost_no_memory(tmp_path, kind):
    expected = opened(tmp_path, kind).vectors.copy()
    file = file_of(tmp_path, kind)
    data = file.read_bytes()
    for at in range(4, min(len(data) - 8, 120), 3):
        for size in (2**33, 2**62, -1):
            word = (size % 2**64).to_bytes(8, "little")
            file.write_bytes(data[:at] + word + data[at + 8 :])
            with bounded():
                index = opened(tmp_path, kind)
            np.testing.assert_array_equal(index.vectors, expected)
