"""Grade one submission of one homework, from the submitted files to its result. Trusted side."""

from __future__ import annotations

import datetime
import functools
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autograder import autograded, trespass
from autograder.course import Course, Homework, NotebookSpec
from autograder.examine import LocalLine, Suite, versions
from autograder.repair import Gradable, Missing, Unreadable, find, read, released, repair
from autograder.result import SCHEMA, CellResult, Incident, NotebookResult, Result
from autograder.sandbox import Session, Zygote
from autograder.score import score
from autograder.student import SEED


class Bench:
    """All that grading a homework needs, loaded once: released notebooks, hidden tests, references and the zygote."""

    def __init__(self, course: Course, homework: Homework, zygote: Zygote) -> None:
        self.course, self.homework, self.zygote = course, homework, zygote
        self.suites = {spec.name: Suite(course, homework, spec.name) for spec in homework.notebooks}
        self.released = {
            spec.name: released(homework.release(spec.name), homework.name, spec.name) for spec in homework.notebooks
        }

    def collected(self, body: Callable[[], None]) -> None:
        """Call `body`, within which all hidden tests stay collected."""
        for suite in self.suites.values():
            body = functools.partial(suite.collected, body)
        body()

    def warm(self) -> None:
        """Look at every release and at every reference once, so that a fork finds all that it needs loaded."""
        for name, suite in self.suites.items():
            path = self.homework.release(name)
            _trespasses(suite, repair(read(path), path.name, self.released[name]))
            suite.clinic.warm()
            names = vars(suite.reference)
            suite.run(lambda names=names, spec=suite.spec: LocalLine(dict(names), spec), training=())  # type: ignore[misc]


def grade(bench: Bench, student: str, folder: Path, marked: Path | None = None) -> Result:
    """The result of what lies in `folder`. Whatever is wrong with it becomes part of the result.

    The autograded notebooks are written into `marked`, when given.
    """
    began, cpu = time.monotonic(), _cpu()
    books = tuple(_notebook(bench, spec, folder, marked) for spec in bench.homework.notebooks)
    return Result(
        schema=SCHEMA,
        course=bench.course.id,
        homework=bench.homework.name,
        title=bench.homework.title,
        student=student,
        score=round(sum(book.score for book in books), 4),
        max_score=sum(book.max_score for book in books),
        notebooks=books,
        tier=bench.zygote.tier,
        versions=dict(versions()),
        graded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu_seconds=round(_cpu() - cpu + sum(book.cpu_seconds for book in books), 3),
        wall_seconds=round(time.monotonic() - began, 3),
    )


def _notebook(bench: Bench, spec: NotebookSpec, folder: Path, marked: Path | None) -> NotebookResult:
    began = time.monotonic()
    blank, suite, file = bench.released[spec.name], bench.suites[spec.name], ""
    try:
        others = tuple(other.name for other in bench.homework.notebooks if other is not spec)
        path = find(folder, spec.name, others)
        file = path.name
        gradable = repair(read(path), file, blank)
    except Missing as missing:
        return _nothing(bench, spec, file, Incident(kind="missing", cell="", note=str(missing)))
    except Unreadable as unreadable:
        return _nothing(bench, spec, file, Incident(kind="unreadable", cell="", note=str(unreadable)))
    with Session(bench.zygote, bench.homework.limits, gradable.cells, spec.forbidden) as session:
        session.run()
        examined = suite.examine(session.fork, session.turn)
    forbidden = _trespasses(suite, gradable)
    cells = score(blank, examined.tests, forbidden, examined.diagnoses, _unanswered(gradable))
    found = NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=file,
        score=_sum(cells),
        max_score=sum(cell.points for cell in cells),
        cells=cells,
        repairs=gradable.repairs,
        incidents=tuple(session.incidents),
        outputs=tuple(session.outputs),
        tier=bench.zygote.tier,
        seed=SEED,
        cpu_seconds=round(session.cpu_seconds, 3),
        wall_seconds=round(time.monotonic() - began, 3),
        peak_memory_mb=round(session.peak_memory_mb, 1),
    )
    if marked is not None:
        autograded.write(gradable, found, suite.master, marked)
    return found


def _trespasses(suite: Suite, gradable: Gradable) -> dict[str, str]:
    """Grade cells whose solution reaches a forbidden tool, and why they earn nothing."""
    code = [(cell.id, cell.source, cell.released) for cell in gradable.cells if cell.kind == "code"]
    given = [(name, source) for name, source, released in code if released and released.locked]
    own = [(name, source) for name, source, released in code if not (released and released.locked)]
    return trespass.trespasses(suite.master, own, given, suite.spec.forbidden)


def _unanswered(gradable: Gradable) -> frozenset[str]:
    """The written answers that are still as they were handed out."""
    return frozenset(
        cell.released.grade_id
        for cell in gradable.cells
        if cell.released and cell.released.grade and cell.released.solution
        if not cell.attachments and cell.source.strip() == cell.released.source.strip()
    )


def _nothing(bench: Bench, spec: NotebookSpec, file: str, incident: Incident) -> NotebookResult:
    """The result where there is no notebook to run: every cell is there, with nothing earned."""
    cells = score(bench.released[spec.name], (), {}, {})
    cells = tuple(_unmarked(cell) for cell in cells)
    return NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=file,
        score=0.0,
        max_score=sum(cell.points for cell in cells),
        cells=cells,
        incidents=(incident,),
        tier=bench.zygote.tier,
        seed=SEED,
        cpu_seconds=0.0,
        wall_seconds=0.0,
        peak_memory_mb=0.0,
    )


def _unmarked(cell: CellResult) -> CellResult:
    """With nothing handed in there is nothing for a person to mark either."""
    return CellResult(grade_id=cell.grade_id, title=cell.title, points=cell.points, earned=0.0)


def _sum(cells: Sequence[CellResult]) -> float:
    return round(sum(cell.earned or 0.0 for cell in cells), 4)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
