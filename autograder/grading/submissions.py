"""The submissions of a homework: everything in the folder submitted/, what is graded and what is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError
from autograder.submission.filename import shown
from autograder.submission.folder import contents, is_called


@dataclass(frozen=True)
class Submission:
    """A student's folder (or zip archive), with or without a folder for the homework in it."""

    student: str
    folder: Path


@dataclass(frozen=True)
class Absent:
    """Something in the folder of submissions that is not graded."""

    name: str
    """the student, or the file"""
    why: str
    expected: bool
    """whether that is usual: the student has handed in other homeworks only"""


@dataclass(frozen=True)
class Survey:
    """Everything in the folder of submissions: what is graded, and what is not."""

    todo: tuple[Submission, ...]
    absent: tuple[Absent, ...]


def survey(submitted: Path, homework: str, homeworks: Sequence[str] = (), students: Sequence[str] = ()) -> Survey:
    """Look through `submitted`, which holds a folder (or a zip archive) for each student; only `students` if given.

    `homeworks` are all of the course. Raises CourseError if there is nothing to grade, or nothing of one of `students`.
    """
    if not submitted.is_dir():
        raise CourseError(f"{submitted}: no such folder: put submissions into {submitted.name}/<student>/{homework}/")
    todo: dict[str, Submission] = {}
    absent: list[Absent] = []
    for folder in sorted(submitted.iterdir()):
        if folder.name.startswith((".", "~")):
            continue
        student = shown(folder.name.removesuffix(".zip") if folder.is_file() else folder.name)
        if students and student not in students:
            continue
        if why := _nothing_in(folder, homework, homeworks):
            others = folder.is_dir() and bool(contents(folder, homework, unpack=False).files)
            absent.append(Absent(shown(folder.name), why, expected=others))
        elif student in todo:
            absent.append(Absent(shown(folder.name), f"{student} has a folder, too, which is graded", expected=False))
        else:
            todo[student] = Submission(student, folder)
    for student in students:
        if student not in todo:
            raise CourseError(f"{submitted / student / homework}: no such submission: check the student's name")
    if not todo:
        raise CourseError(f"{submitted}: no submissions of {homework}: put them into <student>/{homework}/")
    return Survey(tuple(todo.values()), tuple(absent))


def _of_the_class(name: str, homeworks: Sequence[str]) -> str:
    """What is called so beside the students' results: a table, a page or a file of the whole class; '' if nothing."""
    own = "|".join(map(re.escape, homeworks))
    told = re.fullmatch(rf"(?:(?:{own})(?:\.[\w-]+)?|(?:{own}|homeworks)(?:-shared)?)\.(csv|html|json|zip)", name, re.I)
    return {"csv": "table", "html": "page"}.get(told[1].casefold(), "file") if told else ""


def _nothing_in(folder: Path, homework: str, homeworks: Sequence[str]) -> str:
    """Why there is nothing to grade in a student's folder; '' if there is something."""
    student = folder.name.removesuffix(".zip") if folder.is_file() else folder.name
    if (folder.is_dir() or student != folder.name) and (what := _of_the_class(student, (homework, *homeworks))):
        return f"the results of a student of this name would be in the way of the {what} {student}: rename the folder"
    if folder.is_file() and not folder.name.endswith(".zip"):
        return f"a file that belongs to no student: put it into <student>/{homework}/"
    if folder.is_dir() and is_called(folder.name, homework) and not any(map(Path.is_file, folder.iterdir())):
        return f"a folder for the homework, not for a student: put submissions into <student>/{homework}/"
    found = contents(folder, homework, homeworks, unpack=False)
    if found.files or found.passed_over:
        return ""
    inside = folder.iterdir() if folder.is_dir() else ()
    there = sorted(shown(path.name) for path in inside if not is_called(path.name, homework))  # that one is empty
    return f"nothing was handed in for {homework}" + (f"; there is only {', '.join(there[:5])}" if there else "")
