"""Attaches pictures that lie beside a notebook to the texts that show them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from autograder.submission.rawcell import MAX_PICTURE_BYTES, Attachments

_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_SHOWN = re.compile(
    r"""(!\[[^\[\]\n]*+\]\(\s*+<?|<img\b[^<>\n]*?\bsrc\s*+=\s*+["'])([^()"'>\s][^()"'>\n]*+)(?=\s*+>?\s*+\)|["'])"""
)
"""no part of it takes what another match may begin with, so that a text of any form is read in one pass"""


class Album:
    """The pictures beside a notebook, which are attached to the texts that show them, so that a marker sees them."""

    def __init__(self, files: Mapping[str, bytes], room: int = MAX_PICTURE_BYTES) -> None:
        """`files` are beside the notebook: relative path and content. `room` is how many bytes may be attached."""
        self._files, self._room = files, room
        self.left_out = False
        """whether a picture did not fit; none after it is attached"""

    def attach(self, source: str, attachments: Attachments) -> tuple[str, Attachments]:
        """A text that shows its attachments in place of files, and these. Each picture is attached once."""
        found: Attachments = dict(attachments)
        names: dict[str, str] = {}

        def attached(match: re.Match[str]) -> str:
            told = match[2].rstrip()
            path = PurePosixPath(told.replace("%20", " "))
            kind = _PICTURES.get(path.suffix.casefold())
            place = "/".join(part for part in path.parts if part != ".")
            data = self._files.get(place)
            if kind is None or data is None:
                return match[0]
            if place not in names:
                self.left_out |= len(data) > self._room
                if self.left_out:
                    return match[0]
                self._room -= len(data)
                names[place] = f"{len(found)}-{path.name}".replace(" ", "-")
                found[names[place]] = {kind: base64.b64encode(data).decode()}
            return f"{match[1]}attachment:{names[place]}{match[2][len(told) :]}"

        return _SHOWN.sub(attached, source), found
