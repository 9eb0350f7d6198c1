import base64
import io

import numpy as np
import pytest
from json_server import Reply, json_server
from PIL import Image

from cascade.errors import InputError
from cascade.io import pictures
from cascade.io.pictures import (
    PicturePlaces,
    data_uri,
    difference_hash,
    open_picture,
    thumbnail,
)


def png(colour=(255, 0, 0), size=(8, 6), kind="PNG", **options):
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, kind, **options)
    return made.getvalue()


def test_bytes_and_data_uris_are_pictures(tmp_path):
    places = PicturePlaces()
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    for value in (png(), uri, {"bytes": png(), "path": "a.png"}, data_uri(png())):
        found = places.find(value, tmp_path)
        assert found == png()
        assert open_picture(found).size == (8, 6)
    assert open_picture(uri).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "empty", [None, "", "  ", b"", float("nan"), {"bytes": None, "path": None}, {}]
)
def test_an_empty_cell_has_no_picture(empty, tmp_path):
    assert PicturePlaces().find(empty, tmp_path) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("data:image/png,abc", "is not base64; expected"),
        ("data:image/png;base64,a", "is not base64"),
        ("data:image/png;base64,", "is empty"),
        (12, "the picture is 12; expected a path"),
        ("file:///etc/hostname", "an address that is not read"),
        ("FILE:a.png", "the path of a file without anything before it"),
        ("ftp://shop.example/a.png", r"not read \(ftp://\)"),
        ("s3://bucket/a.png", "expected http:// or https://"),
        ("https://shop.example/a.png", "allow that with --allow-urls"),
    ],
)
def test_what_is_no_picture_is_refused(value, problem, tmp_path):
    with pytest.raises(InputError, match=problem):
        PicturePlaces().find(value, tmp_path)


def test_a_data_uri_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="of base64; the most is"):
        PicturePlaces().find(data_uri(b"x" * 200), tmp_path)


def test_paths_start_from_the_root_and_stay_in_it(tmp_path):
    root, data = tmp_path / "photos", tmp_path / "data"
    root.mkdir()
    data.mkdir()
    assert PicturePlaces(root).find("a.png", data) == root / "a.png"
    with pytest.raises(InputError, match="--image-root"):
        PicturePlaces(root).find("../data/a.png", data)
    outside = PicturePlaces(root, anywhere=True).find("../data/a.png", data)
    assert outside.resolve() == data / "a.png"


def test_only_the_first_frame_of_an_animation_is_read(tmp_path):
    first, second = (Image.new("RGB", (6, 6), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert open_picture(tmp_path / "a.gif").getpixel((1, 1)) == (255, 0, 0)


def test_a_thumbnail_is_small_and_nothing_for_what_is_no_picture():
    small = thumbnail(png(size=(400, 200)), 50)
    assert open_picture(small).size == (50, 25)
    assert thumbnail(b"nothing") == ""


@pytest.fixture
def server():
    """The address of a server on this machine that has a picture."""

    with json_server(lambda path, _: Reply(png())) as found:
        yield found.url


def test_an_address_is_fetched_where_that_is_allowed(server, tmp_path):
    found = PicturePlaces(hosts=("127.0.0.1",)).find(f"{server}/a.png", tmp_path)
    assert open_picture(found).size == (8, 6)
    with pytest.raises(InputError, match=r"127\.0\.0\.1, this machine itself.*--allow-host"):
        open_picture(PicturePlaces(urls=True).find(f"{server}/a.png", tmp_path))
    with pytest.raises(InputError, match=r"none of the hosts.*--allow-host 127"):
        open_picture(PicturePlaces(hosts=("example.com",)).find(f"{server}/a.png", tmp_path))


def test_copies_of_a_picture_look_the_same(tmp_path):
    rng = np.random.default_rng(0)

    def photo():
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        return coarse.resize((320, 240), Image.Resampling.BICUBIC)

    one, other = photo(), photo()
    one.resize((200, 150)).save(tmp_path / "a.jpg", quality=70)
    assert difference_hash(one) == difference_hash(open_picture(tmp_path / "a.jpg"))
    assert difference_hash(one) != difference_hash(other)
