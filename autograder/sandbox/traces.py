"""Where an exception came from, in the student's terms: the cell and the line."""

from __future__ import annotations

import traceback
from types import TracebackType

from autograder.constants import cell_of

_MOST = 2000
"""characters kept of an exception's message"""


def where(trace: TracebackType | None) -> tuple[str, int]:
    """The innermost cell and line of a traceback; ('', 0) when it never passed through a cell."""
    place = ("", 0)
    for frame, line in traceback.walk_tb(trace):
        if cell := cell_of(frame.f_code.co_filename):
            place = (cell, line)
    return place


def describe(error: BaseException) -> str:
    """The message of an exception whose own __str__ may be broken."""
    try:
        return str(error)[:_MOST]
    except BaseException:
        return "(its message cannot be shown)"
