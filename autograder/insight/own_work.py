"""A student's own work in a homework: what belongs to each exercise, however the cells were moved.

Submissions are read as grading reads them. A folder that holds just the released notebooks, filled in, is read without
the repairs that it does not need; the work is the same. Nothing is executed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from autograder.course.course import Course, CourseError, Homework
from autograder.course.names import functions
from autograder.course.parameters import Values
from autograder.course.personal import values_of
from autograder.course.personal_release import personal_released
from autograder.course.release import Released, released
from autograder.insight.fingerprints import Print, of_code, of_text
from autograder.insight.naming import Given, given, naming
from autograder.insight.plain_code import statements
from autograder.submission import Unreadable, beside, choose, repaired
from autograder.submission.choice import nothing
from autograder.submission.folder import Contents, Place, contents
from autograder.submission.gradable import Gradable
from autograder.submission.kinship import Kinship
from autograder.submission.match import normal
from autograder.submission.others_text import Texts, others_text, texts
from autograder.submission.rawcell import MAX_ALL_CODE_CHARACTERS, MAX_CODE_CHARACTERS, clean

Exercise = tuple[str, str]
"""a notebook, and the grade_id of one of its solution cells"""
Part = tuple[str, str, str]
"""kind of a cell, grade_id of its solution cell or '', and what the student wrote"""


@dataclass(frozen=True)
class Answer:
    """What a student wrote for one exercise."""

    source: str
    prints: tuple[Print, ...]


@dataclass(eq=False)
class _Statement:
    """A statement outside functions."""

    cell: int
    """which of the student's cells it stands in"""
    home: str
    """the exercise that it belongs to"""
    text: str
    tree: ast.Module | None
    above: int
    """lines above it that the line numbers in `tree` count, too"""
    helps: frozenset[str]
    """the functions and classes that it defines and no exercise asks for"""


@dataclass(frozen=True)
class OwnWork:
    """What one student wrote in a homework."""

    student: str
    answers: Mapping[Exercise, Answer] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """of each notebook that cannot be read: why"""
    others: tuple[str, ...] = ()
    """of each notebook whose released text has the numbers of other students: it in a sentence"""
    lacks: tuple[str, ...] = ()
    """the notebooks in whose place nothing was handed in"""


@dataclass(frozen=True)
class Imprint:
    """What is compared of one student's own work."""

    student: str
    marks: dict[Exercise, bytes]
    """the different fingerprints of each answer: 64-bit integers in rising order"""
    damage: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    texts: dict[Exercise, bytes] = field(default_factory=dict, compare=False)
    """a hash of each answer's text, which copies to the letter have in common"""

    @staticmethod
    def of(work: OwnWork) -> Imprint:
        found = {exercise: sorted({mark for mark, _, _ in one.prints}) for exercise, one in work.answers.items()}
        marks = {exercise: np.array(each, dtype=np.int64).tobytes() for exercise, each in found.items() if each}
        texts = {exercise: _hash(work.answers[exercise].source) for exercise in marks}
        return Imprint(work.student, marks, work.damage, work.others, work.lacks, texts)


def _hash(source: str) -> bytes:
    """Of a text; blanks at the ends of lines and empty lines do not count."""
    lines = filter(None, map(str.rstrip, source.splitlines()))
    return hashlib.blake2b("\n".join(lines).encode(errors="replace"), digest_size=16).digest()


