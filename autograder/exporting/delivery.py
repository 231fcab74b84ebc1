"""Feedback pages on their way to students: into a folder, or into the zip archive that a platform distributes.

Moodle: “Upload multiple feedback files in a zip” (docs.moodle.org, Assignment settings). The folder of each student is
called as in an archive of all submissions; what counts in it is the participant's number of this assignment
(mod/assign/feedback/file/importziplib.php), which the assignment's grading worksheet tells.

Canvas: “How do I upload all student submissions for an assignment?” (Canvas Instructor Guide). What counts in a name
are its first two numbers: the student's, and that of a file that this student has handed in for the assignment. The
page is then shown with that file's name (app/models/abstract_assignment.rb of instructure/canvas-lms,
`generate_comments_from_files`). Only the archive with all submissions tells these numbers.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autograder import atomic_file
from autograder.collecting.attribution import attribute
from autograder.collecting.division import HandedIn, divide
from autograder.collecting.platforms import CANVAS, Setting
from autograder.collecting.source import opened
from autograder.course.class_list import entry_of, form_of, students_of
from autograder.course.course import CourseError, Homework
from autograder.course.roster import Roster
from autograder.exporting.column import header_of
from autograder.exporting.fields import read_fields
from autograder.exporting.scores import by_id, people_of
from autograder.results.result import Result
from autograder.results.waiting import reason

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""the time of each file in an archive, so that the same pages make the same archive"""
_TWO = "two people of the platform may be this student: put their ids into the roster"


@dataclass(frozen=True)
class Delivery:
    """Which pages go where."""

    files: Mapping[str, str]
    """for each student, the path of the page below the folder, or in the archive"""
    left: Mapping[str, str]
    """for each student who is left out, why"""
    strangers: tuple[str, ...] = ()
    """those who get a page and are not in the roster"""


@dataclass(frozen=True)
class Pages:
    """The pages of a homework."""

    homework: Homework
    results: Mapping[str, Result]
    out: Path
    partial: bool = False
    """whether answers may be without points"""

    def path(self, student: str) -> Path:
        """Where the student's page is."""
        return self.out / student / f"{self.homework.name}.html"

    def going(self, places: Mapping[str, str], otherwise: Mapping[str, str], absent: str = "") -> Delivery:
        """Deliver pages to `places`; who has none is left out for the reason in `otherwise`, or because of `absent`."""
        left = {}
        for student, result in self.results.items():
            if student not in places:
                left[student] = otherwise.get(student, absent)
            elif result.waiting and not self.partial:
                left[student] = f"{reason(result)} (--partial delivers)"
            elif not self.path(student).is_file():
                left[student] = f"there is no page {self.path(student)}: grade {student} again"
        return Delivery({student: place for student, place in places.items() if student not in left}, left)


def to_folder(pages: Pages, roster: Roster | None = None) -> Delivery:
    """A folder for each student, called by the id, or, without a roster, like that in results/."""
    people = roster or people_of(pages.results)
    by_id(pages.results, people)
    bearers = {student: people.bearer(student) for student in pages.results}
    folders = {student: bearer.id if bearer else student for student, bearer in bearers.items()}
    places = {student: f"{folder}/{pages.homework.name}.html" for student, folder in folders.items()}
    found = pages.going(places, {})
    return replace(found, strangers=tuple(student for student in found.files if bearers[student] is None))


def for_moodle(worksheet: Path, pages: Pages, roster: Roster | None) -> Delivery:
    """The archive's folders, with the numbers of the assignment's grading worksheet. Raises CourseError."""
    fields = read_fields(worksheet)
    header = header_of(fields)
    if form_of(worksheet, header) != "moodle" or "identifier" not in header:
        raise CourseError(
            f"{worksheet}: this is no grading worksheet of Moodle, which has a column Identifier: allow “Offline "
            "grading worksheet” in the assignment's settings, and download it there"
        )
    people = roster or people_of(pages.results)
    known = by_id(pages.results, people)
    places: dict[str, set[str]] = {}
    otherwise = _strangers(pages, people)
    for row in fields.records[1:]:
        entry = entry_of("moodle", header, [field.text for field in row])
        number = entry.get("moodle_participant", "")
        same = students_of(people, entry) if number else ()
        found = [known[one.id.casefold()] for one in same if one.id.casefold() in known]
        if len(same) > 1:
            otherwise |= dict.fromkeys(found, f"{entry.get('name', number)} in the worksheet may be others, too")
        elif found:
            name = " ".join(re.sub(r"[^\w .'-]|_", " ", entry.get("name", found[0])).split()) or "Student"
            place = f"{name}_{number}_assignsubmission_file/{pages.homework.name}.html"
            places.setdefault(found[0], set()).add(place)
    return pages.going(*_only(places, otherwise), "not in the worksheet")


