import numpy as np
import pytest
from hash_encoder import HashEncoder
from PIL import Image

from cascade.io.pictures import open_picture
from cascade.items import Batch, Item
from cascade.models.small import make_small
from cascade.retrieval import encoder
from cascade.retrieval.encoder import Encoder, item_vectors
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    make_small("clip", folder, ["straw hat", "garden rake"])
    return Encoder.load(str(folder), device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three pictures, the last one damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for name, size in {"a.png": (40, 60), "b.jpg": (300, 200)}.items():
        pixels = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size).save(folder / name)
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:60])
    return [folder / "a.png", folder / "b.jpg", folder / "bad.png"]


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_pictures_and_texts_are_where_transformers_has_them(clip, files):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    folder = clip._model._model[0].model.name_or_path
    model = AutoModel.from_pretrained(folder).eval()
    prepare = AutoImageProcessor.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    opened = [open_picture(file) for file in files[:2]]
    with torch.inference_mode():
        for picture, found in zip(opened, clip.encode_pictures(opened), strict=True):
            pixels = prepare(picture, return_tensors="pt")["pixel_values"]
            expected = model.get_image_features(pixel_values=pixels).pooler_output[0].numpy()
            np.testing.assert_allclose(found, unit(expected), atol=1e-5)
        ids = torch.tensor([tokenizer("straw hat")["input_ids"]])
        expected = model.get_text_features(input_ids=ids).pooler_output[0].numpy()
        (found,) = clip.encode(["straw hat"])
        np.testing.assert_allclose(found, unit(expected), atol=1e-5)


def test_an_item_is_searched_by_its_text_its_picture_or_both(clip, files):
    words = clip.encode(["straw hat"])[0]
    seen = clip.encode_pictures([open_picture(files[0])])[0]
    text = {"text": "straw hat"}
    batch = Batch([Item(text), Item({}, image=files[0]), Item(text, image=files[0])])
    found = item_vectors(clip, batch)
    np.testing.assert_allclose(found, [words, seen, unit(words + seen)], atol=1e-5)
    assert batch.problems == {}


def test_nodes_are_compared_with_the_picture(clip, files, tmp_path):
    retriever = Retriever(TAXONOMY, clip, "leaf", folder=tmp_path)
    found = retriever.node_similarity(Batch([Item({}, image=files[0])]))
    seen = clip.encode_pictures([open_picture(files[0])])
    expected = clip.encode(TAXONOMY.names) @ seen.T
    np.testing.assert_allclose(found, expected, atol=1e-2)  # the index is of half precision


def test_a_damaged_picture_is_a_problem_of_its_item_alone(clip, files, monkeypatch):
    items = [Item({"text": "hat"}, image=file) for file in [files[2], *files * 3]]
    batch = Batch(items)
    found = item_vectors(clip, batch)
    assert set(batch.problems) == {0, 3, 6, 9}
    assert all("bad.png cannot be read" in problem for problem in batch.problems.values())
    assert not found[[0, 3, 6, 9]].any()
    monkeypatch.setattr(encoder, "PICTURE_BLOCK", 2)
    again = Batch(items)
    np.testing.assert_allclose(item_vectors(clip, again), found, atol=1e-5)
    assert again.problems == batch.problems


def test_items_without_pictures_need_no_encoder_of_pictures():
    encoder = HashEncoder()
    found = item_vectors(encoder, Batch([Item.of("hat"), Item.of("rake")]))
    np.testing.assert_array_equal(found, encoder.encode(["hat", "rake"]))


@pytest.mark.weights
def test_an_encoder_says_whether_it_reads_pictures(clip, minilm):
    assert clip.reads_pictures
    assert not minilm.reads_pictures


def test_no_pictures_have_no_vectors(clip):
    assert clip.encode_pictures([]).shape == (0, clip.width)


def test_text_that_spells_a_control_token_is_plain_text_to_clip(clip):
    ids = clip._model._model.preprocess(["hat [SEP] cap [CLS]"])["input_ids"][0].tolist()
    control = clip._model._model.tokenizer.all_special_ids
    assert [i for i in ids if i in control] == [ids[0], ids[-1]]


def test_a_text_has_the_same_vector_alone_and_among_others_with_siglip(tmp_path):
    import torch
    from transformers import AutoTokenizer, SiglipConfig, SiglipModel

    make_small("clip", tmp_path, ["straw hat"])  # for its tokenizer and its way with pictures
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    shape["num_attention_heads"] = 2
    text = {**shape, "vocab_size": len(tokenizer), "max_position_embeddings": 24}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3}
    vision = {**shape, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    model = SiglipModel(SiglipConfig(text_config=text | ends, vision_config=vision))
    model.save_pretrained(tmp_path)
    encoder = Encoder.load(str(tmp_path), device="cpu")
    assert encoder.reads_pictures
    texts = ["hat", "a straw hat with a ribbon", "rake"]
    alone = np.vstack([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)
    assert (encoder.encode(["hat"]) @ encoder.encode(["hat " * 99]).T).item() < 0.999
