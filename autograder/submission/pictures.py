"""Attaches pictures that lie beside a notebook to the texts that show them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from autograder.submission.rawcell import Attachments

_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_SHOWN = re.compile(
    r"""(!\[[^\]\n]*\]\(\s*<?|<img\b[^>\n]*?\bsrc\s*=\s*["'])([^)"'>\s][^)"'>\n]*?)(?=\s*>?\s*\)|["'])"""
)


def with_pictures(source: str, attachments: Attachments, files: Mapping[str, bytes]) -> tuple[str, Attachments]:
    """A text whose pictures, given as files beside the notebook, are attached to it, so that a marker sees them."""
    found: Attachments = dict(attachments)

    def attached(match: re.Match[str]) -> str:
        path = PurePosixPath(match[2].replace("%20", " "))
        kind = _PICTURES.get(path.suffix.casefold())
        data = files.get("/".join(part for part in path.parts if part != "."))
        if kind is None or data is None:
            return match[0]
        name = f"{len(found)}-{path.name}".replace(" ", "-")
        found[name] = {kind: base64.b64encode(data).decode()}
        return f"{match[1]}attachment:{name}"

    return _SHOWN.sub(attached, source), found
