"""Grades one submission of one homework, from the submitted files to the result. Trusted side only."""

from __future__ import annotations

import datetime
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from autograder.constants import SEED
from autograder.course.course import NotebookSpec
from autograder.examination.score import score
from autograder.grading.context import GradingContext, forbidden_uses
from autograder.results import autograded
from autograder.results.result import SCHEMA, CellResult, Incident, NotebookResult, Result
from autograder.sandbox.session import Session
from autograder.submission import Gradable, Missing, Unreadable, find, read, repair
from autograder.submission.rebindings import notes, rebindings


def grade(context: GradingContext, student: str, folder: Path, marked: Path | None = None) -> Result:
    """Grade the submission in `folder`. Anything wrong with the submission becomes part of the result.

    If `marked` is given, the autograded notebooks are written there.
    """
    began, cpu = time.monotonic(), _cpu()
    books = tuple(_notebook(context, spec, folder, marked) for spec in context.homework.notebooks)
    return Result(
        schema=SCHEMA,
        course=context.course.id,
        homework=context.homework.name,
        title=context.homework.title,
        student=student,
        score=round(sum(book.score for book in books), 4),
        max_score=sum(book.max_score for book in books),
        notebooks=books,
        tier=context.zygote.tier,
        versions=context.versions,
        graded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu_seconds=round(_cpu() - cpu + sum(book.cpu_seconds for book in books), 3),
        wall_seconds=round(time.monotonic() - began, 3),
    )


def _notebook(context: GradingContext, spec: NotebookSpec, folder: Path, marked: Path | None) -> NotebookResult:
    began = time.monotonic()
    blank, suite, file = context.released[spec.name], context.suites[spec.name], ""
    try:
        others = tuple(other.name for other in context.homework.notebooks if other is not spec)
        path = find(folder, spec.name, others)
        file = path.name
        gradable = repair(read(path), file, blank)
    except Missing as missing:
        return _without_notebook(context, spec, file, Incident(kind="missing", cell="", note=str(missing)))
    except Unreadable as unreadable:
        return _without_notebook(context, spec, file, Incident(kind="unreadable", cell="", note=str(unreadable)))
    with Session(context.zygote, context.homework.limits, gradable.cells, spec.forbidden) as session:
        session.run()
        rebound = rebindings(gradable.cells)
        affected = {cell for one in rebound for cell in one.between}
        examined = suite.examine(session.fork, session.turn, affected)
    forbidden = forbidden_uses(suite, gradable)
    cells = score(blank, examined.tests, forbidden, examined.diagnoses, _unanswered(gradable), suite.uses)
    found = NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=file,
        score=_sum(cells),
        max_score=sum(cell.points for cell in cells),
        cells=cells,
        repairs=gradable.repairs,
        incidents=(*session.incidents, *notes(gradable.cells, rebound)),
        outputs=tuple(session.outputs),
        tier=context.zygote.tier,
        seed=SEED,
        cpu_seconds=round(session.cpu_seconds, 3),
        wall_seconds=round(time.monotonic() - began, 3),
        peak_memory_mb=round(session.peak_memory_mb, 1),
    )
    if marked is not None:
        autograded.write(gradable.notebook(), found, suite.master, marked)
    return found


def _unanswered(gradable: Gradable) -> frozenset[str]:
    """The grade_ids of the written answers that are still as released."""
    return frozenset(
        cell.released.grade_id
        for cell in gradable.cells
        if cell.released and cell.released.grade and cell.released.solution
        if not cell.attachments and cell.source.strip() == cell.released.source.strip()
    )


def _without_notebook(context: GradingContext, spec: NotebookSpec, file: str, incident: Incident) -> NotebookResult:
    """The result if there is no notebook to run: all cells, with 0 points."""
    cells = score(context.released[spec.name], (), {}, {})
    cells = tuple(_unmarked(cell) for cell in cells)
    return NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=file,
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
