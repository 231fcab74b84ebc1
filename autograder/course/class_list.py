"""The class list of a platform: Canvas' gradebook, Moodle's participants or grades, Gradescope's roster or grades.

How these files look:

- Canvas: “How do I export grades in the Gradebook?” (Canvas Instructor Guide): Student (or LastName, FirstName), ID,
  SIS User ID, SIS Login ID, Section; below the header a line ‘Points Possible’ and perhaps ‘Manual Posting’;
  ‘Student, Test’ is nobody.
- Moodle: “Grade export”, “Participants” and “Assignment: offline grading worksheet” (docs.moodle.org); the columns
  are those of grade/export and mod/assign/gradingtable.php. ‘Participant 123’ is what an assignment calls a student,
  and Group the team that hands in together.
- Gradescope: “Adding Students and Staff”, “Exporting Grades” (guides.gradescope.com): First Name, Last Name (or Name),
  SID, Email, Sections.
- GitHub Classroom: the roster that it lets you download: identifier, github_username, github_id, name.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autograder.course.course import CourseError
from autograder.course.roster import PLATFORM_IDS, Roster, Student, distinct, unfit
from autograder.course.sheet import read_sheet

Form = Literal["canvas", "moodle", "gradescope", "github", "csv"]
_NAMES: dict[Form, dict[str, str]] = {
    "canvas": {
        "student": "name", "id": "canvas_id", "sis user id": "sis_id", "sis login id": "login", "section": "section",
        "lastname": "last", "firstname": "first",
    },
    "moodle": {
        "first name": "first", "last name": "last", "surname": "last", "full name": "name", "username": "login",
        "id number": "moodle_id", "email address": "email", "group": "group", "groups": "section",
        "identifier": "moodle_participant",
        "vorname": "first", "nachname": "last", "vollständiger name": "name", "anmeldename": "login",
        "id-nummer": "moodle_id", "e-mail-adresse": "email", "gruppe": "group", "gruppen": "section",
    },
    "gradescope": {
        "first name": "first", "last name": "last", "name": "name", "full name": "name", "sid": "gradescope_id",
        "email": "email", "section": "section", "sections": "section", "role": "role",
    },
    "github": {"identifier": "identifier", "github_username": "github", "name": "name"},
    "csv": {
        "student id": "id", "student_id": "id", "full name": "name", "e-mail": "email", "email address": "email",
        "first name": "first", "first_name": "first", "last name": "last", "last_name": "last", "surname": "last",
    },
}  # fmt: skip
"""for each platform: its columns, and ours"""
_NEEDED: dict[Form, tuple[set[str], ...]] = {
    "canvas": tuple(
        {*names, "id", more}
        for names in (("student",), ("lastname", "firstname"))
        for more in ("section", "sis login id", "sis user id")
    ),
    "gradescope": ({"sid", "email"},),
    "github": ({"identifier", "github_username"},),
    "moodle": (
        {"first name", "email address"}, {"full name", "email address"}, {"identifier", "full name"},
        {"vorname", "e-mail-adresse"}, {"vollständiger name", "e-mail-adresse"},
    ),
    "csv": ({"id"}, {"student id"}, {"student_id"}, {"email"}, {"e-mail"}),
}  # fmt: skip
"""the columns by which a list is recognised, in this order"""
_NUMBERS = ("sis_id", "moodle_id", "gradescope_id", "id")
"""columns that hold a student's number in the university, so that one platform's may be another one's"""


@dataclass(frozen=True)
class ClassList:
    """The students in a platform's list, each with what it says in the roster's columns."""

    form: Form
    entries: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]
    """where each of them stands in the file"""
    others: Mapping[str, int]
    """the roles of those who are no students, and how many have each"""


@dataclass(frozen=True)
class Update:
    """A roster after a list was read into it."""

    roster: Roster
    new: tuple[Student, ...]
    changed: tuple[tuple[Student, str, str, str], ...]
    """the student, the column, and what stood and stands there"""
    gone: tuple[Student, ...]
    """students of the roster whom the list does not have; they stay"""
    unclear: tuple[str, ...]
    """what was not taken over, and why"""


def read_list(path: Path, form: Form | None = None) -> ClassList:
    """Read a platform's list. Raises CourseError if it is not one."""
    sheet = read_sheet(path)
    chosen = form_of(path, sheet.header, form)
    found = {line: entry for line, row in sheet.rows if (entry := entry_of(chosen, sheet.header, row))}
    others = Counter(filter(None, (_other_role(chosen, sheet.header, row) for _, row in sheet.rows)))
    if others and not found:
        roles = ", ".join(f"‘{role}’" for role in others)
        raise CourseError(
            f"{path}: nobody in it has the role ‘Student’, but {roles}: export the list in English, or rename the role"
        )
    return ClassList(chosen, tuple(found.values()), tuple(found), others)


def form_of(path: Path, header: Sequence[str], form: Form | None = None) -> Form:
    """The platform that a list with these columns is from, which must be `form` if given. Raises CourseError."""
    known = [one for one, ways in _NEEDED.items() if any(way <= set(header) for way in ways)]
    if form is None and not known:
        there = ", ".join(name for name in header[:12] if name)
        raise CourseError(
            f"{path}, line 1: this is no list of Canvas, Moodle, Gradescope or GitHub Classroom, and it has no column "
            f"‘id’ or ‘email’, but {there}: rename the column with the students' ids to ‘id’, or export the list again"
        )
    if form is not None and form not in known:
        wanted = " or ".join(", ".join(sorted(way)) for way in _NEEDED[form])
        raise CourseError(
            f"{path}, line 1: a list of {form} has the columns {wanted}: export it again, or leave --from out"
        )
    return form or known[0]