class Reader:
    """Reads submissions of one homework."""

    def __init__(
        self, course: Course, homework: Homework, notebooks: Sequence[str], known: Mapping[str, Texts] | None = None
    ) -> None:
        self._course, self.homework, self.notebooks = course, homework, tuple(notebooks)
        self._personal: dict[Values, Reader] = {homework.values: self}
        self.released = {spec.name: personal_released(homework, spec.name) for spec in homework.notebooks}
        self.given = {name: given(self.released[name], homework.numbers(name).values()) for name in self.notebooks}
        self._known = known if known is not None else {name: texts(homework, name) for name in self.notebooks}
        """what is the same for every student, and takes long to make"""
        self._texts = {name: {normal(cell.source) for cell in one.cells} for name, one in self.released.items()}
        self._kinship = Kinship([*self.released.values(), *_others(course, homework)])

    def read(self, student: str, folder: Path) -> OwnWork:
        """The own work in a student's folder. Whatever is wrong with it, nothing is raised."""
        try:
            values = values_of(self.homework, student)
        except CourseError:  # grading says so
            values = self.homework.values
        if values not in self._personal:
            own = self.homework.personal(values)
            self._personal[values] = Reader(self._course, own, self.notebooks, self._known)
        return self._personal[values]._read(student, folder)

    def _read(self, student: str, folder: Path) -> OwnWork:
        try:
            found = self._plainly(contents(folder, self.homework.name, self._kinship.homeworks))
            work, parts = OwnWork(student), found
            if parts is None:
                work, parts = self._repaired(student, folder)
        except (Unreadable, OSError, RecursionError, MemoryError) as error:
            return OwnWork(student, {}, (str(error) or type(error).__name__,))
        answers: dict[Exercise, Answer] = {}
        for name in self.notebooks:
            answers |= answers_of(parts.get(name, ()), self.released[name], self.given[name])
        return replace(work, answers=answers)

    def _repaired(self, student: str, folder: Path) -> tuple[OwnWork, dict[str, list[Part]]]:
        """What is to be said of the student's notebooks, and what the student wrote in them."""
        choice = choose(folder, self.released, self._kinship)
        parts = {}
        others = []
        for name in self.notebooks:
            if name in choice.notebooks:
                chosen = choice.notebooks[name]
                book = repaired(chosen.raw, chosen.entry.name, self.released[name])
                parts[name] = _parts(book, beside(choice, chosen).modules)
                sources = [cell.source for cell in chosen.raw.cells]
                others.append(others_text(self.homework, student, name, self._known[name], self._texts[name], sources))
        without = {name: one.note for name, one in choice.without.items() if name in self.notebooks}
        lacks = tuple(name for name, note in without.items() if note == nothing(name))
        unread = tuple(dict.fromkeys(note for name, note in without.items() if name not in lacks))
        return OwnWork(student, {}, unread, tuple(filter(None, others)), lacks), parts

    def _plainly(self, found: Contents) -> dict[str, list[Part]] | None:
        """What the student wrote in the released notebooks; None if anything in the folder needs a closer look."""
        wanted = {f"{name}.ipynb": name for name in self.released}
        names = sorted(file.name for file in found.files)
        if names != sorted(wanted) or found.passed_over:
            return None
        parts = {}
        for file in found.files:
            name = wanted[file.name]
            if name in self.notebooks:
                own = _plain_parts(file.read(), self.released[name], self._texts[name])
                if own is None or file.place is not Place.EXPECTED:
                    return None
                parts[name] = own
        return parts


def _others(course: Course, homework: Homework) -> Iterable[Released]:
    for name in course.homeworks:
        if name != homework.name:
            other = course.homework(name)
            for spec in other.notebooks:
                if other.release(spec.name).is_file():
                    yield released(other, spec.name)


def _parts(book: Gradable, modules: Mapping[str, str]) -> list[Part]:
    own = [cell for cell in book.cells if cell.released is None or not (cell.released.fixed or cell.released.demo)]
    parts = [
        (cell.kind, cell.released.grade_id if cell.released and cell.released.solution else "", cell.source)
        for cell in own
        if cell.released is None or cell.source != cell.released.source
    ]
    return [*parts, *(("code", "", source[:MAX_CODE_CHARACTERS]) for source in modules.values())]


def _plain_parts(data: bytes, release: Released, texts: set[str]) -> list[Part] | None:
    """As `_parts`, for a notebook with each released cell once, in order and, if it is the course's, unchanged."""
    try:
        cells: list[Any] = json.loads(data)["cells"]
        found = [_plain_cell(cell) for cell in cells]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    code = [len(source) for kind, _, source in found if kind == "code"]
    if max(code, default=0) > MAX_CODE_CHARACTERS or sum(code) > MAX_ALL_CODE_CHARACTERS or len(found) > 500:
        return None
    known = {cell.id for cell in release.cells}
    if [name for _, name, _ in found if name in known] != [cell.id for cell in release.cells]:
        return None
    by_id = {cell.id: cell for cell in release.cells}
    parts: list[Part] = []
    for kind, name, source in found:
        cell = by_id.get(name)
        if cell is None:
            if normal(source) in texts:
                return None
            parts.append((kind, "", source))
        elif cell.kind != kind or ((cell.fixed or cell.demo or not cell.solution) and cell.source != source):
            return None
        elif cell.solution and not cell.fixed and source != cell.source:
            parts.append((kind, cell.grade_id, source))
    return parts


