"""The mutation audit: which edits of the solutions, made by machine, do the hidden tests not find?"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from autograder.course.course import Course, CourseError, Homework
from autograder.course.master import Cell
from autograder.course.mistakes import Survivor, survivors
from autograder.examination.suite import Suite
from autograder.proving.fork_pool import ForkPool
from autograder.proving.mutants import Mutant, mutants
from autograder.proving.solutions import Solution, execute, in_forks, prepared
from autograder.sandbox.lines import InProcessLine

_SECONDS = 20
"""processor time for one mutant: the tests of a notebook take a second or two, and a mutant may loop endlessly"""


class _Verdict(msgspec.Struct):
    """Which test failed with a mutant first; '' if none did."""

    failed: str
    broken: str = ""
    """why the tests could not be run, which is no fault of the mutant's"""


@dataclass(frozen=True)
class Mutation:
    """The mutants of one notebook and which of them were found."""

    notebook: str
    total: int
    survivors: tuple[Mutant, ...]
    """mutants that no test found and that are not listed"""
    same: int
    """survivors that are listed because they mean the same"""
    differing: int
    """survivors that are listed although they mean something else"""
    stale: tuple[Survivor, ...]
    """listed survivors that a test does find, or that no operator makes"""

    @property
    def share(self) -> float:
        """The share of mutants found, of those that do not mean the same."""
        meaning = self.total - self.same
        return (meaning - self.differing - len(self.survivors)) / meaning if meaning else 1.0

    @property
    def findings(self) -> int:
        return len(self.survivors) + len(self.stale)


def mutation(
    course: Course, homework: Homework, notebooks: Sequence[str] | None = None, workers: int | None = None
) -> tuple[Mutation, ...]:
    """Test every mutant of a homework's notebooks, without the tests that take a training run."""
    workers = workers or os.cpu_count() or 1
    found = []
    for suite in prepared(course, homework, notebooks):
        tried = [mutant for cell in suite.master.code() if cell.solution for mutant in mutants(cell)]
        runner = ForkPool(dict[str, _Verdict | str], 1, _SECONDS * (len(tried) + 10))
        runner.begin(functools.partial(_try_all, suite, tried, workers))
        [verdicts] = runner.outcomes()
        if isinstance(verdicts, str):
            raise CourseError(f"{suite.name}: the mutants could not be tested: {verdicts}")
        found.append(_judge(homework, suite, tried, verdicts))
    return tuple(found)


def report(found: Mutation) -> str:
    """A line of figures, and the diffs of what survives."""
    killed = found.total - found.same - found.differing - len(found.survivors)
    lines = [
        f"{found.notebook}: {killed} of {found.total - found.same} mutants found ({found.share:.1%}); "
        f"{found.same} more mean the same"
    ]
    for mutant in found.survivors:
        lines += ["", f"survives in {mutant.cell}:", mutant.diff]
    for entry in found.stale:
        lines += ["", f"listed, but it does not survive in {entry.cell}: {entry.line}  ->  {entry.instead}"]
    return "\n".join(lines)


def _judge(homework: Homework, suite: Suite, tried: Sequence[Mutant], verdicts: dict[str, _Verdict | str]) -> Mutation:
    book = suite.master
    listed = {(entry.cell, entry.line, entry.instead): entry for entry in survivors(homework, book.notebook)}
    alive, known, met = [], [], set()
    for number, mutant in enumerate(tried):
        verdict = verdicts[_key(number)]
        if isinstance(verdict, str) or verdict.failed:  # a text says how its process ended: crashed or endless
            continue
        if verdict.broken:
            raise CourseError(f"{suite.name}: the tests could not be run on {mutant.name}: {verdict.broken}")
        key = (mutant.cell, mutant.line, mutant.instead)
        if key in listed:
            met.add(key)
            known.append(listed[key])
        else:
            alive.append(mutant)
    differing = sum(entry.differs for entry in known)
    stale = tuple(entry for key, entry in listed.items() if key not in met)
    return Mutation(suite.name, len(tried), tuple(alive), len(known) - differing, differing, stale)


def _key(number: int) -> str:
    return f"mutant {number}"


def _try_all(suite: Suite, tried: Sequence[Mutant], workers: int) -> dict[str, _Verdict | str]:
    """Run and test the notebook with every mutant. Runs in a process of its own."""
    code = {cell.id: cell.source for cell in suite.master.code()}
    todo = [
        Solution("mutant", str(number), {**code, suite.master.cell(mutant.cell).id: mutant.source}, ())
        for number, mutant in enumerate(tried)
    ]

    def tested(suite: Suite, solution: Solution, names: dict[str, Any], rest: Sequence[Cell]) -> _Verdict:
        return _try(suite, solution, tried[int(solution.name)].cell, names, rest)

    return in_forks(_Verdict, workers, _SECONDS, suite, todo, tested)


def _try(suite: Suite, solution: Solution, edited: str, names: dict[str, Any], rest: Sequence[Cell]) -> _Verdict:
    """Run the rest of the notebook with a mutant, and test it until a test fails."""
    book = suite.master
    for cell in rest:
        execute(cell.id, solution.cells[cell.id], names)
    graded = solution.reached(suite)
    near = [cell for cell in graded if edited in {examined.grade_id for examined in book.examined(cell)}]
    for cells in near, [cell for cell in graded if cell not in near]:
        try:
            tests = suite.run(lambda _: InProcessLine(dict(names), suite.spec), cells, None, ())
        except Exception as error:
            return _Verdict("", f"{type(error).__name__}: {error}")
        for test in tests:
            if not test.passed:
                return _Verdict(test.name)
    return _Verdict("")
