"""The scores of a homework for a learning platform: in its own exported file, or in a new one.

Canvas: “How do I import grades in the Gradebook?” (Canvas Instructor Guide): the exported CSV with other numbers in the
column of an assignment, whose name ends with its id. Moodle: “Offline grading worksheet” (docs.moodle.org), where the
column is Grade, and “Grade import”, which finds students by e-mail address, ID number or username.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autograder.course.class_list import Form, entry_of, form_of, students_of
from autograder.course.course import CourseError, Homework
from autograder.course.roster import Roster, Student
from autograder.course.sheet import Sheet
from autograder.exporting.fields import Fields, column_names, read_fields
from autograder.results import record
from autograder.results.plain_text import points_text
from autograder.results.result import Result
from autograder.results.table import cell_text
from autograder.submission.folder import reads_as

Platform = Literal["canvas", "moodle", "csv"]
_GRADE = ("grade", "bewertung")
"""what Moodle's worksheet calls the column of the only grade in it"""
_MAXIMUM = ("maximum grade", "höchstbewertung", "bestwertung")


@dataclass(frozen=True)
class Export:
    """A file for a platform, and what a person has to know about it."""

    data: bytes
    filled: int
    changed: tuple[tuple[str, str, str], ...]
    """student, the score that stood there, and the new one, where they differ"""
    waiting: tuple[str, ...]
    """students who are left out, because answers of theirs are not marked yet"""
    missing: tuple[str, ...]
    """who is in the file and has no result"""
    unknown: tuple[str, ...]
    """who has a result and is not in the file"""
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everybody who has a result is in the file."""
        return not (self.waiting or self.unknown or self.notes)


def results_of(out: Path, homework: Homework) -> dict[str, Result]:
    """All results of a homework, by student. Raises CourseError if there are none, or if one cannot be read."""
    found = {}
    for path in sorted(out.glob(f"*/{homework.name}.json")):
        try:
            found[path.parent.name] = record.read(path)
        except ValueError as error:
            raise CourseError(str(error)) from None
    if not found:
        raise CourseError(f"{out}: no results of {homework.name}: run `autograder grade {homework.name}` first")
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
    header = column_names(fields.records[0])
    form = form_of(path, header, None if platform == "csv" else platform)
    at = _column(fields, header, form, homework, homeworks, column)
    people = roster or people_of(results)
    ready = {student: result for student, result in results.items() if partial or not waits(result)}
    known = {student.casefold(): student for student in results}
    comma = any("," in one[at].text for one in fields.records[1:] if len(one) > at) or _with_comma(fields, header)
    new: dict[tuple[int, int], str] = {}
    changed: list[tuple[str, str, str]] = []
    missing: list[str] = []
    notes: list[str] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(fields.records[1:], 1):
        entry = entry_of(form, header, [unicodedata.normalize("NFC", field.text.strip()) for field in row])
        if not entry:
            notes += _other_maximum(form, row, at, results)
            continue
        called = entry.get("name") or entry.get("email") or next(iter(entry.values()))
        same = students_of(people, entry)
        if len(same) != 1:
            if len(same) > 1:
                notes.append(f"{called} may be {' or '.join(one.id for one in same)}: nothing is filled in")
            else:
                missing.append(called)
            continue
        student = known.get(same[0].id.casefold(), "")
        if student in seen:
            notes.append(f"{called} and {seen[student]} are both {student}: the first is filled in")
            continue
        if not student:
            missing.append(called)
            continue
        seen[student] = called
        if student not in ready:
            continue
        if len(row) <= at:
            notes.append(f"{called}: this line has no field for the score")
            continue
        text = points_text(ready[student].score)
        new[number, at] = text.replace(".", ",") if comma else text
        before = row[at].text.strip()
        if before and not _equal(before, text):
            changed.append((student, before, text))
    return Export(
        fields.replaced(new),
        len(new),
        tuple(changed),
        tuple(student for student in results if student not in ready),
        tuple(missing),
        tuple(student for student in results if student not in seen),
        tuple(dict.fromkeys(notes)),
    )


def made(
    platform: Platform, homework: Homework, results: Mapping[str, Result], roster: Roster | None, partial: bool = False
) -> Export:
    """A new file in the columns that the platform's import reads."""
    people = roster or people_of(results)
    ready = {student: result for student, result in results.items() if partial or not waits(result)}
    lines: list[list[str]] = []
    unknown = []
    for student, result in ready.items():
        about = people.get(student)
        if about is None:
            unknown.append(student)
            about = Student({"id": student})
        lines.append(_line(platform, about, result))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(_header(platform, homework))
    table.writerows([*map(cell_text, line[:-1]), line[-1]] for line in lines)
    waiting = tuple(student for student in results if student not in ready)
    listed = {student.casefold() for student in results}
    missing = tuple(one.id for one in people.students if one.id.casefold() not in listed)
    return Export(text.getvalue().encode("utf-8-sig"), len(lines), (), waiting, missing, tuple(unknown), ())


