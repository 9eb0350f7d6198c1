"""Pictures: where a row may find one, and opening it within bounds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_BYTES = 32 << 20
MAX_PIXELS = 50_000_000
MAX_RATIO = 20  # of the sides: models scale the shorter one up to a few hundred pixels
MAX_SIDE = 768  # pixels that are kept of the longer side, twice what encoders read


def picture_path(folder: Path, name: str) -> Path:
    """The file that a cell names, relative to the folder of the input.

    Raises
    ------
    InputError
        It lies outside of that folder, also by a link.
    """
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links
        inside = False
    if not inside:
        raise InputError(
            f"the picture {name!r:.200} is not in the folder of the input; expected a path "
            "relative to that folder, inside of it"
        )
    return path


def open_picture(path: Path) -> Image:
    """A picture as RGB, turned upright, on white where it is transparent, and not over-large.

    Returns
    -------
    PIL.Image.Image
        With sides of `MAX_SIDE` pixels at the most.

    Raises
    ------
    InputError
        There is no such file, or it is no picture within the bounds of this module.
    """
    from PIL import Image, ImageOps

    try:
        if not path.is_file():
            raise InputError(f"the picture {path} is not there")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"the picture {path} has {size >> 20:,} MiB; the most is {MAX_BYTES >> 20}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
            opened = Image.open(path, formats=FORMATS)
        with opened:
            _check_sides(path, *opened.size)
            opened.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded smaller at once
            picture = _on_white(ImageOps.exif_transpose(opened))
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        return picture
    except InputError:
        raise
    except Exception as error:  # a decoder may raise anything at a damaged file
        problem = str(error) or type(error).__name__
        raise InputError(
            f"the picture {path} cannot be read: {problem}; expected {', '.join(FORMATS)}"
        ) from error


def _check_sides(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"the picture {path} has {width:,} x {height:,} pixels; the most is {MAX_PIXELS:,}"
        )
    if max(width, height) > MAX_RATIO * min(width, height):
        raise InputError(
            f"the picture {path} has {width:,} x {height:,} pixels; expected no side over "
            f"{MAX_RATIO} times the other"
        )


def _on_white(picture: Image) -> Image:
    from PIL import Image

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
