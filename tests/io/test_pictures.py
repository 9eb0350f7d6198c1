import os

import numpy as np
import pytest
from huge_png import huge_png
from PIL import Image, ImageFile

from cascade.errors import InputError
from cascade.io import pictures
from cascade.io.pictures import MAX_SIDE, open_picture, picture_path

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def corners(picture):
    """Colours at the upper left and the lower right, to a few steps."""
    width, height = picture.size
    return [
        tuple(32 * round(part / 32) for part in picture.getpixel(place))
        for place in [(1, 1), (width - 2, height - 2)]
    ]


def near(*colours):
    return [tuple(32 * round(part / 32) for part in colour) for colour in colours]


@pytest.fixture
def flag(tmp_path):
    """Writes a picture that is red above and blue below."""

    def flag(name, mode="RGB", size=(40, 20), **options):
        picture = Image.new("RGB", size, RED)
        picture.paste(BLUE, (0, size[1] // 2, *size))
        picture.convert(mode).save(tmp_path / name, **options)
        return tmp_path / name

    return flag


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "RGB"),
        ("a.png", "RGBA"),
        ("a.png", "P"),
        ("a.gif", "P"),
        ("a.jpg", "RGB"),
        ("a.jpg", "CMYK"),
        ("a.webp", "RGB"),
        ("a.bmp", "RGB"),
        ("a.tiff", "CMYK"),
        ("named.wrong", "RGB"),
    ],
)
def test_every_known_kind_is_opened_as_rgb(flag, name, mode):
    options = {"quality": 95} if name.endswith(("jpg", "webp")) else {}
    if name == "named.wrong":
        options["format"] = "PNG"
    opened = open_picture(flag(name, mode, **options))
    assert (opened.mode, opened.size) == ("RGB", (40, 20))
    assert corners(opened) == near(RED, BLUE)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_a_picture_without_colours_is_opened_as_rgb(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png").mode == "RGB"


def test_a_picture_that_was_taken_sideways_is_turned_upright(flag):
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    assert corners(open_picture(flag("a.jpg", exif=exif))) == near(BLUE, RED)
    exif[0x0112] = 6  # taken on the right side
    assert open_picture(flag("b.jpg", exif=exif)).size == (20, 40)


def test_what_is_transparent_is_white(tmp_path):
    picture = Image.new("RGBA", (8, 8), (*RED, 0))
    picture.paste((*BLUE, 255), (4, 4, 8, 8))
    picture.save(tmp_path / "a.png")
    assert corners(open_picture(tmp_path / "a.png")) == near(WHITE, BLUE)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "a.gif", transparency=0)
    assert corners(open_picture(tmp_path / "a.gif")) == near(WHITE, WHITE)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_large_picture_is_made_smaller_in_proportion(flag, name):
    opened = open_picture(flag(name, size=(4 * MAX_SIDE, 2 * MAX_SIDE)))
    assert opened.size == (MAX_SIDE, MAX_SIDE // 2)
    assert corners(opened) == near(RED, BLUE)


def test_a_small_picture_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(open_picture(tmp_path / "a.png")), pixels)


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ((10_000, 6_000), r"10,000 x 6,000 pixels; the most is 50,000,000"),
        ((10_000, 12_000), r"10,000 x 12,000 pixels; the most is"),
        ((20_000, 20_000), r"far more pixels than are decoded; the most is 50,000,000"),
        ((1, 2_000), r"1 x 2,000 pixels; expected no side over 20 times the other"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_picture_that_would_fill_memory_is_refused_before_it_is_decoded(
    tmp_path, monkeypatch, size, problem
):
    (tmp_path / "a.png").write_bytes(huge_png(*size))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match=problem):
        open_picture(tmp_path / "a.png")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1 << 20)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(InputError, match=r"a\.png has 5 MiB; the most is 1"):
        open_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_no_picture_is_refused_with_the_known_kinds(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png cannot be read: .*expected JPEG, PNG"):
        open_picture(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (10, 40, len(whole) // 2):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(InputError, match="cannot be read"):
            open_picture(tmp_path / name)


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name, told in {
        "gone.png": "is not there",
        "dangling": "is not there",
        "x" * 300: "is not there|File name too long",
        "": "is a folder",
        "pipe": "is no file but a pipe",
        "link": "is no file but a pipe, a socket or a device",
    }.items():
        with pytest.raises(InputError, match=told):
            open_picture(tmp_path / name)


def test_a_picture_of_numbers_that_are_none_is_opened_without_a_word(tmp_path, recwarn):
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(tmp_path / "a.tiff")
    assert open_picture(tmp_path / "a.tiff").getpixel((0, 0)) == (0, 0, 0)
    assert not recwarn


def test_a_picture_lies_in_the_folder_of_the_input(tmp_path):
    folder = tmp_path / "data"
    for name in ("a.png", "images/a.png", "images/../a.png", str(folder / "a.png"), "..png"):
        assert picture_path(folder, name).resolve().is_relative_to(folder)


@pytest.mark.parametrize(
    "name", ["../a.png", "images/../../a.png", "/etc/hostname", "a\0b", "out/a"]
)
def test_a_picture_elsewhere_is_refused(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is not in the folder of the input"):
        picture_path(folder, name)


def test_a_loop_of_links_is_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError):
        open_picture(picture_path(tmp_path, "a/c.png"))


@pytest.mark.parametrize(
    ("dtype", "most", "name"),
    [("uint16", 65535, "a.png"), ("uint16", 65535, "a.tiff"), ("float32", 1.0, "a.tiff")],
)
def test_a_picture_of_many_bits_keeps_its_shades(tmp_path, dtype, most, name):
    ramp = np.linspace(0, most, 64).astype(dtype)
    Image.fromarray(np.tile(ramp, (16, 1))).save(tmp_path / name)
    found = np.asarray(open_picture(tmp_path / name))[8, :, 0].astype(int)
    np.testing.assert_allclose(found, np.linspace(0, 255, 64), atol=2)


def test_a_large_picture_with_transparency_is_small_and_white(tmp_path):
    Image.new("RGBA", (2100, 2100), (*RED, 0)).save(tmp_path / "a.png")
    opened = open_picture(tmp_path / "a.png")
    assert opened.size == (MAX_SIDE, MAX_SIDE) and corners(opened) == near(WHITE, WHITE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_does_not_wait_for_large_pictures_of_its_parent():
    held = pictures._few
    with held, held:  # as while two are decoded
        child = os.fork()
        if not child:
            os._exit(0 if pictures._few.acquire(timeout=5) else 1)
        assert os.waitpid(child, 0)[1] == 0
