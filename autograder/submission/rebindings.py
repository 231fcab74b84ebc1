"""Rebindings: functions of a student whose name gets another meaning further down, and given names that they redefine.

Nothing is executed: the sources tell which names a cell defines.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograder.course.names import functions, names, statements
from autograder.results.result import Incident
from autograder.submission.gradable import GradableCell
from autograder.submission.markless import bare

_MOST = 5
"""most notes on one notebook"""


@dataclass(frozen=True)
class Rebinding:
    """A name that one cell defines and a cell below defines again."""

    name: str
    first: str
    """id of the cell that defines it, the student's own"""
    again: str
    """id of the cell below"""
    between: tuple[str, ...]
    """the grade cells between the two"""


def rebindings(cells: Sequence[GradableCell]) -> tuple[Rebinding, ...]:
    """The student's functions and classes whose names a cell below a check of theirs gives another meaning."""
    run = [cell for cell in cells if not cell.skip]
    defined = [names(cell.source) for cell in run]
    found: list[Rebinding] = []
    for number, cell in enumerate(run):
        if cell.released is not None and (cell.released.fixed or cell.source == cell.released.source):
            continue
        for name in sorted(_functions_in_the_end(cell.source)):
            places = (later for later in range(number + 1, len(run)) if name in defined[later])
            again = next((later for later in places if _defines(run[later].source, name)), None)
            if again is not None:
                between = tuple(one.released.grade_id for one in run[number:again] if one.released and one.tested)
                if between:
                    found.append(Rebinding(name, cell.id, run[again].id, between))
    return tuple(found)


def notes(cells: Sequence[GradableCell], found: Sequence[Rebinding]) -> Iterator[Incident]:
    """What the student is told: about `found`, and about given names that their cells redefine."""
    for one in found[:_MOST]:
        note = (
            f"Your cell ‘{one.first}’ defines {one.name}, and cell ‘{one.again}’ defines it again. The exercises "
            "between them were tested with the first one, as their checks were. Use different names."
        )
        yield Incident(kind="names", cell=one.again, note=note)
    given: dict[str, str] = {}
    ours: set[str] = set()
    told = 0
    for cell in cells:
        if cell.released is not None and cell.released.fixed:
            given |= dict.fromkeys(() if cell.skip else functions(cell.source), cell.id)
            ours |= _given_statements(cell.source)
            continue
        own = {name for text, defined in _parts(cell.source) for name in defined if bare(text) not in ours}
        for name in sorted(() if cell.skip else own & given.keys()):
            if told < _MOST and not name.startswith("_"):
                told += 1
                note = (
                    f"Your cell ‘{cell.id}’ gives another meaning to {name}, which the given cell ‘{given[name]}’ "
                    "defines and later cells use. Checks below it may fail for this reason. Choose another name."
                )
                yield Incident(kind="names", cell=cell.id, note=note)


@functools.lru_cache(maxsize=512)  # the given cells are the same in all submissions
def _given_statements(source: str) -> frozenset[str]:
    return frozenset(bare(text) for text, _ in _parts(source))


@functools.lru_cache(maxsize=256)  # asked for each name; a source that is no Python takes up to a second
def _parts(source: str) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple(statements(source))


def _defines(source: str, name: str) -> bool:
    """Whether a cell defines a name, and not only a line of a text in it looks like that."""
    return any(name in defined for _, defined in _parts(source))


def _functions_in_the_end(source: str) -> Iterator[str]:
    """The functions and classes of a cell whose names it gives no other meaning below."""
    parts = _parts(source)
    last = {name: text for text, defined in parts for name in defined}
    yield from (name for name in functions(source) if name in functions(last.get(name, "")))
