"""A small PNG file whose header names any size, for tests of limits."""

import io
import struct
import zlib

from PIL import Image


def huge_png(width, height):
    """The bytes of a picture of one pixel that says to have many."""
    sink = io.BytesIO()
    Image.new("1", (1, 1)).save(sink, "PNG")
    png = bytearray(sink.getvalue())
    png[16:24] = struct.pack(">II", width, height)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    return bytes(png)
