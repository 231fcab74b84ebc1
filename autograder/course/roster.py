"""The roster: the students of a course, their names, and what each platform calls them. It is roster.csv."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import CourseError
from autograder.course.sheet import Sheet, read_sheet

FILE = "roster.csv"
COLUMNS = ("id", "name", "email", "section", "extra_days", "group")
PLATFORM_IDS = (
    "login", "sis_id", "canvas_id", "moodle_id", "moodle_participant", "gradescope_id", "blackboard_id", "ilias_id",
    "github",
)  # fmt: skip
"""columns with what platforms call a student; a field may hold several ids, with blanks between them"""
_UNIQUE = ("email", "pseudonym", *PLATFORM_IDS)
_UNNAMED = ("group", "extra_days")
"""what grading needs of a student who is called by a pseudonym"""
_ERRORS = 10
"""errors of one file that are shown"""
_LONGEST = 100
_BETWEEN = "\0"  # in the key of a group's name, what stands between two numbers
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


@dataclass(frozen=True)
class Student:
    """One line of the roster."""

    fields: Mapping[str, str]
    """by column, as they stand in the file"""
    line: int = field(default=0, compare=False)

    @property
    def id(self) -> str:
        """What the student is called in the course: the name of the folder in submitted/."""
        return self.fields["id"]

    @property
    def first_name(self) -> str:
        return self._names[0]

    @property
    def last_name(self) -> str:
        return self._names[1]

    @property
    def name(self) -> str:
        """First and last name, as people say it."""
        return " ".join(part for part in self._names if part)

    @property
    def email(self) -> str:
        return self.fields.get("email", "")

    @property
    def section(self) -> str:
        return self.fields.get("section", "")

    @property
    def group(self) -> str:
        return self.fields.get("group", "")

    @property
    def pseudonym(self) -> str:
        """What the student is called where no name may stand; '' if nothing."""
        return self.fields.get("pseudonym", "")

    @property
    def unnamed(self) -> Student:
        """The same student, called by the pseudonym, without anything that tells who it is."""
        return Student({"id": self.pseudonym, **{name: self.fields.get(name, "") for name in _UNNAMED}}, self.line)

    @property
    def extra_days(self) -> float:
        """Days that are added to every due date."""
        return _number(self.fields.get("extra_days", ""))

    def ids(self, column: str) -> tuple[str, ...]:
        """The ids in a column, in small letters."""
        return tuple(self.fields.get(column, "").casefold().split())

    @property
    def _names(self) -> tuple[str, str]:
        """First and last name of ‘Doe, Jane’ or ‘Jane Doe’."""
        whole = self.fields.get("name", "")
        last, comma, first = whole.partition(",")
        if not comma:
            first, _, last = whole.strip().rpartition(" ")
        return " ".join(first.split()), " ".join(last.split())


@dataclass(frozen=True)
class Roster:
    """All students of a course."""

    sheet: Sheet
    """the file that it was read from, or that it will be"""
    columns: tuple[str, ...]
    students: tuple[Student, ...]

    @property
    def path(self) -> Path:
        return self.sheet.path

    @property
    def enrolled(self) -> tuple[Student, ...]:
        """The students as nbgrader's gradebook may know them: in a course with pseudonyms, nobody by a name."""
        unnamed = tuple(student.unnamed for student in self.students if student.pseudonym)
        return unnamed or self.students

    def get(self, called: str) -> Student | None:
        """The student who is called so in the course: by the id, or, without a name, by the pseudonym.

        Small and capital letters are the same.
        """
        found = self.bearer(called)
        return found.unnamed if found and found.pseudonym.casefold() == called.casefold() else found

    def bearer(self, called: str) -> Student | None:
        """The student whose id or pseudonym this is, with the name: for what leads back to people."""
        return self._by_id.get(called.casefold())

    def called(self, folders: Iterable[str]) -> Roster:
        """Each student as a homework's folders call them.

        If there is one with a pseudonym, everybody without a folder is called by the pseudonym. Raises CourseError if
        somebody has none then.
        """
        there = {name.casefold() for name in folders}
        if not any(student.pseudonym and student.pseudonym.casefold() in there for student in self.students):
            return self
        rest = {student.id for student in self.students if student.id.casefold() not in there}
        self.check_pseudonyms(student for student in self.students if student.id in rest)
        named = (student.unnamed if student.id in rest else student for student in self.students)
        return replace(self, students=tuple(named))

    def check_pseudonyms(self, students: Iterable[Student]) -> None:
        """Raise CourseError if one of these students has no pseudonym."""
        lacking = [student.id for student in students if not student.pseudonym]
        if lacking:
            who = ", ".join(lacking[:_ERRORS]) + (" …" if len(lacking) > _ERRORS else "")
            raise CourseError(f"{self.path}: no pseudonym for {who}: run `autograder roster pseudonyms`")

    def having(self, value: str, columns: Sequence[str] = ("id", *_UNIQUE)) -> tuple[Student, ...]:
        """The students who have `value` in one of `columns`."""
        wanted = value.strip().casefold()
        found = [student for column in columns for student in self._by_value.get((column, wanted), ())]
        return tuple({student.id: student for student in found}.values()) if wanted else ()

    def named(self, name: str) -> tuple[Student, ...]:
        """The students of this name: ‘Jane Doe’, ‘Doe, Jane’, ‘doe_jane’ or ‘doejane’."""
        found = [student for key in keys([name]) for student in self._by_name.get(key, ())]
        return tuple({student.id: student for student in found}.values())

    def in_group(self, name: str) -> tuple[Student, ...]:
        """The members of a group. Nobody, if the name is written so that it may be several groups: ‘112’."""
        exactly, found = (self._in_group(name, key) for key in (group_keys, keys))  # some platforms write ‘112’
        return exactly or (found if len({next(group_keys([one.group])) for one in found}) == 1 else ())

    def extended(self, students: Iterable[Student]) -> Roster:
        """The same file with these students in it, and with all their columns."""
        students = tuple(students)
        used = {column for student in students for column, text in student.fields.items() if text}
        more = [column for column in (*COLUMNS, *PLATFORM_IDS, *sorted(used)) if column in used]
        return replace(self, columns=tuple(dict.fromkeys([*self.columns, *more])), students=students)

    def write(self) -> None:
        """Replace the file in one step."""
        titles = dict(zip(self.sheet.header, self.sheet.titles, strict=False))
        rows = ([student.fields.get(column, "") for column in self.columns] for student in self.students)
        atomic_file.replace(self.path, self.sheet.text([titles.get(name, name) for name in self.columns], rows))

    def _in_group(self, name: str, key: Callable[[Iterable[str]], Iterator[str]]) -> tuple[Student, ...]:
        wanted = set(key([name]))
        return tuple(one for one in self.students if one.group and wanted & set(key([one.group])))

    @cached_property
    def _by_id(self) -> dict[str, Student]:
        named = {student.pseudonym.casefold(): student for student in self.students if student.pseudonym}
        return named | {student.id.casefold(): student for student in self.students}

    @cached_property
    def _by_value(self) -> dict[tuple[str, str], list[Student]]:
        found: dict[tuple[str, str], list[Student]] = {}
        for student in self.students:
            for key in distinct(student):
                found.setdefault(key, []).append(student)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[Student]]:
        found: dict[str, list[Student]] = {}
        for student in self.students:
            parts = f"{student.last_name} {student.first_name}".split()
            turns = (" ".join(parts[at:] + parts[:at]) for at in range(len(parts)))
            for key in set(keys(turns)):
                found.setdefault(key, []).append(student)
        return found


