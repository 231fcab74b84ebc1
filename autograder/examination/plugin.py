"""The pytest plugin behind hidden tests: gives them `student`, `reference` and `draw`, and keeps what they found."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

from autograder.examination.diagnosis import Exchange, Recorder
from autograder.examination.hidden import Draw, Earns
from autograder.examination.messages import explain
from autograder.forbidden import ForbiddenTool
from autograder.results.result import TestResult
from autograder.sandbox.lines import Line
from autograder.sandbox.object_client import Student
from autograder.sandbox.student_error import StudentError

_CERTAIN = {"NotImplementedError", "NameError", "TimeoutError", ForbiddenTool.__name__}
"""errors with which a test would fail by itself, too, whatever ran before it"""


@dataclass(frozen=True)
class Subject:
    """What the tests of one notebook compare with."""

    name: str
    """hw1/mlp, say"""
    reference: types.SimpleNamespace
    secret: bytes


@dataclass
class Examination:
    """One finished notebook while its tests run: where they reach it, and what they found."""

    subject: Subject
    line: Callable[[], Line]
    """gives most tests their line"""
    fork: Callable[[], Line]
    """gives one to those that take a training run"""
    exchanges: dict[str, list[Exchange]] = field(default_factory=dict)
    """by test, what it asked and heard"""
    results: dict[str, TestResult] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """tests that failed where others may have run before: what those left may be the reason"""

    def keep(self, item: pytest.Item, error: BaseException | None, seconds: float) -> None:
        """A test has passed, or failed with `error`."""
        worth = earns_of(item)
        if error is not None and not worth.trains and not _certain(error):
            self.doubtful.add(item.name)
        self.results[item.name] = TestResult(
            name=item.name,
            cell=worth.cell,
            weight=worth.weight,
            says=_first_line(item),
            passed=error is None,
            message=explain(error) if error is not None else "",
            forbidden=isinstance(error, StudentError) and error.type == ForbiddenTool.__name__,
            seconds=round(seconds, 4),
        )


class ExaminationPlugin:
    """Fixtures and hooks for the examination at hand: one at a time."""

    def __init__(self) -> None:
        self.broken = ""
        """why the tests could not be collected"""
        self._examination: Examination | None = None
        self._item: pytest.Item | None = None
        self._began = 0.0

    def run(self, examination: Examination, items: Sequence[pytest.Item]) -> None:
        """Run these tests, in this order."""
        self._examination = examination
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    @property
    def examination(self) -> Examination:
        assert self._examination is not None
        return self._examination

    @property
    def item(self) -> pytest.Item:
        """The test at hand."""
        assert self._item is not None
        return self._item

    # the item at hand, in place of the fixture `request`: pytest makes that anew for each test, at some cost

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        examination = self.examination
        kept: list[Exchange] = []
        examination.exchanges[self.item.name] = kept
        line = Recorder(examination.fork() if earns_of(self.item).trains else examination.line(), kept)
        yield Student(line)
        line.close()

    @pytest.fixture(scope="module")
    def shared_student(self) -> Iterator[Student]:
        """One fork for all the tests of the module that ask for it: for a training run that several look at."""
        line = self.examination.fork()
        yield Student(line)
        line.close()

    @pytest.fixture
    def reference(self) -> types.SimpleNamespace:
        return self.examination.subject.reference

    @pytest.fixture
    def draw(self) -> Draw:
        subject = self.examination.subject
        return Draw(subject.secret, subject.name, self.item.name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = f"the hidden tests cannot be read: {report.longreprtext.splitlines()[-1]}"

    @pytest.hookimpl(tryfirst=True)  # before its fixtures
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._item, self._began = item, time.perf_counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """In place of pytest's own, which prints every tensor of a failing test for seconds, and nobody reads it."""
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            error = call.excinfo.value if call.excinfo is not None else None
            self.examination.keep(item, error, time.perf_counter() - self._began)
        assert call.when != "collect"
        outcome: Literal["passed", "failed"] = "passed" if call.excinfo is None else "failed"
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, call.when)


def earns_of(item: pytest.Item) -> Earns:
    """What a test is worth."""
    worth: Earns = getattr(getattr(item, "function", None), "__earns__", Earns())
    return worth


def _certain(error: BaseException) -> bool:
    return isinstance(error, StudentError) and error.type in _CERTAIN


def _first_line(item: pytest.Item) -> str:
    text = getattr(getattr(item, "function", None), "__doc__", "") or item.name.removeprefix("test_").replace("_", " ")
    return " ".join(text.strip().split("\n\n")[0].split())
