import os
import shutil
from itertools import chain

import numpy as np
import pytest
from hash_encoder import HashEncoder

from cascade.retrieval import faiss_index, text_vectors
from cascade.retrieval.index import NodeIndex
from cascade.taxonomy import Record, Taxonomy

PATHS = ["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes"]


def opened(folder, *, encoder=None, taxonomy=None, recipe="path", **options):
    taxonomy = taxonomy or Taxonomy.from_paths(PATHS)
    return NodeIndex.open(taxonomy, encoder or HashEncoder(), recipe, folder=folder, **options)


def expected(encoder):
    texts = ["Clothing", PATHS[0], PATHS[1], "Garden", PATHS[2]]
    return np.array([encoder.vector(text) for text in texts], np.float32)


def test_an_index_holds_the_vectors_of_all_texts_in_order(tmp_path):
    index = opened(tmp_path)
    np.testing.assert_array_equal(index.vectors, expected(HashEncoder()))
    assert index.node.tolist() == [0, 1, 2, 3, 4]


def test_an_index_is_built_once_and_read_afterwards(tmp_path):
    calls = []
    opened(tmp_path, progress=lambda done, all_: calls.append((done, all_)))
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    later = HashEncoder()
    index = opened(tmp_path, encoder=later, progress=lambda *_: calls.append("again"))
    assert later.encoded == []
    assert calls == [(0, 5), (5, 5)]
    assert file.stat().st_mtime_ns == before
    np.testing.assert_array_equal(index.vectors, expected(later))


