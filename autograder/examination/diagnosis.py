"""Diagnosis: finds the known mistakes that answer a failed test's questions in the same way as the student's code.

It replays the recorded questions in the trusted process, on the master with one mistake in it. No student code runs.
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
"""a question and its answer"""

_MOST = 400
"""most exchanges that are recorded of one test; a test with more is not diagnosed"""


class Recorder:
    """A line that passes questions to another line and records the exchanges."""

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
    """Compares a student's answers with the answers of a notebook's known mistakes."""

    def __init__(self, book: Master, mistakes: Sequence[Mistake], shut: tuple[Tool, ...]) -> None:
        self._book, self._mistakes, self._shut = book, mistakes, shut
        self._names: dict[str, dict[str, Any]] = {}

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
            if all(_replayable(kept) and _written(kept) for test, kept in recorded if not test.passed):
                found[cell] = self._matching(cell, recorded)
        return {cell: named for cell, named in found.items() if named}

    def warm(self) -> None:
        """Compile the cells that all mistakes share and the cells that they edit, so that forks need not."""
        self._namespace(None)
        for mistake in self._mistakes:
            cell = self._book.cell(mistake.cell)
            with contextlib.suppress(SyntaxError):
                defining(cell.id, mistake.edit(cell.source), cell.solution)

    def _matching(self, cell: str, recorded: Sequence[tuple[TestResult, Sequence[Exchange]]]) -> tuple[Diagnosis, ...]:
        """The mistakes that give all recorded answers of the cell's tests."""
        failed = [kept for test, kept in recorded if not test.passed]
        if all(self._agrees(None, kept, _EXACTLY) for kept in failed):
            return ()  # the correct solution gives the same answers, so the answers do not show what is wrong
        kept = failed + [kept for test, kept in recorded if test.passed and _replayable(kept)]
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
        server = ObjectServer(dict(self._namespace(mistake)), self._shut)
        return all(how.alike(server.answer(question), reply) for question, reply in exchanges)

    def _namespace(self, mistake: Mistake | None) -> dict[str, Any]:
        key = mistake.id if mistake else ""
        if key not in self._names:
            self._names[key] = definitions(self._book, mistake)
        return self._names[key]


def _replayable(exchanges: Sequence[Exchange]) -> bool:
    """Whether there are exchanges, and all of them were recorded."""
    return 0 < len(exchanges) <= _MOST


def _written(exchanges: Sequence[Exchange]) -> bool:
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
    """whether exceptions must have the same message, not only the same type"""

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
_CLOSELY = Likeness(1e-4, 1e-6, messages=True)  # allows for sums in a different order
_ROUGHLY = Likeness(1e-4, 1e-6, messages=False)


def _near(a: float, b: float, rounding: float) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= rounding * max(abs(a), abs(b), 1e-6)
