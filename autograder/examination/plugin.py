"""The pytest plugin for hidden tests: provides `student`, `reference`, `parameters` and `draw`; records the results."""

from __future__ import annotations

import itertools
import time
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.skipping import evaluate_skip_marks
from _pytest.warnings import catch_warnings_for_item

from autograder.course.parameters import Number
from autograder.examination.budget import Exhausted, budget
from autograder.examination.hidden import Draw, Earns
from autograder.examination.messages import explain
from autograder.examination.recording import NotRecorded, Recorder, Recording, ReplayLine, Room
from autograder.forbidden import ForbiddenTool
from autograder.results.result import TestResult
from autograder.sandbox.lines import Line
from autograder.sandbox.object_client import Student
from autograder.sandbox.student_error import StudentError

SHARED = ""
"""the name of the recording of `shared_student`"""
_CERTAIN = {"NotImplementedError", "NameError", "TimeoutError", ForbiddenTool.__name__}
"""errors that cannot come from an earlier test; a test that fails with one need not run again"""
_THEIRS = {"NotImplementedError", "TimeoutError", "Crash", ForbiddenTool.__name__}
"""errors that the student's code alone can cause, wherever they are raised"""
_NEVER_THEIRS = (NameError, ImportError, SyntaxError, pytest.FixtureLookupError)
"""errors that no answer can cause: those of the student's code arrive as StudentError"""
_NO_FAULTS = (StudentError, Exhausted, MemoryError, NotRecorded, KeyboardInterrupt)
"""errors that are no fault of a test, whenever they come"""


@dataclass(frozen=True)
class Subject:
    """The notebook that is tested: its name, its reference, and the secret for its random numbers."""

    name: str
    """for example hw1/mlp"""
    reference: types.SimpleNamespace
    secret: bytes
    content: str = ""
    """digest of the submission. The random numbers depend on it, so what leaks is worthless in the next submission"""
    numbers: tuple[tuple[str, Number], ...] = ()
    """the values of the exercise's parameters that the student was given, by name"""


def _nothing(test: str) -> None:
    """Announce nothing."""


@dataclass
class Examination:
    """One run of the hidden tests on a finished notebook: the lines to the notebook, and the results."""

    subject: Subject
    line: Callable[[str], Line]
    """makes the line for most tests, given the grade cell"""
    fork: Callable[[str], Line]
    """makes the line for a test that needs a training run, given the grade cell"""
    recordings: dict[str, Recording] = field(default_factory=dict)
    """for each test, its questions and answers; under '' those of the fork that several tests share"""
    replayed: Mapping[str, Recording] | None = None
    """if given, no line is made: the tests get the answers of these recordings"""
    unknown: set[str] = field(default_factory=set)
    """tests that asked what their recording does not contain"""
    results: dict[str, TestResult] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """tests that failed, possibly because of what an earlier test left in the same fork"""
    rebound: Collection[str] = ()
    """grade cells with names that a later cell has given another meaning"""
    announce: Callable[[str], None] = _nothing
    """is told the name of each test before it begins"""
    barred: Collection[str] = ()
    """tests that are not run, because they have ended this process before"""
    seconds: float | None = None
    """processor time of this process for one test; None is no limit"""
    room: Room = field(default_factory=Room)
    """the memory that is left for exchanges"""
    unchecked: dict[str, None] = field(default_factory=dict)
    """grade cells with a test that spent its budget"""
    faults: dict[str, str] = field(default_factory=dict)
    """tests that failed by an error of their own, and the error"""
    unasked: dict[str, str] = field(default_factory=dict)
    """tests that failed before they asked anything, and the error: a fault, unless they use what another test asked"""
    strange: set[str] = field(default_factory=set)
    """tests that failed although no line of the student's raised an exception, and no value was found to be wrong"""

    def keep(self, item: pytest.Item, error: BaseException | None, seconds: float, set_up: bool = False) -> None:
        """Record that a test has passed, or has failed with `error`, perhaps while it was `set_up`."""
        worth = earns_of(item)
        if error is not None and not isinstance(error, _NO_FAULTS):
            if isinstance(error, _NEVER_THEIRS) or (set_up and not self._asked(item)):
                self.faults[item.name] = _in_short(error)
            elif not isinstance(error, AssertionError) and not self._asked(item):
                self.unasked[item.name] = _in_short(error)
        if _strange(error, worth.trains):
            self.strange.add(item.name)
        if isinstance(error, Exhausted | MemoryError):
            self.unchecked[worth.cell] = None
        if isinstance(error, NotRecorded):
            self.unknown.add(item.name)
        elif error is not None and (worth.cell in self.rebound or not (worth.trains or _certain(error))):
            self.doubtful.add(item.name)
        self.results[item.name] = TestResult(
            name=item.name,
            cell=worth.cell,
            weight=worth.weight,
            says=_first_line(item),
            passed=error is None,
            message=explain(error, worth.trains) if error is not None else "",
            forbidden=isinstance(error, StudentError) and error.type == ForbiddenTool.__name__,
            seconds=round(seconds, 4),
        )

    def _asked(self, item: pytest.Item) -> bool:
        """Whether a test, or the run that it shares with others, has asked the student's code anything."""
        shared = SHARED if "shared_student" in getattr(item, "fixturenames", ()) else item.name
        kept = [self.recordings[name] for name in {item.name, shared} if name in self.recordings]
        return any(one.exchanges or one.unanswered or not one.whole for one in kept)