def damages(data):
    yield "empty", b""
    yield "text", b"no index at all"
    yield "head alone", data[:20]
    yield "cut", data[: len(data) // 2]
    yield "a byte short", data[:-1]


@pytest.mark.parametrize("damage", ["empty", "text", "head alone", "cut", "a byte short"])
def test_a_damaged_index_is_rebuilt(tmp_path, damage):
    opened(tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.unlink()  # a reader may still have it mapped
    file.write_bytes(dict(damages(whole))[damage])
    index = opened(tmp_path)
    np.testing.assert_array_equal(index.vectors, expected(HashEncoder()))
    assert file.read_bytes() == whole


def test_another_recipe_model_or_taxonomy_has_its_own_file(tmp_path):
    described = Taxonomy.from_records([Record("c", "Clothing"), Record("h", "Hats", "c", "Worn.")])
    plain = Taxonomy.from_records([Record("c", "Clothing"), Record("h", "Hats", "c")])
    flat = Taxonomy.from_records([Record("c", "Clothing"), Record("h", "Hats")])
    settings = [
        {"taxonomy": plain},
        {"taxonomy": plain, "recipe": "leaf"},
        {"taxonomy": plain, "encoder": HashEncoder("other")},
        {"taxonomy": flat},
        {"taxonomy": plain, "recipe": "path+description"},
        {"taxonomy": described, "recipe": "path+description"},
    ]
    for made, options in enumerate(settings, 1):
        opened(tmp_path, **options)
        assert len(list(tmp_path.iterdir())) == made
    opened(tmp_path, taxonomy=described, recipe="path+description")
    assert len(list(tmp_path.iterdir())) == len(settings)


def test_texts_that_join_alike_are_told_apart(tmp_path):
    opened(tmp_path, taxonomy=Taxonomy.from_records([("1", "ab"), ("2", "c")]), recipe="leaf")
    opened(tmp_path, taxonomy=Taxonomy.from_records([("1", "a"), ("2", "bc")]), recipe="leaf")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    index = opened(tmp_path / "file" / "indexes")
    np.testing.assert_array_equal(index.vectors, expected(HashEncoder()))
    assert "not kept" in caplog.text


def test_vectors_outlive_the_index_they_were_read_from(tmp_path):
    opened(tmp_path)
    vectors = opened(tmp_path).vectors
    (file,) = tmp_path.iterdir()
    file.unlink()
    np.testing.assert_array_equal(vectors + 0, expected(HashEncoder()))


class Interrupted(HashEncoder):
    """Is interrupted after some calls, or calls `then` instead."""

    def __init__(self, calls, then=None):
        super().__init__()
        self._calls, self._then = calls, then

    def encode(self, texts):
        if len(self.encoded) == self._calls:
            if self._then is None:
                raise KeyboardInterrupt
            self._then()
        return super().encode(texts)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_vectors, "BLOCK", 2)
    monkeypatch.setattr(text_vectors, "ROWS", 3)


def interrupt(folder, calls=1):
    with pytest.raises(KeyboardInterrupt):
        opened(folder, encoder=Interrupted(calls))


def test_a_build_that_was_interrupted_encodes_only_the_rest(tmp_path, small_blocks):
    interrupt(tmp_path, calls=2)
    later, calls = HashEncoder(), []
    index = opened(tmp_path, encoder=later, progress=lambda *call: calls.append(call))
    assert later.encoded == [[PATHS[2]]]
    assert calls == [(4, 5), (5, 5)]
    np.testing.assert_array_equal(index.vectors, expected(later))
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".npy"


@pytest.mark.parametrize("content", [b"", b"short", np.full(16, np.nan, "<f4").tobytes()])
def test_a_damaged_block_is_encoded_again(tmp_path, small_blocks, content):
    interrupt(tmp_path)
    (block,) = tmp_path.glob("*.parts/*")
    block.write_bytes(content)
    later = HashEncoder()
    index = opened(tmp_path, encoder=later)
    assert len(later.encoded) == 3
    np.testing.assert_array_equal(index.vectors, expected(later))


def test_two_builds_of_one_index_do_not_disturb_each_other(tmp_path, small_blocks):
    other = HashEncoder()
    first = Interrupted(1, then=lambda: opened(tmp_path, encoder=other))
    np.testing.assert_array_equal(opened(tmp_path, encoder=first).vectors, expected(other))
    assert len(other.encoded) == 2  # the first block was saved
    assert [file.suffix for file in tmp_path.iterdir()] == [".npy"]


def test_blocks_that_cannot_be_saved_cost_only_the_saving(tmp_path, small_blocks):
    interrupt(tmp_path)
    (folder,) = tmp_path.glob("*.parts")
    shutil.rmtree(folder)
    folder.write_text("in the way")
    np.testing.assert_array_equal(opened(tmp_path).vectors, expected(HashEncoder()))


def test_what_a_build_left_behind_long_ago_is_removed(tmp_path, small_blocks):
    interrupt(tmp_path)
    (old,) = tmp_path.iterdir()
    os.utime(old, (0, 0))
    staging = tmp_path / "staging.part"
    staging.write_bytes(b"")
    os.utime(staging, (0, 0))
    opened(tmp_path, recipe="leaf")
    assert [file.suffix for file in tmp_path.iterdir()] == [".npy"]


def test_a_text_that_is_there_twice_is_encoded_once(tmp_path, small_blocks):
    encoder = HashEncoder()
    twice = Taxonomy.from_paths(
        ["Men > Hats", "Men > Shoes", "Women > Belts > Hats", "Women > Shoes"]
    )
    names = ["Men", "Hats", "Shoes", "Women", "Belts", "Hats", "Shoes"]
    index = opened(tmp_path, encoder=encoder, taxonomy=twice, recipe="leaf")
    assert [*chain.from_iterable(encoder.encoded)] == ["Men", "Hats", "Shoes", "Women", "Belts"]
    np.testing.assert_array_equal(index.vectors, np.array([*map(encoder.vector, names)], "f4"))


def test_an_index_is_a_map_of_a_file_that_numpy_reads(tmp_path):
    index = opened(tmp_path)
    (file,) = tmp_path.iterdir()
    np.testing.assert_array_equal(np.load(file), index.vectors)
    assert index.vectors.flags.aligned  # or each product would copy all
    assert not index.vectors.flags.owndata
    assert not index.vectors.flags.writeable


def test_vectors_that_an_earlier_version_kept_are_taken_over(tmp_path):
    opened(tmp_path)
    (file,) = tmp_path.iterdir()
    earlier = file.with_suffix(".faiss")
    vectors = np.roll(expected(HashEncoder()), 1, axis=0)
    faiss_index.write("flat", faiss_index.build("flat", vectors), str(earlier))
    file.unlink()
    later = HashEncoder()
    np.testing.assert_array_equal(opened(tmp_path, encoder=later).vectors, vectors)
    assert later.encoded == []
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", [b"", b"no index at all"])
def test_what_an_earlier_version_kept_and_is_damaged_is_built_again(tmp_path, content):
    opened(tmp_path)
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.with_suffix(".faiss").write_bytes(content)
    np.testing.assert_array_equal(opened(tmp_path).vectors, expected(HashEncoder()))
