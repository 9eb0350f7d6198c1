"""Pictures: where a row may find one, and opening it within bounds."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import threading
import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import InputError
from cascade.io.web.address import WebAddress, is_address
from cascade.values import is_missing

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MAX_BYTES = 32 << 20
MAX_PIXELS = 50_000_000
MAX_RATIO = 20  # of the sides: models scale the shorter one up to a few hundred pixels
LARGE = 4_000_000  # pixels from which few pictures are decoded at a time
MAX_SIDE = 768  # pixels that are kept of the longer side, twice what encoders read

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+|(javascript|blob|file|about|mailto):", re.I)
_few = threading.BoundedSemaphore(2)
DATA = "data:"  # begins a picture that stands in the cell itself


@dataclass(frozen=True)
class PicturePlaces:
    """Where the pictures of rows may come from.

    Parameters
    ----------
    root
        Folder that paths start from; that of the input if None.
    anywhere
        Whether paths may lead out of it.
    urls
        Whether addresses of public hosts may be fetched.
    hosts
        Hosts that may be fetched from, public or not.
    """

    root: Path | None = None
    anywhere: bool = False
    urls: bool = False
    hosts: tuple[str, ...] = ()

    def find(self, value: Any, folder: Path) -> Path | bytes | str | None:
        """The picture that a cell holds or names; None where the cell is empty.

        Parameters
        ----------
        value
            A path, an address (`https://...`), a data URI, bytes, or an object with `bytes` and
            `path` as Parquet files of pictures have it.
        folder
            Of the input.

        Raises
        ------
        InputError
            It is nothing of this, or not allowed.
        """
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if is_missing(value):
            return None
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value) or None
        if not isinstance(value, str):
            raise InputError(
                f"the picture is {value!r:.60}; expected a path, a data URI, an address or bytes"
            )
        name = value.strip()
        if not name:
            return None
        if name[: len(DATA)].lower() == DATA:
            return bytes_of_data_uri(name)
        if is_address(name):
            return allowed_address(name, self.urls, self.hosts)
        if kind := _SCHEME.match(name):
            raise InputError(
                f"the picture {name!r:.200} is an address that is not read ({kind[0]}); expected "
                "http:// or https://, or the path of a file without anything before it"
            )
        if self.anywhere:
            return (self.root or folder) / name
        return picture_path(self.root or folder, name)


def allowed_address(address: str, urls: bool, hosts: Collection[str] = ()) -> WebAddress:
    """An address as `open_picture` fetches it; InputError where none may be fetched.

    Parameters
    ----------
    urls, hosts
        See `PicturePlaces`.
    """
    if not urls and not hosts:
        raise InputError(
            f"the picture {address!r:.200} would have to be fetched; allow that with --allow-urls "
            "(pictures.urls in a cascade.yaml), or give a file"
        )
    return WebAddress(address, hosts, others=urls)


def bytes_of_data_uri(uri: str) -> bytes:
    """The bytes in a `data:image/png;base64,...`, or an InputError."""
    head, comma, body = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InputError(
            f"the picture {uri!r:.60} is not base64; expected data:image/png;base64,..."
        )
    if len(body) > MAX_BYTES * 4 // 3:
        raise InputError(
            f"the picture in the cell has {len(body) >> 20:,} MiB of base64; the most is "
            f"{(MAX_BYTES * 4 // 3) >> 20}"
        )
    try:
        found = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"the picture {uri!r:.60} is not base64: {error}") from None
    if not found:
        raise InputError(f"the picture {uri!r:.60} is empty")
    return found


def _begin_anew() -> None:
    """Take back what the threads of a parent hold."""
    global _few
    _few = threading.BoundedSemaphore(2)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def data_uri(picture: bytes) -> str:
    """Bytes as text that `PicturePlaces.find` reads."""
    return f"{DATA}application/octet-stream;base64,{base64.b64encode(picture).decode()}"


def picture_path(folder: Path, name: str) -> Path:
    """The file that a cell names; InputError where a path or a link leads out of the folder."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links
        inside = False
    if not inside:
        raise InputError(
            f"the picture {name!r:.200} is not in the folder of the input; expected a path "
            "relative to that folder, inside of it; name another folder with --image-root"
        )
    return path


