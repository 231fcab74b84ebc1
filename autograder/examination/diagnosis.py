"""Diagnosis: finds the known mistakes that answer a failed test's questions in the same way as the student's code.

It replays the recorded questions in the trusted process, on the master with one mistake in it. No student code runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.constants import SEED
from autograder.course.course import Tool
from autograder.course.master import Master
from autograder.course.mistakes import Mistake
from autograder.examination.recording import MOST_EXCHANGES, Exchange
from autograder.examination.reference import defining, definitions
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.seeding import seed
from autograder.sandbox.wire.messages import Get, Question, Raised, Returned, bare
from autograder.sandbox.wire.values import Array, Dict, List, Ref, Tensor, Tuple, from_wire

_ENOUGH = 2
"""the weight of wrong answers from which on a mistake may be named"""
_PATTERN = 6
"""entries from which on even zeros and ones make a pattern"""
_COUNT = 20
"""a whole number above this is hit by chance no more"""


class Diagnoser:
    """Compares a student's answers with the answers of a notebook's known mistakes."""

    def __init__(self, book: Master, mistakes: Sequence[Mistake], shut: tuple[Tool, ...]) -> None:
        self._book, self._mistakes, self._shut = book, mistakes, shut
        self._names: dict[str, dict[str, Any]] = {}
        self._replies: dict[tuple[str, bytes], Returned | Raised] = {}
        """answers that replays gave, by mistake and the questions up to there: most are asked again and again"""

    def diagnose(
        self, tests: Sequence[TestResult], exchanges: Mapping[str, Sequence[Exchange]]
    ) -> dict[str, tuple[Diagnosis, ...]]:
        """For each grade cell that lost points, the mistakes that explain the results of all its tests.

        Cells without such a mistake are left out.
        """
        found = {}
        for cell in dict.fromkeys(test.cell for test in tests if not test.passed):
            own = [test for test in tests if test.cell == cell]
            recorded = [(test, exchanges.get(test.name, ())) for test in own]
            if all(_replayable(kept) and written(kept) for test, kept in recorded if not test.passed):
                found[cell] = self._matching(cell, recorded)
        return {cell: named for cell, named in found.items() if named}

    def remember(self, mistake: str, exchanges: Sequence[Exchange]) -> None:
        """Take these answers for those of a known mistake: they need not be computed again."""
        asked = b""
        for question, reply in exchanges:
            asked = _digest(asked, question)
            self._replies[mistake, asked] = reply

    def answers(self, mistake: Mistake | None, questions: Sequence[Question]) -> list[Returned | Raised]:
        """What the master answers, with this known mistake in it if one is given."""
        return list(self._replay(mistake, questions))

    def forget(self) -> None:
        """Forget the answers that replays gave: the next submission is asked with other numbers."""
        self._replies.clear()

    def warm(self) -> None:
        """Compile the cells that all mistakes share and the cells that they edit, so that forks need not."""
        self._namespace(None)
        for mistake in self._mistakes:
            cell = self._book.cell(mistake.cell)
            with contextlib.suppress(SyntaxError):
                defining(cell.id, mistake.edit(cell.source), cell.solution)

    def _matching(self, cell: str, recorded: Sequence[tuple[TestResult, Sequence[Exchange]]]) -> tuple[Diagnosis, ...]:
        """The mistakes that give all recorded answers of the cell's tests."""
        # the quick ones first: then a training run may not have to be replayed
        recorded = sorted(recorded, key=lambda entry: entry[0].seconds)
        failed = [kept for test, kept in recorded if not test.passed]
        if all(self._likeness(None, kept, (EXACTLY,)) for kept in failed):
            return ()  # the correct solution gives the same answers, so the answers do not show what is wrong
        if not self._telling(failed):
            return ()
        kept = failed + [kept for test, kept in recorded if test.passed and _replayable(kept)]
        found: dict[Likeness, list[Diagnosis]] = {CLOSELY: [], ROUGHLY: []}
        for mistake in self._mistakes:
            if cell in mistake.fails and (how := self._likeness_of_all(mistake, kept)):
                found[how].append(Diagnosis(mistake=mistake.id, title=mistake.title, hint=mistake.hint))
        return tuple(found[CLOSELY] or found[ROUGHLY])

    def _telling(self, failed: Sequence[Sequence[Exchange]]) -> bool:
        """Whether the answers that differ from the right ones say enough to tell mistakes apart.

        A function that returns nothing, zeros or a single flag answers as many a mistake does.
        """
        weight = 0
        for exchanges in failed:
            right = self._replay(None, [question for question, _ in exchanges])
            for answer, (question, reply) in zip(right, exchanges, strict=True):
                if not EXACTLY.alike(answer, reply):
                    weight += _weight(question, reply)
                    if weight >= _ENOUGH:
                        return True
        return False

    def _likeness_of_all(self, mistake: Mistake, tests: Sequence[Sequence[Exchange]]) -> Likeness | None:
        """How closely the mistake gives the recorded answers of all these tests; None when it does not."""
        level: Likeness | None = CLOSELY
        for exchanges in tests:
            level = self._likeness(mistake, exchanges, (CLOSELY, ROUGHLY) if level is CLOSELY else (ROUGHLY,))
            if level is None:
                return None
        return level

    def _likeness(
        self, mistake: Mistake | None, exchanges: Sequence[Exchange], levels: tuple[Likeness, ...]
    ) -> Likeness | None:
        """The first of `levels`, strictest first, at which the master with this mistake gives the recorded answers."""
        answers = self._replay(mistake, [question for question, _ in exchanges])
        for answer, (_, reply) in zip(answers, exchanges, strict=True):
            while levels and not levels[0].alike(answer, reply):
                levels = levels[1:]
            if not levels:
                return None
        return levels[0]

    def _replay(self, mistake: Mistake | None, questions: Sequence[Question]) -> Iterator[Returned | Raised]:
        """The answers of the master with this mistake, one at a time. Known answers are not computed again."""
        name, asked, server, done = mistake.id if mistake else "", b"", None, 0
        for number, question in enumerate(questions):
            asked = _digest(asked, question)
            if (name, asked) not in self._replies:
                if server is None:
                    seed(SEED)
                    server = ObjectServer(dict(self._namespace(mistake)), self._shut)
                for earlier in questions[done:number]:
                    server.answer(earlier)
                self._replies[name, asked] = server.answer(question)
                done = number + 1
            yield self._replies[name, asked]

    def _namespace(self, mistake: Mistake | None) -> dict[str, Any]:
        key = mistake.id if mistake else ""
        if key not in self._names:
            self._names[key] = definitions(self._book, mistake)
        return self._names[key]


