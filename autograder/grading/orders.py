"""The messages between the grading server's process and its client. Both are trusted."""

from __future__ import annotations

import msgspec

from autograder.constants import LONGEST
from autograder.course.course import Homework
from autograder.results.result import Late, Result

_OWN_TIME = 60.0
"""seconds that grading may take beyond the student's limits before it counts as an infrastructure failure"""


class Place(msgspec.Struct, tag="place", frozen=True):
    """Where grading a submission is. The process that grades says so before each step, in case it ends there."""

    notebook: str = ""
    test: str = ""
    """the name of a hidden test; '' while the notebook is read, run or diagnosed"""


class About(msgspec.Struct, frozen=True):
    """What is known of a student beside the submission."""

    name: str = ""
    """for the page; '' if it is not known"""
    late: Late | None = None
    """when the homework was handed in; None if it has no due date"""


UNKNOWN = About()


class GradeOrder(msgspec.Struct, tag="grade"):
    """Grade the submission in a folder. The file descriptor for the answer is attached."""

    student: str
    folder: bytes
    """the submission's folder: an absolute path, as bytes, because a name on disk may not be UTF-8"""
    out: bytes
    """folder for the results file and the feedback page; b'' for none"""
    marked: bytes
    """folder for the autograded notebooks; b'' for none"""
    about: About = UNKNOWN
    barred: tuple[Place, ...] = ()
    """what has ended grading twice: these tests fail, and these notebooks wait for a person"""
    key: str = ""
    """see Result; '' if the course in which it is graded decides"""


class Choosing(msgspec.Struct, frozen=True):
    """What is regraded, and whether anything is written."""

    notebook: str = ""
    """only this notebook; '' for all"""
    test: str = ""
    """only the cell of this test, and whether it has changed or not; '' for all that have changed"""
    dry: bool = False
    """write nothing"""


class RegradeOrder(msgspec.Struct, tag="regrade"):
    """Regrade submissions on their transcripts. The file descriptor for the answers is attached."""

    students: tuple[tuple[str, bytes, About], ...]
    """each one's folder's name; the folder of what was handed in, or b'' if it is not there"""
    out: bytes
    marked: bytes
    """folder of all autograded notebooks: <student>/<homework>/ in it; b'' for none"""
    choosing: Choosing


class Change(msgspec.Struct, frozen=True):
    """A grade cell whose result has changed."""

    student: str
    notebook: str
    cell: str
    before: float | None
    """points; None where a person marks, or where there was no cell"""
    after: float | None
    why: tuple[str, ...]
    """short phrases: the tests whose outcome has changed, other points, other hints"""


class Scores(msgspec.Struct, frozen=True):
    """A student's score, as it was and as it is now: with marks by hand, lateness and rounding."""

    before: float
    after: float


class Regraded(msgspec.Struct, tag="regraded", frozen=True):
    """What regrading one submission has changed."""

    student: str
    scores: Scores | None = None
    """None if they are not known"""
    changes: tuple[Change, ...] = ()
    result: Result | None = None
    """the new result; None if nothing in it has changed"""
    replayed: int = 0
    """tests that ran on what was recorded"""
    executed: int = 0
    """tests that ran in the sandbox, because they ask what they did not ask then"""
    stale: str = ""
    """why the transcript cannot stand for the submission, which has to be graded again; '' if it can"""


class Started(msgspec.Struct, tag="started"):
    """The grading server is ready."""


class Refused(msgspec.Struct, tag="refused"):
    """The grading server cannot start: the course's files contain an error, or the confinement is too weak."""

    why: str
    killed: bool = False
    """whether something killed a process that it needs: started again, it may succeed"""


class Graded(msgspec.Struct, tag="graded"):
    result: Result


class Failed(msgspec.Struct, tag="failed"):
    """There is no result: an infrastructure failure, or an error that the submission may have caused."""

    why: str
    ours: bool
    """whether it is certainly an infrastructure failure"""
    final: bool = False
    """whether the next try would end in the same way"""


MOST_BYTES = 2**30
"""most bytes of a message between the grading server and its client"""


def patience(homework: Homework) -> float:
    """The timeout in seconds for grading one submission."""
    return _OWN_TIME + LONGEST * homework.limits.total_seconds * len(homework.notebooks)
