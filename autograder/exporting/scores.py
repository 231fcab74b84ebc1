"""The scores of a homework for a learning platform: in its own exported file, or in a new one.

Canvas: “How do I import grades in the Gradebook?” (Canvas Instructor Guide): the exported CSV with other numbers in the
column of an assignment. Moodle: “Offline grading worksheet” and “Grade import” (docs.moodle.org), which finds students
by e-mail address, ID number or username. Gradescope describes no import of scores: its form is for programs that read
what it exports. How the columns are called: see `column`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autograder.course.class_list import entry_of, form_of, students_of
from autograder.course.course import CourseError, Homework, refused
from autograder.course.roster import PLATFORM_IDS, Roster, Student
from autograder.course.sheet import Sheet
from autograder.exporting import column as columns
from autograder.exporting.fields import read_fields
from autograder.results import record
from autograder.results.plain_text import points_text
from autograder.results.result import Result
from autograder.results.table import Cell, written

Platform = Literal["canvas", "moodle", "gradescope", "csv"]


@dataclass(frozen=True)
class Export:
    """What goes to a platform, and what a person has to know about it."""

    data: bytes
    """the platform's file; empty when the scores were pushed"""
    filled: int
    changed: tuple[tuple[str, str, str], ...]
    """student, the score that stood there, and the new one, where they differ"""
    waiting: tuple[str, ...]
    """students who are left out, because answers of theirs have no points yet"""
    missing: tuple[str, ...]
    """who is in the file and has no result"""
    unknown: tuple[str, ...]
    """who has a result and is not in the file"""
    notes: tuple[str, ...]
    column: str = ""
    """what the platform calls the column that was filled"""
    stood: int = 0
    """how many of the scores stood there already, and were not pushed again"""
    left: tuple[str, ...] = ()
    """students whose score could not be pushed"""

    @property
    def complete(self) -> bool:
        """Whether everybody who has a result has the score there."""
        return not (self.waiting or self.unknown or self.notes or self.left)


def results_of(out: Path, homework: Homework) -> dict[str, Result]:
    """All results of a homework, by student. Raises CourseError if there are none, or if one cannot be read."""
    found = {}
    for path in sorted(out.glob(f"*/{homework.name}.json")):
        try:
            found[path.parent.name] = record.read(path)
        except ValueError as error:
            raise CourseError(str(error)) from None
        except OSError as error:
            raise refused(path, "this file cannot be read", error) from None
    if not found:
        raise record.none(out, homework.name)
    return found


def fill(
    path: Path,
    platform: Platform,
    homework: Homework,
    homeworks: Sequence[str],
    results: Mapping[str, Result],
    roster: Roster | None,
    column: str = "",
    partial: bool = False,
) -> Export:
    """Fill a file that the platform exported: `column` by its name, or the one that is called like the homework.

    Everything else in it stays byte for byte. Raises CourseError if the column cannot be told.
    """
    fields = read_fields(path)
    header = columns.header_of(fields)
    form = form_of(path, header, None if platform == "csv" else platform)
    at = columns.find(fields, header, form, homework, homeworks, column)
    width = max(number for number, name in enumerate(header, 1) if name)
    people = roster or people_of(results)
    known = by_id(results, people)
    most = points_text(max(result.max_score for result in results.values()))
    notes = columns.other_maximum(fields, header, form, at, most)
    missing: list[str] = []
    lines: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    for number, row in enumerate(fields.records[1:], 1):
        entry = entry_of(form, header, [field.text for field in row])
        if not entry:
            continue
        same = students_of(people, entry)
        student = known.get(same[0].id.casefold(), "") if len(same) == 1 else ""
        if len(same) > 1:
            notes.append(f"{called(entry)} may be {' or '.join(one.id for one in same)}: nothing is filled in")
        elif not student:
            missing.append(called(entry))
        elif len(row) < width or any(field.text.strip() for field in row[width:]):  # a field may be in another's place
            notes.append(f"{called(entry)}: {len(row)} fields for {width} columns: nothing is filled in")
            lines.setdefault(student, [])
        else:
            lines.setdefault(student, []).append((number, entry))
    waiting = tuple(student for student, result in results.items() if result.waiting and not partial)
    comma = columns.with_comma(fields, header, at)
    new: dict[tuple[int, int], str] = {}
    changed: list[tuple[str, str, str]] = []
    for student, places in lines.items():
        if student in waiting or not places:
            continue
        if not all(_same(entry, places[0][1]) for _, entry in places):  # perhaps two people of one name
            who = " and ".join(called(entry) for _, entry in places)
            notes.append(f"{who} are both {student}: nothing is filled in; put their ids into the roster")
            continue
        if len(places) > 1:
            notes.append(f"{called(places[0][1])} stands there {len(places)} times: the first is filled in")
        number = places[0][0]
        text = points_text(results[student].score)
        text = text.replace(".", ",") if comma else text
        new[number, at] = text
        before = fields.records[number][at].text.strip()
        if before not in ("", "-") and not columns.equal(before, text):
            changed.append((student, before, text))
    return Export(
        fields.replaced(new),
        len(new),
        tuple(changed),
        waiting,
        tuple(missing),
        tuple(student for student in results if student not in lines),
        tuple(dict.fromkeys(notes)),
        fields.records[0][at].text.strip(),
    )