def open_roster(root: Path, path: Path | None = None) -> Roster | None:
    """The roster of the course in `root`, or the one in `path`; None if the course has none. Raises CourseError."""
    if path is None and not (root / FILE).is_file():
        return None
    return read_roster(path or root / FILE)


def new_roster(path: Path) -> Roster:
    """A roster without any student, which is not written yet."""
    return Roster(Sheet(path, COLUMNS, ()), COLUMNS, ())


def read_roster(path: Path) -> Roster:
    """Read and check a roster.

    Raises
    ------
    CourseError
        With file and line of each error: ids that are missing, twice or no names of folders, and bad numbers.
    """
    sheet = read_sheet(path)
    if "id" not in sheet.header:
        there = ", ".join(name for name in sheet.header if name)
        raise CourseError(
            f"{path}, line 1: there is no column ‘id’, only {there}: name the column with the students' folders ‘id’; "
            "a platform's own list is read by `autograder roster import`"
        )
    students = tuple(
        Student(dict(itertools.zip_longest(sheet.header, row[: len(sheet.header)], fillvalue="")), line)
        for line, row in sheet.rows
    )
    errors = [
        *(
            f"line {line}: {len(row)} fields, but the first line names {len(sheet.header)} columns"
            for line, row in sheet.rows
            if any(row[len(sheet.header) :])
        ),
        *(
            f"line 1: column {at + 1} has no name, but there is something in it"
            for at, name in enumerate(sheet.header)
            if not name and any(row[at : at + 1] != ("",) and row[at:] for _, row in sheet.rows)
        ),
        *(f"line {student.line}: {error}" for student in students for error in _errors(student)),
        *_doubles(students),
    ]
    if errors:
        more = [f"… and {len(errors) - _ERRORS} more errors"] if len(errors) > _ERRORS else []
        raise CourseError("\n".join([*(f"{path}, {error}" for error in errors[:_ERRORS]), *more]))
    return Roster(sheet, tuple(name for name in sheet.header if name), students)


