"""Personal parameters: who gets which values, and the file that says who was given what, hw1.parameters.csv."""

from __future__ import annotations

import functools
import hashlib
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import CourseError, Homework
from autograder.course.parameters import MOST, Number, Parameter, Values
from autograder.course.roster import Roster, Student, keys
from autograder.course.sheet import Sheet, column_name, read_sheet

VARIANTS = "variants"
"""the folder of the releases for single students, unless the author chose another"""
_PRIVATE = 0o600
_COLUMN = "student"
_ERRORS = 10
"""errors of one file that are shown"""


@dataclass(frozen=True)
class Given:
    """Who was given which values of a homework's parameters."""

    path: Path
    rows: Mapping[str, tuple[str, Values]]
    """name and values, by the name in small letters: a student's id or pseudonym, or a team's name"""

    def of(self, student: str) -> Values:
        """The values of the student or team whose folder is called so. Raises CourseError if they are not known."""
        found = self.rows.get(row_key(student))
        if found is None:
            raise CourseError(
                f"{self.path}: it does not say which numbers {student} was given, so the submission cannot be graded: "
                f"`autograder build {self.path.name.partition('.')[0]} --variant-for roster.csv`, with {student} in "
                "the roster, adds the line and changes nobody else's"
            )
        return found[1]

    def knows(self, name: str) -> bool:
        """Whether the student or team was given any."""
        return row_key(name) in self.rows

    def differs(self, name: str, values: Values) -> bool:
        """Whether the student or team was given other values."""
        return self.rows.get(row_key(name), ("", values))[1] != values

    def without(self, names: Iterable[str]) -> dict[str, Values]:
        """What all others were given."""
        known = set(map(row_key, names))
        return {name: values for key, (name, values) in self.rows.items() if key not in known}

    def having(self, values: Values) -> tuple[str, ...]:
        """Who was given these values, by names as the file has them."""
        return tuple(name for name, own in self.rows.values() if own == values)


def file_of(homework: Homework) -> Path:
    """The file beside the roster that says who was given what."""
    return homework.root / f"{homework.name}.parameters.csv"


def values_of(homework: Homework, student: str) -> Values:
    """The values of the student, or the team, whose folder is called so: () where everybody got the standard homework.

    Raises CourseError if others were given values of their own and nobody knows this student's, or if the file that
    says so has errors.
    """
    found = given(homework)
    return found.of(student) if found is not None else ()


def given(homework: Homework) -> Given | None:
    """Who was given what, as the file says; None if there is none.

    Raises CourseError with file and line, or if there is no file, but there are releases for single students.
    """
    path = file_of(homework)
    try:
        about = path.stat()
    except FileNotFoundError:
        made = homework.root / VARIANTS
        if homework.parameters and any(made.glob(f"*/{homework.name}/*.ipynb")):
            raise CourseError(
                f"{path}: it is missing, but {made} has releases of {homework.name} with numbers of their own, so "
                f"nobody knows who was given which: copy it from where they were built, or run `autograder build "
                f"{homework.name} --variant-for roster.csv` with the same roster and the same .course-secret"
            ) from None
        return None
    return _read(path, homework.parameters, about.st_mtime_ns, about.st_size)


def drawn(homework: Homework, secret: bytes, student: Student) -> Values:
    """A student's values: a hash of the course's secret, the homework and the student's id chooses each of them.

    The members of a team share theirs: there, the team's name is hashed.
    """
    team = next(keys([student.group]), student.group.strip())
    whose = ("team", team) if team else ("student", student.id.casefold())
    return normal(
        homework.parameters, {one.name: _choice(homework, secret, one, *whose) for one in homework.parameters}
    )


def normal(parameters: Sequence[Parameter], values: Mapping[str, Number]) -> Values:
    """Values without the standard ones."""
    return tuple(sorted((one.name, values[one.name]) for one in parameters if values[one.name] != one.standard))


def rows_of(homework: Homework, secret: bytes, roster: Roster) -> dict[str, Values]:
    """For each student's id and pseudonym, and each team's name, the values. An id counts before a team's name."""
    found: dict[str, tuple[str, Values]] = {}
    for student in sorted(roster.students, key=lambda one: one.id):
        values = drawn(homework, secret, student)
        for name in filter(None, (student.id, student.pseudonym)):
            found[row_key(name)] = name, values
    for student in roster.students:
        if student.group:
            found.setdefault(row_key(student.group), (student.group, drawn(homework, secret, student)))
    return dict(found.values())


def write(homework: Homework, rows: Mapping[str, Values]) -> bool:
    """Write the file, for its owner alone, if it says anything else; return whether it did."""
    path = file_of(homework)
    names = [one.name for one in homework.parameters]
    table = [
        [name, *(str(homework.personal(values).value(one)) for one in names)] for name, values in sorted(rows.items())
    ]
    text = Sheet(path, (), ()).text([_COLUMN, *names], table)
    if path.is_file() and path.read_bytes() == text:
        return False
    atomic_file.replace(path, text, _PRIVATE)
    return True


def _choice(homework: Homework, secret: bytes, one: Parameter, *whose: str) -> Number:
    names = "\0".join(("parameter", homework.name, one.name, *whose))
    digest = hashlib.blake2b(names.encode("utf-8", "surrogatepass"), key=secret[:64], digest_size=16).digest()
    return one.values[int.from_bytes(digest, "little") % len(one.values)]


@functools.lru_cache(maxsize=4)
def _read(path: Path, parameters: tuple[Parameter, ...], changed: int, size: int) -> Given:
    """The file as it was `changed` last."""
    sheet = read_sheet(path)
    way_out = "run `autograder build --variant-for roster.csv`, which writes it"
    names = {column_name(one.name): one.name for one in parameters}
    if sheet.header[:1] != (_COLUMN,) or sorted(sheet.header[1:]) != sorted(names):
        wanted = ", ".join([_COLUMN, *names.values()])
        raise CourseError(f"{path}, line 1: the columns should be {wanted}, as homework.toml declares: {way_out}")
    found: dict[str, tuple[str, Values]] = {}
    errors = [
        f"{path}, line {line}: {why}: correct it, or {way_out}" for line, why in _rows(sheet, names, parameters, found)
    ]
    if errors:
        raise CourseError("\n".join(errors[:_ERRORS]))
    return Given(path, found)


def _rows(
    sheet: Sheet, names: Mapping[str, str], parameters: Sequence[Parameter], found: dict[str, tuple[str, Values]]
) -> Iterator[tuple[int, str]]:
    """Fill `found`; yield the lines that cannot be used, and why."""
    for line, row in sheet.rows:
        if len(row) != len(sheet.header):
            yield line, f"the number of fields is {len(row)}, that of columns {len(sheet.header)}"
            continue
        values: dict[str, Number] = {}
        for column, text in zip(sheet.header[1:], row[1:], strict=True):
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not 0 <= number <= MOST:
                yield line, f"{text!r} is no number from 0 to {MOST:g}"
                number = 0.0
            values[names[column]] = int(number) if number.is_integer() else number
        if row_key(row[0]) in found:
            yield line, f"{row[0]!r} stands there twice"
        found[row_key(row[0])] = row[0], normal(parameters, values)


def row_key(name: str) -> str:
    """What is the same for all ways in which a name may be written: capital letters, and Unicode's forms."""
    return unicodedata.normalize("NFC", name).casefold()
