"""The checksum that nbgrader writes into each cell of a release: whether a cell is still as it was handed out.

A student could forge it, and gains nothing: it decides what is said of a given cell, whose text is restored either way.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autograder.course.release import checksum


class _Marks(msgspec.Struct):
    """The part of a cell's nbgrader metadata that the checksum covers."""

    checksum: str
    grade_id: str
    grade: bool = False
    solution: bool = False
    locked: bool = False
    points: float = 0.0


def fits(source: str, kind: str, marks: Mapping[str, bytes]) -> bool | None:
    """Whether a cell's checksum is that of its text, by its nbgrader metadata as stored; None if there is none."""
    try:
        told = msgspec.convert({name: msgspec.json.decode(raw) for name, raw in marks.items()}, _Marks)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    now = checksum(source, kind, told.grade_id, told.grade, told.solution, told.locked, told.points)
    return now == told.checksum
