"""What the grading server's process and its handle say to one another. Both are trusted."""

from __future__ import annotations

import msgspec

from autograder.course.course import Homework
from autograder.results.result import Result

_OWN_TIME = 60.0
"""seconds that grading may take beyond the student's own limits before it is given up as lost"""


class GradeOrder(msgspec.Struct):
    """Grade what lies in a folder; the descriptor for the answer comes along."""

    student: str
    folder: str
    out: str
    """where to write the results file and the feedback page; '' for nowhere"""
    marked: str
    """where to write the autograded notebooks; '' for nowhere"""


class Started(msgspec.Struct, tag="started"):
    """The examiner is warm."""


class Refused(msgspec.Struct, tag="refused"):
    """The examiner cannot start: a mistake in the course's own files, or too little confinement."""

    why: str


class Graded(msgspec.Struct, tag="graded"):
    result: Result


class Failed(msgspec.Struct, tag="failed"):
    """There is no result, and that is not the student's doing."""

    why: str


def patience(homework: Homework) -> float:
    """Seconds after which grading a submission is given up."""
    return _OWN_TIME + homework.limits.total_seconds * len(homework.notebooks)
