"""Pictures that student code drew: only sound PNGs of a sensible size are shown."""

from __future__ import annotations

import struct

MOST_BYTES = 4 << 20
"""bytes of one picture, and of two such pictures for the page"""
_SIDE, _AREA = 10_000, 40_000_000
"""pixels of a picture: a few bytes can unfold to gigabytes in a browser"""


def png_size(png: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG's first chunk gives; None when it is no PNG, or one too big to show."""
    if len(png) > MOST_BYTES or len(png) < 45 or png[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR":
        return None
    width, height = struct.unpack(">II", png[16:24])
    sane = 0 < width <= _SIDE and 0 < height <= _SIDE and width * height <= _AREA
    return (width, height) if sane else None
