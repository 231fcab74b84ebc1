"""The lag of a release behind its master: the cells that have changed since `autograder build` made the release.

Grading takes points, texts and given code from the release, and right answers from the master.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError, Homework
from autograder.course.master import ADDED_CELLS, Cell, Master, parted
from autograder.course.parsing import read_unchecked
from autograder.course.release import ReleasedCell, released
from autograder.course.stripping import CODE_STUB, TEXT_STUB

_MOST = 6
"""cells that are named"""


@dataclass(frozen=True)
class Lag:
    """A notebook whose master has changed since its release was made."""

    master: Path
    changes: tuple[str, ...]
    """what has changed, a phrase for each cell: linear-forward is worth 3 points, not 2"""
    given: tuple[str, ...]
    """the given cells whose code has changed: the reference runs it, as students' notebooks do"""

    def __str__(self) -> str:
        return (
            f"{self.master}: changed since the last `autograder build`, and not in force until you run it again: "
            f"{_first(self.changes)}"
        )


def checked(homework: Homework) -> tuple[str, ...]:
    """What has changed in the masters of a homework since the build and does not count yet, a sentence for each.

    Raises CourseError where grading would be wrong, because students' notebooks run other code than the reference.
    """
    found = tuple(lags(homework))
    for one in found:
        if one.given:
            raise CourseError(
                f"{one.master}: the code of these given cells has changed since the last `autograder build`: "
                f"{_first(one.given)}. Right answers would come from the new code, and students' answers from the "
                "old: run `autograder build`, or undo the change"
            )
    return tuple(map(str, found))


def lags(homework: Homework) -> Iterator[Lag]:
    """The notebooks of a homework that are behind. One with errors is left to those who grade with it."""
    for spec in homework.notebooks:
        with suppress(CourseError):
            master = read_unchecked(homework, spec.name)
            release = [cell for cell in released(homework, spec.name).cells if cell.grade_id not in ADDED_CELLS]
            points = tuple(_other_points(master.cells, release))
            texts = tuple(_other_texts(master.cells, release))
            if points or texts:
                yield Lag(master.path, (*points, *texts), tuple(_other_code(master, release)))


def _other_code(master: Master, release: Sequence[ReleasedCell]) -> Iterator[str]:
    """The given cells whose code the reference runs, but students' notebooks do not; comments aside."""
    before = {cell.id: _tree(cell.source) for cell in release if cell.kind == "code" and cell.locked}
    for cell in master.code():
        if cell.locked and not cell.grade and _tree(cell.source) != before.get(cell.id):
            yield cell.id


def _tree(source: str) -> str:
    """What Python makes of a text; the text itself if that is nothing, as in a release that somebody has edited."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return source


def _other_points(now: Sequence[Cell], then: Sequence[ReleasedCell]) -> Iterator[str]:
    """The cells with other points."""
    before = {cell.id: cell for cell in then}
    for cell in now:
        was = before.get(cell.id)
        if was is not None and (cell.points, cell.bonus) != (was.points, was.bonus):
            yield f"{cell.id} is worth {_points(cell)} points, not {_points(was)}"


def _other_texts(now: Sequence[Cell], then: Sequence[ReleasedCell]) -> Iterator[str]:
    """The cells that are new, gone or not as they were. Those without a grade_id are known by their texts."""
    before = {cell.grade_id: cell for cell in then if cell.grade_id}
    stays = {cell.grade_id for cell in now}
    keys, keys_then = ([cell.grade_id or _seen(cell) for cell in cells] for cells in (now, then))
    matcher = difflib.SequenceMatcher(None, keys, keys_then, autojunk=False)
    for kind, at, end, at_then, end_then in matcher.get_opcodes():
        for cell in now[at:end] if kind != "equal" else ():
            what = "stands elsewhere" if cell.grade_id in before else "is new or has changed"
            yield f"{cell.grade_id or f'the text in line {cell.line}'} {what}"
        for gone in then[at_then:end_then] if kind != "equal" else ():
            if gone.grade_id not in stays or (kind == "insert" and not gone.grade_id):
                yield f"{gone.grade_id or 'a text'} is gone"
    for cell in now:
        was = before.get(cell.grade_id)
        if was is not None and (_marks(cell), _seen(cell)) != (_marks(was), _seen(was)):
            yield f"{cell.id} has another text"


def _marks(cell: Cell | ReleasedCell) -> tuple[bool, ...]:
    return cell.grade, cell.solution, cell.locked, cell.task, cell.demo


def _seen(cell: Cell | ReleasedCell) -> str:
    """The kind of a cell, and the text that students see, without what the build puts in place of solutions."""
    lines = parted(cell)[0] if isinstance(cell, Cell) else cell.source.split("\n")
    return "\n".join([cell.kind, *(line for line in lines if line.strip() not in (CODE_STUB, TEXT_STUB))])


def _points(cell: Cell | ReleasedCell) -> str:
    return f"{cell.points:g}{' bonus' * cell.bonus}"


def _first(phrases: tuple[str, ...]) -> str:
    more = len(phrases) - _MOST
    return "; ".join(phrases[:_MOST]) + (f"; and {more} more" if more > 0 else "")
