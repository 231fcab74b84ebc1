"""The trusted side's handle to one confined process."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from autograder.confine import proc
from autograder.constants import BEYOND, TRAPPED
from autograder.course.course import Limits
from autograder.sandbox.spawning import Began, Ended, decode
from autograder.sandbox.wire.channel import Channel, readable
from autograder.sandbox.wire.messages import ForkEnded, Ran, Report, decode_report
from autograder.sandbox.wire.wire_error import Closed, Late
from autograder.sandbox.zygote_client import SandboxLost, Zygote

_LOST = Ended("unconfined", 0, 0.0, 0.0, "the supervisor of this submission ended unexpectedly")
_REPORT_TIMEOUT = 15_000
"""milliseconds that a supervisor has to end all processes and to report"""


class Died(Exception):
    """The submission's process ended. `ended` is the supervisor's report."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended


class Process:
    """One confined process: the wire to it, the control socket of its supervisor, and how it ended."""

    def __init__(self, zygote: Zygote, limits: Limits, heard: Callable[[Ran], None]) -> None:
        """`heard` is told what runs that stands in no cell."""
        self.control, self.channel = zygote.request(limits)
        self.heard = heard
        self.ended: Ended | None = None
        self._pid = 0
        self.forks: set[int] = set()
        self.gone: dict[int, int] = {}  # fork number -> wait status

    def tell(self, message: bytes) -> None:
        """Send a message to the supervisor."""
        with suppress(OSError):  # the supervisor has ended; its report can still be read
            self.control.send(message)

    def send(self, data: bytes, deadline: float, fds: tuple[int, ...] = ()) -> None:
        """Send data to the student's main process. Raises Late, Died, SandboxLost."""
        try:
            self.channel.send(data, deadline, fds)
        except Closed:
            self._raise_how_it_ended()

    def _raise_how_it_ended(self) -> NoReturn:
        """Wait for the supervisor's report after the process has ended. Raises Died or SandboxLost."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        while poll.poll(_REPORT_TIMEOUT):
            self.check()
        self.ended = _LOST
        self.check()
        raise AssertionError("unreachable")

    def check(self) -> None:
        """Raise Died if the supervisor has reported the end, SandboxLost if the sandbox failed."""
        while self.ended is None and readable(self.control):
            message = self.control.recv(4096)
            report = decode(message) if message else _LOST
            if isinstance(report, Began):
                self._pid = report.pid
            else:
                self.ended = report
                if report.reason == "exit":
                    self._trapped(report.number)
        if self.lost:
            raise SandboxLost(self.lost)
        if self.ended is not None:
            raise Died(self.ended)

    def waited(self) -> float:
        """The seconds that the process and its forks have waited for a processor, as far as the kernel tells it."""
        with suppress(Died):
            self.check()
        return proc.waited_seconds(self._pid) if self._pid else 0.0

    @property
    def lost(self) -> str:
        """Why the sandbox failed; '' if it has not."""
        return self.ended.note if self.ended is not None and self.ended.reason == "unconfined" else ""

    def receive(self, deadline: float, other: Channel | None = None) -> Report | None:
        """The next report from the student's main process, or None if `other` has something to read.

        Raises Died, SandboxLost, and Late at the deadline, even while reports keep coming.
        """
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late("no answer in time")
            poll = select.poll()
            poll.register(self.control, select.POLLIN)
            poll.register(self.channel, select.POLLIN)
            if other is not None:
                poll.register(other, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(math.ceil(left * 1000))}
            if other is not None and other.fileno() in ready:  # an answer counts, whatever happens afterwards
                return None
            if self.channel.fileno() in ready:
                if (report := self._take(deadline)) is not None:
                    return report
            elif self.control.fileno() in ready:
                self.check()

    def _take(self, deadline: float) -> Report | None:
        """The report that has arrived from the student's main process; None if it is not whole yet, or only heard."""
        try:
            message = self.channel.take(deadline=deadline)
        except Closed:
            self._raise_how_it_ended()
        if message is None:
            return None
        report = decode_report(message)
        if isinstance(report, ForkEnded) and report.number in self.forks:
            self.gone[report.number] = report.status
            if os.WIFEXITED(report.status):
                self._trapped(os.WEXITSTATUS(report.status))
        if isinstance(report, Ran):
            self.heard(report)
            return None
        return report

    def _trapped(self, code: int) -> None:
        """Tell of a process that ended with this exit code, if it used a forbidden tool."""
        if code == TRAPPED:
            self.heard(Ran("use", BEYOND.encode()))

    def close(self) -> Ended:
        """End the process and return how it ended."""
        if self.ended is None:
            self.tell(b"kill")
            with suppress(Died, SandboxLost):  # the report is in `ended` as well
                self._raise_how_it_ended()
        assert self.ended is not None
        self.control.close()
        self.channel.close()
        return self.ended
