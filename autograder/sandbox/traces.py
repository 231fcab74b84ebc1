"""Finds the cell and the line of the notebook that raised an exception."""

from __future__ import annotations

import traceback
from types import TracebackType

from autograder.constants import cell_of

_MOST = 2000
"""most characters that are kept of an exception's message"""


def where(trace: TracebackType | None) -> tuple[str, int]:
    """The innermost cell and line of a traceback; ('', 0) if it contains no cell."""
    place = ("", 0)
    for frame, line in traceback.walk_tb(trace):
        if cell := cell_of(frame.f_code.co_filename):
            place = (cell, line)
    return place


def describe(error: BaseException) -> str:
    """The message of an exception, even if its __str__ fails."""
    try:
        return str(error)[:_MOST]
    except BaseException:
        return "(its message cannot be shown)"
