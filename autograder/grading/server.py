"""The grading server's client: starts the server's process once for a homework, then has it grade submissions."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from autograder import child_process
from autograder.course.course import CourseError, Homework, TierName
from autograder.grading.orders import (
    MOST_BYTES,
    UNKNOWN,
    About,
    Choosing,
    Failed,
    Graded,
    GradeOrder,
    Place,
    Refused,
    Regraded,
    RegradeOrder,
    Started,
    patience,
)
from autograder.results.result import Result
from autograder.sandbox.wire.channel import Channel, pair
from autograder.sandbox.wire.wire_error import WireError
from autograder.warming import ENVIRONMENT

_ATTEMPTS = 12
"""how often a submission is graded at most, if the process that grades it ends each time"""
_MOST_TESTS = 3
"""tests of one notebook that may end the process; with more, the whole notebook waits for a person"""
_MANY = 10
"""using every test and every reference once takes about 3 s, and saves some 0.1 to 1 s for each submission"""

# Made here, and not at the first message: msgspec prepares a type when it is first decoded, and crashes if two threads
# do so at once.
_starts: msgspec.msgpack.Decoder[Started | Refused] = msgspec.msgpack.Decoder(Started | Refused)
_answers: msgspec.msgpack.Decoder[Place | Graded | Regraded | Failed] = msgspec.msgpack.Decoder(
    Place | Graded | Regraded | Failed
)


class Lost(Exception):
    """Grading a submission failed. An infrastructure failure: the submission is retried, never scored 0."""

    def __init__(self, why: str, final: bool = False) -> None:
        """`final`: whether the next try would end in the same way."""
        super().__init__(why)
        self.final = final


class NotStarted(CourseError):
    """The grading server's process ended before it was ready, or the zygote's did."""

    def __init__(self, why: str, killed: bool = False) -> None:
        """`killed`: whether something killed the process, so that it may succeed the next time."""
        super().__init__(why)
        self.killed = killed


class _Ended(Exception):
    """Grading ended early, at this place. It is None where only the infrastructure can have failed."""

    def __init__(self, why: str, place: Place | None, final: bool = False) -> None:
        self.why, self.place, self.final = why, place, final


class GradingServer:
    """A running grading server for one homework. Several threads may use it at the same time."""

    def __init__(
        self, homework: Homework, floor: TierName, force: TierName | None = None, submissions: int = _MANY
    ) -> None:
        """Start the server. Before the first submission, enter it as a context or call `wait`.

        submissions: how many it is going to grade, if that is known. Only for many is it worth the time to use all
        tests once beforehand.
        """
        self.homework = homework
        self._arguments = (
            str(homework.root),
            homework.name,
            floor,
            force or "",
            "many" if submissions >= _MANY else "few",
        )
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        ours, theirs = pair()
        environment = {**os.environ, **ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "MPLBACKEND": "agg"}
        module = ("-m", "autograder.grading.server_process")
        arguments = (*module, str(theirs.fileno()), str(os.getpid()), *self._arguments)
        self._process = child_process.start(arguments, theirs.fileno(), environment)
        theirs.close()
        self._channel = Channel(ours, MOST_BYTES)

    def wait(self) -> None:
        """Wait until it is ready. Raises CourseError if the course's files have errors or confinement is too weak."""
        try:
            message, _ = self._channel.receive()
        except WireError:
            if (code := self._process.wait()) < 0:
                why = f"the grading server was killed by signal {-code} while it started: try again"
                raise NotStarted(f"{self.homework.name}: {why}", killed=True) from None
            raise NotStarted(
                f"{self.homework.name}: the grading server did not start: correct the error that is shown above"
            ) from None
        started = _starts.decode(message)
        if isinstance(started, Refused):
            self.close()
            raise NotStarted(started.why, killed=True) if started.killed else CourseError(started.why)

    def grade(
        self,
        student: str,
        folder: Path,
        out: Path | None = None,
        marked: Path | None = None,
        about: About = UNKNOWN,
        key: str = "",
    ) -> Result:
        """Grade the submission in `folder`, a copy of what `key` stands for if that is given. Raises Lost.

        Results are written below `out` and autograded notebooks into `marked`, if given. If the process that grades
        ends twice at the same place, the submission causes it: the test fails, or the notebook waits for a person.
        """
        barred: list[Place] = []
        last = None
        for _ in range(_ATTEMPTS):
            order = GradeOrder(student, _path(folder), _path(out), _path(marked), about, tuple(barred), key)
            try:
                return self._grade(order)
            except _Ended as ended:
                if ended.place is None:
                    why = f"{student}'s {self.homework.name} could not be graded: {ended.why}"
                    raise Lost(why, ended.final) from None
                if ended.place == last:
                    others = [place for place in barred if place.notebook == last.notebook]
                    barred.append(last if len(others) < _MOST_TESTS else Place(last.notebook))
                last = ended.place
        raise Lost(f"{student}'s {self.homework.name} could not be graded: grading it ended early {_ATTEMPTS} times")

    def regrade(
        self, students: Sequence[tuple[str, Path | None, About]], out: Path, marked: Path | None, choosing: Choosing
    ) -> list[Regraded]:
        """Regrade the results below `out` of these students: folder's name, folder of what was handed in, and more.

        Students who have to be graded again are `stale`. This includes submissions at which the process ended twice.
        """
        found: list[Regraded] = []
        last = ""
        while len(found) < len(students):
            waiting = tuple((student, _path(folder), about) for student, folder, about in students[len(found) :])
            try:
                for answer in self._answers(RegradeOrder(waiting, _path(out), _path(marked), choosing)):
                    assert isinstance(answer, Regraded)
                    found.append(answer)
                    if len(found) == len(students):
                        break
            except _Ended as ended:
                student = students[len(found)][0]
                if student == last:
                    found.append(Regraded(student, stale=f"regrading it ended early ({ended.why})"))
                last = student
        return found

    def _grade(self, order: GradeOrder) -> Result:
        """Send the order, and wait for the result. Raises _Ended."""
        answer = next(self._answers(order))
        assert isinstance(answer, Graded)
        return answer.result

    def _answers(self, order: GradeOrder | RegradeOrder) -> Iterator[Graded | Regraded]:
        """Send the order, and wait for what comes. Raises _Ended."""
        near, far = pair()
        channel = Channel(near, MOST_BYTES)
        place: Place | None = None
        try:
            with self._lock:
                if self._process.poll() is not None:
                    self._channel.close()
                    self._start()
                    self.wait()
                self._channel.send(msgspec.msgpack.encode(order), fds=(far.fileno(),))
            far.close()
            while True:
                message, _ = channel.receive(time.monotonic() + patience(self.homework))
                match _answers.decode(message):
                    case Place() as step:
                        place = step
                    case Failed(why, ours, final):
                        raise _Ended(why, None if ours else place, final)
                    case answer:
                        yield answer
        except (WireError, CourseError) as error:
            raise _Ended(f"the process that grades it ended early ({error})", place) from None
        finally:
            far.close()
            channel.close()

    def __enter__(self) -> GradingServer:
        self.wait()
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


def _path(folder: Path | None) -> bytes:
    """A folder as an order names it: the server's process has another working directory."""
    return os.fsencode(folder.absolute()) if folder is not None else b""
