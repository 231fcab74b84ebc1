"""The build for a class: a release for each student of a roster, where a homework has parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder import atomic_file
from autograder.course import build, personal
from autograder.course.course import Course, CourseError, Homework
from autograder.course.leaks import verify
from autograder.course.parameters import Values
from autograder.course.personal_release import personal_notebook
from autograder.course.roster import Roster
from autograder.course.tables import Masters


@dataclass(frozen=True)
class Built:
    """What was built of one homework for a class."""

    homework: str
    students: int
    different: int
    """how many different releases there are among them"""
    changed: tuple[Path, ...]
    """the students' files that are new or were written again"""
    others: tuple[str, ...]
    """students, and teams, whose numbers are not those that they were given before; if the record of these could not be
    read, students whose files were there and have changed"""
    new: tuple[str, ...] = ()
    """students, and teams, of whom the record said nothing; () if there was none that could be read"""
    left: tuple[str, ...] = ()
    """who is in the record, but not in the roster"""


def build_for(course: Course, homeworks: Sequence[str] | None, roster: Roster, secret: bytes, out: Path) -> list[Built]:
    """Write <out>/<student>/<homework>/ for everybody in the roster, and beside the roster who was given what.

    By default of all homeworks with parameters. The standard release has to be built. The same secret and the same
    student make the same bytes, whoever else is in the roster. Others keep their lines in the record. Raises
    AuthorError, BuildError or CourseError; then nothing is written.
    """
    chosen = [course.homework(name) for name in homeworks or course.homeworks]
    chosen = [homework for homework in chosen if homework.parameters or homeworks]
    for homework in chosen:
        if not homework.parameters:
            raise CourseError(
                f"{homework.root / homework.name / 'homework.toml'}: it declares no parameters: build {homework.name} "
                "without --variant-for"
            )
    if not chosen:
        raise CourseError(
            f"{course.root / 'course.toml'}: no homework of this course declares parameters: leave out --variant-for"
        )
    if not roster.students:
        raise CourseError(f"{roster.path}: there are no students in it: write a line for each, or name another file")
    masters = build.read_masters(course, [homework.name for homework in chosen])
    plans = [_plan(course, homework, masters, roster, secret) for homework in chosen]
    return [_carry_out(plan, out) for plan in plans]


@dataclass(frozen=True)
class _Plan:
    homework: Homework
    students: Mapping[str, Values]
    rows: Mapping[str, Values]
    files: Mapping[Values, Mapping[str, bytes]]
    """the files of each release, by their names"""
    others: tuple[str, ...] | None
    """whose numbers are not those that they were given before; None if the record of these cannot be read"""
    new: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def _plan(course: Course, homework: Homework, masters: Masters, roster: Roster, secret: bytes) -> _Plan:
    students = {student.id: personal.drawn(homework, secret, student) for student in roster.students}
    standard = build.notebooks(course, {homework.name: masters[homework.name]})
    for path, text in standard.items():
        if build.read(course.root / path) != text:
            raise CourseError(f"{course.root / path}: this is not what the master makes: run `autograder build`")
    files = {values: _files(homework.personal(values), masters, standard) for values in sorted(set(students.values()))}
    rows = personal.rows_of(homework, secret, roster)
    try:
        before = personal.given(homework)
    except CourseError:  # it is written anew
        return _Plan(homework, students, rows, files, None)
    if before is None:
        return _Plan(homework, students, rows, files, ())
    others = tuple(name for name, values in rows.items() if before.differs(name, values))
    left = before.without(rows)
    # A pseudonym may be new where the student is not.
    names = dict.fromkeys(name for one in roster.students for name in (one.id, one.group) if name)
    new = tuple(name for name in names if not before.knows(name))
    return _Plan(homework, students, left | rows, files, others, new, tuple(left))


def _files(homework: Homework, masters: Masters, standard: Mapping[Path, str]) -> dict[str, bytes]:
    """The files of a homework's release with its values. Raises BuildError."""
    import nbformat

    found: dict[str, bytes] = {}
    for book in masters[homework.name]:
        below = Path("release", homework.name, f"{book.notebook}.ipynb")
        text, script = standard[below], standard[below.with_suffix(".py")]
        if homework.numbers(book.notebook) != homework.standard(book.notebook):
            own = book.personal(homework.numbers(book.notebook))
            made = personal_notebook(nbformat.reads(text, as_version=4), book, own)  # type: ignore[no-untyped-call]
            text, script = build.dump(made), build.script_of(made)
            verify(below, own, made, script)
        found[below.name] = text.encode()
        found[below.with_suffix(".py").name] = script.encode()
    return found


def _carry_out(plan: _Plan, out: Path) -> Built:
    """Write everything, and last who was given what."""
    changed: list[Path] = []
    again: dict[str, None] = {}
    for student, values in plan.students.items():
        folder = out / student / plan.homework.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in plan.files[values].items():
            path = folder / name
            there = path.is_file()
            if not there or path.read_bytes() != data:
                atomic_file.replace(path, data)
                changed.append(path)
                again |= {student: None} if there else {}
    personal.write(plan.homework, plan.rows)
    others = tuple(again) if plan.others is None else plan.others
    return Built(plan.homework.name, len(plan.students), len(plan.files), tuple(changed), others, plan.new, plan.left)
