"""A round of oral checks: questions for one student or a class, and the files that instructors take along."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework
from autograder.grading import explanation
from autograder.grading.context import GradingContext
from autograder.grading.libraries import libraries_of
from autograder.insight.viva import quiz, sheet
from autograder.insight.viva.asking import Asked, of_student
from autograder.results import record
from autograder.results.transcript import Unusable
from autograder.sandbox.zygote_client import SandboxLost, Zygote

_MODE = 0o600
"""only instructors may read the keys"""


@dataclass(frozen=True)
class Invited:
    """One student: how many questions there are for each notebook, and what is missing."""

    student: str
    books: tuple[Asked, ...] = ()
    path: Path | None = None
    lost: str = ""
    """why there is no sheet"""

    @property
    def notes(self) -> str:
        return self.lost or "; ".join(f"{book.notebook}: {book.why}" for book in self.books if book.why)


def students_of(homework: Homework, out: Path) -> list[str]:
    """Who has a result. Raises CourseError if nobody has."""
    found = record.students(out, homework.name)
    if not found:
        raise record.none(out, homework.name)
    return found


def held(
    course: Course, homework: Homework, out: Path, students: Sequence[str], form: str, floor: str
) -> Iterator[Invited]:
    """Write the sheet (or the quiz, in the format `form`) of each student; one who cannot be asked stops nobody.

    Raises CourseError if this machine confines student code less than `floor`.
    """
    root, name = course.root, homework.name
    with (
        closing(Zygote(root, None, lambda: libraries_of(root, name))) as zygote,
        GradingContext(course, homework, zygote) as context,
    ):
        context.check_confinement(floor)
        gc.freeze()  # what is loaded is needed to the end: it need not be searched again for each student
        for student in students:
            yield _invited(context, out, student, form)


def _invited(context: GradingContext, out: Path, student: str, form: str) -> Invited:
    homework = context.homework
    try:
        kept = explanation.opened(context.course, homework, out, student)
        books = tuple(of_student(kept, context.of(student)))
    except (CourseError, Unusable) as why:
        return Invited(student, lost=str(why))
    except (SandboxLost, RuntimeError) as why:
        context.zygote.revive()
        return Invited(student, lost=f"the sandbox failed: {why}: try again")
    except Exception as why:  # one student never stops a class
        return Invited(
            student, lost=f"an error in making the questions ({type(why).__name__}: {why}): please report it"
        )
    if not any(book.questions for book in books):
        return Invited(student, books)
    ending, made = (
        ("html", sheet.html(student, homework.name, books).encode())
        if form == "html"
        else (quiz.FORMATS[form][0], quiz.FORMATS[form][1](f"{homework.name} {student}", books))
    )
    path = out / student / f"{homework.name}.viva.{ending}"
    try:
        atomic_file.replace(path, made, _MODE)
    except OSError as error:
        return Invited(
            student,
            books,
            lost=f"{path}: it cannot be written ({error.strerror}): make room or allow it, and try again",
        )
    return Invited(student, books, path)


def text(found: Sequence[Invited]) -> str:
    """The table of a class: student, questions, and why there are fewer."""
    from autograder.results.plain_text import aligned, plain

    rows = [("student", "questions", "why not more")]
    rows += [
        (plain(" ".join(one.student.split())), str(sum(len(book.questions) for book in one.books)), plain(one.notes))
        for one in found
    ]
    return "\n".join(aligned(rows))
