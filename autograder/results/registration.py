"""The homework's cells and points in nbgrader's gradebook, and what happens when they change after recording."""

from __future__ import annotations

import datetime
import enum
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course.course import Course, CourseError, Homework
from autograder.course.release import released
from autograder.course.stripping import strip_config
from autograder.results.plain_text import aligned, plain, points_text


class Recorded(enum.StrEnum):
    """What to do with recorded submissions when cells or points have changed since."""

    REFUSE = "refuse"
    """nothing: it is an error"""
    POINTS = "points"
    """other points are taken over; other cells are an error"""
    UPDATE = "update"
    """other points and other cells are taken over"""
    KEEP = "keep"
    """the gradebook stays as it is, whether anything has changed or not"""


@dataclass(frozen=True)
class CellChange:
    """A cell whose points are not those of the gradebook."""

    notebook: str
    cell: str
    before: float | None
    """points in the gradebook; None for a cell without points, or none"""
    after: float | None
    """points in the release, likewise"""
    kind: str = ""
    """'new' or 'gone'; '' for a cell that is in both"""


Totals = Mapping[str, tuple[float, float]]
"""the score and the most points, by student"""


def records_in(course: Course, out: Path) -> bool:
    """Whether results in `out` are the course's own. Those elsewhere touch neither gradebook nor autograded/."""
    return out.resolve() == (course.root / "results").resolve()


def is_registered(book: Any, homework: Homework) -> bool:
    """Whether the gradebook `book` has the notebooks, labelled cells and points of the homework's current release."""
    from nbgrader.api import MissingEntry

    try:
        there = {notebook.name: notebook for notebook in book.find_assignment(homework.name).notebooks}
    except MissingEntry:
        return False
    names = [spec.name for spec in homework.notebooks]
    return there.keys() == set(names) and all(_registered(there[name]) == _released(homework, name) for name in names)


def check(book: Any, homework: Homework) -> None:
    """Raise CourseError if the gradebook `book`, just registered from source/, has not the cells of release/."""
    if not is_registered(book, homework):
        raise CourseError(f"{homework.name}: source/ and release/ differ: run `autograder build`")


def changes(book: Any, homework: Homework) -> tuple[CellChange, ...]:
    """How the release's cells differ from those of the gradebook `book`."""
    there = {notebook.name: notebook for notebook in book.find_assignment(homework.name).notebooks}
    found = []
    names = [spec.name for spec in homework.notebooks]
    for name in [*names, *sorted(there.keys() - set(names))]:
        then = _registered(there[name]) if name in there else {}
        now = _released(homework, name) if name in names else {}
        for cell in [*now, *(cell for cell in then if cell not in now)]:
            before, after = then.get(cell), now.get(cell)
            kind = "new" if cell not in then else "gone" if cell not in now else ""
            if kind or before != after:
                found.append(CellChange(name, cell, before, after, kind))
    return tuple(found)


def _registered(notebook: Any) -> dict[str, float | None]:
    """The labelled cells of a notebook in the gradebook, with their points."""
    known: dict[str, float | None] = {cell.name: None for cell in notebook.source_cells}
    return known | {cell.name: cell.max_score for cell in (*notebook.grade_cells, *notebook.task_cells)}


def _released(homework: Homework, name: str) -> dict[str, float | None]:
    """The labelled cells of a released notebook, with their points."""
    labelled = [cell for cell in released(homework, name).cells if cell.fixed or cell.solution or cell.task]
    return {cell.grade_id: cell.maximum if cell.grade or cell.task else None for cell in labelled}


def submissions_of(book: Any, homework: Homework) -> int:
    """How many submissions of a homework the gradebook has recorded."""
    from nbgrader.api import MissingEntry

    try:
        return len(book.find_assignment(homework.name).submissions)
    except MissingEntry:
        return 0


def totals(book: Any, homework: Homework) -> Totals:
    """The score and the most points of everybody with a recorded submission."""
    submissions = book.find_assignment(homework.name).submissions
    return {one.student.id: (round(one.score or 0.0, 4), round(one.max_score or 0.0, 4)) for one in submissions}


