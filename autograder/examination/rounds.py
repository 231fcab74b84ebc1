"""Rounds: the hidden tests of one submission are run once, where that is doubtful again, and then with new numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from autograder.examination import budget, guessing
from autograder.examination.examined import Examined, Recorded
from autograder.examination.plugin import SHARED, Examination, Subject, earns_of
from autograder.examination.recording import Exchange, Recording
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.lines import Line

if TYPE_CHECKING:
    from autograder.examination.suite import Suite

FAULT = "This test has an error of its own. It is not your fault."
ANEW = " anew"
"""after the digest of a submission: other random numbers, for a test that passes only when it runs again"""
COMMON = "common"
"""in place of the digest of a submission: the random numbers are the same for all"""


@dataclass(frozen=True)
class Rounds:
    """How the tests of a suite are run for one submission.

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
    """

    suite: Suite
    fork: Callable[[str], Line]
    """makes lines to new forks"""
    turn: Callable[[str], Line]
    """makes lines to a shared fork"""
    rebound: Collection[str]
    content: str
    """a digest of the submission, on which the random numbers depend"""
    announce: Callable[[str], None]
    """is told the name of each test before it begins"""
    barred: Collection[str]
    """tests that are not run and fail"""
    replayed: Mapping[str, Recorded] | None
    """if given, no line is made: the tests get the recorded answers, and those that ask for others are `unknown`"""

    def of(self, cells: Collection[str]) -> Examined:
        """Run the tests of these grade cells, and diagnose known mistakes."""
        suite = self.suite

        def replays(run: Callable[[Recorded], Recording | None]) -> dict[str, Recording] | None:
            if self.replayed is None:
                return None
            return {name: found for name, kept in self.replayed.items() if (found := run(kept)) is not None}

        def alone(
            subject: Subject, run: Callable[[Recorded], Recording | None], wanted: Callable[[pytest.Item], bool]
        ) -> Examination:
            """Run tests, each in a new fork."""
            line: Callable[[str], Line] = lambda _: self.fork("")  # noqa: E731
            examination = Examination(
                subject,
                line,
                line,
                announce=self.announce,
                barred=self.barred,
                seconds=budget.SECONDS,
                replayed=replays(run),
            )
            suite.run_tests(examination, wanted)
            return examination

        subject = suite.subject(self.content)
        first = Examination(
            subject,
            self.turn,
            self.fork,
            rebound=self.rebound,
            announce=self.announce,
            barred=self.barred,
            seconds=budget.SECONDS,
            replayed=replays(lambda kept: kept.first),
        )
        suite.run_tests(first, lambda item: earns_of(item).cell in cells)
        results, recorded = first.results, {name: Recorded(kept) for name, kept in first.recordings.items()}
        unchecked, unknown, faults = first.unchecked, first.unknown, suite.faults_of(first)
        self.announce("")
        diagnoses = self._diagnoses(tuple(results.values()), recorded)
        doubtful = {name for name in first.doubtful if results[name].cell not in diagnoses.keys() - set(self.rebound)}
        doubtful -= faults.keys()
        if doubtful:
            again = alone(subject, lambda kept: kept.again, lambda item: item.name in doubtful)
            for name, result in again.results.items():
                functions = result.cell not in self.rebound  # there, another function answers the second time
                if result.passed and guessing.guessed(
                    _exchanges(first.recordings, name), _exchanges(again.recordings, name), functions
                ):
                    again.results[name] = msgspec.structs.replace(result, passed=False, message=guessing.WHY)
            passed = {name for name, result in again.results.items() if result.passed}
            anew = alone(
                suite.subject(self.content + ANEW),
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
            faults |= suite.faults_of(again) | suite.faults_of(anew)
            unknown |= again.unknown | anew.unknown
            again_in = {result.cell for result in again.results.values()}
            tests = tuple(result for result in results.values() if result.cell in again_in)
            self.announce("")
            diagnoses |= self._diagnoses(tests, recorded)
        if self.replayed is None:
            puzzling = {
                name for name in first.doubtful if not results[name].passed and results[name].cell not in diagnoses
            }
            recorded |= self._commonly_asked(puzzling, recorded)
        strange = {name for name in first.strange if name in results and not results[name].passed} - faults.keys()
        faults |= dict.fromkeys(suite.fails_itself(strange), "it fails with the course's own answer, too")
        for name in faults.keys() & results.keys():
            results[name] = msgspec.structs.replace(results[name], message=FAULT)
        faulty = frozenset(results[name].cell for name in faults if name in results)
        diagnoses = {cell: named for cell, named in diagnoses.items() if cell not in faulty}
        return Examined(tuple(results.values()), diagnoses, tuple(unchecked), recorded, frozenset(unknown), faulty)

    def _commonly_asked(self, tests: Collection[str], recorded: Mapping[str, Recorded]) -> dict[str, Recorded]:
        """Run these tests once more with numbers that are the same for all, to compare answers. The outcome is nothing.

        Tests that need a training run have the same numbers for all anyway.
        """
        if not tests:
            return {}
        common = Examination(
            self.suite.subject(COMMON),
            self.turn,
            self.turn,
            announce=self.announce,
            barred=self.barred,
            seconds=budget.SECONDS,
        )
        self.suite.run_tests(common, lambda item: item.name in tests and not earns_of(item).trains)
        self.announce("")
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
                exchanges = {name: kept.last.exchanges for name, kept in recorded.items()}
                return self.suite.diagnoser.diagnose(tests, exchanges)
        except (budget.Exhausted, MemoryError):
            return {}


def joined(found: Sequence[Examined], place: Callable[[TestResult], int]) -> Examined:
    """The results of several grade cells in one; `place` says in which order tests stand."""
    tests = (test for one in found for test in one.tests)
    return Examined(
        tuple(sorted(tests, key=place)),
        {cell: named for one in found for cell, named in one.diagnoses.items()},
        tuple(cell for one in found for cell in one.unchecked),
        {name: kept for one in found for name, kept in one.recorded.items()},
        frozenset(name for one in found for name in one.unknown),
        frozenset(cell for one in found for cell in one.faults),
    )


def _draws(item: pytest.Item) -> bool:
    """Whether a test draws numbers that depend on the submission."""
    return "draw" in getattr(item, "fixturenames", ()) and not earns_of(item).trains


def _exchanges(recordings: Mapping[str, Recording], name: str) -> Sequence[Exchange]:
    return recordings[name].compared if name in recordings else ()