def made(
    platform: Platform, homework: Homework, results: Mapping[str, Result], roster: Roster | None, partial: bool = False
) -> Export:
    """A new file in the columns that the platform's import reads."""
    people = roster or people_of(results)
    ready = {student: result for student, result in results.items() if partial or not result.waiting}
    lines: list[list[Cell]] = []
    unknown = []
    for student, result in ready.items():
        about = people.bearer(student)
        if about is None:
            unknown.append(student)
            about = Student({"id": student})
        lines.append(_line(platform, about, result))
    text = written([_header(platform, homework), *lines])
    waiting = tuple(student for student in results if student not in ready)
    listed = by_id(results, people)
    missing = tuple(one.id for one in people.students if one.id.casefold() not in listed)
    return Export(text.encode("utf-8-sig"), len(lines), (), waiting, missing, tuple(unknown), ())


def _header(platform: Platform, homework: Homework) -> list[str]:
    title = homework.title
    match platform:
        case "canvas":
            return ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
        case "moodle":
            return ["Email address", "ID number", "Username", title]
        case "gradescope":
            return ["First Name", "Last Name", "SID", "Email", "Sections", title, f"{title} - Max Points"]
        case "csv":
            return ["id", "name", "email", "section", "max", "score"]


def _line(platform: Platform, student: Student, result: Result) -> list[Cell]:
    """What a line says about the student, and the points."""
    score, most = result.score, result.max_score
    field = student.fields.get
    match platform:
        case "canvas":
            name = f"{student.last_name}, {student.first_name}".strip(", ") or student.id
            return [name, field("canvas_id", ""), field("sis_id", ""), field("login", ""), student.section, score]
        case "moodle":
            return [student.email, field("moodle_id", ""), field("login", ""), score]
        case "gradescope":
            names = [student.first_name, student.last_name or student.id]
            return [*names, field("gradescope_id", ""), student.email, student.section, score, most]
        case "csv":
            return [student.id, student.name, student.email, student.section, most, score]


def people_of(results: Iterable[str]) -> Roster:
    """Without a roster, a student is called like the folder."""
    students = tuple(Student({"id": student}) for student in results)
    return Roster(Sheet(Path("roster.csv"), ("id",), ()), ("id",), students)


def by_id(results: Iterable[str], people: Roster) -> dict[str, str]:
    """What the results call each student, who may have a pseudonym there, by the student's id in small letters.

    Raises CourseError if somebody has two results.
    """
    found: dict[str, str] = {}
    for student in results:
        bearer = people.bearer(student)
        other = found.setdefault((bearer.id if bearer else student).casefold(), student)
        if other != student:
            raise CourseError(f"{people.path}: {other} and {student} are one student: move the results of one away")
    return found


def called(entry: Mapping[str, str]) -> str:
    """What a line of a platform's list calls the student."""
    return entry.get("name") or entry.get("email") or next(iter(entry.values()))


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two lines of a platform's list are one person's, by an id or by the e-mail address."""
    return one == other or any(one[key] == other.get(key) for key in ("email", *PLATFORM_IDS) if key in one)