def for_canvas(archive: Path, pages: Pages, homeworks: Sequence[str], roster: Roster | None) -> Delivery:
    """Names as in the archive of all submissions. Raises CourseError if it is none."""
    homework = pages.homework
    setting = Setting(homework.name, tuple(spec.name for spec in homework.notebooks), tuple(homeworks), roster)
    with opened(archive) as source:
        division = divide(source, setting, "canvas")
        if not division.handed_in:
            raise CourseError(f"{archive}: this is no archive of Canvas' submissions: “Download Submissions” makes it")
        found = attribute([division], roster)
    people = roster or people_of(pages.results)
    known = by_id(pages.results, people)
    owners: dict[str, set[str]] = {}
    for id, attempts in found.students.items():
        for user, _ in _names(attempts):
            owners.setdefault(user, set()).add(id)
    places: dict[str, set[str]] = {}
    otherwise = _strangers(pages, people)
    otherwise |= {known[one.who.casefold()]: _TWO for one in found.troubles if one.who.casefold() in known}
    for id, attempts in found.students.items():
        student, about = known.get(id.casefold()), roster.get(id) if roster else None
        if student is None:
            continue
        own = about.ids("canvas_id") if about else ()
        names = list(_names(attempts))
        theirs = [name for user, name in names if user in own or (not own and len(owners[user]) == 1)]
        if theirs:
            places[student] = {f"{theirs[0]}_{homework.name}.html"}
        elif own and names:
            otherwise[student] = (
                "the group's file stands under another member, whose page Canvas shows to the whole group"
            )
        elif names:
            otherwise[student] = (
                f"what was handed in may be somebody else's: put the canvas_id of {student} into the roster"
            )
    return pages.going(*_only(places, otherwise), "no file of this student is in Canvas' archive")


def write_folder(delivery: Delivery, pages: Pages, folder: Path) -> None:
    """Copy the pages. Each is replaced in one step; nothing else in the folder is touched."""
    for student, data in _contents(delivery, pages):
        target = folder / delivery.files[student]
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(target, data)


def write_zip(delivery: Delivery, pages: Pages, target: Path) -> None:
    """Write the archive in one step."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, data in _contents(delivery, pages):
            archive.writestr(zipfile.ZipInfo(delivery.files[student], _EPOCH), data, zipfile.ZIP_DEFLATED)
    atomic_file.replace(target, held.getvalue(), 0o600)


def _strangers(pages: Pages, people: Roster) -> dict[str, str]:
    """Why those are left out who are not in the roster."""
    return {student: f"not in {people.path.name}" for student in pages.results if people.bearer(student) is None}


def _contents(delivery: Delivery, pages: Pages) -> Iterable[tuple[str, bytes]]:
    for student in sorted(delivery.files):
        page = pages.path(student)
        try:
            yield student, page.read_bytes()
        except OSError as error:
            raise CourseError(f"{page}: this page cannot be read ({error.strerror}): grade {student} again") from None


def _only(places: Mapping[str, set[str]], otherwise: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The places of those who have one, and why others are left out: nobody gets what may be somebody else's page."""
    reasons = {**otherwise, **{student: _TWO for student, several in places.items() if len(several) > 1}}
    return {student: min(several) for student, several in places.items() if student not in reasons}, reasons


def _names(attempts: Iterable[HandedIn]) -> Iterable[tuple[str, str]]:
    """The student's number and the beginning of the name of each file, the newest attempt's first."""
    for attempt in attempts:
        for _, file in attempt.files:
            told = CANVAS.fullmatch(file.path.rpartition("/")[2])
            if told and told["user"].isdigit():
                late = told["late"] or ""
                yield told["user"], f"{told['name']}_{late}{told['user']}_{told['file']}"
