"""Scores: from what the hidden tests found to points for cells and notebooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from autograder.course.release import Released
from autograder.results.result import CellResult, Diagnosis, TestResult


def earned(points: float, tests: Sequence[TestResult]) -> float:
    """Points of one cell: its points times the passed share of its tests' weight; nothing for a forbidden tool."""
    total = sum(test.weight for test in tests)
    if not total or any(test.forbidden for test in tests):
        return 0.0
    return round(points * sum(test.weight for test in tests if test.passed) / total, 4)


def score(
    released: Released,
    tests: Sequence[TestResult],
    forbidden: Mapping[str, str],
    diagnoses: Mapping[str, tuple[Diagnosis, ...]],
    unanswered: Collection[str] = (),
) -> tuple[CellResult, ...]:
    """The result of every grade cell, in the notebook's order.

    `forbidden` says for a grade cell why it earns nothing: the solution it examines reaches a tool that is shut.
    Of cells that a person marks, those in `unanswered` earn nothing at once, and the others wait.
    """
    results = []
    for cell in released.cells:
        if not (cell.grade or cell.task):
            continue
        own = tuple(test for test in tests if test.cell == cell.grade_id)
        why = forbidden.get(cell.grade_id, "") or next((test.message for test in own if test.forbidden), "")
        points: float | None = 0.0 if why else earned(cell.points, own)
        if cell.solution or cell.task:
            points, why = (0.0, "Nothing was written here.") if cell.grade_id in unanswered else (None, "")
        results.append(
            CellResult(
                grade_id=cell.grade_id,
                title=f"{cell.title} ({cell.grade_id})" if cell.title else cell.grade_id,
                points=cell.points,
                earned=points,
                tests=own,
                note=why,
                diagnoses=() if why else diagnoses.get(cell.grade_id, ()),
            )
        )
    return tuple(results)
