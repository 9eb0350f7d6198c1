import numpy as np
import pytest
from hash_encoder import HashEncoder

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
    assert calls == [(5, 5)]
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
