"""Examine a finished notebook: run a notebook's hidden tests with pytest and collect what they found."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import secrets
import sys
import time
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import pytest

from autograder import master
from autograder.course import Course, CourseError, Homework, NotebookSpec, find_course
from autograder.diagnose import Clinic, Exchange, Recorder, definitions
from autograder.hidden import Allowance, Draw, Earns, ForbiddenTool, StudentError
from autograder.proxy import Line, Student
from autograder.respondent import Respondent, seed
from autograder.result import Diagnosis, TestResult
from autograder.score import earned
from autograder.student import SEED
from autograder.wire import Question, Raised, Returned, decode_order, decode_report, encode

T = TypeVar("T")
_SECRET_FILE = ".course-secret"
_ARGUMENTS = (
    *("--assert=plain", "--import-mode=importlib", "--capture=no", "-c", os.devnull),
    # what is not needed costs time at each submission: garbage passes of the last two, 0.6 s
    *(f"-pno:{plugin}" for plugin in ("terminal", "cacheprovider", "faulthandler", "logging", "doctest", "junitxml")),
    *(f"-pno:{plugin}" for plugin in ("pastebin", "nose", "stepwise", "unraisableexception", "threadexception")),
)


class Suite:
    """The hidden tests of one notebook, its reference solution and the course's secret. Trusted side only."""

    def __init__(self, course: Course, homework: Homework, notebook: str) -> None:
        self.spec = homework.notebook(notebook)
        self.path = homework.hidden(notebook)
        self.name = f"{homework.name}/{notebook}"
        self.secret = course_secret(course)
        self.master = master.read(homework, notebook)
        self.clinic = Clinic(self.master, master.mistakes(homework, notebook), self.spec.forbidden)
        self._reference: types.SimpleNamespace | None = None
        self._tests: _Tests | None = None
        if not self.path.is_file():
            raise CourseError(f"{self.path}: the hidden tests of {self.name} are missing")

    @property
    def reference(self) -> types.SimpleNamespace:
        """What the master defines; its checks and figures are not run."""
        if self._reference is None:
            self._reference = types.SimpleNamespace(**definitions(self.master))
        return self._reference

    def collected(self, body: Callable[[], T]) -> T:
        """What `body` returns; within it each `run`, of this process and of its forks, finds the tests collected.

        Collecting costs more than most of the tests themselves.
        """
        tests = _Tests(self, body)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            room = self.path.parent
            # without these it would look through every folder above
            where = (f"--rootdir={room}", f"--confcutdir={room}", str(self.path))
            code = pytest.main([*_ARGUMENTS, *where], plugins=[tests])
        if tests.raised is not None:
            raise tests.raised
        if not tests.done:
            why = tests.broken or f"pytest could not run these tests ({code!r})"
            raise CourseError(f"{self.path}: {why}\n{said.getvalue()}".rstrip())
        return cast(T, tests.returned)

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
        if self._tests is None:
            return self.collected(lambda: self.run(fork, cells, exchanges, training))

        def wanted(item: pytest.Item) -> bool:
            worth = _earns(item)
            return (cells is None or worth.cell in cells) and (
                training is None or not worth.trains or worth.cell in training
            )

        examination = _Examination(fork, fork, {} if exchanges is None else exchanges)
        self._tests.run(examination, wanted)
        return tuple(examination.results.values())

    def examine(self, fork: Callable[[], Line], turn: Callable[[], Line]) -> Examined:
        """Run all tests and name known mistakes. Lines come from `turn`, to what tests share, and from `fork`.

        A fork for each test would cost more than most tests do, so they take turns in one, but for those that take a
        training run. What fails there is asked again by itself, in a fork, and that counts: what another test left may
        have been the reason. Not so where a known mistake, replayed by itself, gives every answer of the cell's tests:
        the numbers are drawn anew for each test, so what is left of another one cannot make them agree.
        """
        if self._tests is None:
            return self.collected(lambda: self.examine(fork, turn))
        first = _Examination(turn, fork, {})
        self._tests.run(first, lambda item: True)
        results, exchanges = first.results, first.exchanges
        diagnoses = self.clinic.diagnose(tuple(results.values()), exchanges)
        doubtful = {name for name in first.doubtful if results[name].cell not in diagnoses}
        if doubtful:
            again = _Examination(fork, fork, exchanges)
            self._tests.run(again, lambda item: item.name in doubtful)
            results |= again.results
            cells = {result.cell for result in again.results.values()}
            tests = tuple(result for result in results.values() if result.cell in cells)
            diagnoses |= self.clinic.diagnose(tests, exchanges)
        return Examined(tuple(results.values()), diagnoses)


@dataclass(frozen=True)
class Examined:
    """What examining a notebook found."""

    tests: tuple[TestResult, ...]
    diagnoses: dict[str, tuple[Diagnosis, ...]]
    """by grade cell, the known mistakes that explain what its tests found"""


