"""Reads and repairs submissions: any submitted file, however damaged, becomes a gradable notebook.

Every repair is reported to the student.
"""

from __future__ import annotations

from autograder.course.release import Released, ReleasedCell, released
from autograder.submission.gradable import Gradable, GradableCell, repair
from autograder.submission.submission import Missing, Unreadable, find, read

__all__ = [
    "Gradable",
    "GradableCell",
    "Missing",
    "Released",
    "ReleasedCell",
    "Unreadable",
    "find",
    "read",
    "released",
    "repair",
]