def update(roster: Roster, found: ClassList) -> Update:
    """Read a list into a roster. Ids, extra days, groups and columns that the list does not have stay as they are."""
    students = {student.id: student for student in roster.students}
    owners = {(column, value): student.id for student in roster.students for column, value in distinct(student)}
    new: list[Student] = []
    changed: list[tuple[Student, str, str, str]] = []
    unclear: list[str] = []
    seen: set[str] = set()
    for line, entry in zip(found.lines, found.entries, strict=True):
        called = f"line {line}, {_described(entry)}"
        same = students_of(roster, entry)
        seen |= {student.id for student in same if len(same) > 1}
        if len(same) > 1:
            unclear.append(f"{called}: this may be {' or '.join(student.id for student in same)}: give them their ids")
            continue
        if same and same[0].id in seen:
            unclear.append(f"{called}: {same[0].id} stands in the list twice; the first line counts")
            continue
        before = students[same[0].id] if same else None
        taken_names = (name.casefold() for one in students.values() for name in (one.id, one.pseudonym))
        id = before.id if before else _new_id(entry, set(taken_names))
        if not id:
            unclear.append(f"{called}: there is nothing that can be an id, or others have it: add a line by hand")
            continue
        after = Student({"id": id, **(before.fields if before else {}), **_news(before, entry)})
        taken = [(*key, owners[key]) for key in distinct(after) if owners.get(key, id) != id]
        if taken:
            column, value, owner = taken[0]
            unclear.append(f"{called}: {owner} has the {column} {value!r} already: change one of them by hand")
            seen.add(id)
            continue
        if before is None:
            new.append(after)
        else:
            stood = [(column, before.fields.get(column, ""), text) for column, text in after.fields.items()]
            changed += [(after, column, old, text) for column, old, text in stood if old != text]
        owners |= dict.fromkeys(distinct(after), id)
        students[id] = after
        seen.add(id)
    gone = tuple(student for student in roster.students if student.id not in seen)
    return Update(roster.extended(students.values()), tuple(new), tuple(changed), gone, tuple(unclear))


def entry_of(form: Form, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """What a line says in the roster's columns; nothing if it is no student's."""
    entry: dict[str, str] = {}
    for name, text in zip(header, row, strict=False):
        column = _NAMES[form].get(name, name if form == "csv" else "")
        text = unicodedata.normalize("NFC", text.strip())
        if column and text:
            entry.setdefault(column, text)
    if _other_role(form, header, row):
        return {}  # Gradescope's list has the staff in it
    entry.pop("role", None)
    first, last = entry.pop("first", ""), entry.pop("last", "")
    if first or last:
        entry["name"] = f"{last}, {first}" if first and last else first or last
    if form == "canvas" and ("canvas_id" not in entry or entry.get("name") == "Student, Test"):
        return {}  # the lines below the header, and the student view
    if "moodle_participant" in entry:
        entry["moodle_participant"] = "".join(re.findall(r"\d+", entry["moodle_participant"])[-1:])
    return {column: text for column, text in entry.items() if text}


def _other_role(form: Form, header: Sequence[str], row: Sequence[str]) -> str:
    """The role of somebody who is no student; '' for students, and where a list has no roles."""
    roles = (text.strip() for name, text in zip(header, row, strict=False) if _NAMES[form].get(name) == "role")
    return next((role for role in roles if role and role.casefold() not in ("student", "0")), "")


def _described(entry: Mapping[str, str]) -> str:
    """Whom a line is about, for messages: the name, and the e-mail address behind it."""
    name, email = entry.get("name", ""), entry.get("email", "")
    return f"{name} ({email})" if name and email else name or email or next(iter(entry.values()))


def _new_id(entry: Mapping[str, str], taken: Collection[str]) -> str:
    """What a new student is called, as people would; '' if there is nothing."""
    for column in ("id", "login", "moodle_id", "gradescope_id", "sis_id", "email", "identifier", "github", "canvas_id"):
        text = entry.get(column, "")
        for id in (text.partition("@")[0], text):
            if not unfit(id) and id.casefold() not in taken:
                return id
    return ""


def students_of(roster: Roster, entry: Mapping[str, str]) -> tuple[Student, ...]:
    """The students of the roster whom a line of a list may mean."""
    for columns, place in (
        *(((column,), (column,)) for column in PLATFORM_IDS),
        (("id",), ("id",)),
        (("email",), ("email",)),
        (("login",), ("id", "email")),
        (("sis_id", "moodle_id", "gradescope_id"), _NUMBERS),
        (("identifier",), ("id", "email", *PLATFORM_IDS)),
    ):
        for column in columns:
            if found := roster.having(entry.get(column, ""), place):
                return found
    name = entry.get("name") or entry.get("identifier", "")
    # of the same name, and not known to be another person; each assignment has participants' numbers of its own
    ids = [column for column in PLATFORM_IDS if column in entry and column != "moodle_participant"]
    return tuple(one for one in roster.named(name) if not any(one.ids(column) for column in ids))


def _news(student: Student | None, entry: Mapping[str, str]) -> dict[str, str]:
    """What a list says that the roster does not."""
    news = {}
    for column, text in entry.items():
        before = student.fields.get(column, "") if student else ""
        if column in ("id", "identifier") or (column in ("group", "extra_days", "pseudonym") and before):
            continue
        if column == "name" and _words(text) == _words(before):
            continue
        if column == "moodle_participant" and before:  # each assignment has numbers of its own
            text = before if text in before.split() else f"{before} {text}"
        if text.casefold() != before.casefold():
            news[column] = text
    return news


def _words(name: str) -> list[str]:
    return sorted(re.findall(r"\w+", name.casefold()))
