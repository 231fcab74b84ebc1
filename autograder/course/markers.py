"""Markers: the lines that begin and end nbgrader's regions (solutions, hidden tests, mark schemes)."""

from __future__ import annotations

import difflib
import re

DELIMITERS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
"""the names of nbgrader's regions; each region goes from `### BEGIN …` to `### END …`"""
_REGION = re.compile(r"(?:### (BEGIN|END) ({0})|=== (BEGIN|END) ({0}) ===)".format("|".join(DELIMITERS)))
EDGES = [f"{edge} {name}" for name in DELIMITERS for edge in ("BEGIN", "END")]


def edge_of(line: str) -> tuple[str, str] | None:
    """The side (BEGIN or END) and the region name of a marker line; None for any other line."""
    found = _REGION.fullmatch(line.strip())
    return (found[1] or found[3], found[2] or found[4]) if found else None


def misspelt(line: str) -> str | None:
    """The marker that a line contains or resembles, if any. nbgrader looks for markers anywhere in a line."""
    for edge in EDGES:
        if edge in line:
            return edge
    if not line.lstrip().startswith(("#", "===")):
        return None
    words = " ".join(re.findall(r"[A-Z]+", line.upper()))
    close = difflib.get_close_matches(words, EDGES, 1, cutoff=0.85)
    return close[0] if close else None