def unfit(id: str) -> str:
    """Why an id cannot be the name of a student's folder; '' if it can."""
    if not id:
        return "the id is empty"
    why = _no_folder(id)
    return f"the id {why}" if why else ""


def _no_folder(name: str) -> str:
    """Why a text cannot be the name of a folder: ‘'a/b' cannot be …’; '' if it can."""
    if name.startswith((".", "~")) or name.endswith((".", ".zip")) or re.search(r'[/\\:*?"<>|+]', name):
        return f"{name!r} cannot be the name of a folder: use letters, digits, - and _"
    if not name.isprintable() or len(name.encode()) > _LONGEST:
        return f"{name[:40]!r} cannot be the name of a folder: it is too long, or has signs that nobody sees"
    return ""


def _errors(student: Student) -> Iterator[str]:
    if error := unfit(student.id):
        yield error
    if len(student.pseudonym.split()) > 1:
        yield f"the pseudonym {student.pseudonym!r} has a blank in it"
    elif why := _no_folder(student.pseudonym):
        yield f"the pseudonym {why}"
    days = student.fields.get("extra_days", "")
    try:
        good = 0 <= _number(days) <= 366
    except ValueError:
        good = False
    if not good:
        yield f"extra_days is {days!r}, not a number of days from 0 to 366"


def _number(text: str) -> float:
    number = float(text.replace(",", ".") or 0)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _doubles(students: Sequence[Student]) -> Iterator[str]:
    """What two students have in common, though it is to tell them apart."""
    first: dict[tuple[str, str], Student] = {}
    for student in students:
        for column, value in distinct(student):
            other = first.setdefault((column, value), student)
            if other is not student:
                yield f"line {student.line}: the {column} {value!r} stands in line {other.line} as well"
    for student in students:
        owner = first.get(("id", student.pseudonym.casefold())) if student.pseudonym else None
        if owner is not None:
            yield f"line {student.line}: the pseudonym {student.pseudonym!r} is the id in line {owner.line}"


def distinct(student: Student) -> Iterator[tuple[str, str]]:
    """What no other student may have: column and value."""
    yield "id", student.id.casefold()
    yield from ((column, value) for column in _UNIQUE for value in student.ids(column))


def keys(names: Iterable[str]) -> Iterator[str]:
    """A name without blanks, punctuation, accents and capital letters, in the ways in which platforms write it."""
    return (key for name in names for key in _squeezed(name))


def group_keys(names: Iterable[str]) -> Iterator[str]:
    """The same for names of groups, at least one for each: 1-12 is not 11-2, and + is a name."""
    for name in names:
        parted = re.sub(r"(?<=\d)[\W_]+(?=\d)", _BETWEEN, name)
        yield from _squeezed(parted, _BETWEEN) or (name.strip(),)


@lru_cache(maxsize=2**14)
def _squeezed(name: str, kept: str = "") -> tuple[str, ...]:
    small = unicodedata.normalize("NFC", name).casefold()
    texts = (unicodedata.normalize("NFKD", text) for text in (small, small.translate(_GERMAN)))
    plain = ("".join(sign for sign in text if sign.isalnum() or sign == kept) for text in texts)
    return tuple(dict.fromkeys(filter(None, plain)))
