"""Checks the pictures that students drew. Only valid PNGs and JPEGs of a reasonable size are shown."""

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
    return _sane(width, height)


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header of a JPEG. None when it is not a JPEG, or is too big to show."""
    if len(jpeg) > MOST_BYTES or jpeg[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 < len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", jpeg[at + 5 : at + 9])
            return _sane(width, height)
        at += 2 + max(length, 2)
    return None


def _sane(width: int, height: int) -> tuple[int, int] | None:
    sane = 0 < width <= _SIDE and 0 < height <= _SIDE and width * height <= _AREA
    return (width, height) if sane else None
