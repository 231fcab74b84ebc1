"""Proves that regrading equals grading: every known answer is tested, and tested again on what was recorded."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from autograder.course import master
from autograder.course.course import Course, Homework
from autograder.examination.examined import Examined, Recorded
from autograder.examination.recording import Recording, no_line
from autograder.examination.suite import Suite
from autograder.examination.transcribing import Transcriber, recording_of
from autograder.proving.bank import known_answers
from autograder.proving.solutions import Solution, execute, in_forks, prepared
from autograder.results.result import TestResult
from autograder.sandbox.lines import InProcessLine

_SECONDS = 600
"""timeout for one solution"""


class Outcome(msgspec.Struct):
    """What two examinations of one solution came to."""

    findings: tuple[str, ...]
    tests: int


@dataclass(frozen=True)
class Replayed:
    """One solution of one notebook, tested twice."""

    notebook: str
    name: str
    tests: int
    findings: tuple[str, ...]
    """how the replay differs from the execution, in sentences"""


def replays(
    course: Course,
    homework: Homework,
    notebooks: Sequence[str] | None = None,
    workers: int | None = None,
    trained: bool = True,
) -> Iterator[Replayed]:
    """Test every known answer, then once more on the transcript of that, and compare.

    Training runs are replayed for the master only, and not at all unless `trained`.
    """
    for suite in prepared(course, homework, notebooks):
        suite.diagnoser.warm()
        todo = list(known_answers(homework, suite))
        task = functools.partial(_compare, trained)
        for key, outcome in in_forks(Outcome, workers or os.cpu_count() or 1, _SECONDS, suite, todo, task).items():
            if isinstance(outcome, str):
                yield Replayed(suite.name, key, 0, (f"it could not be tested: {outcome}",))
            else:
                yield Replayed(suite.name, key, outcome.tests, outcome.findings)


def _compare(
    trained: bool, suite: Suite, solution: Solution, names: dict[str, Any], rest: Sequence[master.Cell]
) -> Outcome:
    kept: dict[str, dict[str, Any]] = {}
    for cell in rest:
        error = execute(cell.id, solution.cells[cell.id], names)
        if cell.autograded and not error:
            kept[cell.grade_id] = dict(names)

    def line(cell: str) -> InProcessLine:
        return InProcessLine(dict(kept.get(cell, names)), suite.spec)

    cells: Collection[str] = {one.cell for one in suite.prints.values()}
    if solution.kind == "mistake":
        cells = solution.reached(suite)
    if not (trained and solution.kind == "master"):
        cells = set(cells) - suite.together(suite.trained)
    executed = suite.examine(line, line, cells=cells)
    again = suite.examine(no_line, no_line, cells=cells, replayed=_through_a_transcript(executed))
    return Outcome(tuple(_differences(executed, again)), len(executed.tests))


def _through_a_transcript(examined: Examined) -> dict[str, Recorded]:
    """What was recorded, written down and read again."""
    transcriber = Transcriber()
    runs = {
        name: [transcriber.run(run) for run in (one.first, one.again, one.anew)]
        for name, one in examined.recorded.items()
    }
    blobs = tuple(transcriber.blobs)

    def read(number: int, name: str) -> Recording | None:
        run = runs[name][number]
        return recording_of(run, blobs) if run is not None else None

    return {name: Recorded(read(0, name) or Recording(whole=False), read(1, name), anew=read(2, name)) for name in runs}


def _differences(executed: Examined, again: Examined) -> Iterator[str]:
    yield from (f"{name} asks in the replay what it did not ask" for name in sorted(again.unknown))
    then = {test.name: _timeless(test) for test in executed.tests}
    for test in again.tests:
        if test.name not in again.unknown and _timeless(test) != then[test.name]:
            yield f"{test.name}: {_outcome(then[test.name])} when executed, {_outcome(test)} in the replay"
    if executed.diagnoses != again.diagnoses and not again.unknown:
        yield "the diagnoses differ"


def _timeless(test: TestResult) -> TestResult:
    return msgspec.structs.replace(test, seconds=0.0)


def _outcome(test: TestResult) -> str:
    return "passed" if test.passed else f"failed ({test.message})"
