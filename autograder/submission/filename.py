"""File names as text: a name on disk may be any bytes, but what is shown, stored and printed must be sound text."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import PurePosixPath

_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_QUOTE = re.compile(r"(?<!\w)[‘’]|[‘’](?!\w)")
"""a quotation mark; between two letters it is an apostrophe"""
_LONG, _LONGEST, _DIGEST = 180, 200, 12
"""bytes of a name that stays as it is and of one that was shortened, and hexadecimal digits of its digest"""


def shown(name: str) -> str:
    """A file name with every byte that cannot be printed percent-encoded, as in a web address: ``n%FFame``.

    So are quotation marks, as names stand between them in sentences. A name that would be too long for a file has its
    end replaced with a digest, and keeps its suffix.

    Two names never look the same, because a percent sign that would read as such an escape is encoded as well, and a
    shortened name is so long that it would be shortened itself. Usual names stay as they are.
    """
    escaped = "".join(
        sign if sign.isprintable() else _encoded(sign)
        for sign in _QUOTE.sub(lambda found: _encoded(found[0]), _ESCAPE.sub("%25", name))
    )
    return escaped if len(escaped.encode()) <= _LONG else _shortened(escaped)


def _encoded(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(sign))


def _shortened(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    suffix = suffix if suffix.isascii() and len(suffix) <= 10 else ""
    end = f"~{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]}{suffix}"
    start = name.encode()[: _LONGEST - len(end)].decode(errors="ignore")
    return re.sub(r"%[0-9A-F]?$", "", start) + end


def words(name: str) -> list[str]:
    """The words and numbers in a name, in small letters."""
    return re.findall(r"[^\W\d_]+|\d+", name.casefold())


def within(part: list[str], whole: list[str]) -> bool:
    """Whether words stand side by side among others."""
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