def course_secret(course: Course) -> bytes:
    """The secret that `draw` is seeded from: made once for a course, readable by its owner alone."""
    path = course.root / _SECRET_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    fresh = path.with_name(f"{_SECRET_FILE}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)  # whoever comes second takes the first one's
    fresh.unlink()
    return path.read_bytes()


class LocalLine:
    """A line to names in this very process, for authors and for plain nbgrader: nothing is confined."""

    def __init__(self, names: dict[str, Any], spec: NotebookSpec) -> None:
        seed(SEED)
        self._respondent = Respondent(names, spec.forbidden)

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """Answer by way of the wire's own encoding, so that values are copied just as in the sandbox."""
        order = decode_order(encode(question))
        assert not isinstance(order, tuple)
        reply = decode_report(encode(self._respondent.answer(order)))  # type: ignore[arg-type]
        assert isinstance(reply, Returned | Raised)
        return reply

    def close(self) -> None:
        """Nothing to end."""


def score_in_kernel(notebook: str, grade_id: str) -> None:
    """What `autograder.hidden_tests` does: show the points of one grade cell for the names of the running kernel."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise RuntimeError("hidden_tests() examines the notebook it is called in: call it from a notebook")
    homework_name, _, name = notebook.partition("/")
    course = find_course(Path.cwd())
    suite = _suite(course, course.homework(homework_name), name)
    results = suite.run(lambda: LocalLine(shell.user_ns, suite.spec), [grade_id])
    shell.displayhook(earned(suite.master.cell(grade_id).points, results))


@functools.cache
def _suite(course: Course, homework: Homework, notebook: str) -> Suite:
    return Suite(course, homework, notebook)


class _Examination:
    """One notebook under examination: where its tests find it, and what they found, in words for a student."""

    def __init__(
        self, line: Callable[[], Line], fork: Callable[[], Line], exchanges: dict[str, list[Exchange]]
    ) -> None:
        """Tests get lines from `line`; those that take a training run, from `fork`."""
        self.results: dict[str, TestResult] = {}
        self.doubtful: set[str] = set()
        """tests that failed where others may have been before: what those left may be the reason"""
        self.line, self.fork, self.exchanges = line, fork, exchanges

    def keep(self, item: pytest.Item, error: BaseException | None, seconds: float) -> None:
        """A test has passed, or failed with `error`."""
        worth = _earns(item)
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


class _Tests:
    """The pytest plugin: holds a suite's collected tests, gives them their fixtures and hears what they found.

    Like a worker of pytest-xdist, it does something of its own where pytest would run all tests once: `body`.
    """

    def __init__(self, suite: Suite, body: Callable[[], Any]) -> None:
        self.done = False
        self.returned: Any = None
        self.raised: BaseException | None = None
        """by `body`; pytest would take it for an error of its own"""
        self.broken = ""
        self._suite, self._body = suite, body
        self._items: list[pytest.Item] = []
        self._examination: _Examination | None = None
        self._item: pytest.Item | None = None
        self._began = 0.0
        self._streams = sys.stdout, sys.stderr

    def run(self, examination: _Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        """Run the tests that are wanted."""
        self._examination = examination
        quiet, items = io.StringIO(), list(filter(wanted, self._items))
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            for item, following in itertools.zip_longest(items, items[1:]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    @property
    def examination(self) -> _Examination:
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
        line = Recorder(examination.fork() if _earns(self.item).trains else examination.line(), kept)
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
        return self._suite.reference

    @pytest.fixture
    def draw(self) -> Draw:
        return Draw(self._suite.secret, self._suite.name, self.item.name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = f"the hidden tests cannot be read: {report.longreprtext.splitlines()[-1]}"

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own. Not called when the tests could not be collected."""
        if self.broken:
            return True
        self._items, self._suite._tests = session.items, self
        try:
            with contextlib.redirect_stdout(self._streams[0]), contextlib.redirect_stderr(self._streams[1]):
                self.returned = self._body()
            self.done = True
        except BaseException as error:
            self.raised = error
        finally:
            self._suite._tests = None
            for name in {item.module.__name__ for item in session.items if isinstance(item, pytest.Function)}:
                sys.modules.pop(name, None)  # a notebook of another homework may have its name
        return True

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


def _certain(error: BaseException) -> bool:
    """Whether a test that failed with this would fail by itself, too."""
    return isinstance(error, StudentError) and error.type in _CERTAIN


_CERTAIN = {"NotImplementedError", "NameError", "TimeoutError", ForbiddenTool.__name__}


def _earns(item: pytest.Item) -> Earns:
    worth: Earns = getattr(getattr(item, "function", None), "__earns__", Earns())
    return worth


def _first_line(item: pytest.Item) -> str:
    text = getattr(getattr(item, "function", None), "__doc__", "") or item.name.removeprefix("test_").replace("_", " ")
    return " ".join(text.strip().split("\n\n")[0].split())


def explain(error: BaseException) -> str:
    """What went wrong in a test, in words for a student. Never the values that a test compared with."""
    match error:
        case StudentError(type="NotImplementedError"):
            return "This is not written yet: a NotImplementedError is still there."
        case StudentError(type=ForbiddenTool.__name__):
            return f"{error.message}."
        case StudentError(type="Crash" | "TimeoutError"):
            return f"{error.message[:1].upper()}{error.message[1:]}."
        case StudentError(type="NameError", cell="", message=message):
            return f"{message[:1].upper()}{message[1:]}: it is not written yet, or its cell raised an error."
        case StudentError():
            place = f" (cell ‘{error.cell}’, line {error.line})" if error.cell else ""
            text = f": {error.message}" if error.message else ""
            return f"Your code raised {error.type}{place}{text}"
        case AssertionError():
            return str(error).splitlines()[0] if str(error) else "This does not hold yet."
        case _:
            return f"What your code returned does not have the form that is needed here ({type(error).__name__})."


def versions() -> Mapping[str, str]:
    """The versions that a score may depend on."""
    import numpy
    import torch

    from autograder import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return {"autograder": __version__, "python": python, "torch": str(torch.__version__), "numpy": numpy.__version__}
