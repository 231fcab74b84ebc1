"""Grades one submission of one homework, from the submitted files to the result. Trusted side only."""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import resource
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from autograder.constants import SEED
from autograder.course.course import NotebookSpec
from autograder.examination.score import score
from autograder.forbidden.attempts import Attempt
from autograder.grading.causes import with_causes
from autograder.grading.context import GradingContext, attempts_in, forbidden_uses
from autograder.grading.orders import GradeOrder
from autograder.results import autograded
from autograder.results.result import SCHEMA, CellResult, Incident, NotebookResult, Result
from autograder.sandbox.session import Session
from autograder.submission import Beside, Choice, Chosen, Gradable, beside, choose, repaired
from autograder.submission.rebindings import notes, rebindings


def grade(context: GradingContext, order: GradeOrder, announce: Callable[[str, str], None]) -> Result:
    """Grade a submission. Anything wrong with it becomes part of the result.

    `announce` is told each step before it begins: the notebook, and the test or ''.
    """
    folder, marked = Path(os.fsdecode(order.folder)), Path(os.fsdecode(order.marked)) if order.marked else None
    began, cpu = time.monotonic(), _cpu()
    announce("", "")
    unread = any(not place.notebook for place in order.barred)
    choice = Choice({}, {}, ()) if unread else choose(folder, context.released, context.kinship)
    books = []
    for spec in context.homework.notebooks:
        tell = functools.partial(announce, spec.name)
        tell("")
        barred = [place.test for place in order.barred if place.notebook == spec.name]
        if unread or "" in barred:
            books.append(_waiting(context, spec))
        elif spec.name in choice.without:
            books.append(_without_notebook(context, spec, choice.without[spec.name]))
        else:
            chosen = choice.notebooks[spec.name]
            files = beside(choice, chosen)
            books.append(_notebook(context, spec, chosen, files, marked, tell, barred))
    return Result(
        schema=SCHEMA,
        course=context.course.id,
        homework=context.homework.name,
        title=context.homework.title,
        student=order.student,
        score=round(sum(book.score for book in books), 4),
        max_score=sum(book.max_score for book in books),
        notebooks=tuple(books),
        tier=context.zygote.tier,
        versions=context.versions,
        graded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu_seconds=round(_cpu() - cpu + sum(book.cpu_seconds for book in books), 3),
        wall_seconds=round(time.monotonic() - began, 3),
    )


def _notebook(
    context: GradingContext,
    spec: NotebookSpec,
    chosen: Chosen,
    files: Beside,
    marked: Path | None,
    announce: Callable[[str], None],
    barred: Collection[str],
) -> NotebookResult:
    began = time.monotonic()
    blank, suite = context.released[spec.name], context.suites[spec.name]
    gradable = repaired(chosen.raw, chosen.entry.name, blank, (*chosen.notes, *files.notes)).beside(files.files)
    modules = files.modules
    limits = context.homework.limits
    with Session(context.zygote, limits, gradable.cells, spec.forbidden, files.files) as session:
        session.run()
        rebound = rebindings(gradable.cells)
        affected = {cell for one in rebound for cell in one.between}
        examined = suite.examine(session.fork, session.turn, affected, _digest(gradable, files.files), announce, barred)
    forbidden = forbidden_uses(suite, gradable, modules, rebound)
    cells = score(blank, examined.tests, forbidden, examined.diagnoses, _unanswered(gradable, files), suite.uses)
    cells = with_causes(cells, gradable, session.outputs, suite.master, context.homework.packages)
    tried = attempts_in(suite, gradable, modules)
    if tried:
        cells = tuple(map(_for_a_person, cells))
    found = NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=chosen.entry.name,
        score=_sum(cells),
        max_score=sum(cell.points for cell in cells),
        cells=cells,
        repairs=gradable.repairs,
        incidents=(
            *session.incidents,
            *map(_attempt, tried),
            *map(_unchecked, examined.unchecked),
            *notes(gradable.cells, rebound),
        ),
        outputs=(*session.outputs, *gradable.pictures),
        tier=context.zygote.tier,
        seed=SEED,
        cpu_seconds=round(session.cpu_seconds, 3),
        wall_seconds=round(time.monotonic() - began, 3),
        peak_memory_mb=round(session.peak_memory_mb, 1),
    )
    if marked is not None:
        autograded.write(gradable.notebook(), found, suite.master, marked)
    return found


def _unanswered(gradable: Gradable, files: Beside) -> frozenset[str]:
    """The written answers that earn nothing.

    Where a document or a photo lies beside the notebook, or the notebook came in several parts, a person looks.
    """
    joined = any(repair.kind == "joined" for repair in gradable.repairs)  # a text's place is lost
    return frozenset() if files.answers or joined else gradable.unanswered


def _digest(gradable: Gradable, files: Mapping[str, bytes]) -> str:
    """A digest of what was handed in: the same file is always tested with the same numbers."""
    digest = hashlib.blake2b(digest_size=16)
    for cell in gradable.cells:
        digest.update(f"{cell.id}\0{cell.source}\0".encode())
    for path, data in sorted(files.items()):
        digest.update(f"{path}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _unchecked(cell: str) -> Incident:
    note = (
        f"Checking your answers to ‘{cell}’ needs more time or memory than the grader allows, so a test was stopped. "
        "Return what the text asks for, and nothing larger."
    )
    return Incident(kind="unchecked", cell=cell, note=note)


def _attempt(attempt: Attempt) -> Incident:
    note = (
        f"Cell ‘{attempt.cell}’ uses {attempt.what} in line {attempt.line}, which no exercise of this notebook needs. "
        "Your instructor looks at it and then decides on the points of this notebook."
    )
    return Incident(kind="attempt", cell=attempt.cell, note=note)


def _for_a_person(cell: CellResult) -> CellResult:
    """The cell without its points, until a person has looked at the notebook. A cell that earned nothing stays so."""
    note = "Your instructor has to look at this notebook before you get your points for this exercise."
    return msgspec.structs.replace(cell, earned=None, note=note) if cell.earned else cell


def _waiting(context: GradingContext, spec: NotebookSpec) -> NotebookResult:
    """The result if grading the notebook ended the process twice: all its cells wait for a person."""
    note = "The grader could not grade this notebook. Nothing is lost: your instructor has to look at it."
    found = _without_notebook(context, spec, Incident(kind="internal", cell="", note=note))
    cells = tuple(msgspec.structs.replace(cell, earned=None) for cell in found.cells)
    return msgspec.structs.replace(found, cells=cells)


def _without_notebook(context: GradingContext, spec: NotebookSpec, incident: Incident) -> NotebookResult:
    """The result if there is no notebook to run: all cells, with 0 points."""
    cells = score(context.released[spec.name], (), {}, {})
    cells = tuple(_unmarked(cell) for cell in cells)
    return NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file="",
        score=0.0,
        max_score=sum(cell.points for cell in cells),
        cells=cells,
        incidents=(incident,),
        tier=context.zygote.tier,
        seed=SEED,
        cpu_seconds=0.0,
        wall_seconds=0.0,
        peak_memory_mb=0.0,
    )


def _unmarked(cell: CellResult) -> CellResult:
    """The cell with 0 points. Nothing was handed in, so a person need not mark it."""
    return CellResult(grade_id=cell.grade_id, title=cell.title, points=cell.points, earned=0.0)


def _sum(cells: Sequence[CellResult]) -> float:
    return round(sum(cell.earned or 0.0 for cell in cells), 4)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
