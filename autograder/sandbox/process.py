"""One confined process as the trusted side sees it, from its start to the supervisor's last word."""

from __future__ import annotations

import math
import select
import time
from contextlib import suppress
from typing import NoReturn

from autograder.course.course import Limits
from autograder.sandbox.spawning import Ended, read_ended
from autograder.sandbox.wire.channel import Channel, readable
from autograder.sandbox.wire.messages import ForkEnded, Report, decode_report
from autograder.sandbox.wire.wire_error import Closed, Late
from autograder.sandbox.zygote_client import SandboxLost, Zygote

_LOST = Ended("unconfined", 0, 0.0, 0.0, "the process that watches this submission was lost")
_WORD = 15_000
"""milliseconds that a supervisor gets to end everything and say so"""


class Died(Exception):
    """The submission's process ended; carries the supervisor's word."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended


class Process:
    """One confined process, from its start to the supervisor's last word."""

    def __init__(self, zygote: Zygote, limits: Limits) -> None:
        self.control, self.channel = zygote.request(limits)
        self.ended: Ended | None = None
        self.forks: set[int] = set()
        self.gone: dict[int, int] = {}  # fork number -> wait status

    def tell(self, message: bytes) -> None:
        with suppress(OSError):  # it has ended; its last word is waiting to be read
            self.control.send(message)

    def send(self, data: bytes, deadline: float, fds: tuple[int, ...] = ()) -> None:
        """Send to the main process. Raises Late, Died, SandboxLost."""
        try:
            self.channel.send(data, deadline, fds)
        except Closed:
            self._hear()

    def _hear(self) -> NoReturn:
        """The wire is closed, so the process has ended: wait for the supervisor to say how."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if not poll.poll(_WORD):
            self.ended = _LOST
        self.check()
        raise AssertionError("unreachable")

    def check(self) -> None:
        """Raise Died when the supervisor has said its last word, SandboxLost when it could not do its work."""
        if self.ended is None and readable(self.control):
            message = self.control.recv(4096)
            self.ended = read_ended(message) if message else _LOST
        if self.lost:
            raise SandboxLost(self.lost)
        if self.ended is not None:
            raise Died(self.ended)

    @property
    def lost(self) -> str:
        """Why the sandbox could not do its work; '' while it does."""
        return self.ended.note if self.ended is not None and self.ended.reason == "unconfined" else ""

    def receive(self, deadline: float, other: Channel | None = None) -> Report | None:
        """The next report from the main process, or None when `other` has something to read.

        Raises Late (however much the process has to say), Died, SandboxLost.
        """
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late("no answer in time")
            try:
                message = self.channel.take()
            except Closed:
                self._hear()
            if message is not None:
                report = decode_report(message)
                if isinstance(report, ForkEnded) and report.number in self.forks:
                    self.gone[report.number] = report.status
                return report
            poll = select.poll()
            poll.register(self.control, select.POLLIN)
            poll.register(self.channel, select.POLLIN)
            if other is not None:
                poll.register(other, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(math.ceil(left * 1000))}
            if self.control.fileno() in ready and self.channel.fileno() not in ready:
                self.check()
            elif other is not None and other.fileno() in ready:
                return None

    def close(self) -> Ended:
        """End it and hear how it ended."""
        if self.ended is None:
            self.tell(b"kill")
            with suppress(Died, SandboxLost):  # all that was asked has been answered
                self._hear()
        assert self.ended is not None
        self.control.close()
        self.channel.close()
        return self.ended
