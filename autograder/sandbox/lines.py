"""Lines: connections that carry a hidden test's questions to the student's objects and return the answers."""

from __future__ import annotations

import ast
import functools
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from autograder.constants import SEED
from autograder.course.course import Limits, NotebookSpec
from autograder.forbidden.source import parse
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.patience import Patience, Waiting
from autograder.sandbox.process import Died, Process
from autograder.sandbox.seeding import seed
from autograder.sandbox.sentences import how_a_fork_ended, how_it_ended
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.channel import Channel, readable
from autograder.sandbox.wire.messages import (
    Begin,
    Question,
    Raised,
    Ran,
    Reap,
    Returned,
    decode_order,
    decode_report,
    encode,
)
from autograder.sandbox.wire.values import refuse_false
from autograder.sandbox.wire.wire_error import Closed, Late, WireError

WORTH = 0.05
"""seconds: a shorter wait for a processor is no reason to wait longer"""
_MOST_LINES, _MOST_CHARACTERS = 1000, 100_000
"""of a cell whose lines are told: among more, the number of a line could hand on too much"""


class Line(Protocol):
    """A connection to the student's objects. It carries one question at a time."""

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """Ask a question and return the answer. Raises StudentError if none comes (crash, limit, timeout).

        Without an allowance the timeout is that of any call.
        """

    def spend(self) -> None:
        """Let the process end when the connection does, also if later tests would have used it."""

    def close(self) -> None:
        """End the connection."""


class InProcessLine:
    """A line to names in this process, without confinement: for the audit and for plain nbgrader."""

    def __init__(self, names: dict[str, Any], spec: NotebookSpec) -> None:
        seed(SEED)
        self._server = ObjectServer(names, spec.forbidden)

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """Answer the question. Encoding and decoding copy all values, exactly as in the sandbox."""
        order = decode_order(encode(question))
        reply = decode_report(encode(self._server.answer(order)))  # type: ignore[arg-type]
        assert isinstance(reply, Returned | Raised)
        return reply

    def spend(self) -> None:
        """Do nothing: there is no process to end."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""


class SharedForkLine:
    """A line to a fork that several tests use, one after another. Closing it ends the fork only if it is spent."""

    def __init__(self, shared: ForkLine) -> None:
        self._shared = shared
        self._spent = False

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """As `ForkLine.ask`."""
        return self._shared.ask(question, allowance)

    def spend(self) -> None:
        """Let the fork end with this test."""
        self._spent = True

    def close(self) -> None:
        """Do nothing if the next test can use the same fork; otherwise end it, and the next test gets a new one."""
        if self._spent:
            self._shared.close()


class ForkLine:
    """A line to one fork of the student's process. Close it after the test."""

    def __init__(
        self,
        patience: Patience,
        waiting: Waiting,
        process: Process,
        number: int,
        channel: Channel,
        limits: Limits,
        sources: Mapping[str, str],
    ) -> None:
        """`sources` are those of the cells, by id."""
        self._patience, self._waiting, self._process, self._number = patience, waiting, process, number
        self._channel, self._limits, self._sources = channel, limits, sources
        self._failure = ""
        """why no more questions can be asked; '' while they can"""

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """Ask the student's code a question. It has `call_seconds` to answer, or the seconds of the allowance.

        Raises StudentError if no answer comes, SandboxLost on an infrastructure failure.
        """
        if self._failure:
            raise StudentError("Crash", self._failure)
        limit = allowance.seconds if allowance is not None else self._limits.call_seconds
        seconds = self._patience.seconds(limit)
        try:
            with self._patience.spending():
                return self._answer(question, time.monotonic() + seconds)
        except Late:
            self._patience.hang()
            self._failure = f"your code gave no answer within {seconds:.3g} seconds; check it for an endless loop"
            if allowance is not None and seconds == limit:
                self._failure = allowance.beyond
            raise StudentError("TimeoutError", self._failure) from None
        except Closed:
            self._failure = self._how_the_fork_ended()
        except Died as died:
            self._failure = how_it_ended(died.ended, "", self._limits)[2].rstrip(".")
        except WireError as error:
            self._failure = f"the grader cannot read your code's answer: {error}"
        raise StudentError("Crash", self._failure)

    def begin(self, seed: int, cell: str) -> bool:
        """Begin a test of this grade cell in this fork. Returns False if the fork has ended."""
        if self._failure:
            return False
        try:
            self._channel.send(encode(Begin(seed, cell)), time.monotonic() + 1)
        except WireError:
            return False
        return True

    def _answer(self, question: Question, stop: float) -> Returned | Raised:
        """Send the question and wait for its answer. Raises Late; on a busy machine later, by what was lost."""
        self._channel.send(encode(question), stop)
        while True:
            try:
                return self._wait(question, stop)
            except Late:
                more = self._waiting.more()
                if more < WORTH:
                    raise
                stop += more
                self._patience.left += more

    def _wait(self, question: Question, stop: float) -> Returned | Raised:
        while True:
            self._process.receive(stop, self._channel)
            message = self._channel.take(deadline=stop)
            if message is None:
                if self._number in self._process.gone and not readable(self._channel.sock):
                    raise Closed("the fork has ended")
                continue
            report = decode_report(message)
            if isinstance(report, Ran):
                self._process.heard(report)
            if isinstance(report, Returned | Raised) and report.nonce == question.nonce:
                if isinstance(report, Raised):
                    return self._placed(report)
                refuse_false(report.value)
                return report
            if time.monotonic() > stop:  # any other message does not answer this question and is ignored
                raise Late("no answer in time")

    def _placed(self, raised: Raised) -> Raised:
        """An exception without a cell or a line where there is no code: they could hand on what was asked."""
        source = self._sources.get(raised.cell)
        if source is None:
            return msgspec.structs.replace(raised, cell="", line=0)
        return raised if raised.line in standing(source) else msgspec.structs.replace(raised, line=0)

    def _how_the_fork_ended(self) -> str:
        """The reason why the fork closed the connection, as far as it is known."""
        stop = time.monotonic() + 0.5
        try:
            while self._number not in self._process.gone:
                self._process.receive(stop)
        except (WireError, Died):
            return "your code's process ended during this test"
        return how_a_fork_ended(self._process.gone[self._number], self._limits)

    def spend(self) -> None:
        """Do nothing: no other test uses this fork."""

    def close(self) -> None:
        """End the fork."""
        self._failure = self._failure or "the fork was ended"
        self._channel.close()
        if self._number not in self._process.gone:
            with suppress(WireError, Died):  # the main process has ended, and its forks with it
                self._process.send(encode(Reap(self._number)), time.monotonic() + 1)


def standing(source: str) -> frozenset[int]:
    """The lines of a cell in which Python can find an error: those where a part of a statement begins.

    None at all if the cell is too long or cannot be read.
    """
    return _standing(source) if len(source) <= _MOST_CHARACTERS else frozenset()


@functools.lru_cache(maxsize=32)
def _standing(source: str) -> frozenset[int]:
    if len(source.splitlines()) > _MOST_LINES:
        return frozenset()
    nodes = [node for statement in parse(source) for node in ast.walk(statement)]
    begins = {line for node in nodes if (line := getattr(node, "lineno", None)) is not None}
    # of a chain of methods over several lines, Python names the line of the method
    return frozenset(begins | {node.end_lineno or node.lineno for node in nodes if isinstance(node, ast.Attribute)})