def register(course: Course, homework: Homework, url: str) -> None:
    """Add the homework's notebooks and cells to the gradebook, with nbgrader's own generate_assignment."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.utils import capture_log

    for spec in homework.notebooks:
        if not homework.source(spec.name).is_file():
            raise CourseError(f"{homework.source(spec.name)}: this file is missing: run `autograder build`")
    with tempfile.TemporaryDirectory(prefix="release-") as name, alembic_on_path():
        folder = Path(name).resolve()
        (folder / "source" / homework.name).mkdir(parents=True)
        for spec in homework.notebooks:  # no other notebook that lies in source/, such as one that was dropped
            shutil.copy(homework.source(spec.name), folder / "source" / homework.name)
        config = strip_config()
        config.CourseDirectory.root = str(course.root)
        config.CourseDirectory.course_id = course.id
        config.CourseDirectory.db_url = url
        config.CourseDirectory.assignment_id = homework.name
        config.CourseDirectory.source_directory = str(folder / "source")
        config.CourseDirectory.release_directory = str(folder / "release")
        outcome = capture_log(GenerateAssignment(coursedir=CourseDirectory(config=config), config=config))
    if not outcome["success"]:
        raise CourseError(
            f"gradebook.db: nbgrader cannot register {homework.name}: correct what its log says:\n{outcome.get('log')}"
        )


def settle(
    book: Any, course: Course, homework: Homework, found: Sequence[CellChange], recorded: Recorded
) -> Path | None:
    """Take the changed cells over into a gradebook with recorded submissions, if `recorded` allows it.

    Returns the copy of the gradebook as it was. Marks, extra credit and comments stay, except those on cells that are
    gone. All of it is done in one step. Raises CourseError, with a table of what has changed, if it is not allowed.
    """
    points_only = not any(change.kind or change.before is None or change.after is None for change in found)
    if not (recorded is Recorded.UPDATE or (recorded is Recorded.POINTS and points_only)):
        raise _refused(course, homework, found, submissions_of(book, homework), points_only)
    kept = _copied(course.root / "gradebook.db")
    with tempfile.TemporaryDirectory(prefix="gradebook-") as folder, alembic_on_path():
        from nbgrader.api import Gradebook

        url = f"sqlite:///{Path(folder).resolve() / 'gradebook.db'}"
        register(course, homework, url)  # apart, as it does not touch a homework with submissions
        with Gradebook(url, course_id=course.id) as fresh:
            _fit(book.db, book.find_assignment(homework.name), fresh.find_assignment(homework.name))
    book.db.expire_all()
    check(book, homework)
    book.db.commit()
    return kept


def _copied(path: Path) -> Path:
    """A copy of a gradebook, beside it, with the time in its name."""
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.before-{moment}")
    try:
        with closing(sqlite3.connect(path)) as ours, closing(sqlite3.connect(target)) as copy:
            ours.backup(copy)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _fit(db: Any, then: Any, now: Any) -> None:
    """Change the notebooks and cells of an assignment into those of another one. Nothing is committed."""
    from nbgrader import api

    old = {notebook.name: notebook for notebook in then.notebooks}
    submissions = list(then.submissions)
    for wanted in now.notebooks:
        notebook = old.pop(wanted.name, None)
        if notebook is None:
            notebook = api.Notebook(name=wanted.name, kernelspec=wanted.kernelspec, assignment=then)
            db.add_all([notebook, *(api.SubmittedNotebook(notebook=notebook, assignment=one) for one in submissions)])
        _fit_cells(db, notebook, wanted)
    for notebook in old.values():
        _fit_cells(db, notebook, None)
        for one in list(notebook.submissions):
            db.delete(one)
        db.delete(notebook)


def _fit_cells(db: Any, notebook: Any, wanted: Any) -> None:
    """Change a notebook's cells into those of `wanted`, or into none; its submissions follow."""
    from nbgrader import api

    kinds = (
        ("grade_cells", api.GradeCell, ("max_score", "cell_type"), (api.Grade,)),
        ("task_cells", api.TaskCell, ("max_score", "cell_type"), (api.Grade, api.Comment)),
        ("solution_cells", api.SolutionCell, (), (api.Comment,)),
        ("source_cells", api.SourceCell, ("cell_type", "locked", "source", "checksum"), ()),
    )
    for name, kind, fields, parts in kinds:
        old = {cell.name: cell for cell in getattr(notebook, name)}
        for cell in getattr(wanted, name, ()):
            values = {field: getattr(cell, field) for field in fields}
            mine = old.pop(cell.name, None)
            if mine is not None:
                for field, value in values.items():
                    setattr(mine, field, value)
                continue
            mine = kind(name=cell.name, notebook=notebook, **values)
            db.add(mine)
            db.flush()  # it gets an id
            db.add_all([part(cell_id=mine.id, notebook=one) for one in notebook.submissions for part in parts])
        for gone in old.values():
            for part in parts:
                for one in db.query(part).filter(part.cell_id == gone.id).all():
                    db.delete(one)
            db.flush()
            db.delete(gone)
    db.flush()


def _refused(
    course: Course, homework: Homework, found: Sequence[CellChange], submissions: int, points_only: bool
) -> CourseError:
    name = homework.name
    points = "  --recorded points   the gradebook takes the other points over; marks and comments are kept\n"
    what, copied = ("other cells over, too", "both make") if points_only else ("the changed cells over", "it makes")
    return CourseError(
        f"{course.root / 'gradebook.db'}: cells or points of {name} have changed since {submissions} submissions were "
        f"recorded:\n\n{table(found)}\n\n"
        "Nothing was graded or recorded. If the change is a mistake, undo it and run `autograder build`. Else, add\n"
        f"{points if points_only else ''}"
        f"  --recorded update   the gradebook takes {what}; marks and comments on cells that stay are kept;\n"
        f"                      {copied} a copy of gradebook.db as it was\n"
        "  --recorded keep     results, pages and the table follow; the gradebook stays as it is"
    )


def table(found: Sequence[CellChange]) -> str:
    """The changed cells, a line each."""
    rows = [("cell", "before", "after")]
    for change in found:
        before = "not there" if change.kind == "new" else points_text(change.before) or "no points"
        after = "gone" if change.kind == "gone" else points_text(change.after) or "no points"
        rows.append((f"{change.notebook}/{change.cell}", before, after))
    return "\n".join(aligned(rows))


def told(before: Totals, after: Totals) -> str:
    """Whose score or maximum has changed, a line each; '' if nobody's."""
    rows = [("student", "before", "after")]
    for student, now in sorted(after.items()):
        then = before.get(student)
        if now != then:
            rows.append((plain(student), _of(then) if then is not None else "not recorded", _of(now)))
    return "\n".join(aligned(rows)) if len(rows) > 1 else ""


def _of(total: tuple[float, float]) -> str:
    return f"{points_text(total[0])} of {points_text(total[1])}"


@contextmanager
def alembic_on_path() -> Iterator[None]:
    """Put the folder of `alembic` on PATH: nbgrader calls it by name when it creates a database."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before
