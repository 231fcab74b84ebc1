"""The suite of one notebook: its hidden tests, its reference and its known mistakes. Trusted side only."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import pytest

from autograder.course.course import Course, CourseError, Homework
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.examination import budget
from autograder.examination.collection import HiddenTests
from autograder.examination.dependencies import dependencies
from autograder.examination.diagnosis import Diagnoser
from autograder.examination.examined import Examined, Recorded
from autograder.examination.fingerprint import TestFingerprints, known_of
from autograder.examination.plugin import SHARED, Examination, Subject, earns_of
from autograder.examination.recording import Exchange
from autograder.examination.reference import definitions
from autograder.examination.rounds import Rounds, joined
from autograder.examination.secret import course_secret
from autograder.results.result import TestResult
from autograder.sandbox.lines import InProcessLine, Line


class Suite:
    """The hidden tests of one notebook, with its reference and its known mistakes."""

    def __init__(self, course: Course, homework: Homework, notebook: str) -> None:
        self.spec = homework.notebook(notebook)
        self.path = homework.hidden(notebook)
        self.name = f"{homework.name}/{notebook}"
        self.secret = course_secret(course)
        self.master = read_master(homework, notebook)
        self.mistakes = mistakes(homework, notebook)
        self.diagnoser = Diagnoser(self.master, self.mistakes, self.spec.forbidden)
        self.passes: dict[str, bool] = {}
        """whether the reference passes a test, as far as that was tried"""
        self.tests: HiddenTests | None = None
        """the collected tests; None outside the context `collected`"""
        if not self.path.is_file():
            raise CourseError(f"{self.path}: this file is missing: write the hidden tests of {self.name} there")

    @functools.cached_property
    def reference(self) -> types.SimpleNamespace:
        """The names that the master defines. Its checks and figures are not run."""
        return types.SimpleNamespace(**definitions(self.master))

    @functools.cached_property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """For each autograded cell, the autograded cells above it whose code its solution uses."""
        return dependencies(self.master)

    @functools.cached_property
    def prints(self) -> Mapping[str, Print]:
        """The fingerprint of each collected test, by name."""
        items = self.tests.of(self.path) if self.tests is not None else ()
        prints = TestFingerprints(self.path, self.master)
        return {
            item.name: Print(
                earns_of(item).cell,
                prints.of(_named(item), item.name),
                _shares(item) | prints.state(_named(item)),
                prints.timed(_named(item)),
                prints.lends(_named(item)),
            )
            for item in items
        }

    def together(self, cells: Collection[str]) -> frozenset[str]:
        """These grade cells, and those whose tests share something with theirs, such as a training run."""
        found = frozenset(cells)
        shared = {name for one in self.prints.values() if one.cell in found for name in one.shares}
        more = found | {one.cell for one in self.prints.values() if shared & one.shares}
        return found if more == found else self.together(more)

    def _in_order(self, cells: frozenset[str]) -> Iterator[frozenset[str]]:
        """These grade cells in the notebook's order, each with those whose tests have to run together with its own."""
        left = cells
        for cell in (one.grade_id for one in self.master.grade_cells()):
            if part := self.together({cell}) & left if cell in left else frozenset():
                yield part
                left -= part

    @functools.cached_property
    def known(self) -> Mapping[str, bytes]:
        """For each autograded cell, a digest of the known mistakes that may explain it."""
        return known_of(self.master, self.mistakes)

    @property
    def trained(self) -> frozenset[str]:
        """The grade cells with tests that take a training run."""
        return self.tests.trained(self.path) if self.tests is not None else frozenset()

    @property
    def quick(self) -> frozenset[str]:
        """The tests that take no training run."""
        return frozenset(self.prints) - (self.tests.training(self.path) if self.tests is not None else frozenset())

    @property
    def rehearsed(self) -> frozenset[str]:
        """The grade cells whose visible checks only do what a test does again."""
        return self.tests.rehearsed(self.path) if self.tests is not None else frozenset()

    def run(
        self,
        fork: Callable[[str], Line],
        cells: Collection[str] | None = None,
        exchanges: dict[str, list[Exchange]] | None = None,
        training: Collection[str] | None = None,
        content: str = "",
        faults: dict[str, str] | None = None,
    ) -> tuple[TestResult, ...]:
        """Run the tests and return their results. Each test gets a line from `fork`, which is given its grade cell.

        If `cells` is given, only tests of these grade cells run. If `exchanges` is given, it receives the questions and
        answers of each test under the test's name. If `training` is given, a test that needs a training run runs only
        if its cell is in `training`. The random numbers depend on `content`. If `faults` is given, it receives the
        tests that failed by an error of their own, and the error.
        """

        def wanted(item: pytest.Item) -> bool:
            worth = earns_of(item)
            return (cells is None or worth.cell in cells) and (
                training is None or not worth.trains or worth.cell in training
            )

        examination = Examination(self.subject(content), fork, fork)
        self.run_tests(examination, wanted)
        if exchanges is not None:
            exchanges |= {name: kept.exchanges for name, kept in examination.recordings.items() if name != SHARED}
        if faults is not None:
            faults |= self.faults_of(examination)
        return tuple(examination.results.values())

    def examine(
        self,
        fork: Callable[[str], Line],
        turn: Callable[[str], Line],
        rebound: Collection[str] = (),
        content: str = "",
        announce: Callable[[str], None] = lambda test: None,
        barred: Collection[str] = (),
        cells: Collection[str] | None = None,
        replayed: Mapping[str, Recorded] | None = None,
    ) -> Examined:
        """Run all tests and diagnose known mistakes, as `Rounds` says; `cells` are the grade cells whose tests run.

        Where a test lends right parts, code of the student's could keep them, in memory that forks share or in a file,
        and answer another test with them. So the grade cells with such tests come last, in the notebook's order: when
        a test lends the parts of an exercise, all tests of that exercise are done.
        """
        if self.tests is None:
            with collected(self):
                return self.examine(fork, turn, rebound, content, announce, barred, cells, replayed)
        rounds = Rounds(self, fork, turn, rebound, content, announce, barred, replayed)
        lending = self.together({one.cell for one in self.prints.values() if one.lends})
        wanted = frozenset(one.cell for one in self.prints.values()) if cells is None else frozenset(cells)
        found = [rounds.of(part) for part in (wanted - lending, *self._in_order(wanted & lending)) if part]
        places = {name: place for place, name in enumerate(self.prints)}
        return joined(found, lambda test: places[test.name])

    def fails_itself(self, names: Collection[str]) -> frozenset[str]:
        """Those of these tests that fail with the reference, too: the test is wrong, or its harness, and no answer."""
        if unknown := frozenset(names) - self.passes.keys():
            line: Callable[[str], Line] = lambda _: InProcessLine(dict(vars(self.reference)), self.spec)  # noqa: E731
            examination = Examination(self.subject(""), line, line, seconds=budget.SECONDS)
            self.run_tests(examination, lambda item: item.name in unknown)
            # here, there is less room for a training run than in the sandbox: not every failure of one says something
            unsure = unknown - self.quick - examination.strange
            for name, result in examination.results.items():
                self.passes[name] = result.passed or result.cell in examination.unchecked or name in unsure
        return frozenset(name for name in names if not self.passes.get(name, True))

    def faults_of(self, examination: Examination) -> dict[str, str]:
        """The tests that failed by an error of their own, and the error."""
        unasked = {name: why for name, why in examination.unasked.items() if not self.prints[name].shares}
        return examination.faults | unasked

    @property
    def undocumented(self) -> tuple[str, ...]:
        """The tests without a docstring, which is what students read."""
        assert self.tests is not None
        items = self.tests.of(self.path)
        return tuple(dict.fromkeys(_named(item) for item in items if not (item.function.__doc__ or "").strip()))

    def subject(self, content: str) -> Subject:
        return Subject(self.name, self.reference, self.secret, content, self.master.numbers)

    def run_tests(self, examination: Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        if self.tests is None:
            with collected(self):
                self.run_tests(examination, wanted)
        else:
            self.tests.run(self.path, examination, wanted)


@dataclass(frozen=True)
class Print:
    """What shows whether a hidden test has changed."""

    cell: str
    """grade_id of the cell that it earns points for"""
    fingerprint: bytes
    shares: frozenset[str]
    """the fixtures and the module's names that it shares with other tests: these have to run together"""
    timed: bool = False
    """whether it looks at the clock, so that it has to be executed"""
    lends: bool = False
    """whether it may put right parts into the student's process"""


def _named(item: pytest.Function) -> str:
    """The name that the module gives to a test, or to its class."""
    return item.cls.__name__ if item.cls is not None else item.originalname or item.name


def _shares(item: pytest.Function) -> frozenset[str]:
    found = item._fixtureinfo.name2fixturedefs
    # pytest's own fixtures are the same for all
    ours = [name for name, made in found.items() if made[-1].baseid or name == "shared_student"]
    return frozenset(name for name in ours if found[name][-1].scope != "function")


@contextlib.contextmanager
def collected(*suites: Suite) -> Iterator[None]:
    """In this context, the tests of these suites of one homework are collected, in this process and in its forks."""
    with HiddenTests([suite.path for suite in suites]) as tests:
        for suite in suites:
            suite.tests = tests
        try:
            yield
        finally:
            for suite in suites:
                suite.tests = None
