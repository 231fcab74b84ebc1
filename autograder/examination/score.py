"""Scores: turns the results of the hidden tests into points for each cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from autograder.course.release import Released
from autograder.results.result import CellResult, Diagnosis, TestResult


def earned(points: float, tests: Sequence[TestResult]) -> float:
    """The points that one cell earns: `points` times the passed share of the tests' weight; 0 for a forbidden tool."""
    return round(points * share(tests), 4)


def share(tests: Sequence[TestResult]) -> float:
    """The passed share of the tests' weight, from 0 to 1; 0 for a forbidden tool, and where there are no tests."""
    total = sum(test.weight for test in tests)
    if not total or any(test.forbidden for test in tests):
        return 0.0
    return sum(test.weight for test in tests if test.passed) / total


def score(
    released: Released,
    tests: Sequence[TestResult],
    forbidden: Mapping[str, str],
    diagnoses: Mapping[str, tuple[Diagnosis, ...]],
    unanswered: Collection[str] = (),
    uses: Mapping[str, Sequence[str]] | None = None,
) -> tuple[CellResult, ...]:
    """The result of every grade cell, in the notebook's order.

    `forbidden` gives the reason for each grade cell that earns nothing because its solution uses a forbidden tool. A
    cell that a person marks gets 0 if it is in `unanswered`; otherwise it has no points until it is marked. `uses` is
    the result of `dependencies`.
    """
    results: list[CellResult] = []
    lost: set[str] = set()
    for cell in released.cells:
        if not (cell.grade or cell.task):
            continue
        own = tuple(test for test in tests if test.cell == cell.grade_id)
        why = forbidden.get(cell.grade_id, "") or next((test.message for test in own if test.forbidden), "")
        points: float | None = 0.0 if why else earned(cell.points, own)
        if cell.solution or cell.task:
            points, why = (0.0, "Nothing was written here.") if cell.grade_id in unanswered else (None, "")
        follows: tuple[str, ...] = ()
        if points is not None and (points < cell.points or not all(test.passed for test in own)):
            follows = () if why else tuple(name for name in (uses or {}).get(cell.grade_id, ()) if name in lost)
            lost.add(cell.grade_id)
        results.append(
            CellResult(
                grade_id=cell.grade_id,
                title=f"{cell.title} ({cell.grade_id})" if cell.title else cell.grade_id,
                points=cell.points,
                bonus=cell.bonus,
                earned=points,
                tests=own,
                note=why,
                diagnoses=() if why else diagnoses.get(cell.grade_id, ()),
                follows=follows,
            )
        )
    return tuple(results)
