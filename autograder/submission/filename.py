"""File names as text: a name on disk may be any bytes, but what is shown, stored and printed must be sound text."""

from __future__ import annotations

import os
import re

_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")


def shown(name: str) -> str:
    """A file name with every byte that cannot be printed percent-encoded, as in a web address: ``n%FFame``.

    Two names never look the same, because a percent sign that would read as such an escape is encoded as well. Usual
    names stay as they are.
    """
    return "".join(
        sign if sign.isprintable() else "".join(f"%{byte:02X}" for byte in os.fsencode(sign))
        for sign in _ESCAPE.sub("%25", name)
    )


def words(name: str) -> list[str]:
    """The words and numbers in a name, in small letters."""
    return re.findall(r"[^\W\d_]+|\d+", name.casefold())


def within(part: list[str], whole: list[str]) -> bool:
    """Whether words stand side by side among others."""
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
