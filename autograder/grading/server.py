"""The grading server's client: starts the server's process once for a homework, then has it grade submissions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from autograder.course.course import CourseError, Homework, TierName
from autograder.grading.orders import Failed, Graded, GradeOrder, Refused, Started, patience
from autograder.results.result import Result
from autograder.sandbox.wire.channel import Channel, pair
from autograder.sandbox.wire.wire_error import WireError
from autograder.warming import ENVIRONMENT


class Lost(Exception):
    """Grading a submission failed. An infrastructure failure: the submission is retried, never scored 0."""


class GradingServer:
    """A running grading server for one homework. Several threads may use it at the same time."""

    def __init__(self, homework: Homework, floor: TierName, force: TierName | None = None) -> None:
        """Start the server. Before the first submission, enter it as a context or call `wait`."""
        self.homework = homework
        self._arguments = (str(homework.root), homework.name, floor, force or "")
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        ours, theirs = pair()
        environment = {**os.environ, **ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autograder.grading.server_process", str(theirs.fileno()), *self._arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._channel = Channel(ours)

    def wait(self) -> None:
        """Wait until it is ready. Raises CourseError if the course's files have errors or confinement is too weak."""
        try:
            message, _ = self._channel.receive()
        except WireError:
            raise CourseError(f"the grading server of {self.homework.name} did not start: its error is above") from None
        started = msgspec.msgpack.decode(message, type=Started | Refused)
        if isinstance(started, Refused):
            self.close()
            raise CourseError(started.why)

    def grade(self, student: str, folder: Path, out: Path | None = None, marked: Path | None = None) -> Result:
        """Grade the submission in `folder`. Raises Lost.

        Results are written below `out` and autograded notebooks into `marked`, if given.
        """
        near, far = pair()
        order = msgspec.msgpack.encode(GradeOrder(student, str(folder), str(out or ""), str(marked or "")))
        answer = Channel(near)
        try:
            with self._lock:
                if self._process.poll() is not None:
                    self._channel.close()
                    self._start()
                    self.wait()
                self._channel.send(order, fds=(far.fileno(),))
            far.close()
            message, _ = answer.receive(time.monotonic() + patience(self.homework))
        except (WireError, CourseError) as error:
            raise Lost(f"the process that graded {student}'s {self.homework.name} ended early ({error})") from None
        finally:
            far.close()
            answer.close()
        reply = msgspec.msgpack.decode(message, type=Graded | Failed)
        if isinstance(reply, Failed):
            raise Lost(f"{student}'s {self.homework.name} could not be graded: {reply.why}")
        return reply.result

    def __enter__(self) -> GradingServer:
        self.wait()
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._process.wait()
