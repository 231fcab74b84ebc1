"""Attaches pictures that lie beside a notebook to the texts that show them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from autograder.submission.rawcell import Attachments

_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_SHOWN = re.compile(
    r"""(!\[[^\[\]\n]*+\]\(\s*+<?|<img\b[^<>\n]*?\bsrc\s*+=\s*+["'])([^()"'>\s][^()"'>\n]*+)(?=\s*+>?\s*+\)|["'])"""
)
"""no part of it takes what another match may begin with, so that a text of any form is read in one pass"""


def with_pictures(
    source: str, attachments: Attachments, files: Mapping[str, bytes], room: int
) -> tuple[str, Attachments, int]:
    """A text whose pictures, given as files beside the notebook, are attached to it, so that a marker sees them.

    `room` is how many bytes of pictures may be attached; the third value is what is left of it, and negative if a
    picture did not fit. Each picture is attached once.
    """
    found: Attachments = dict(attachments)
    names: dict[str, str] = {}
    left = room

    def attached(match: re.Match[str]) -> str:
        nonlocal left
        told = match[2].rstrip()
        path = PurePosixPath(told.replace("%20", " "))
        kind = _PICTURES.get(path.suffix.casefold())
        place = "/".join(part for part in path.parts if part != ".")
        data = files.get(place)
        if kind is None or data is None:
            return match[0]
        if place not in names:
            if len(data) > left:
                left = min(left, -1)
                return match[0]
            left -= len(data)
            names[place] = f"{len(found)}-{path.name}".replace(" ", "-")
            found[names[place]] = {kind: base64.b64encode(data).decode()}
        return f"{match[1]}attachment:{names[place]}{match[2][len(told) :]}"

    return _SHOWN.sub(attached, source), found, left
