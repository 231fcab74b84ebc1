"""Diagnosis: which known mistakes answer a failed test's recorded questions just as the student's code did.

The replays run our own code alone, in the trusted process: the master with one mistake in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.constants import SEED
from autograder.course.course import Tool
from autograder.course.master import Master
from autograder.course.mistakes import Mistake
from autograder.examination.reference import defining, definitions
from autograder.results.result import Diagnosis, TestResult
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.lines import Line
from autograder.sandbox.seeding import seed
from autograder.sandbox.student_error import Allowance
from autograder.sandbox.wire.messages import Question, Raised, Returned
from autograder.sandbox.wire.values import Dict, List, Ref, Tensor, Tuple, from_wire

Exchange = tuple[Question, Returned | Raised]
"""A question and the answer that came."""

_MOST = 400
"""exchanges of one test that are kept; a test that asks more is not diagnosed"""


class Recorder:
    """A line that keeps what goes over another one."""

    def __init__(self, line: Line, exchanges: list[Exchange]) -> None:
        self._line, self._exchanges = line, exchanges

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        reply = self._line.ask(question, allowance)
        if len(self._exchanges) <= _MOST:
            self._exchanges.append((question, reply))
        return reply

    def close(self) -> None:
        self._line.close()


class Diagnoser:
    """The known mistakes of one notebook, ready to be compared with."""

    def __init__(self, book: Master, mistakes: Sequence[Mistake], shut: tuple[Tool, ...]) -> None:
        self._book, self._mistakes, self._shut = book, mistakes, shut
        self._names: dict[str, dict[str, Any]] = {}

    def diagnose(
        self, tests: Sequence[TestResult], exchanges: Mapping[str, Sequence[Exchange]]
    ) -> dict[str, tuple[Diagnosis, ...]]:
        """For grade cells that lost points, the mistakes that explain all of their tests, where there are any."""
        found = {}
        for cell in dict.fromkeys(test.cell for test in tests if not test.passed):
            own = [test for test in tests if test.cell == cell]
            told = [(test, exchanges.get(test.name, ())) for test in own]
            if all(_tells(kept) and _written(kept) for test, kept in told if not test.passed):
                found[cell] = self._named(cell, told)
        return {cell: named for cell, named in found.items() if named}

    def warm(self) -> None:
        """Read the cells that all mistakes share, and those that they edit."""
        self._namespace(None)
        for mistake in self._mistakes:
            cell = self._book.cell(mistake.cell)
            with contextlib.suppress(SyntaxError):
                defining(cell.id, mistake.edit(cell.source), cell.solution)

    def _named(self, cell: str, told: Sequence[tuple[TestResult, Sequence[Exchange]]]) -> tuple[Diagnosis, ...]:
        failed = [kept for test, kept in told if not test.passed]
        if all(self._agrees(None, kept, _EXACTLY) for kept in failed):
            return ()  # the right answers are the same: whatever is wrong, it is not in what was answered
        kept = failed + [kept for test, kept in told if test.passed and _tells(kept)]
        for how in (_CLOSELY, _ROUGHLY):
            named = tuple(
                Diagnosis(mistake=mistake.id, title=mistake.title, hint=mistake.hint)
                for mistake in self._mistakes
                if cell in mistake.fails and all(self._agrees(mistake, exchanges, how) for exchanges in kept)
            )
            if named:
                return named
        return ()

    def _agrees(self, mistake: Mistake | None, exchanges: Sequence[Exchange], how: Likeness) -> bool:
        """Whether the master, with this mistake in it, gives the recorded answers."""
        seed(SEED)
        respondent = ObjectServer(dict(self._namespace(mistake)), self._shut)
        return all(how.alike(respondent.answer(question), reply) for question, reply in exchanges)

    def _namespace(self, mistake: Mistake | None) -> dict[str, Any]:
        key = mistake.id if mistake else ""
        if key not in self._names:
            self._names[key] = definitions(self._book, mistake)
        return self._names[key]


def _tells(exchanges: Sequence[Exchange]) -> bool:
    return 0 < len(exchanges) <= _MOST


def _written(exchanges: Sequence[Exchange]) -> bool:
    """Whether there is anything to diagnose: an answer that was never written is no mistake."""
    errors = [(reply.error, reply.cell) for _, reply in exchanges if isinstance(reply, Raised)]
    return not any(error == "NotImplementedError" or (error, cell) == ("NameError", "") for error, cell in errors)


@dataclass(frozen=True)
class Likeness:
    """How alike two answers have to be."""

    single: float
    """relative rounding error of float32 and of plain numbers"""
    double: float
    """the same of float64"""
    messages: bool
    """exceptions must say the same, not only be of one type"""

    def alike(self, mine: Returned | Raised, other: Returned | Raised) -> bool:
        if isinstance(mine, Raised) or isinstance(other, Raised):
            return isinstance(mine, Raised) and isinstance(other, Raised) and self._errors(mine, other)
        return self._same(mine.value, other.value)

    def _errors(self, mine: Raised, other: Raised) -> bool:
        return mine.error == other.error and (mine.message == other.message or not self.messages)

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


_EXACTLY = Likeness(1e-6, 1e-13, messages=True)
_CLOSELY = Likeness(1e-4, 1e-6, messages=True)  # in whatever order one sums
_ROUGHLY = Likeness(1e-4, 1e-6, messages=False)


def _near(a: float, b: float, rounding: float) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= rounding * max(abs(a), abs(b), 1e-6)
