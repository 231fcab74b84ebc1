"""Personal releases: what one student gets where parameters are not standard. They are made from the standard release.

Only numbers differ, so that cells, grade_ids and points are those of the standard release.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from autograder.course.course import CourseError, Homework
from autograder.course.hand_in import hand_in_source
from autograder.course.master import ADDED_CELLS, Master, parted
from autograder.course.parsing import read_master
from autograder.course.release import Released, ReleasedCell, checksum, released, title_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

BADGE = """\
*This notebook is for you alone: some of its numbers are not those of other students. To open it in Google Colab, choose
File, then Upload notebook.*"""
"""in place of the badge, which leads to the standard release"""


def personal_released(homework: Homework, notebook: str) -> Released:
    """A released notebook, as the student with the homework's values got it. Raises CourseError."""
    blank = released(homework, notebook)
    if homework.numbers(notebook) == homework.standard(notebook):
        return blank
    book = read_master(homework.personal(()), notebook)
    return with_numbers(blank, book, book.personal(homework.numbers(notebook)))


def with_numbers(blank: Released, standard: Master, personal: Master) -> Released:
    """The standard release with the numbers of a personal master. Raises CourseError if it is not the master's."""
    sources = _sources(standard, personal, {cell.id: cell.source for cell in blank.cells})
    cells: list[ReleasedCell] = []
    title = ""
    for cell in blank.cells:
        source = sources.get(cell.id, cell.source)
        metadata = _metadata(cell.metadata, source, cell.kind) if source != cell.source else cell.metadata
        cells.append(msgspec.structs.replace(cell, source=source, metadata=metadata, title=title))
        title = (title_of(source) if cell.kind == "markdown" else "") or title
    return msgspec.structs.replace(blank, cells=tuple(cells))


def personal_notebook(blank: NotebookNode, standard: Master, personal: Master) -> NotebookNode:
    """The same for a notebook."""
    book = copy.deepcopy(blank)
    sources = _sources(standard, personal, {cell.id: cell.source for cell in blank.cells})
    for cell in book.cells:
        if cell.id in sources:
            cell.source = sources[cell.id]
            cell.metadata = _metadata(cell.metadata, cell.source, cell.cell_type)
    return book


def _sources(standard: Master, personal: Master, texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of the released cells that are not the standard ones, by id; `texts` are those of the standard ones."""
    colab, setup, hand_in = ADDED_CELLS
    if setup not in texts:
        raise CourseError(f"{standard.path}: the release has no cell {setup!r}: run `autograder build`")
    found = {colab: BADGE, hand_in: hand_in_source(personal, texts[setup])}
    for before, after in zip(standard.cells, personal.cells, strict=True):
        pairs = list(zip(parted(before)[0], parted(after)[0], strict=True))
        if any(one != other for one, other in pairs):
            if before.id not in texts or not _within([one for one, _ in pairs], texts[before.id]):
                raise CourseError(
                    f"{standard.path}:{before.line}: the release has another cell {before.id}: run `autograder build`"
                )
            found[before.id] = "\n".join(_lines(texts[before.id], pairs))
    return found


def _within(lines: Iterable[str], text: str) -> bool:
    """Whether all these lines are lines of the text, in this order."""
    there = iter(text.split("\n"))
    return all(line in there for line in lines)


def _lines(text: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The lines of a released cell; `pairs` are those of the master that students see, before and after."""
    at = 0
    for line in text.split("\n"):
        there = next((number for number in range(at, len(pairs)) if pairs[number][0] == line), None)
        if there is None:  # what the build has put there: a stub
            yield line
        else:
            yield pairs[there][1]
            at = there + 1


def _metadata(metadata: Any, source: str, kind: str) -> Any:
    """The metadata of a cell with another text: nbgrader keeps a checksum there."""
    made = copy.deepcopy(metadata)
    told = made.get("nbgrader", {})
    if "checksum" in told:
        told["checksum"] = checksum(
            source,
            kind,
            told["grade_id"],
            told.get("grade", False),
            told.get("solution", False),
            told.get("locked", False),
            told.get("points", 0),
        )
    return made
