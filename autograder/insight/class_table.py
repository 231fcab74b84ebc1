"""The class table of one homework: all results, read into matrices and short lists, without pictures and outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import msgspec
import numpy as np

from autograder.course.roster import Roster
from autograder.insight.items import Array, Flags
from autograder.results import record
from autograder.results.plain_text import plain
from autograder.results.result import SCHEMA, CellResult, NotebookResult, Result
from autograder.results.waiting import WAITS_FOR, kind

_NOTHING = "Nothing was written here"
"""begins the note of a written answer that is empty or as it was released"""

Mistake = tuple[str, str]
"""a notebook, and the id of a known mistake in it: another notebook may have another mistake of this id"""


class Exercise(NamedTuple):
    """A grade cell."""

    notebook: str
    cell: str
    title: str
    points: float
    by_hand: bool
    """whether no hidden test earns its points"""


class Check(NamedTuple):
    """A hidden test."""

    notebook: str
    cell: str
    name: str
    says: str
    worth: float
    """points of the homework"""


class Happening(NamedTuple):
    """An incident or a repair."""

    student: str
    notebook: str
    kind: str
    cell: str
    note: str


class Cost(NamedTuple):
    """What grading one student took."""

    student: str
    cpu_seconds: float
    peak_memory_mb: float


@dataclass
class ClassTable:
    """One homework of a class; `students` are the rows of every matrix."""

    homework: str
    title: str
    maximum: float
    students: list[str]
    names: list[str]
    sections: list[str]
    """'' where the roster says nothing"""
    has_sections: bool
    teams: list[str]
    """'' for who works alone"""
    scores: Array
    handed_in: Flags
    exercises: list[Exercise]
    shares: Array
    """of the points of each exercise; NaN where it waits for a mark or is not in the result"""
    tried: Flags
    seconds: Array
    """that the hidden tests of an exercise took"""
    tests: list[Check]
    passed: Array
    """1 or 0; NaN where the exercise was not tried"""
    mistakes: dict[Mistake, set[str]] = field(default_factory=dict)
    """for each mistake, the students"""
    told: dict[Mistake, tuple[str, str]] = field(default_factory=dict)
    """title and hint of each mistake"""
    incidents: list[Happening] = field(default_factory=list)
    repairs: list[Happening] = field(default_factory=list)
    waiting: list[tuple[str, str, str, str]] = field(default_factory=list)
    """student, notebook, cell, and what it waits for: points, or a second look at its mark"""
    marks: dict[tuple[str, str], dict[str, list[tuple[str, float]]]] = field(default_factory=dict)
    """for each exercise, for each digest of an answer, who got which share by hand"""
    costs: list[Cost] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    roster: Roster | None = None

    def person(self, called: str) -> str:
        """Whom a folder belongs to: the same in homeworks with pseudonyms and without, however its name is encoded."""
        known = self.roster.bearer(called) if self.roster else None
        return normalize("NFC", known.id if known else called)


def read(out: Path, homework: str, roster: Roster | None = None) -> ClassTable:
    """The results of a homework below `out`, one at a time in memory. Damaged ones are named in `damaged`."""
    damaged: dict[str, str] = {}
    table = of_results(_own(out, homework, damaged), homework, roster)
    table.damaged = damaged
    return table


def _own(out: Path, homework: str, damaged: dict[str, str]) -> Iterator[Result]:
    """The results that lie in the folder of their student: nobody counts twice."""
    for folder, result in record.each(out, homework, damaged):
        if _same(result.student, folder):
            yield result
        else:
            where = out / folder / f"{homework}.json"
            damaged[folder] = plain(f"{where}: this is {result.student}'s result: grade {folder}'s submission again")


def _same(student: str, folder: str) -> bool:
    return normalize("NFC", student) == normalize("NFC", folder)


def of_results(results: Iterable[Result], homework: str, roster: Roster | None = None) -> ClassTable:
    """The table of these results."""
    rows = _Rows()
    for result in results:
        rows.add(result)
    cells, tests = list(rows.exercises), list(rows.tests)
    known = [roster.get(student) if roster else None for student in rows.students]
    return ClassTable(
        homework=homework,
        title=rows.title or homework,
        maximum=rows.maximum,
        students=rows.students,
        names=[one.name if one else "" for one in known],
        sections=[one.section if one else "" for one in known],
        has_sections=any(one is not None and one.section for one in known),
        teams=[one.group if one else "" for one in known],
        scores=np.array(rows.scores, dtype=np.float64),
        handed_in=np.array(rows.handed_in, dtype=bool),
        exercises=[rows.exercises[key] for key in cells],
        shares=_matrix(rows.shares, cells, np.nan),
        tried=_matrix(rows.tried, cells, 0.0) > 0,
        seconds=_matrix(rows.seconds, cells, np.nan),
        tests=[rows.tests[key] for key in tests],
        passed=_matrix(rows.passed, tests, np.nan),
        mistakes=dict(rows.mistakes),
        told=rows.told,
        incidents=rows.incidents,
        repairs=rows.repairs,
        waiting=rows.waiting,
        marks={key: dict(digests) for key, digests in rows.marks.items()},
        costs=rows.costs,
        roster=roster,
    )


class _Diagnosed(msgspec.Struct):
    mistake: str


class _Cell(msgspec.Struct):
    diagnoses: tuple[_Diagnosed, ...] = ()


class _Book(msgspec.Struct):
    cells: tuple[_Cell, ...]


class _Made(msgspec.Struct):
    """The part of a results file that `mistakes_of` reads: a small part of the time that the whole takes."""

    schema: int
    student: str
    notebooks: tuple[_Book, ...]


_made = msgspec.json.Decoder(_Made)


def mistakes_of(out: Path, homework: str) -> dict[str, set[str]]:
    """For each id of a known mistake, the students who made one in this homework, by their names in NFC.

    Damaged results, and those that lie in another student's folder, are left out.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(out.glob(f"*/{homework}.json")):
        try:
            made = _made.decode(path.read_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError):
            continue
        if made.schema == SCHEMA and _same(made.student, path.parent.name):
            for diagnosis in (one for book in made.notebooks for cell in book.cells for one in cell.diagnoses):
                found[diagnosis.mistake].add(normalize("NFC", made.student))
    return dict(found)


