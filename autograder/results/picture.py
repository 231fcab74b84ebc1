"""Checks the pictures that student code drew. Only valid PNGs of a reasonable size are shown."""

from __future__ import annotations

import struct

MOST_BYTES = 4 << 20
"""maximum size of one picture; all pictures of a page may have twice this size together"""
_SIDE, _AREA = 10_000, 40_000_000
"""maximum side and area in pixels; a small file can need gigabytes of memory in a browser"""


def png_size(png: bytes) -> tuple[int, int] | None:
    """Width and height from the first chunk of a PNG. None when it is not a PNG, or is too big to show."""
    if len(png) > MOST_BYTES or len(png) < 45 or png[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR":
        return None
    width, height = struct.unpack(">II", png[16:24])
    sane = 0 < width <= _SIDE and 0 < height <= _SIDE and width * height <= _AREA
    return (width, height) if sane else None
