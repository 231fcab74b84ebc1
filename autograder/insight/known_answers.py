"""What says nothing about a copy: the fingerprints of the release, and those that two known answers have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import jupytext

from autograder.course.course import Homework
from autograder.course.markers import edge_of
from autograder.course.master import PERCENT, Cell, Master
from autograder.course.parsing import read_master
from autograder.insight.own_work import Exercise, Part, Reader, answers_of


def alternatives_of(homework: Homework, book: Master) -> dict[str, dict[str, str]]:
    """The solution cells that each alternative writes differently, by its name and their grade_ids."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(homework.alternatives(book.notebook)):
        cells = jupytext.reads(path.read_text(encoding="utf-8"), fmt=PERCENT).cells
        named = {cell.metadata.get("nbgrader", {}).get("grade_id", ""): cell.source for cell in cells}
        found[path.stem] = {name: source for name, source in named.items() if name}
    return found


@dataclass(frozen=True)
class KnownPrints:
    """The fingerprints of what the course itself knows, for each exercise."""

    common: dict[Exercise, Collection[int]]
    """those of the release and of two known answers: they say nothing about a copy"""
    all: dict[Exercise, Collection[int]]
    """these, and those of one known answer"""


def known_prints(homework: Homework, reader: Reader) -> KnownPrints:
    """Those of all known answers to the reader's notebooks."""
    found = KnownPrints({}, {})
    for name in reader.notebooks:
        release, book = reader.released[name], read_master(homework, name)
        blank = _prints(reader, name, ((cell.kind, cell.grade_id, cell.source) for cell in release.cells))
        handed_out = {mark for prints in blank.values() for mark in prints}
        solved: list[Part] = [(cell.kind, cell.grade_id, _whole(cell)) for cell in book.cells if cell.solution]
        ways = Counter[tuple[Exercise, int]]()
        others: list[list[Part]] = [
            [("code", cell, source) for cell, source in one.items()] for one in alternatives_of(homework, book).values()
        ]
        for way in [solved, *others]:
            ways.update((exercise, mark) for exercise, marks in _prints(reader, name, way).items() for mark in marks)
        for cell in release.cells:
            if cell.solution:
                exercise = name, cell.grade_id
                marks = {mark: count for (of, mark), count in ways.items() if of == exercise}
                found.common[exercise] = frozenset({mark for mark, count in marks.items() if count > 1} | handed_out)
                found.all[exercise] = frozenset(marks.keys() | handed_out)
        found.common[name, ""] = found.all[name, ""] = frozenset(handed_out)
    return found


def _whole(cell: Cell) -> str:
    """A cell's source without markers."""
    return "\n".join(line for line in cell.source.split("\n") if not edge_of(line))


def _prints(reader: Reader, name: str, parts: Iterable[Part]) -> dict[Exercise, set[int]]:
    answers = answers_of(tuple(parts), reader.released[name], reader.given[name])
    return {exercise: {mark for mark, _, _ in answer.prints} for exercise, answer in answers.items()}
