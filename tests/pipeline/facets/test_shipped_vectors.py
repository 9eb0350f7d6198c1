import numpy as np
import pytest
from hash_encoder import HashEncoder

from cascade.config import FITTED_ENCODER
from cascade.errors import ConfigError
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets import shipped_vectors as shipped
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.encoder_prompts import Prompts
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.text_vectors import text_vectors

FOODS = [f"food {number}" for number in range(300)]


def unit(n, width=8, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Two groups of vectors in a file that is in the place of the shipped one."""
    monkeypatch.setattr(shipped, "shipped_folder", lambda kind: tmp_path)
    vectors = unit(300)
    vectors[:, 3] = 0  # a dimension that says nothing
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    (tmp_path / shipped.FILE).parent.mkdir()
    groups = [(FOODS[:100], vectors[:100], 8), (FOODS[100:], vectors[100:], 3)]
    shipped.write_shipped(tmp_path / shipped.FILE, "ours", groups)
    monkeypatch.setattr(shipped, "SHA256", shipped.sha256_of(tmp_path / shipped.FILE))
    monkeypatch.setattr(shipped, "SUPPLEMENT_SHA256", "")
    return vectors


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_come_back_as_they_were_packed(bits):
    codes = np.random.default_rng(bits).integers(0, 2**bits, (5, 24)).astype(np.uint8)
    packed = shipped.packed(codes, bits)
    assert packed.shape == (5, 3 * bits)
    assert (shipped.unpacked(packed, bits) == codes).all()


def test_levels_are_nearer_than_even_ones():
    numbers = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)

    def error(levels):
        return np.square(numbers[:, None] - levels).min(axis=1).mean()

    fitted = shipped.fitted_levels(numbers, 3)
    assert (np.diff(fitted) > 0).all()
    assert error(fitted) < error(np.linspace(numbers.min(), numbers.max(), 8))
    assert error(fitted) < error(np.linspace(-2.5, 2.5, 8))


def test_known_texts_have_nearly_their_vectors_in_any_order(written):
    known = shipped.shipped_vectors(HashEncoder("ours"))
    order = np.random.default_rng(1).permutation(300)
    at, vectors = known.of([FOODS[i] for i in order[:150]] + ["no food"])
    assert at.tolist() == list(range(150))
    alike = (vectors * written[order[:150]]).sum(axis=1)
    fine = order[:150] < 100
    assert alike[fine].min() > 0.9995
    assert 0.9 < alike[~fine].mean() < 0.995
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_supplement_has_what_came_later(written, tmp_path, monkeypatch):
    first = shipped.shipped_vectors(HashEncoder("ours"))
    later, vectors = ["a new food", "another"], unit(2, seed=5)
    file = tmp_path / shipped.SUPPLEMENT
    shipped.write_supplement(file, first, later, vectors)
    monkeypatch.setattr(shipped, "SUPPLEMENT_SHA256", shipped.sha256_of(file))
    known = shipped.shipped_vectors(HashEncoder("ours"))
    at, found = known.of([later[1], FOODS[0], "no food", later[0]])
    assert at.tolist() == [0, 1, 3]
    assert (found * [vectors[1], written[0], vectors[0]]).sum(axis=1).min() > 0.99
    assert known.identity != first.identity
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"supplement.safetensors: its SHA-256 is .*install"):
        shipped.shipped_vectors(HashEncoder("ours"))


def test_of_another_encoder_or_with_a_prompt_none_are_known(written):
    assert shipped.shipped_vectors(HashEncoder()) is None
    prompted = HashEncoder("ours")
    prompted.prompts = Prompts(document="passage: ")
    assert shipped.shipped_vectors(prompted) is None


def test_a_file_that_was_changed_is_refused(written, tmp_path):
    shipped._read.cache_clear()
    with (tmp_path / shipped.FILE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ConfigError, match=r"vectors.safetensors: its SHA-256 is .*install"):
        shipped.shipped_vectors(HashEncoder())


def test_only_unknown_texts_are_encoded(written, tmp_path):
    encoder = HashEncoder("ours")
    known = shipped.shipped_vectors(encoder)
    texts = [("no food",), (FOODS[7],), (FOODS[3], "no food"), (FOODS[200],)]
    told = []
    found = text_vectors(
        texts, encoder, tmp_path / "index", lambda *counts: told.append(counts), known
    )
    assert encoder.encoded == [["no food"]]
    encode = encoder.encode
    assert told == [(0, 1), (1, 1)]
    assert found[1] @ written[7] > 0.9995
    assert np.allclose(found[0], encode(["no food"])[0], atol=1e-6)
    mean = encode(["no food"])[0] + written[3]
    assert found[2] @ (mean / np.linalg.norm(mean)) > 0.999


@pytest.mark.weights
def test_vectors_ship_for_the_encoder_that_foodex2_uses():
    assert shipped.shipped_vectors(Encoder.load(FITTED_ENCODER)) is not None


@pytest.mark.weights
@pytest.mark.data
def test_nearly_all_texts_of_a_catalogue_need_not_be_encoded(efsa):
    encoder = Encoder.load(FITTED_ENCODER)
    catalogue = load_catalogue(efsa / "MTX.ecf")
    terms = FoodEx2Taxonomy.from_catalogue(catalogue).terms
    texts = list(dict.fromkeys(node_texts(terms, "full")[0]))
    at, vectors = shipped.shipped_vectors(encoder).of(texts)
    assert len(at) > 0.999 * len(texts)
    sample = np.arange(0, len(at), len(at) // 40)
    right = encoder.encode([texts[i] for i in at[sample]])
    assert (vectors[sample] * right).sum(axis=1).min() > 0.9