class _Rows:
    """Takes one result after the other; columns are found on the way."""

    def __init__(self) -> None:
        self.title, self.maximum = "", 0.0
        self.students: list[str] = []
        self.scores: list[float] = []
        self.handed_in: list[bool] = []
        self.exercises: dict[tuple[str, str], Exercise] = {}
        self.tests: dict[tuple[str, str], Check] = {}
        self.shares: list[dict[tuple[str, str], float]] = []
        self.tried: list[dict[tuple[str, str], float]] = []
        self.seconds: list[dict[tuple[str, str], float]] = []
        self.passed: list[dict[tuple[str, str], float]] = []
        self.mistakes: defaultdict[Mistake, set[str]] = defaultdict(set)
        self.told: dict[Mistake, tuple[str, str]] = {}
        self.incidents: list[Happening] = []
        self.repairs: list[Happening] = []
        self.waiting: list[tuple[str, str, str, str]] = []
        self.marks: dict[tuple[str, str], defaultdict[str, list[tuple[str, float]]]] = {}
        self.costs: list[Cost] = []

    def add(self, result: Result) -> None:
        self.title, self.maximum = result.title, max(self.maximum, result.max_score)
        self.students.append(result.student)
        self.scores.append(result.score)
        self.handed_in.append(result.found)
        for rows in (self.shares, self.tried, self.seconds, self.passed):
            rows.append({})
        peak = max((book.peak_memory_mb for book in result.notebooks), default=0.0)
        self.costs.append(Cost(result.student, result.cpu_seconds, peak))
        for book in result.notebooks:
            self._book(result.student, book)

    def _book(self, student: str, book: NotebookResult) -> None:
        name = book.notebook
        self.incidents += [Happening(student, name, one.kind, one.cell, one.note) for one in book.incidents]
        self.repairs += [Happening(student, name, one.kind, one.cell, one.note) for one in book.repairs]
        there = bool(book.file) and not book.unread
        for cell in book.cells:
            self._cell(student, name, cell, there and _written(cell))
            if cell.earned is None:
                self.waiting.append((student, name, cell.grade_id, WAITS_FOR[kind(book, cell)]))
            elif cell.mark is not None and cell.mark.outdated:
                self.waiting.append((student, name, cell.grade_id, "a second look"))

    def _cell(self, student: str, notebook: str, cell: CellResult, tried: bool) -> None:
        key = notebook, cell.grade_id
        if key not in self.exercises or (cell.tests and self.exercises[key].by_hand):
            self.exercises[key] = Exercise(*key, cell.title, cell.points, not cell.tests)
        self.tried[-1][key] = float(tried)
        if cell.earned is not None and cell.points > 0:
            self.shares[-1][key] = min(1.0, max(0.0, cell.earned / cell.points))
        if cell.tests:
            self.seconds[-1][key] = sum(test.seconds for test in cell.tests)
        weights = sum(test.weight for test in cell.tests)
        for test in cell.tests:
            at = notebook, test.name
            if at not in self.tests:
                worth = cell.points * test.weight / weights if weights else 0.0
                self.tests[at] = Check(notebook, cell.grade_id, test.name, test.says, worth)
            if tried:
                self.passed[-1][at] = float(test.passed)
        for diagnosis in cell.diagnoses:
            self.mistakes[notebook, diagnosis.mistake].add(student)
            self.told[notebook, diagnosis.mistake] = diagnosis.title, diagnosis.hint
        if cell.mark is not None and cell.mark.points is not None and cell.points > 0:
            digests = self.marks.setdefault(key, defaultdict(list))
            digests[cell.answer].append((student, cell.mark.points / cell.points))


def _written(cell: CellResult) -> bool:
    """Whether an exercise was tried: it is not as it was released."""
    if cell.note.startswith(_NOTHING):
        return False
    return not cell.unwritten


def _matrix(rows: list[dict[tuple[str, str], float]], columns: list[tuple[str, str]], empty: float) -> Array:
    at = {key: number for number, key in enumerate(columns)}
    found = np.full((len(rows), len(columns)), empty)
    for number, row in enumerate(rows):
        for key, value in row.items():
            found[number, at[key]] = value
    return found
