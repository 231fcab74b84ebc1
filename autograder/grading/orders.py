"""The messages between the grading server's process and its client. Both are trusted."""

from __future__ import annotations

import msgspec

from autograder.constants import LONGEST
from autograder.course.course import Homework
from autograder.results.result import Result

_OWN_TIME = 60.0
"""seconds that grading may take beyond the student's limits before it counts as an infrastructure failure"""


class Place(msgspec.Struct, tag="place", frozen=True):
    """Where grading a submission is. The process that grades says so before each step, in case it ends there."""

    notebook: str = ""
    test: str = ""
    """the name of a hidden test; '' while the notebook is read, run or diagnosed"""


class GradeOrder(msgspec.Struct):
    """Grade the submission in a folder. The file descriptor for the answer is attached."""

    student: str
    folder: bytes
    """the submission's folder: an absolute path, as bytes, because a name on disk may not be UTF-8"""
    out: bytes
    """folder for the results file and the feedback page; b'' for none"""
    marked: bytes
    """folder for the autograded notebooks; b'' for none"""
    barred: tuple[Place, ...] = ()
    """what has ended grading twice: these tests fail, and these notebooks wait for a person"""


class Started(msgspec.Struct, tag="started"):
    """The grading server is ready."""


class Refused(msgspec.Struct, tag="refused"):
    """The grading server cannot start: the course's files contain an error, or the confinement is too weak."""

    why: str


class Graded(msgspec.Struct, tag="graded"):
    result: Result


class Failed(msgspec.Struct, tag="failed"):
    """There is no result: an infrastructure failure, or an error that the submission may have caused."""

    why: str
    ours: bool
    """whether it is certainly an infrastructure failure"""


MOST_BYTES = 2**30
"""most bytes of a message between the grading server and its client"""


def patience(homework: Homework) -> float:
    """The timeout in seconds for grading one submission."""
    return _OWN_TIME + LONGEST * homework.limits.total_seconds * len(homework.notebooks)
