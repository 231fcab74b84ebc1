"""The messages between the grading server's process and its client. Both are trusted."""

from __future__ import annotations

import msgspec

from autograder.course.course import Homework
from autograder.results.result import Result

_OWN_TIME = 60.0
"""seconds that grading may take beyond the student's limits before it counts as an infrastructure failure"""


class GradeOrder(msgspec.Struct):
    """Grade the submission in a folder. The file descriptor for the answer is attached."""

    student: str
    folder: str
    out: str
    """folder for the results file and the feedback page; '' for none"""
    marked: str
    """folder for the autograded notebooks; '' for none"""


class Started(msgspec.Struct, tag="started"):
    """The grading server is ready."""


class Refused(msgspec.Struct, tag="refused"):
    """The grading server cannot start: the course's files contain an error, or the confinement is too weak."""

    why: str


class Graded(msgspec.Struct, tag="graded"):
    result: Result


class Failed(msgspec.Struct, tag="failed"):
    """There is no result because of an infrastructure failure."""

    why: str


def patience(homework: Homework) -> float:
    """The timeout in seconds for grading one submission."""
    return _OWN_TIME + homework.limits.total_seconds * len(homework.notebooks)
