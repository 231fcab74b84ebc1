"""Plain text of what students and their code wrote: nothing that a terminal, an editor or a browser would obey."""

from __future__ import annotations

import re
from typing import Any

_NOISE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ANSI: colours, cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)"  # ANSI: window titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"  # ANSI: the rest
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # they reverse how the text around them reads
    r"|[\ud800-\udfff\ufffe\uffff]"  # not characters; a file name that is not UTF-8 brings them in
)


def plain(text: str) -> str:
    """The text without what a terminal would obey rather than show."""
    return _NOISE.sub("", text)


def cleaned(value: Any) -> Any:
    """A text made plain; any other value as it is."""
    return plain(value) if type(value) is str else value


def points_text(points: float | None) -> str:
    return "" if points is None else f"{points:.2f}".rstrip("0").rstrip(".")
