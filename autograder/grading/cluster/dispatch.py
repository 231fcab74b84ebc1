"""Dispatch: which submissions are in flight, which are tried again, and which are graded alone. It knows no network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autograder.course.course import CourseError
from autograder.grading.cluster.messages import (
    Began,
    Done,
    Event,
    Failed,
    Graded,
    Joined,
    Killed,
    Left,
    Ready,
    Refused,
    Restarted,
)
from autograder.grading.submissions import Submission
from autograder.submission.parcel import TooMuch

_ATTEMPTS = 4
"""how often a submission is graded at most, if it is the infrastructure that fails"""
_KILLS = 2
"""workers that may end while they grade a submission before it is graded with nothing else to grade"""
GRACE = 30.0
"""seconds that other workers are waited for when all that are there get no work"""
_MOST_BYTES = 512 * 2**20
"""most bytes in flight, unless a single submission has more"""


@dataclass(frozen=True)
class Prepared:
    """A submission ready to be sent."""

    data: bytes
    """an encoded Order"""
    key: str
    """names it by its content"""


class Crew(Protocol):
    """The workers, as far as the driver sees them."""

    def submit(self, ticket: str, data: bytes, avoid: str, urgent: bool) -> None:
        """Have an order carried out: not by the worker `avoid`, if there is another one; before others if `urgent`."""

    def cancel(self, ticket: str) -> None:
        """Forget an order."""

    def events(self, seconds: float) -> Sequence[Event]:
        """What has happened; waits at most so long for something. Raises CourseError if the scheduler stays lost."""


@dataclass
class _Flight:
    submission: Submission
    prepared: Prepared
    attempt: int = 1
    sent: int = 0
    alone: bool = False
    begun: list[str] = field(default_factory=list)
    """the workers that began with it since one last said what came of it"""

    @property
    def ticket(self) -> str:
        return f"{self.prepared.key}-{'alone-' if self.alone else ''}{self.sent}"


@dataclass(frozen=True)
class Landed:
    """What came of one submission: the files of its result, or why there is none."""

    submission: Submission
    graded: Graded | None
    why: str = ""


class Dispatch:
    """Has submissions graded by a crew: at most twice as many in flight as the workers can grade at a time."""

    def __init__(
        self,
        crew: Crew,
        todo: Sequence[Submission],
        prepare: Callable[[Submission], Prepared],
        tell: Callable[[str], None] = lambda text: None,
        staffed: Callable[[int, int], None] = lambda workers, slots: None,
    ) -> None:
        """`prepare` packs a submission; it may raise TooMuch, OSError and CourseError.

        `tell` is told what happens to workers, and `staffed` how many there are and how many submissions they can grade
        at a time.
        """
        self._crew, self._prepare, self._tell, self._staffed = crew, prepare, tell, staffed
        self._todo = deque(todo)
        self._suspects: deque[Submission] = deque()
        self._flying: dict[str, _Flight] = {}
        self._names: set[str] = set()
        self._waiting = False
        self._idle_since: float | None = None
        self._slots: dict[str, int] = {}  # how many submissions each worker can grade at a time
        self._refused: dict[str, str] = {}  # why workers get no work
        self._unheard: set[str] = set()  # workers that are getting ready

    def __iter__(self) -> Iterator[Sequence[Landed]]:
        """Each submission, once, with those that land together.

        Raises CourseError where every worker there is gets no work.
        """
        while True:
            if landed := tuple(self._fill()):
                yield landed
            if not (self._flying or self._todo or self._suspects):
                return
            before = dict(self._slots)
            if landed := tuple(one for event in self._crew.events(1.0) for one in self._after(event)):
                yield landed
            if self._slots != before:
                self._staffed(len(self._slots), sum(self._slots.values()))
            self._look()

    # ---- the window

    def _fill(self) -> Iterator[Landed]:
        """Send submissions while there is room: when all others have landed, the suspects, one at a time."""
        while self._todo and self._room():
            submission = self._todo.popleft()
            if submission.student in self._names:
                yield Landed(submission, None, f"{submission.student} is there twice: only the first was graded")
                continue
            self._names.add(submission.student)
            yield from self._begin(submission, alone=False)
        while self._suspects and not self._todo and not self._flying:
            yield from self._begin(self._suspects.popleft(), alone=True)

    def _room(self) -> bool:
        most = 2 * sum(self._slots.values())
        if any(flight.alone for flight in self._flying.values()):
            return False
        held = sum(len(flight.prepared.data) for flight in self._flying.values())
        return len(self._flying) < most and held < _MOST_BYTES

    def _begin(self, submission: Submission, alone: bool) -> Iterator[Landed]:
        try:
            prepared = self._prepare(submission)
        except (TooMuch, OSError, CourseError) as error:
            yield Landed(submission, None, str(error))
            return
        self._send(_Flight(submission, prepared, alone=alone))

    def _send(self, flight: _Flight, avoid: str = "") -> None:
        flight.sent += 1
        self._flying[flight.ticket] = flight
        self._crew.submit(flight.ticket, flight.prepared.data, avoid, urgent=flight.attempt > 1)

    def _shrink(self, worker: str) -> None:
        if self._slots.pop(worker, None) is not None and self._slots:
            self._send_again()

    def _send_again(self) -> None:
        """Send anew what no worker has under way.

        A scheduler offers an order that nobody could take to workers that join, but not to those that get ready later.
        """
        for ticket, flight in list(self._flying.items()):
            if not flight.begun or flight.begun[-1] not in self._slots:
                self._crew.cancel(ticket)
                del self._flying[ticket]
                self._send(flight)

    # ---- what happens

    def _after(self, event: Event) -> Iterator[Landed]:
        match event:
            case Joined(worker):
                if worker not in self._refused:
                    self._unheard.add(worker)
                    self._shrink(worker)
            case Ready(worker, slots):
                self._unheard.discard(worker)
                self._refused.pop(worker, None)
                first = not self._slots
                self._slots[worker] = slots
                self._waiting = False
                if first:
                    self._send_again()
            case Refused(worker, why):
                self._unheard.discard(worker)
                self._refused[worker] = why
                self._tell(f"{worker} gets no work: {why}")
                self._shrink(worker)
            case Left(worker):
                self._unheard.discard(worker)
                self._refused.pop(worker, None)
                if worker in self._slots:
                    self._tell(f"{worker} has gone; what it had is graded by others")
                self._shrink(worker)
            case Restarted():
                self._slots.clear()
                self._refused.clear()
                self._unheard.clear()
                for flight in self._flying.values():
                    flight.begun = []  # all are sent anew when a worker is ready
            case Began(ticket, worker):
                yield from self._began(ticket, worker)
            case Killed(ticket):
                if ticket in self._flying:
                    yield from self._suspect(self._flying.pop(ticket))
            case Done(ticket, outcome):
                yield from self._done(ticket, outcome)

    def _began(self, ticket: str, worker: str) -> Iterator[Landed]:
        flight = self._flying.get(ticket)
        if flight is None:
            return
        flight.begun.append(worker)
        if len(flight.begun) > (1 if flight.alone else _KILLS):
            self._crew.cancel(ticket)
            yield from self._suspect(self._flying.pop(ticket))

    def _suspect(self, flight: _Flight) -> Iterator[Landed]:
        """Grade it alone, or give it up: workers have ended while they graded it."""
        name = flight.submission.student
        if not flight.alone:
            self._tell(f"{name}: workers ended while they graded this submission; it is graded alone, after the others")
            self._suspects.append(flight.submission)
            return
        yield Landed(
            flight.submission,
            None,
            f"{name}: every worker that graded this submission ended, the last one with nothing else to grade: look "
            f"into {flight.submission.folder} and grade it on this machine, without --scheduler",
        )

    def _done(self, ticket: str, outcome: Graded | Failed) -> Iterator[Landed]:
        flight = self._flying.pop(ticket, None)
        if flight is None:
            return
        if isinstance(outcome, Graded):
            yield Landed(flight.submission, outcome)
            return
        flight.begun = []
        if not outcome.refused:
            flight.attempt += 1
        if flight.attempt > _ATTEMPTS:
            yield Landed(flight.submission, None, f"{outcome.why} ({outcome.worker}, the last of {_ATTEMPTS} attempts)")
            return
        self._send(flight, avoid=outcome.worker)

    def _look(self) -> None:
        """Say once that nobody can grade; give up if everybody who is there gets no work."""
        if self._slots:
            self._idle_since = None
            return
        self._idle_since = self._idle_since or time.monotonic()
        if self._refused and not self._unheard and time.monotonic() >= self._idle_since + GRACE:
            whys = "; ".join(f"{worker}: {why}" for worker, why in sorted(self._refused.items())[:5])
            raise CourseError(f"--scheduler: no worker of this cluster can grade: correct what they say: {whys}")
        if not self._waiting:
            self._waiting = True
            left = len(self._flying) + len(self._todo) + len(self._suspects)
            state = f"{len(self._unheard)} are getting ready" if self._unheard else "none is there"
            self._tell(f"waiting for workers, {state}; {left} submissions are left")