def _plain_cell(cell: Any) -> tuple[str, str, str]:
    """Kind, id and source of a cell. Raises what a damaged notebook raises."""
    kind, source, label = cell["cell_type"], cell["source"], cell["metadata"].get("nbgrader", {}).get("grade_id", "")
    if kind not in ("code", "markdown") or cell.get("attachments") or (label and label != cell["id"]):
        raise ValueError(kind)
    return kind, str(cell["id"]), clean(source if isinstance(source, str) else "".join(source))


def answers_of(parts: Sequence[Part], release: Released, course: Given) -> dict[Exercise, Answer]:
    """What belongs to each exercise: code by the names that it defines, text by its place.

    A helper belongs to the first exercise whose code uses it, wherever it stands.
    """
    owners = {name: one.grade_id for one in release.cells if one.solution and one.kind == "code" for name in one.names}
    exercises: list[tuple[str, str]] = [(cell.kind, cell.grade_id) for cell in release.cells if cell.solution]
    code: list[_Statement] = []
    texts: dict[str, list[str]] = {}
    at = dict(reversed(exercises))
    for cell, (kind, exercise, source) in enumerate(parts):
        at[kind] = exercise or at.get(kind, "")
        if kind == "markdown":
            texts.setdefault(at[kind], []).append(source)
            continue
        for one in statements(source):
            mine = next((owners[name] for name in sorted(one.defines) if name in owners), "")
            helps = functions(one.text) if not mine else frozenset[str]()
            code.append(_Statement(cell, mine or at[kind], one.text.rstrip("\n") + "\n", one.tree, one.above, helps))
    _place_helpers(code, [name for kind, name in exercises if kind == "code"])
    named = naming((one.tree for one in code if one.tree is not None), course)
    found: dict[Exercise, Answer] = {}
    for name in dict.fromkeys(one.home for one in code):
        pieces = [(one.text, one.tree, one.above) for one in code if one.home == name]
        found[release.notebook, name] = Answer("".join(text for text, *_ in pieces), of_code(pieces, named))
    for name, written in texts.items():
        text = "\n\n".join(written)
        found[release.notebook, name] = Answer(text, of_text(text, course.numbers))
    return found


def _place_helpers(code: Sequence[_Statement], exercises: Sequence[str]) -> None:
    """Put each helper to the first exercise that uses it."""
    place = {name: number for number, name in enumerate(exercises)}
    defined: dict[str, list[int]] = {}
    used: dict[str, list[int]] = {}
    for at, one in enumerate(code):
        for name in one.helps:
            defined.setdefault(name, []).append(at)
    for at, one in enumerate(code):
        for name in defined.keys() & set(re.findall(r"\w+", one.text)) - one.helps:
            used.setdefault(name, []).append(at)
    for at, one in enumerate(code):
        users = (user for name in one.helps for user in _users(code, at, defined[name], used.get(name, [])))
        homes = {code[user].home for user in users} & place.keys()
        one.home = min(homes, key=place.__getitem__, default=one.home)


def _users(code: Sequence[_Statement], at: int, defined: Sequence[int], used: Sequence[int]) -> Sequence[int]:
    """The statements that use a helper defined at `at`; `defined` and `used` are all places of its name, in order.

    Where the name is defined again, those between that and `at` in the same cell, or else all in this cell, or else
    those between.
    """
    if len(defined) == 1:
        return used
    next_one = bisect_right(defined, at)
    end = defined[next_one] if next_one < len(defined) else len(code)
    first, last = bisect_right(used, at), bisect_right(used, end)
    low, high = (side(used, code[at].cell, key=lambda user: code[user].cell) for side in (bisect_left, bisect_right))
    return used[max(first, low) : min(last, high)] or used[low:high] or used[first:last]