def open_picture(source: Path | bytes | str | Image) -> Image:
    """A picture as RGB: upright, on white where it is transparent, of an animation the first frame.

    Parameters
    ----------
    source
        A file, the bytes of one, a data URI, an address that may be fetched, or an opened picture.

    Returns
    -------
    PIL.Image.Image
        With sides of `MAX_SIDE` pixels at the most.

    Raises
    ------
    InputError
        There is no such file, or it is not a picture within the bounds of this module.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    what = _called(source)
    try:
        if isinstance(source, Image.Image):
            opened = source.copy()
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
                opened = Image.open(_stream(source, what), formats=FORMATS)
        with opened:
            _check_sides(what, *opened.size)
            opened.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded smaller at once
            with _few if opened.width * opened.height > LARGE else nullcontext():
                picture = _in_eight_bits(opened)
                picture.thumbnail((MAX_SIDE, MAX_SIDE))
        ImageOps.exif_transpose(picture, in_place=True)
        return _on_white(picture)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(
            f"{what} has far more pixels than are decoded; the most is {MAX_PIXELS:,}"
        ) from None
    except Exception as error:  # a decoder may raise anything at a damaged file
        problem = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            problem = "it is not a picture of a known kind"
        if isinstance(error, OSError) and error.errno:  # the system's, not the decoder's
            raise InputError(f"{what} cannot be read: {os.strerror(error.errno)}") from None
        raise InputError(
            f"{what} cannot be read: {problem:.200}; expected {', '.join(FORMATS)}"
        ) from error


def picture_key(picture: Any) -> Any:
    """A key for a picture while it is held: itself if it can be one, else its id."""
    return picture if isinstance(picture, Path | bytes | str) else id(picture)


def difference_hash(picture: Image) -> str:
    """64 bits of how brightness runs in an opened picture (dHash), as 16 digits.

    Copies of a picture, also of other size or quality, nearly always have the same.
    """
    small = picture.convert("L").resize((9, 8), 3)
    pixels = small.tobytes()
    rises = [pixels[row * 9 + at] < pixels[row * 9 + at + 1] for row in range(8) for at in range(8)]
    return f"{sum(1 << at for at, rise in enumerate(rises) if rise):016x}"


def thumbnail(source: Path | bytes | str | Image, side: int = 96) -> str:
    """A small JPEG of a picture as a data URI, for pages; empty where it cannot be read.

    Nothing is fetched for it.
    """
    if isinstance(source, str) and is_address(source):
        return ""
    try:
        picture = open_picture(source)
    except InputError:
        return ""
    picture.thumbnail((side, side))
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=80)
    return f"{DATA}image/jpeg;base64,{base64.b64encode(made.getvalue()).decode()}"


def _called(source: Any) -> str:
    """What messages call a picture."""
    if isinstance(source, bytes):
        return f"the picture of {len(source):,} bytes"
    if isinstance(source, Path | str):
        return f"the picture {source!s:.300}"
    return "the picture"


def _stream(source: Path | bytes | str, what: str) -> Path | io.BytesIO:
    """What Pillow opens, of a size that is allowed."""
    if isinstance(source, str):
        source = _bytes_named_by(source)
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"{what} {_why_no_file(source)}")
        size = source.stat().st_size
    else:
        size = len(source)
    if size > MAX_BYTES:
        raise InputError(f"{what} has {size >> 20:,} MiB; the most is {MAX_BYTES >> 20}")
    if not size:
        raise InputError(f"{what} cannot be read: it is empty; expected {', '.join(FORMATS)}")
    return source if isinstance(source, Path) else io.BytesIO(source)


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder; expected the file of one picture"
    if path.exists():
        return "is no file but a pipe, a socket or a device, which are not read"
    return "is not there"


def _bytes_named_by(text: str) -> bytes:
    """The bytes in a data URI or at an address."""
    if text[: len(DATA)].lower() == DATA:
        return bytes_of_data_uri(text)
    from cascade.io.web.fetching import fetch  # few runs need it

    return fetch(text, MAX_BYTES)


def _check_sides(what: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{what} has {width:,} x {height:,} pixels; the most is {MAX_PIXELS:,}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise InputError(
            f"{what} has {width:,} x {height:,} pixels; expected no side over "
            f"{MAX_RATIO} times the other"
        )


def _in_eight_bits(picture: Image) -> Image:
    """The picture with values from 0 to 255, whatever they were; a palette as its colours."""
    from PIL import Image

    if picture.mode == "P":
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.mode not in {"I", "F"} and not picture.mode.startswith("I;"):
        picture.load()
        return picture
    values = np.nan_to_num(np.asarray(picture).astype(np.float32))
    whole = picture.mode != "F"
    most = 65535.0 if whole and values.max(initial=0) > 255 else 255.0
    if not whole and values.max(initial=0) <= 1:
        most = 1.0
    found = Image.fromarray((values.clip(0, most) * (255 / most)).astype(np.uint8))
    found.info = picture.info
    return found


def _on_white(picture: Image) -> Image:
    from PIL import Image

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")