def _digest(before: bytes, question: Question) -> bytes:
    """A hash of a question and all questions before it. The nonce is left out: it is new each time."""
    return hashlib.blake2b(before + bare(question), digest_size=16).digest()


def _weight(question: Question, reply: Returned | Raised) -> int:
    """How much a wrong answer says about what the code does."""
    if isinstance(reply, Raised):
        return _ENOUGH if reply.cell else 1
    return _ENOUGH if isinstance(question, Get) else _content(reply.value)  # a value that the student wrote down


def _content(value: Any) -> int:
    """How many different numbers, or other values, an answer consists of; not more than count."""
    match value:
        case Tensor():
            numbers = from_wire(value, lambda ref: ref).detach().flatten()[:100].tolist()
            own = {number if number == number else "nan" for number in numbers}
            return _ENOUGH if len(own) >= 2 and (len(numbers) >= _PATTERN or len(own - {0}) >= 2) else 1
        case Array():
            return _ENOUGH
        case List(items) | Tuple(items):
            return min(sum(map(_content, items[:10])), _ENOUGH)
        case Dict(pairs):
            return min(sum(_content(part) for pair in pairs[:10] for part in pair), _ENOUGH)
        case str() if value:
            return _ENOUGH  # a harness's word for what it saw
        case int() if abs(value) > _COUNT:
            return _ENOUGH
        case float() if math.isfinite(value) and value != round(value, 3):
            return _ENOUGH
        case Ref():
            return 0
        case _:
            return 1


def _replayable(exchanges: Sequence[Exchange]) -> bool:
    """Whether there are exchanges, and all of them were recorded."""
    return 0 < len(exchanges) <= MOST_EXCHANGES


def written(exchanges: Sequence[Exchange]) -> bool:
    """Whether the student has written the solution. A missing solution is not a known mistake."""
    errors = [(reply.error, reply.cell) for _, reply in exchanges if isinstance(reply, Raised)]
    return not any(error == "NotImplementedError" or (error, cell) == ("NameError", "") for error, cell in errors)


@dataclass(frozen=True)
class Likeness:
    """How closely two answers must agree."""

    single: float
    """relative tolerance for float32 tensors and plain numbers"""
    double: float
    """relative tolerance for float64 tensors"""
    messages: bool
    """whether exceptions must have the same message, and not only the same type, cell and words"""

    def alike(self, mine: Returned | Raised, other: Returned | Raised) -> bool:
        if isinstance(mine, Raised) or isinstance(other, Raised):
            return isinstance(mine, Raised) and isinstance(other, Raised) and self._errors(mine, other)
        return self._same(mine.value, other.value)

    def _errors(self, mine: Raised, other: Raised) -> bool:
        if mine.error != other.error:
            return False
        same = mine.message == other.message
        return same or (not self.messages and mine.cell == other.cell and _words(mine.message) == _words(other.message))

    def _same(self, mine: Any, other: Any) -> bool:
        if isinstance(mine, bool) or isinstance(other, bool) or mine is None or other is None:
            return mine is other
        if isinstance(mine, int | float) and isinstance(other, int | float):
            return _near(float(mine), float(other), self.single)
        if type(mine) is not type(other):
            return False
        match mine:
            case Ref():
                return bool(mine.number == other.number)
            case List() | Tuple():
                return len(mine.items) == len(other.items) and all(map(self._same, mine.items, other.items))
            case Dict():
                mine, other = ([item for pair in side.pairs for item in pair] for side in (mine, other))
                return len(mine) == len(other) and all(map(self._same, mine, other))
            case Tensor():
                return self._tensors(mine, other)
            case _:
                return bool(mine == other)

    def _tensors(self, mine: Tensor, other: Tensor) -> bool:
        import torch

        if (mine.shape, mine.dtype, mine.grad) != (other.shape, other.dtype, other.grad):
            return False
        a, b = (from_wire(tensor, lambda ref: ref).detach() for tensor in (mine, other))
        if not a.is_floating_point():
            return bool(torch.equal(a, b))
        scale = a.nan_to_num(0, 0, 0).abs().max().item() if a.numel() else 0.0
        rounding = self.double if a.dtype == torch.float64 else self.single
        return bool(torch.allclose(a, b, rtol=rounding, atol=rounding * max(scale, 1e-3), equal_nan=True))


EXACTLY = Likeness(1e-6, 1e-13, messages=True)
CLOSELY = Likeness(1e-4, 1e-6, messages=True)
"""allows for sums in a different order"""
ROUGHLY = Likeness(1e-4, 1e-6, messages=False)


def _words(message: str) -> str:
    """An exception's text without its numbers."""
    return re.sub(r"[0-9]+", "0", message)


def _near(a: float, b: float, rounding: float) -> bool:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (a != a and b != b)
    return abs(a - b) <= rounding * max(abs(a), abs(b), 1e-6)
