"""Reads and repairs submissions: any submitted file, however damaged, becomes a gradable notebook.

Every repair is reported to the student.
"""

from __future__ import annotations

from autograder.course.release import Released, ReleasedCell, released
from autograder.submission.beside import Beside, beside
from autograder.submission.choice import Choice, Chosen, choose, most_telling
from autograder.submission.file import Unreadable, read
from autograder.submission.gradable import Gradable, GradableCell
from autograder.submission.repair import repair, repaired

__all__ = [
    "Beside",
    "Choice",
    "Chosen",
    "Gradable",
    "GradableCell",
    "Released",
    "ReleasedCell",
    "Unreadable",
    "beside",
    "choose",
    "most_telling",
    "read",
    "released",
    "repair",
    "repaired",
]
