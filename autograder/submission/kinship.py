"""Kinship: which notebook of the course a submitted file contains, judged by its cells and not by its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from autograder.course.names import functions, names
from autograder.course.release import Released
from autograder.submission.markless import parts
from autograder.submission.match import normal
from autograder.submission.rawcell import RawCell, RawNotebook

_IMPORT = re.compile(r"^from[ \t]++[\w.]++[ \t]++import[ \t]++([\w, \t]++)$", re.MULTILINE)
_TEXT = 24
"""characters; a shorter text may occur in any notebook"""


class Kin(msgspec.Struct, frozen=True):
    """What a file has in common with one notebook of the course."""

    known: int
    """cells of the notebook that are recognised by their labels or by the course's own text"""
    defined: int
    """further cells whose functions or classes the file defines"""
    work: frozenset[int | str]
    """solution cells (and texts) that contain something of the student's"""
    total: int
    """cells by which the notebook can be recognised"""

    @property
    def cells(self) -> int:
        return self.known + self.defined

    @property
    def answered(self) -> int:
        """Number of solution cells with something of the student's."""
        return sum(isinstance(place, int) for place in self.work)


class Kinship:
    """Compares files with notebooks. Only cells that no other notebook has in common with a notebook speak for it."""

    def __init__(self, releases: Sequence[Released]) -> None:
        self.homeworks = sorted({release.homework for release in releases})
        self._marks = [_Marks(release) for release in releases]
        labels = Counter(label for marks in self._marks for label in marks.labels)
        texts = Counter(text for marks in self._marks for text in marks.texts)
        defined = Counter(name for marks in self._marks for name in marks.functions)
        for marks in self._marks:
            marks.labels = {label: at for label, at in marks.labels.items() if labels[label] == 1}
            marks.texts = {text: at for text, at in marks.texts.items() if texts[text] == 1}
            marks.functions = {name: at for name, at in marks.functions.items() if defined[name] == 1}

    def of(self, raw: RawNotebook) -> dict[tuple[str, str], Kin]:
        """The kinship of a file with each notebook, (homework, notebook), with which it has anything in common."""
        found = {}
        for marks in self._marks:
            kin = marks.kin(parts(raw.cells[0].source, marks.release) if raw.plain else raw.cells)
            if kin.cells:
                found[marks.release.homework, marks.release.notebook] = kin
        return found

    def own(self, cells: Iterable[RawCell], release: Released, besides: Collection[int | str]) -> tuple[RawCell, ...]:
        """Those of a file's cells that are not as the course released them in this notebook.

        Answers to the solution cells in `besides` are left out.
        """
        marks = next(marks for marks in self._marks if marks.release is release)
        exercises = {place for place in besides if isinstance(place, int)}
        return tuple(cell for cell, work in marks.own(cells) if not work or not work <= exercises)


class _Marks:
    """By what a notebook is recognised: index of the cell for each label, each text and each function."""

    def __init__(self, release: Released) -> None:
        self.release = release
        cells = list(enumerate(release.cells))
        self.labels = {cell.grade_id: at for at, cell in cells if cell.grade_id}
        self.texts = {text: at for at, cell in cells if len(text := normal(cell.source)) >= _TEXT}
        self.functions = {
            name: at for at, cell in cells if cell.kind == "code" and not cell.fixed for name in functions(cell.source)
        }
        self._solutions = {
            name: at for at, cell in cells if cell.kind == "code" and cell.solution for name in cell.names
        }
        self._given = frozenset(normal(cell.source) for cell in release.cells)

    def kin(self, cells: Sequence[RawCell]) -> Kin:
        known: set[int] = set()
        defined: set[int] = set()
        answered: set[int | str] = set()
        for number, cell in enumerate(cells):
            text, at = normal(cell.source), self._at(cell)
            if at is not None:
                known.add(at)
            else:
                defined.update(self.functions[name] for name in functions(cell.source) if name in self.functions)
            if text and text not in self._given:
                answered |= self._work(number, cell, at)
        total = len({*self.labels.values(), *self.texts.values(), *self.functions.values()})
        return Kin(len(known), len(defined - known), frozenset(answered), total)

    def own(self, cells: Iterable[RawCell]) -> Iterator[tuple[RawCell, set[int | str]]]:
        """The cells that are not as the course released them, each with the solution cells that it answers."""
        for number, cell in enumerate(cells):
            if normal(cell.source) not in self._given:
                yield cell, self._work(number, cell, self._at(cell))

    def _at(self, cell: RawCell) -> int | None:
        """The released cell that a cell is, judged by its label or its text."""
        label = next((name for name in (cell.grade_id, *cell.ids) if name in self.labels), None)
        return self.labels[label] if label is not None else self.texts.get(normal(cell.source))

    def _work(self, number: int, cell: RawCell, at: int | None) -> set[int | str]:
        """The solution cells that a cell with a text of the student's answers."""
        if at is not None and self.release.cells[at].solution:
            return {at}
        if cell.kind == "code":
            bound = names(cell.source) | {name for found in _IMPORT.findall(cell.source) for name in found.split(",")}
            return {self._solutions[name.strip()] for name in bound if name.strip() in self._solutions}
        return {f"text {number}"} if at is None else set()
