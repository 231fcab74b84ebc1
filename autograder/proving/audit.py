"""The audit: tests the hidden tests with the master, the untouched release, known mistakes and alternatives."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from autograder.course import master
from autograder.course.course import Course, CourseError, Homework
from autograder.examination.recording import Exchange
from autograder.examination.score import share
from autograder.examination.suite import Suite
from autograder.forbidden import static
from autograder.proving.bank import known_answers, variants_by_machine
from autograder.proving.fork_pool import ForkPool
from autograder.proving.solutions import Solution, execute, in_forks, prepared
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.lines import InProcessLine
from autograder.warming import settle

_SECONDS = 300
"""timeout for one solution, because a mistake may loop endlessly"""
_DRAWS_OF_MISTAKES = 3
"""sets of random numbers that a mistake is tested with at most; right answers are tested with more"""
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Graded(msgspec.Struct):
    """How one solution was graded."""

    earned: dict[str, float]
    """for each grade cell the share of its points that is earned; of an optional exercise, what its tests are worth"""
    tests: tuple[TestResult, ...]
    exchanges: dict[str, list[Exchange]]
    """for each test, its questions and the answers"""
    forbidden: dict[str, str] = {}
    refused: dict[str, str] = {}
    """the visible checks that failed, and their errors"""
    diagnoses: dict[str, tuple[Diagnosis, ...]] = {}
    faults: dict[str, str] = {}
    """the tests that failed by an error of their own, and the error"""

    @property
    def failed(self) -> dict[str, str]:
        """The first failing test of each grade cell that lost points, and its message."""
        return {test.cell: f"{test.name}: {test.message}" for test in reversed(self.tests) if not test.passed}


@dataclass(frozen=True)
class Row:
    """One solution of one notebook and what the audit found."""

    notebook: str
    kind: str
    """master, untouched, mistake or alternative"""
    name: str
    lost: tuple[str, ...]
    """grade cells that lost points"""
    diagnosed: tuple[str, ...]
    """the mistakes that were diagnosed"""
    wrong: tuple[str, ...]
    """what is wrong, in sentences; empty if everything is as expected"""


def audit(
    course: Course,
    homework: Homework,
    notebooks: Sequence[str] | None = None,
    workers: int | None = None,
    by_machine: bool = False,
    trained: int | None = None,
    followed: int | None = None,
    replayed: int | None = None,
    draws: int = 1,
    only: Collection[str] | None = None,
) -> tuple[Row, ...]:
    """Grade every solution of a homework's notebooks (by default of all notebooks), and report what is wrong.

    The master must earn all points, and the untouched release none. A mistake must lose points in exactly the cells
    that it names, and must be diagnosed as itself. An alternative must earn all points and must not be diagnosed. No
    hint may show the answer.

    With `by_machine`, the solutions are the master's variants instead (`proving.variants`), without the tests that take
    a training run. They must earn all points and must not be diagnosed.

    Tests that take a training run are tried on only `trained` of a notebook's alternatives, and on so many of the
    mistakes that name their grade cell, by default on all.

    Grade cells that a mistake can reach, and must not cost points, are tested with only `followed` of a solution cell's
    mistakes, by default with all.

    Only `replayed` of the tests that a mistake fails, the quickest ones, are replayed for its diagnosis, by default
    all: in the others, what it answered stands for what its replay would answer.

    With `draws` above 1, every solution is tested with so many sets of random numbers (a mistake with 3 at most), but
    without the tests that take a training run: these draw the same numbers for every submission.

    If `only` is given, these known mistakes alone are tested.

    Nothing is confined, because all solutions belong to the course. `workers` solutions are graded at the same time, by
    default one for each processor.
    """
    workers = workers or os.cpu_count() or 1
    rows = []
    for suite in prepared(course, homework, notebooks):
        suite.diagnoser.warm()
        if by_machine:
            todo = list(variants_by_machine(homework, suite))
        else:
            todo = list(known_answers(homework, suite, trained, only, followed))
        for draw in range(draws):
            if draw == _DRAWS_OF_MISTAKES:
                todo = [solution for solution in todo if solution.kind != "mistake"]
            if draws > 1:
                todo = [dataclasses.replace(solution, training=()) for solution in todo]
            content = f"draw {draw}" if draw else ""
            runner = ForkPool(dict[str, Graded | str], 1, _SECONDS * len(todo))
            runner.begin(functools.partial(_grade_all, suite, todo, workers, content, replayed))
            [graded] = runner.outcomes()
            if isinstance(graded, str):
                raise CourseError(f"{suite.name}: the audit itself failed: {graded}")
            rows += [_judge(suite, solution, graded[solution.key]) for solution in todo]
    return tuple(rows)


def table(rows: Sequence[Row]) -> str:
    """A text table of solutions and grade cells: x where points were lost, and then what is wrong."""
    lines = []
    for notebook in dict.fromkeys(row.notebook for row in rows):
        own = [row for row in rows if row.notebook == notebook]
        cells = list(dict.fromkeys(cell for row in own if row.kind == "untouched" for cell in row.lost))
        width = max(len(row.name) for row in own)
        lines += [f"{notebook}: {', '.join(f'{letter} {cell}' for letter, cell in zip(_LETTERS, cells, strict=False))}"]
        lines += [f"{'':11} {'':{width}}  {_LETTERS[: len(cells)]}"]
        for row in own:
            marks = "".join("x" if cell in row.lost else "·" for cell in cells)
            others = [name for name in row.diagnosed if name != row.name]
            note = f"  looks like {', '.join(others)}" if others else ""
            lines.append(f"{row.kind:11} {row.name:{width}}  {marks}{note}")
            lines += [f"{'':13}wrong: {text}" for text in row.wrong]
        lines.append("")
    return "\n".join(lines)


def _judge(suite: Suite, solution: Solution, graded: Graded | str) -> Row:
    """Find what is wrong with a solution that was graded, or that could not be graded.

    Nothing is said about grade cells whose training runs were left out.
    """
    book, kind, name = suite.master, solution.kind, solution.name
    left_out = frozenset() if solution.training is None else suite.trained - set(solution.training)
    fails = [cell for cell in solution.fails if cell not in left_out]
    if isinstance(graded, str):
        return Row(book.notebook, kind, name, (), (), (*solution.also, f"it could not be graded: {graded}"))
    cells = [cell.grade_id for cell in book.grade_cells() if cell.autograded and cell.grade_id not in left_out]
    lost = tuple(cell for cell in cells if graded.earned[cell] < 1)
    named = tuple(dict.fromkeys(one.mistake for many in graded.diagnoses.values() for one in many))
    wrong = list(solution.also)
    if kind == "untouched" and any(graded.earned[cell] for cell in cells):
        some = ", ".join(cell for cell in cells if graded.earned[cell])
        wrong.append(f"it contains no solution but earns points in {some}")
    for cell in lost:
        if cell not in fails:
            why = graded.failed.get(cell) or graded.forbidden.get(cell)
            wrong.append(f"it should not lose points in {cell}, but does: {why}")
    wrong += [f"the hidden test {test} has an error of its own: {why}" for test, why in graded.faults.items()]
    if kind == "master":
        wrong += [
            f"the hidden test {test} has no docstring: students read what it tests" for test in suite.undocumented
        ]
    wrong += [f"it should lose points in {cell}, but does not" for cell in fails if cell not in lost]
    if kind == "mistake":
        for cell in lost:
            found = [one.mistake for one in graded.diagnoses.get(cell, ())]
            if name not in found:
                wrong.append(f"in {cell} it should be diagnosed as itself, not as {', '.join(found) or 'nothing'}")
    elif kind != "untouched":
        wrong += [f"its visible check {cell} fails: {error}" for cell, error in graded.refused.items()]
    if named and kind not in ("mistake", "untouched"):
        wrong.append(f"it should not be diagnosed, but is diagnosed as {', '.join(named)}")
    return Row(book.notebook, kind, name, lost, named if kind == "mistake" else (), tuple(wrong))


def _grade_all(
    suite: Suite, todo: Sequence[Solution], workers: int, content: str, replayed: int | None
) -> dict[str, Graded | str]:
    """Run and test the notebook with every solution. Runs in a process of its own.

    This process runs the master's cells, and for each solution a fork runs the rest, from the edited cell on.
    """
    _trespasses(suite, {cell.id: cell.source for cell in suite.master.code()})  # what the forks find known already
    settle()
    graded = in_forks(Graded, workers, _SECONDS, suite, todo, functools.partial(_grade, content))
    _remember_runs(suite, todo, graded, replayed)
    for one in graded.values():  # all in this process, so that no replay is made twice
        if isinstance(one, Graded):
            one.diagnoses = suite.diagnoser.diagnose(one.tests, one.exchanges)
            one.exchanges = {}
    return graded


def _remember_runs(
    suite: Suite, todo: Sequence[Solution], graded: Mapping[str, Graded | str], replayed: int | None
) -> None:
    """Let the runs of mistakes stand for replays: in tests that train, where a replay costs as much again, and in all
    but `replayed` of the tests that a mistake fails.

    The replay of the first mistake that fails a test that trains is made all the same: it proves that training repeats.
    """
    assert suite.tests is not None
    trains = suite.tests.training(suite.path)
    proven: set[str] = set()
    for solution in todo:
        one = graded[solution.key]
        if solution.kind == "mistake" and isinstance(one, Graded):
            quickest = sorted(one.tests, key=lambda test: test.seconds)
            failed = [test.name for test in quickest if not test.passed]
            known = proven.intersection(failed)
            if replayed is not None:
                again = [name for name in failed if name not in trains][:replayed]
                known |= {test.name for test in one.tests} - trains - set(again)
            for name in known:
                suite.diagnoser.remember(solution.name, one.exchanges.get(name, ()))
            proven |= trains.intersection(failed)


def _grade(
    content: str, suite: Suite, solution: Solution, names: dict[str, Any], rest: Sequence[master.Cell]
) -> Graded:
    """Run the rest of the notebook with this solution, and test it; of a mistake, only what its edit can reach."""
    book = suite.master
    kept: dict[str, dict[str, Any]] = {}  # as in the sandbox: the names after each visible check that passed
    refused: dict[str, str] = {}
    for cell in rest:
        error = execute(cell.id, solution.cells[cell.id], names)
        if cell.autograded and error:
            refused[cell.grade_id] = error
        elif cell.autograded:
            kept[cell.grade_id] = dict(names)

    def line(cell: str) -> InProcessLine:
        return InProcessLine(dict(kept.get(cell, names)), suite.spec)

    exchanges: dict[str, list[Exchange]] = {}
    cells = solution.reached(suite) if solution.kind == "mistake" else None
    faults: dict[str, str] = {}
    tests = suite.run(line, cells, exchanges, solution.training, content, faults)
    forbidden = _trespasses(suite, solution.cells)
    cells_with_tests = [cell.grade_id for cell in book.grade_cells() if cell.autograded]
    tried = {test.cell for test in tests}
    return Graded(
        {
            cell: 0.0 if cell in forbidden else share(_of(cell, tests)) if cell in tried else 1.0
            for cell in cells_with_tests
        },
        tests,
        exchanges,
        forbidden,
        refused,
        faults=faults,
    )


def _trespasses(suite: Suite, cells: Mapping[str, str]) -> dict[str, str]:
    """The grade cells whose solution uses a forbidden tool, and why; `cells` are the sources by id."""
    book = suite.master
    own, given = ([(c.id, cells[c.id]) for c in book.code() if c.locked is locked] for locked in (False, True))
    return static.trespasses(book, own, given, suite.spec.forbidden)


def _of(cell: str, tests: Sequence[TestResult]) -> list[TestResult]:
    return [test for test in tests if test.cell == cell]