def _header(platform: Platform, homework: Homework) -> list[str]:
    match platform:
        case "canvas":
            return ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", homework.title]
        case "moodle":
            return ["Email address", "ID number", "Username", homework.title]
        case "csv":
            return ["id", "name", "email", "section", "max", "score"]


def _line(platform: Platform, student: Student, result: Result) -> list[str]:
    score = points_text(result.score)
    field = student.fields.get
    match platform:
        case "canvas":
            name = f"{student.last_name}, {student.first_name}".strip(", ") or student.id
            return [name, field("canvas_id", ""), field("sis_id", ""), field("login", ""), student.section, score]
        case "moodle":
            return [student.email, field("moodle_id", ""), field("login", ""), score]
        case "csv":
            about = [student.id, student.name, student.email, student.section]
            return [*about, points_text(result.max_score), score]


def _column(
    fields: Fields, header: Sequence[str], form: Form, homework: Homework, homeworks: Sequence[str], column: str
) -> int:
    """The number of the column for the homework's scores."""
    titles = [field.text.strip() for field in fields.records[0]]
    if column:
        wanted = " ".join(column.casefold().split())
        found = [at for at, name in enumerate(header) if name == wanted]
    elif form == "moodle" and any(name in header for name in _GRADE):
        found = [at for at, name in enumerate(header) if name in _GRADE]
    else:
        own = homework.title.casefold()
        found = [at for at, name in enumerate(header) if reads_as(name, homeworks) == {homework.name} or own in name]
    if len(found) == 1:
        return found[0]
    what = f"no column is called {column!r}" if column else f"no column is called like {homework.name}"
    if found:
        what = f"several columns may be meant: {', '.join(titles[at] for at in found)}"
    raise CourseError(f"{fields.path}: {what}: choose one with --column; there are {', '.join(filter(None, titles))}")


def _other_maximum(form: Form, row: Sequence[object], at: int, results: Mapping[str, Result]) -> Iterator[str]:
    """Canvas' line below the header says what the assignment is worth."""
    texts = [getattr(field, "text", "").strip() for field in row]
    if form == "canvas" and texts and texts[0].casefold() == "points possible" and len(texts) > at:
        most = points_text(max(result.max_score for result in results.values()))
        if texts[at] and not _equal(texts[at], most):
            yield f"the platform's assignment is worth {texts[at]} points, the homework {most}"


def _with_comma(fields: Fields, header: Sequence[str]) -> bool:
    """Whether the file writes numbers with a decimal comma, as its maximum grades show."""
    columns = [at for at, name in enumerate(header) if name in _MAXIMUM]
    return any("," in row[at].text for row in fields.records[1:] for at in columns if len(row) > at)


def people_of(results: Iterable[str]) -> Roster:
    """Without a roster, a student is called like the folder."""
    students = tuple(Student({"id": student}) for student in results)
    return Roster(Sheet(Path("roster.csv"), ("id",), ()), ("id",), students)


def waits(result: Result) -> bool:
    """Whether answers are not marked yet."""
    return any(cell.earned is None for book in result.notebooks for cell in book.cells)


def _equal(one: str, other: str) -> bool:
    try:
        return float(one.replace(",", ".")) == float(other)
    except ValueError:
        return False
