"""The verdict on one notebook: points, hints and notes, from what was handed in and how its tests came out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from autograder.constants import SEED
from autograder.course.course import NotebookSpec
from autograder.examination.examined import Examined
from autograder.examination.messages import quoting
from autograder.examination.score import score
from autograder.forbidden.attempts import Attempt
from autograder.forbidden.run_texts import RunText
from autograder.grading.causes import with_causes
from autograder.grading.context import GradingContext, read_code
from autograder.results.marks import total
from autograder.results.result import CellResult, Incident, NotebookResult, Output
from autograder.submission import Gradable
from autograder.submission.rebindings import notes, rebindings

OURS = ("attempt", "unchecked", "names")
"""the kinds of incidents that a verdict adds to those of the run"""


@dataclass(frozen=True)
class Work:
    """What was handed in for one notebook, as it is graded."""

    file: str
    """the name of the submitted file"""
    gradable: Gradable
    modules: Mapping[str, str]
    """the student's own Python files: path and source"""
    answers_elsewhere: bool
    """whether written answers may be in a document, or in another part: blank ones wait for a person"""
    ran: tuple[RunText, ...] = ()
    """what the notebook ran that stands in no cell"""

    @property
    def unanswered(self) -> frozenset[str]:
        """The written answers that earn nothing."""
        return frozenset() if self.answers_elsewhere else self.gradable.unanswered


@dataclass(frozen=True)
class Ran:
    """How the cells of a notebook ran."""

    outputs: tuple[Output, ...]
    incidents: tuple[Incident, ...]
    tier: str
    cpu_seconds: float
    wall_seconds: float
    peak_memory_mb: float


def verdict(context: GradingContext, spec: NotebookSpec, work: Work, examined: Examined, ran: Ran) -> NotebookResult:
    """The result of one notebook."""
    blank, suite, gradable = context.released[spec.name], context.suites[spec.name], work.gradable
    rebound = rebindings(gradable.cells)
    twice = {name for name, kept in examined.recorded.items() if kept.again is not None}
    repeated = {test.cell for test in examined.tests if test.name in twice}
    first = [one for one in rebound if repeated.isdisjoint(one.between)]  # the others were tested with what came later
    forbidden, tried = read_code(suite, gradable, work.modules, first, work.ran)
    code = [cell.source for cell in gradable.cells] + [cell.source for cell in blank.cells]
    sources = (*code, *work.modules.values())
    tests = [msgspec.structs.replace(test, message=quoting(test.message, sources)) for test in examined.tests]
    cells = score(blank, tests, forbidden, examined.diagnoses, work.unanswered, suite.uses)
    cells = with_causes(cells, gradable, ran.outputs, suite.master, context.homework.packages)
    cells = tuple(msgspec.structs.replace(cell, answer=gradable.answer(cell.grade_id)) for cell in cells)
    cells = tuple(_without_faults(cell, examined.faults) for cell in cells)
    if tried:
        cells = tuple(map(_for_a_person, cells))
    return NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file=work.file,
        score=total(cells),
        max_score=sum(cell.maximum for cell in cells),
        cells=cells,
        repairs=gradable.repairs,
        incidents=(
            *ran.incidents,
            *map(_attempt, tried),
            *map(_unchecked, examined.unchecked),
            *(_fault(cell.grade_id) for cell in cells if cell.grade_id in examined.faults),
            *notes(gradable.cells, rebound),
        ),
        outputs=(*ran.outputs, *gradable.pictures),
        tier=ran.tier,
        seed=SEED,
        cpu_seconds=ran.cpu_seconds,
        wall_seconds=ran.wall_seconds,
        peak_memory_mb=ran.peak_memory_mb,
    )


def waiting(context: GradingContext, spec: NotebookSpec) -> NotebookResult:
    """The result if grading the notebook ended the process twice: all its cells wait for a person."""
    note = "The grader could not grade this notebook. Nothing is lost: your instructor has to look at it."
    found = without_notebook(context, spec, Incident(kind="internal", cell="", note=note))
    cells = tuple(msgspec.structs.replace(cell, earned=None) for cell in found.cells)
    return msgspec.structs.replace(found, cells=cells)


def without_notebook(
    context: GradingContext, spec: NotebookSpec, incident: Incident, elsewhere: str = ""
) -> NotebookResult:
    """The result if there is no notebook to run: all cells, with 0 points.

    If `elsewhere` says where written answers may be, the cells that a person marks wait for one, with this note.
    """
    cells = score(context.released[spec.name], (), {}, {})
    cells = tuple(_unmarked(cell, elsewhere if cell.earned is None else "") for cell in cells)
    return NotebookResult(
        notebook=spec.name,
        title=spec.title,
        file="",
        score=0.0,
        max_score=sum(cell.maximum for cell in cells),
        cells=cells,
        incidents=(incident,),
        tier=context.zygote.tier,
        seed=SEED,
        cpu_seconds=0.0,
        wall_seconds=0.0,
        peak_memory_mb=0.0,
    )


def _unmarked(cell: CellResult, elsewhere: str) -> CellResult:
    """The cell with 0 points; or without points, if a person has to look for the answer in another file."""
    return CellResult(
        grade_id=cell.grade_id,
        title=cell.title,
        points=cell.points,
        bonus=cell.bonus,
        earned=None if elsewhere else 0.0,
        note=elsewhere,
    )


def _unchecked(cell: str) -> Incident:
    note = (
        f"Checking your answers to ‘{cell}’ needs more time or memory than the grader allows, so a test was stopped. "
        "Do what the text asks for, and return nothing larger."
    )
    return Incident(kind="unchecked", cell=cell, note=note)


def added(incident: Incident) -> bool:
    """Whether a verdict has added this incident to those of the run."""
    return incident.kind in OURS or is_fault(incident)


def is_fault(incident: Incident) -> bool:
    """Whether this incident is an error in a hidden test."""
    return incident == _fault(incident.cell)


def _fault(cell: str) -> Incident:
    note = (
        f"A test of ‘{cell}’ has an error of its own. It is not your fault: your instructor mends the test, and then "
        "you get your points for this exercise."
    )
    return Incident(kind="internal", cell=cell, note=note)


def _without_faults(cell: CellResult, faults: Collection[str]) -> CellResult:
    """The cell without its points, if a test of it has an error of its own."""
    follows = tuple(name for name in cell.follows if name not in faults)
    if cell.grade_id not in faults or cell.note:  # a note: it earns nothing whatever its tests say
        return msgspec.structs.replace(cell, follows=follows)
    return msgspec.structs.replace(cell, earned=None, follows=(), causes=(), note=_fault(cell.grade_id).note)


def _attempt(attempt: Attempt) -> Incident:
    place = f"Cell ‘{attempt.cell}’" if attempt.cell else "This notebook"
    line = f" in line {attempt.line}" if attempt.line else ""
    note = (
        f"{place} uses {attempt.what}{line}, which no exercise of this notebook needs. "
        "Your instructor will look at it and decide on the points of this notebook."
    )
    return Incident(kind="attempt", cell=attempt.cell, note=note)


def _for_a_person(cell: CellResult) -> CellResult:
    """The cell without its points, until a person has looked at the notebook. A cell that earned nothing stays so."""
    note = "Your instructor has to look at this notebook before you get your points for this exercise."
    return msgspec.structs.replace(cell, earned=None, note=note) if cell.earned else cell
