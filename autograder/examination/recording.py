"""Recordings: what a hidden test asked the student's objects, and what they answered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from autograder.examination.budget import Exhausted
from autograder.sandbox.lines import Line
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.messages import Question, Raised, Returned, bare, encode
from autograder.sandbox.wire.values import Array, Dict, List, Tensor, Tuple

Exchange = tuple[Question, Returned | Raised]
"""a question and its answer"""

MOST_EXCHANGES = 400
"""most exchanges that are recorded of one test"""
_ONE_ANSWER = 2**19
"""most bytes of one answer, except in a test with a training run; other tests ask for 0.4 MiB at most"""
_SHORT = 2**12
"""bytes of an answer that is remembered even where there is no room for others"""
_ALL_ANSWERS = 12 * 2**20
"""most bytes of the answers of one test; tests ask for 6 MiB at most"""
_LARGE = 2**16
"""bytes from which on a tensor in a question is kept as a digest: the test makes it again"""
_DIGEST = b"digest of a large tensor: "


@dataclass
class Room:
    """The memory for the answers of a notebook's tests. When it is used up, no more of them are recorded."""

    left: int = 16 * 2**20


@dataclass
class Recording:
    """What one run of a test asked, in order."""

    exchanges: list[Exchange] = field(default_factory=list)
    unanswered: list[tuple[Question, StudentError, float]] = field(default_factory=list)
    """the questions after the last exchange, to which no answer came; why; the seconds that the test allowed, or 0"""
    whole: bool = True
    """whether everything was recorded"""
    brief: list[Exchange] = field(default_factory=list)
    """where there was no room for the exchanges: the same, with nothing (None) in place of what is no short answer"""

    @property
    def compared(self) -> list[Exchange]:
        """What two runs of a test are compared by."""
        return self.exchanges or self.brief


class Recorder:
    """A line that passes questions to another line and records the exchanges.

    Raises Exhausted if the answers of the test are far larger than what any test asks for.
    """

    def __init__(self, line: Line, recording: Recording, room: Room, trains: bool) -> None:
        self._line, self._recording, self._room = line, recording, room
        self._most = _ALL_ANSWERS if trains else _ONE_ANSWER
        self._received = 0

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        kept = self._recording
        try:
            reply = self._line.ask(question, allowance)
        except StudentError as error:
            if len(kept.unanswered) < MOST_EXCHANGES:
                kept.unanswered.append((question, error, allowance.seconds if allowance is not None else 0.0))
            raise
        size = len(encode(reply))
        self._received += size
        self._room.left -= size
        if size > self._most or self._received > _ALL_ANSWERS:
            kept.whole = False
            raise Exhausted
        if self._room.left < 0:
            kept.brief += [(asked, _brief(answer)) for asked, answer in (*kept.exchanges, (question, reply))]
            del kept.brief[MOST_EXCHANGES:]
            kept.exchanges.clear()
            kept.whole = False
        elif len(kept.exchanges) <= MOST_EXCHANGES:
            kept.exchanges.append((question, reply))
        else:
            kept.whole = False
        return reply

    def spend(self) -> None:
        self._line.spend()

    def close(self) -> None:
        self._line.close()


def _brief(reply: Returned | Raised) -> Returned | Raised:
    """A short answer as it is: only such can be guessed."""
    return reply if len(encode(reply)) <= _SHORT else Returned(reply.nonce, None)


def slim(question: Question) -> Question:
    """The question with a digest in place of the data of each large tensor, such as the pictures of a training run."""
    if len(bare(question)) < _LARGE:
        return question
    parts = {
        name: _slim(getattr(question, name)) for name in ("args", "kwargs", "value", "key") if hasattr(question, name)
    }
    return msgspec.structs.replace(question, **parts)


def _slim(value: Any) -> Any:
    match value:
        case Tensor(data=data) | Array(data=data) if len(data) >= _LARGE:
            return msgspec.structs.replace(value, data=_DIGEST + hashlib.blake2b(data, digest_size=16).digest())
        case list():
            return [_slim(item) for item in value]
        case dict():
            return {name: _slim(item) for name, item in value.items()}
        case List(items=items) | Tuple(items=items):
            return type(value)([_slim(item) for item in items])
        case Dict(pairs=pairs):
            return Dict([(_slim(key), _slim(item)) for key, item in pairs])
        case _:
            return value


def whole_part(exchanges: Sequence[Exchange]) -> Sequence[Exchange]:
    """The exchanges before the first slim question: the others cannot be asked again."""
    number = next((number for number, (asked, _) in enumerate(exchanges) if _DIGEST in bare(asked)), len(exchanges))
    return exchanges[:number]


def is_slim(value: Tensor | Array) -> bool:
    """Whether the data of this tensor was replaced by its digest."""
    return value.data.startswith(_DIGEST)


def no_line(cell: str) -> NoReturn:
    """In place of what makes a line, for a replay."""
    raise AssertionError("a replay makes no line")


class NotRecorded(BaseException):
    """Raised by a question that a recording does not contain. It is no Exception, so no test can suppress it."""


class ReplayLine:
    """A line that answers from a recording, as long as the questions are those that were asked then."""

    def __init__(self, recording: Recording | None) -> None:
        """Its questions may be slim. Without a recording, the first question is one too many."""
        self._recording = recording or Recording(whole=False)
        self._asked = 0

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """The recorded answer. Raises NotRecorded for a new question, StudentError where none came to the old one."""
        kept, wanted = self._recording, bare(slim(question))
        number, self._asked = self._asked, self._asked + 1
        if number < len(kept.exchanges):
            asked, reply = kept.exchanges[number]
            if bare(slim(asked)) == wanted:
                return reply
        elif kept.whole and number - len(kept.exchanges) < len(kept.unanswered):
            asked, error, seconds = kept.unanswered[number - len(kept.exchanges)]
            longer = allowance is not None and allowance.seconds > seconds and error.type == "TimeoutError"
            if bare(slim(asked)) == wanted and not longer:
                raise error
        raise NotRecorded

    def spend(self) -> None:
        """Do nothing: there is no process to end."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""
