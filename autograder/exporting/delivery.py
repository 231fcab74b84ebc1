"""Feedback pages on their way to students: into a folder, or into the zip archive that Moodle distributes.

Moodle: “Upload multiple feedback files in a zip” (docs.moodle.org, Assignment settings). The folder of each student is
called as in an archive of all submissions; what counts in it is the participant's number of this assignment
(mod/assign/feedback/file/importziplib.php), which the assignment's grading worksheet tells.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder import atomic_file
from autograder.course.class_list import entry_of, form_of, students_of
from autograder.course.course import CourseError, Homework
from autograder.course.roster import Roster
from autograder.exporting.fields import column_names, read_fields
from autograder.exporting.scores import people_of, waits
from autograder.results.result import Result

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""the time of each file in an archive, so that the same pages make the same archive"""


@dataclass(frozen=True)
class Delivery:
    """Which pages go where."""

    files: Mapping[str, str]
    """for each student, the path of the page below the folder, or in the archive"""
    waiting: tuple[str, ...]
    """who is left out, because answers are not marked yet"""
    unknown: tuple[str, ...] = ()
    """who is not in the platform's list"""


def to_folder(homework: Homework, results: Mapping[str, Result], partial: bool = False) -> Delivery:
    """A folder for each student, called like that in results/."""
    ready = [student for student, result in results.items() if partial or not waits(result)]
    return Delivery({student: f"{student}/{homework.name}.html" for student in ready}, _without(results, ready))


def for_moodle(
    worksheet: Path, homework: Homework, results: Mapping[str, Result], roster: Roster | None, partial: bool = False
) -> Delivery:
    """The archive's folders, with the numbers of the assignment's grading worksheet. Raises CourseError."""
    fields = read_fields(worksheet)
    header = column_names(fields.records[0])
    if form_of(worksheet, header) != "moodle" or "identifier" not in header:
        raise CourseError(
            f"{worksheet}: this is no grading worksheet of Moodle, which has a column Identifier: allow “Offline "
            "grading worksheet” in the assignment's settings, and download it there"
        )
    people = roster or people_of(results)
    known = {student.casefold(): student for student in results}
    files: dict[str, str] = {}
    found: set[str] = set()
    for row in fields.records[1:]:
        entry = entry_of("moodle", header, [field.text.strip() for field in row])
        number = entry.get("moodle_participant", "")
        same = students_of(people, entry) if number else ()
        student = known.get(same[0].id.casefold(), "") if len(same) == 1 else ""
        if not student:
            continue
        found.add(student)
        if partial or not waits(results[student]):
            name = " ".join(re.sub(r"[^\w .'-]|_", " ", entry.get("name", student)).split()) or "Student"
            files.setdefault(student, f"{name}_{number}_assignsubmission_file/{homework.name}.html")
    waiting = tuple(student for student in results if student in found and student not in files)
    return Delivery(files, waiting, tuple(student for student in results if student not in found))


def write_folder(delivery: Delivery, homework: Homework, out: Path, folder: Path) -> None:
    """Copy the pages. Each is replaced in one step; nothing else in the folder is touched."""
    for student, data in _pages(delivery, homework, out):
        target = folder / delivery.files[student]
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(target, data)


def write_zip(delivery: Delivery, homework: Homework, out: Path, target: Path) -> None:
    """Write the archive in one step."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, data in _pages(delivery, homework, out):
            archive.writestr(zipfile.ZipInfo(delivery.files[student], _EPOCH), data, zipfile.ZIP_DEFLATED)
    atomic_file.replace(target, held.getvalue(), 0o600)


def _pages(delivery: Delivery, homework: Homework, out: Path) -> Iterable[tuple[str, bytes]]:
    for student in sorted(delivery.files):
        page = out / student / f"{homework.name}.html"
        try:
            yield student, page.read_bytes()
        except OSError as error:
            raise CourseError(f"{page}: this page cannot be read ({error.strerror}): grade {student} again") from None


def _without(results: Iterable[str], ready: Iterable[str]) -> tuple[str, ...]:
    there = set(ready)
    return tuple(student for student in results if student not in there)
