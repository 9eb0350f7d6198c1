"""Vision models: the wheel's network, folders of ours, and any that transformers reads."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cascade.errors import WeightsError
from cascade.features.pictures import PictureFeatures, inference_module
from cascade.models.efficientnet import SHAPES, EfficientNetLite, folded, from_wheel
from cascade.models.vision import Preparation, load_vision
from cascade.models.weights import Weights, find_weights


def picture(seed=0, size=(60, 40)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_the_middle_square_is_read_as_the_model_wants_it():
    made = Image.new("RGB", (80, 40), "blue")
    made.paste("red", (20, 0, 60, 40))
    square = Preparation(16, 16).square(made)
    assert square.shape == (16, 16, 3)
    assert square[..., 0].min() > 230 and square[..., 2].max() < 30
    squeezed = Preparation(16, None).square(made)
    assert squeezed[:, 0, 2].min() == 255
    pixels = Preparation(16, 16, (0.5,) * 3, (0.25,) * 3).pixels([square])
    np.testing.assert_allclose(pixels[0, :, 8, 8], [2, -2, -2], atol=0.01)


@pytest.mark.parametrize("side", [32, 33, 47])
def test_folding_batch_norms_changes_nothing(side):
    torch.manual_seed(0)
    network = EfficientNetLite(SHAPES["efficientnet-lite0"])
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 1.5)
    network.eval()
    pixels = torch.randn(2, 3, side, side)
    import copy

    with torch.inference_mode():
        expected = network(pixels)
        found = folded(copy.deepcopy(network))(pixels)
    assert found.shape == (2, 1280)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_weights_of_another_network_are_refused():
    small = EfficientNetLite(SHAPES["efficientnet-lite0"]).state_dict()
    with pytest.raises(ValueError, match="another network"):
        from_wheel(small, SHAPES["efficientnet-lite1"])


@pytest.mark.weights
def test_the_weights_in_the_wheel_know_what_a_picture_shows():
    """A drawn lemon is nearer to a drawn orange than to a chequered board."""
    from PIL import ImageDraw

    def disc(colour):
        made = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(made).ellipse((40, 40, 184, 184), fill=colour)
        return made

    board = Image.fromarray(
        (np.indices((224, 224)).sum(axis=0) // 28 % 2 * 255).astype(np.uint8)
    ).convert("RGB")
    model = load_vision(find_weights("efficientnet-lite0"), "cpu")
    features = PictureFeatures(model)
    prepared = [model.preparation.square(p) for p in (disc("yellow"), disc("orange"), board)]
    yellow, orange, black = features.vectors(prepared)
    assert yellow @ orange > yellow @ black + 0.2
    np.testing.assert_allclose(np.linalg.norm([yellow, orange, black], axis=1), 1, atol=1e-5)


@pytest.fixture(scope="module", params=["vit", "resnet", "convnext", "dinov2", "clip"])
def folder(request, tmp_path_factory):
    """A small model of each kind, as transformers saves it."""
    import transformers

    path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    configs = {
        "vit": lambda: transformers.ViTConfig(
            **small, intermediate_size=32, image_size=32, patch_size=8
        ),
        "dinov2": lambda: transformers.Dinov2Config(**small, image_size=32, patch_size=8),
        "resnet": lambda: transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"
        ),
        "convnext": lambda: transformers.ConvNextConfig(
            num_stages=2, hidden_sizes=[8, 16], depths=[1, 2]
        ),
        "clip": lambda: transformers.CLIPConfig(
            vision_config={**small, "intermediate_size": 32, "image_size": 32, "patch_size": 8},
            text_config={**small, "intermediate_size": 32, "vocab_size": 100},
        ),
    }
    transformers.AutoModel.from_config(configs[request.param]()).save_pretrained(path)
    told = {"size": {"height": 32, "width": 32}, "image_mean": [0.1] * 3, "image_std": [0.2] * 3}
    (path / "preprocessor_config.json").write_text(json.dumps({**told, "resample": 2}))
    return path


def test_any_vision_model_of_transformers_gives_vectors(folder, tmp_path):
    model = load_vision(find_weights(str(folder)), "cpu")
    assert (model.preparation.side, model.preparation.mean) == (32, (0.1, 0.1, 0.1))
    features = PictureFeatures(model)
    squares = [model.preparation.square(picture(seed)) for seed in (1, 2)]
    vectors = features.vectors(squares)
    assert vectors.shape == (2, model.width)
    assert abs(vectors[0] @ vectors[1]) < 0.99999
    assert len(model.blocks) >= 2
    model.save(tmp_path / "saved")
    again = load_vision(find_weights(str(tmp_path / "saved")), "cpu")
    assert again.preparation == model.preparation
    np.testing.assert_allclose(PictureFeatures(again).vectors(squares), vectors, atol=1e-5)


def test_a_folder_of_ours_is_what_was_saved(tmp_path):
    from cascade.models.vision import LITE, VisionModel

    torch.manual_seed(0)
    module = EfficientNetLite(SHAPES["efficientnet-lite0"]).eval()
    config = {"model_type": LITE, "shape": "efficientnet-lite0"}
    VisionModel(module, 1280, Preparation(32, 40), "x", config).save(tmp_path)
    again = load_vision(find_weights(str(tmp_path)), "cpu")
    assert again.preparation == Preparation(32, 40)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again.module(pixels), module(pixels))
        torch.testing.assert_close(
            inference_module(again)(pixels), module(pixels), atol=1e-4, rtol=1e-3
        )


def test_what_is_no_vision_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="no vision model"):
        load_vision(Weights("x", tmp_path, "folder", "x"), "cpu")


def test_a_pooler_that_the_weights_do_not_have_is_not_asked(tmp_path):
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = load_vision(find_weights(str(tmp_path)), "cpu")
        features = PictureFeatures(model)
        found.append(features.vectors([model.preparation.square(picture(3))]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_weights_that_are_missing_are_told(tmp_path):
    from safetensors.torch import load_file, save_file
    from tiny_vision import save_tiny_vision

    save_tiny_vision(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    name = next(name for name in state if "layer" in name)
    save_file({n: v for n, v in state.items() if n != name}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="1 weights are missing"):
        load_vision(find_weights(str(tmp_path)), "cpu")


def test_two_models_of_the_same_size_and_age_are_told_apart(tmp_path):
    import os

    from tiny_vision import save_tiny_vision

    found = []
    for seed in (1, 2):
        folder = tmp_path / str(seed) / "model"
        folder.mkdir(parents=True)
        save_tiny_vision(folder, seed=seed)
        for path in folder.iterdir():
            os.utime(path, (0, 0))
        found.append(load_vision(find_weights(str(folder)), "cpu").identity)
    assert found[0] != found[1]
