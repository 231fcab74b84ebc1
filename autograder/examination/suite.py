"""The suite of one notebook: its hidden tests, its reference and its known mistakes. Trusted side only."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from autograder.course.course import Course, CourseError, Homework
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.examination import budget, guessing
from autograder.examination.collection import HiddenTests
from autograder.examination.dependencies import dependencies
from autograder.examination.diagnosis import Diagnoser
from autograder.examination.examined import Examined, Recorded
from autograder.examination.fingerprint import TestFingerprints, known_of
from autograder.examination.plugin import SHARED, Examination, Subject, earns_of
from autograder.examination.recording import Exchange, Recording
from autograder.examination.reference import definitions
from autograder.examination.secret import course_secret
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.lines import Line

FAULT = "This test has an error of its own. It is not your fault."
ANEW = " anew"
"""after the digest of a submission: other random numbers, for a test that passes only when it runs again"""
COMMON = "common"
"""in place of the digest of a submission: the random numbers are the same for all"""


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
            )
            for item in items
        }

    def together(self, cells: Collection[str]) -> frozenset[str]:
        """These grade cells, and those whose tests share something with theirs, such as a training run."""
        found = frozenset(cells)
        shared = {name for one in self.prints.values() if one.cell in found for name in one.shares}
        more = found | {one.cell for one in self.prints.values() if shared & one.shares}
        return found if more == found else self.together(more)

    @functools.cached_property
    def known(self) -> Mapping[str, bytes]:
        """For each autograded cell, a digest of the known mistakes that may explain it."""
        return known_of(self.master, self.mistakes)

    @property
    def trained(self) -> frozenset[str]:
        """The grade cells with tests that take a training run."""
        return self.tests.trained(self.path) if self.tests is not None else frozenset()

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

        examination = Examination(self._subject(content), fork, fork)
        self._run(examination, wanted)
        if exchanges is not None:
            exchanges |= {name: kept.exchanges for name, kept in examination.recordings.items() if name != SHARED}
        if faults is not None:
            faults |= self._faults(examination)
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
        """Run all tests and diagnose known mistakes. `turn` makes lines to a shared fork, `fork` lines to new forks.

        A new fork takes longer than most tests, so tests share a fork, except those that need a training run. A test
        that fails in the shared fork runs again, alone in a new fork, and the second result counts: an earlier test may
        have caused the first failure. The second time, names mean what they mean at the end of the notebook, while the
        first time they mean what they meant after the visible check. The two differ for the grade cells `rebound`.
        Nobody has two guesses: where an answer could be guessed, the second has to agree with the first. And nobody
        may look an answer up: between the two runs, right functions may have been lent to the student's code, and it
        may have written down what they answer. So a test that draws numbers and passes the second time
        also runs with new ones.

        A test does not run again if a known mistake gives every answer of its cell's tests. Each test draws new
        numbers, so what an earlier test left behind could not produce the same answers.

        The random numbers depend on `content`, a digest of the submission. `announce` is told the name of each test
        before it begins, and the tests `barred` are not run and fail. If `cells` is given, only tests of these grade
        cells run. If `replayed` is given, no line is made: the tests get the recorded answers, and those that ask for
        others are `unknown`.
        """

        def replays(run: Callable[[Recorded], Recording | None]) -> dict[str, Recording] | None:
            if replayed is None:
                return None
            return {name: found for name, kept in replayed.items() if (found := run(kept)) is not None}

        def alone(
            subject: Subject, run: Callable[[Recorded], Recording | None], wanted: Callable[[pytest.Item], bool]
        ) -> Examination:
            """Run tests, each in a new fork."""
            line: Callable[[str], Line] = lambda _: fork("")  # noqa: E731
            examination = Examination(
                subject, line, line, announce=announce, barred=barred, seconds=budget.SECONDS, replayed=replays(run)
            )
            self._run(examination, wanted)
            return examination

        subject = self._subject(content)
        first = Examination(
            subject,
            turn,
            fork,
            rebound=rebound,
            announce=announce,
            barred=barred,
            seconds=budget.SECONDS,
            replayed=replays(lambda kept: kept.first),
        )
        self._run(first, lambda item: cells is None or earns_of(item).cell in cells)
        results, recorded = first.results, {name: Recorded(kept) for name, kept in first.recordings.items()}
        unchecked, unknown, faults = first.unchecked, first.unknown, self._faults(first)
        announce("")
        diagnoses = self._diagnoses(tuple(results.values()), recorded)
        doubtful = {name for name in first.doubtful if results[name].cell not in diagnoses.keys() - set(rebound)}
        doubtful -= faults.keys()
        if doubtful:
            again = alone(subject, lambda kept: kept.again, lambda item: item.name in doubtful)
            for name, result in again.results.items():
                functions = result.cell not in rebound  # there, another function answers the second time
                if result.passed and guessing.guessed(
                    _exchanges(first.recordings, name), _exchanges(again.recordings, name), functions
                ):
                    again.results[name] = msgspec.structs.replace(result, passed=False, message=guessing.WHY)
            passed = {name for name, result in again.results.items() if result.passed}
            anew = alone(
                self._subject(content + ANEW),
                lambda kept: kept.anew,
                lambda item: item.name in passed and _draws(item),
            )
            again.results |= {name: result for name, result in anew.results.items() if not result.passed}
            results |= again.results
            recorded |= {
                name: Recorded(recorded[name].first if name in recorded else kept, kept, anew=anew.recordings.get(name))
                for name, kept in again.recordings.items()
                if name != SHARED
            }
            unchecked |= again.unchecked | anew.unchecked
            faults |= self._faults(again) | self._faults(anew)
            unknown |= again.unknown | anew.unknown
            again_in = {result.cell for result in again.results.values()}
            tests = tuple(result for result in results.values() if result.cell in again_in)
            announce("")
            diagnoses |= self._diagnoses(tests, recorded)
        if replayed is None:
            puzzling = {
                name for name in first.doubtful if not results[name].passed and results[name].cell not in diagnoses
            }
            recorded |= self._commonly_asked(puzzling, recorded, turn, announce, barred)
        for name in faults.keys() & results.keys():
            results[name] = msgspec.structs.replace(results[name], message=FAULT)
        faulty = frozenset(results[name].cell for name in faults if name in results)
        diagnoses = {cell: named for cell, named in diagnoses.items() if cell not in faulty}
        return Examined(tuple(results.values()), diagnoses, tuple(unchecked), recorded, frozenset(unknown), faulty)

    def _faults(self, examination: Examination) -> dict[str, str]:
        """The tests that failed by an error of their own, and the error."""
        unasked = {name: why for name, why in examination.unasked.items() if not self.prints[name].shares}
        return examination.faults | unasked

    @property
    def undocumented(self) -> tuple[str, ...]:
        """The tests without a docstring, which is what students read."""
        assert self.tests is not None
        items = self.tests.of(self.path)
        return tuple(dict.fromkeys(_named(item) for item in items if not (item.function.__doc__ or "").strip()))

    def _commonly_asked(
        self,
        tests: Collection[str],
        recorded: Mapping[str, Recorded],
        turn: Callable[[str], Line],
        announce: Callable[[str], None],
        barred: Collection[str],
    ) -> dict[str, Recorded]:
        """Run these tests once more with numbers that are the same for all, to compare answers. The outcome is nothing.

        Tests that need a training run have the same numbers for all anyway.
        """
        if not tests:
            return {}
        common = Examination(
            self._subject(COMMON), turn, turn, announce=announce, barred=barred, seconds=budget.SECONDS
        )
        self._run(common, lambda item: item.name in tests and not earns_of(item).trains)
        announce("")
        return {
            name: dataclasses.replace(recorded[name], common=kept)
            for name, kept in common.recordings.items()
            if name in recorded and name != SHARED
        }

    def _diagnoses(
        self, tests: Sequence[TestResult], recorded: Mapping[str, Recorded]
    ) -> dict[str, tuple[Diagnosis, ...]]:
        """The diagnoses of these tests; none if the search needs too much time or memory."""
        try:
            with budget.budget():
                return self.diagnoser.diagnose(tests, {name: kept.last.exchanges for name, kept in recorded.items()})
        except (budget.Exhausted, MemoryError):
            return {}

    def _subject(self, content: str) -> Subject:
        return Subject(self.name, self.reference, self.secret, content, self.master.numbers)

    def _run(self, examination: Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        if self.tests is None:
            with collected(self):
                self._run(examination, wanted)
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


def _named(item: pytest.Function) -> str:
    """The name that the module gives to a test, or to its class."""
    return item.cls.__name__ if item.cls is not None else item.originalname or item.name


def _draws(item: pytest.Item) -> bool:
    """Whether a test draws numbers that depend on the submission."""
    return "draw" in getattr(item, "fixturenames", ()) and not earns_of(item).trains


def _shares(item: pytest.Function) -> frozenset[str]:
    found = item._fixtureinfo.name2fixturedefs
    # pytest's own fixtures are the same for all
    ours = [name for name, made in found.items() if made[-1].baseid or name == "shared_student"]
    return frozenset(name for name in ours if found[name][-1].scope != "function")


def _exchanges(recordings: Mapping[str, Recording], name: str) -> Sequence[Exchange]:
    return recordings[name].compared if name in recordings else ()


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
