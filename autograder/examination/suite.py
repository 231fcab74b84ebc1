"""The suite of one notebook: its hidden tests, its reference solution and its known mistakes. Trusted side only."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import pytest

from autograder.course.course import Course, CourseError, Homework
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.examination.collection import HiddenTests
from autograder.examination.diagnosis import Diagnoser, Exchange
from autograder.examination.plugin import Examination, Subject, earns_of
from autograder.examination.reference import definitions
from autograder.examination.secret import course_secret
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.lines import Line


class Suite:
    """The hidden tests of one notebook and what they compare with."""

    def __init__(self, course: Course, homework: Homework, notebook: str) -> None:
        self.spec = homework.notebook(notebook)
        self.path = homework.hidden(notebook)
        self.name = f"{homework.name}/{notebook}"
        self.secret = course_secret(course)
        self.master = read_master(homework, notebook)
        self.diagnoser = Diagnoser(self.master, mistakes(homework, notebook), self.spec.forbidden)
        self.tests: HiddenTests | None = None
        """while they are `collected`"""
        if not self.path.is_file():
            raise CourseError(f"{self.path}: the hidden tests of {self.name} are missing")

    @functools.cached_property
    def reference(self) -> types.SimpleNamespace:
        """What the master defines; its checks and figures are not run."""
        return types.SimpleNamespace(**definitions(self.master))

    def run(
        self,
        fork: Callable[[], Line],
        cells: Collection[str] | None = None,
        exchanges: dict[str, list[Exchange]] | None = None,
        training: Collection[str] | None = None,
    ) -> tuple[TestResult, ...]:
        """Run the tests (of these grade cells only, when given); each gets a line from `fork`.

        What each test asked and heard is put into `exchanges` under its name, when given. Tests that take a training
        run are left out unless their cell is in `training`, when that is given.
        """

        def wanted(item: pytest.Item) -> bool:
            worth = earns_of(item)
            return (cells is None or worth.cell in cells) and (
                training is None or not worth.trains or worth.cell in training
            )

        examination = Examination(self._subject(), fork, fork, {} if exchanges is None else exchanges)
        self._run(examination, wanted)
        return tuple(examination.results.values())

    def examine(self, fork: Callable[[], Line], turn: Callable[[], Line]) -> Examined:
        """Run all tests and name known mistakes. Lines come from `turn`, to what tests share, and from `fork`.

        A fork for each test would cost more than most tests do, so they take turns in one, but for those that take a
        training run. What fails there is asked again by itself, in a fork, and that counts: what another test left may
        have been the reason. Not so where a known mistake, replayed by itself, gives every answer of the cell's tests:
        the numbers are drawn anew for each test, so what is left of another one cannot make them agree.
        """
        first = Examination(self._subject(), turn, fork)
        self._run(first, lambda item: True)
        results, exchanges = first.results, first.exchanges
        diagnoses = self.diagnoser.diagnose(tuple(results.values()), exchanges)
        doubtful = {name for name in first.doubtful if results[name].cell not in diagnoses}
        if doubtful:
            again = Examination(self._subject(), fork, fork, exchanges)
            self._run(again, lambda item: item.name in doubtful)
            results |= again.results
            cells = {result.cell for result in again.results.values()}
            tests = tuple(result for result in results.values() if result.cell in cells)
            diagnoses |= self.diagnoser.diagnose(tests, exchanges)
        return Examined(tuple(results.values()), diagnoses)

    def _subject(self) -> Subject:
        return Subject(self.name, self.reference, self.secret)

    def _run(self, examination: Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        if self.tests is None:
            with collected(self):
                self._run(examination, wanted)
        else:
            self.tests.run(self.path, examination, wanted)


@dataclass(frozen=True)
class Examined:
    """What examining a notebook found."""

    tests: tuple[TestResult, ...]
    diagnoses: dict[str, tuple[Diagnosis, ...]]
    """by grade cell, the known mistakes that explain what its tests found"""


@contextlib.contextmanager
def collected(*suites: Suite) -> Iterator[None]:
    """Within this context the suites of one homework find their tests collected, in this process and in its forks."""
    with HiddenTests([suite.path for suite in suites]) as tests:
        for suite in suites:
            suite.tests = tests
        try:
            yield
        finally:
            for suite in suites:
                suite.tests = None
