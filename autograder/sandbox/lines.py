"""Lines: what carries a hidden test's questions to where the student's objects are, and the answers back."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Protocol

from autograder.constants import SEED
from autograder.course.course import Limits, NotebookSpec
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.patience import Patience
from autograder.sandbox.process import Died, Process
from autograder.sandbox.seeding import seed
from autograder.sandbox.sentences import how_a_fork_ended, how_it_ended
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.channel import Channel, readable
from autograder.sandbox.wire.messages import (
    Begin,
    Question,
    Raised,
    Reap,
    Returned,
    decode_order,
    decode_report,
    encode,
)
from autograder.sandbox.wire.values import Dict, List, Tuple, Value
from autograder.sandbox.wire.wire_error import Closed, Late, WireError

_MOST_VALUES = 200_000
"""values in one answer: a message that is all small numbers would cost hundreds of megabytes and a minute to take in"""


class Line(Protocol):
    """Carries one question at a time to where the student's objects are."""

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """The answer; raises StudentError when none comes (a crash, a limit, silence).

        Without an allowance it may take as long as any call.
        """

    def close(self) -> None:
        """Nothing more will be asked."""


class InProcessLine:
    """A line to names in this very process, for authors and for plain nbgrader: nothing is confined."""

    def __init__(self, names: dict[str, Any], spec: NotebookSpec) -> None:
        seed(SEED)
        self._server = ObjectServer(names, spec.forbidden)

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """Answer by way of the wire's own encoding, so that values are copied just as in the sandbox."""
        order = decode_order(encode(question))
        assert not isinstance(order, tuple)
        reply = decode_report(encode(self._server.answer(order)))  # type: ignore[arg-type]
        assert isinstance(reply, Returned | Raised)
        return reply

    def close(self) -> None:
        """Nothing to end."""


class SharedForkLine:
    """A line (see proxy.Line) to a fork that tests take in turns; closing it leaves the fork to the next one."""

    def __init__(self, shared: ForkLine) -> None:
        self._shared = shared

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """As `ForkLine.ask`."""
        return self._shared.ask(question, allowance)

    def close(self) -> None:
        """Nothing to end."""


class ForkLine:
    """A line (see proxy.Line) to one fork. Close it when the test has ended."""

    def __init__(self, patience: Patience, process: Process, number: int, channel: Channel, limits: Limits) -> None:
        self._patience, self._process, self._number = patience, process, number
        self._channel, self._limits = channel, limits
        self._over = ""

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """The answer of the student's code within `call_seconds`, or within the allowance when there is one.

        Raises StudentError when none comes, SandboxLost.
        """
        if self._over:
            raise StudentError("Crash", self._over)
        limit = allowance.seconds if allowance is not None else self._limits.call_seconds
        seconds = self._patience.seconds(limit)
        stop = time.monotonic() + seconds
        try:
            self._channel.send(encode(question), stop)
            return self._wait(question, stop)
        except Late:
            self._patience.hang()
            self._over = f"no answer within {seconds:.3g} seconds: is there an endless loop?"
            if allowance is not None and seconds == limit:
                self._over = allowance.beyond
            raise StudentError("TimeoutError", self._over) from None
        except Closed:
            self._over = self._how_it_went()
        except Died as died:
            self._over = how_it_ended(died.ended, "", self._limits)[2]
        except WireError as error:
            self._over = f"the answer cannot be read: {error}"
        raise StudentError("Crash", self._over)

    def begin(self, seed: int) -> bool:
        """Let another test begin in this fork; False when the fork has ended."""
        if self._over:
            return False
        try:
            self._channel.send(encode(Begin(seed)), time.monotonic() + 1)
        except WireError:
            return False
        return True

    def _wait(self, question: Question, stop: float) -> Returned | Raised:
        while True:
            message = self._channel.take()
            if message is None:
                self._process.receive(stop, self._channel)
                if self._number in self._process.gone and not readable(self._channel.sock):
                    raise Closed("the fork is gone")
                continue
            report = decode_report(message)
            if isinstance(report, Returned | Raised) and report.nonce == question.nonce:
                if isinstance(report, Returned) and _count(report.value) > _MOST_VALUES:
                    raise WireError(f"it holds more than {_MOST_VALUES} values")
                return report
            if time.monotonic() > stop:  # anything else is late, early, or not for us
                raise Late("no answer in time")

    def _how_it_went(self) -> str:
        """Why the fork hung up, as far as it can be known."""
        stop = time.monotonic() + 0.5
        try:
            while self._number not in self._process.gone:
                self._process.receive(stop)
        except (WireError, Died):
            return "the process ended during this test"
        return how_a_fork_ended(self._process.gone[self._number], self._limits)

    def close(self) -> None:
        """End the fork."""
        self._channel.close()
        if self._number not in self._process.gone:
            with suppress(WireError, Died):  # the whole process has ended
                self._process.send(encode(Reap(self._number)), time.monotonic() + 1)


def _count(value: Value) -> int:
    """How many values there are in `value`; it stops counting when they are too many."""
    found, waiting = 0, [value]
    while waiting and found <= _MOST_VALUES:
        found += 1
        match waiting.pop():
            case List(items) | Tuple(items):
                found += len(items)
                waiting += items[: _MOST_VALUES + 1]
            case Dict(pairs):
                waiting += [thing for pair in pairs for thing in pair]
            case _:
                pass
    return found