class ExaminationPlugin:
    """Runs tests for one examination at a time, and provides their fixtures."""

    def __init__(self) -> None:
        self.broken = ""
        """why the tests could not be collected"""
        self._examination: Examination | None = None
        self._item: pytest.Item | None = None

    def run(self, examination: Examination, items: Sequence[pytest.Function]) -> None:
        """Run these tests, in this order."""
        self._examination = examination
        for item, following in itertools.zip_longest(items, items[1:]):
            self._run(item, following)

    def _run(self, item: pytest.Function, following: pytest.Function | None) -> None:
        """As pytest's own protocol, but without the hooks and reports of each step, which take longer than a test."""
        self._item, began, set_up = item, time.perf_counter(), True
        error: BaseException | None = None
        self.examination.announce(item.name)
        try:
            if item.name in self.examination.barred:
                raise Exhausted
            if not item._request:
                item._initrequest()
            if skipped := evaluate_skip_marks(item):
                raise pytest.skip.Exception(skipped.reason)
            with catch_warnings_for_item(item.config, item.ihook, when="runtest", item=item):
                item.session._setupstate.setup(item)
                set_up = False
                with budget(self.examination.seconds):
                    item.runtest()
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            error = raised
        self.examination.keep(item, error, time.perf_counter() - began, set_up)
        error = None  # or it would keep its frames, this one among them, and all that they hold
        try:
            item.session._setupstate.teardown_exact(following)
        except KeyboardInterrupt:
            raise
        except BaseException:  # what a fixture does at its end decides nothing; pytest's outcomes are no Exception
            pass
        item._request, item.funcargs = False, None  # type: ignore[assignment]

    @property
    def examination(self) -> Examination:
        assert self._examination is not None
        return self._examination

    @property
    def item(self) -> pytest.Item:
        """The test that is running."""
        assert self._item is not None
        return self._item

    # The fixtures use `item` and not pytest's fixture `request`: making that for each test takes some time.

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        examination, worth = self.examination, earns_of(self.item)
        made = examination.fork if worth.trains else examination.line
        line = self._recorded(self.item.name, lambda: made(worth.cell), examination.room, worth.trains)
        # the inputs of a training run are the same for all, so a text could carry them to the next submission
        yield Student(line, texts=not worth.trains)
        line.close()

    def _recorded(self, name: str, made: Callable[[], Line], room: Room, trains: bool) -> Line:
        """A line that records what is asked under this name, or answers from the recording of that name."""
        examination = self.examination
        kept = examination.recordings[name] = Recording(whole=False)
        line = made() if examination.replayed is None else ReplayLine(examination.replayed.get(name))
        kept.whole = True  # not earlier: no line may have been made
        return Recorder(line, kept, room, trains)

    def shared(self) -> types.ModuleType:
        """A second plugin, which provides `shared_student`: fixtures of a whole module may not be methods."""

        @pytest.fixture(scope="module")
        def shared_student() -> Iterator[Student]:
            """One fork for all tests of the module that use it, for example for a training run that several check.

            As it serves several grade cells, names mean what they mean at the end of the notebook.
            """
            line = self._recorded(SHARED, lambda: self.examination.fork(""), Room(), trains=True)
            yield Student(line, texts=False)
            line.close()

        module = types.ModuleType("shared")
        vars(module)["shared_student"] = shared_student
        return module

    @pytest.fixture
    def reference(self) -> types.SimpleNamespace:
        return self.examination.subject.reference

    @pytest.fixture
    def parameters(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(**dict(self.examination.subject.numbers))

    @pytest.fixture
    def draw(self) -> Draw:
        subject = self.examination.subject
        # a training run has the same numbers for all: nobody may submit again and again until they are lucky
        content = "" if earns_of(self.item).trains else subject.content
        return Draw(subject.secret, subject.name, self.item.name, *filter(None, [content]))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = f"pytest cannot collect the hidden tests: {report.longreprtext.splitlines()[-1]}"


def earns_of(item: pytest.Item) -> Earns:
    """What a test earns."""
    worth: Earns = getattr(getattr(item, "function", None), "__earns__", Earns())
    return worth


def _certain(error: BaseException) -> bool:
    return isinstance(error, Exhausted) or (isinstance(error, StudentError) and error.type in _CERTAIN)


def _strange(error: BaseException | None, trains: bool) -> bool:
    """See `Examination.strange`. Where a name is missing, as in a notebook that is not finished, no run of the course's
    own answer is worth its training.
    """
    if isinstance(error, StudentError):
        return not error.cell and error.type not in _THEIRS and not (trains and error.type == "NameError")
    return error is not None and not isinstance(error, (AssertionError, *_NO_FAULTS))


def _in_short(error: BaseException) -> str:
    """An error of a hidden test, for its author: type, first line, and where it was raised."""
    text = next(iter(str(getattr(error, "msg", None) or error).splitlines()), "")
    if isinstance(error, pytest.FixtureLookupError):
        text = f"there is no fixture {error.argname!r}"
    place, trace = "", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        place = f" ({file.name}, line {trace.tb_lineno})" if "hidden" in file.parts else place
        trace = trace.tb_next
    return f"{type(error).__name__}: {text}{place}"


def _first_line(item: pytest.Item) -> str:
    text = getattr(getattr(item, "function", None), "__doc__", "") or item.name.removeprefix("test_").replace("_", " ")
    return " ".join(text.strip().split("\n\n")[0].split())
