"""Diagnosis: finds the known mistakes that answer a failed test's questions in the same way as the student's code.

It replays the recorded questions in the trusted process, on the master with one mistake in it. No student code runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autograder.constants import SEED
from autograder.course.course import Tool
from autograder.course.master import Master
from autograder.course.mistakes import Mistake
from autograder.examination.likeness import CLOSELY, EXACTLY, ROUGHLY, Likeness
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

_FELT: frozenset[Tool] = frozenset(["autograd"])
"""tools whose blocking changes what other code answers: no graph is recorded. The course's own code uses no forbidden
tool, so the others need not be blocked in a replay, where that would take a quarter of the time"""


class _Asked:
    """The questions of one run of a test, each with a hash of it and of all questions before it."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.digests: list[bytes] = []
        self.right: list[Returned | Raised] | None = None
        """what the master answers, once it was asked"""
        digest = b""
        for question in questions:  # without the nonce: it is new each time
            digest = hashlib.blake2b(digest + bare(question), digest_size=16).digest()
            self.digests.append(digest)


class Diagnoser:
    """Compares a student's answers with the answers of a notebook's known mistakes."""

    def __init__(self, book: Master, mistakes: Sequence[Mistake], shut: tuple[Tool, ...]) -> None:
        self._book, self._mistakes = book, mistakes
        self._shut = tuple(tool for tool in shut if tool in _FELT)
        self._names: dict[str, dict[str, Any]] = {}
        self._replies: dict[tuple[str, bytes], Returned | Raised] = {}
        """answers that replays gave, by mistake and the questions up to there: most are asked again and again"""
        self._asked: dict[int, tuple[Sequence[Exchange], _Asked]] = {}
        """what one student was asked in a test, by the id of the exchanges: they stand beside it, so it is its own"""

    def diagnose(
        self, tests: Sequence[TestResult], exchanges: Mapping[str, Sequence[Exchange]]
    ) -> dict[str, tuple[Diagnosis, ...]]:
        """For each grade cell that lost points, the mistakes that explain the results of all its tests.

        Cells without such a mistake are left out.
        """
        found = {}
        self._asked.clear()
        for cell in dict.fromkeys(test.cell for test in tests if not test.passed):
            own = [test for test in tests if test.cell == cell]
            recorded = [(test, exchanges.get(test.name, ())) for test in own]
            if all(_replayable(kept) and written(kept) for test, kept in recorded if not test.passed):
                found[cell] = self._matching(cell, recorded)
        return {cell: named for cell, named in found.items() if named}

    def remember(self, mistake: str, exchanges: Sequence[Exchange]) -> None:
        """Take these answers for those of a known mistake: they need not be computed again."""
        asked = _Asked([question for question, _ in exchanges])
        for digest, (_, reply) in zip(asked.digests, exchanges, strict=True):
            self._replies[mistake, digest] = reply

    def answers(self, mistake: Mistake | None, questions: Sequence[Question]) -> list[Returned | Raised]:
        """What the master answers, with this known mistake in it if one is given."""
        return list(self._replay(mistake, _Asked(questions)))

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
        """The mistakes that give the answers of the tests that failed, and that the passed tests do not rule out."""
        # the quick ones first: then a training run may not have to be replayed
        recorded = sorted(recorded, key=lambda entry: entry[0].seconds)
        failed = [kept for test, kept in recorded if not test.passed]
        if all(self._likeness(None, kept, (EXACTLY,)) for kept in failed):
            return ()  # the correct solution gives the same answers, so the answers do not show what is wrong
        if not self._telling(failed):
            return ()
        only_types = all(self._likeness(None, kept, (ROUGHLY,)) for kept in failed)
        passed = [kept for test, kept in recorded if test.passed and _replayable(kept)]
        found: dict[Likeness, list[Diagnosis]] = {CLOSELY: [], ROUGHLY: []}
        for mistake in self._mistakes:
            if cell in mistake.fails and (how := self._likeness_of_all(mistake, failed, passed)):
                found[how].append(Diagnosis(mistake=mistake.id, title=mistake.title, hint=mistake.hint))
        return tuple(found[CLOSELY] or ([] if only_types else found[ROUGHLY]))

    def _telling(self, failed: Sequence[Sequence[Exchange]]) -> bool:
        """Whether the answers that differ from the right ones say enough to tell mistakes apart.

        A function that returns nothing, zeros or a single flag answers as many a mistake does.
        """
        weight = 0
        for exchanges in failed:
            right = self._right(exchanges)
            due = _errors(right)
            for answer, (question, reply) in zip(right, exchanges, strict=True):
                if not EXACTLY.alike(answer, reply) and not _is_refusal(reply, due):
                    weight += 1 if _is_refusal(answer, due) else _weight(question, reply)
                    if weight >= _ENOUGH:
                        return True
        return False

    def _likeness_of_all(
        self,
        mistake: Mistake,
        failed: Sequence[Sequence[Exchange]],
        passed: Sequence[Sequence[Exchange]],
    ) -> Likeness | None:
        """How closely the mistake gives the recorded answers of all these tests; None when it does not.

        Of a test that was passed, only those answers count that the correct solution gives, too: the mistake must give
        them as well. Where right answers may differ, another one rules nothing out.
        """
        level: Likeness | None = CLOSELY
        for exchanges, has_passed in [*((one, False) for one in failed), *((one, True) for one in passed)]:
            levels = (CLOSELY, ROUGHLY) if level is CLOSELY else (ROUGHLY,)
            level = self._likeness(mistake, exchanges, levels, has_passed)
            if level is None:
                return None
        return level

    def _likeness(
        self,
        mistake: Mistake | None,
        exchanges: Sequence[Exchange],
        levels: tuple[Likeness, ...],
        has_passed: bool = False,
    ) -> Likeness | None:
        """The first of `levels`, strictest first, at which the master with this mistake gives the recorded answers."""
        right = self._right(exchanges)
        due = _errors(right)
        answers = self._replay(mistake, self._of(exchanges)) if mistake else right
        for answer, best, (_, reply) in zip(answers, right, exchanges, strict=True):
            if _is_refusal(answer, due) and _is_refusal(reply, due):
                continue
            if has_passed and (CLOSELY.alike(answer, best) or not CLOSELY.alike(best, reply)):
                continue
            while levels and not levels[0].alike(answer, reply):
                levels = levels[1:]
            if not levels:
                return None
        return levels[0]

    def _of(self, exchanges: Sequence[Exchange]) -> _Asked:
        if id(exchanges) not in self._asked:
            self._asked[id(exchanges)] = exchanges, _Asked([question for question, _ in exchanges])
        return self._asked[id(exchanges)][1]

    def _right(self, exchanges: Sequence[Exchange]) -> list[Returned | Raised]:
        """What the master answers. To the end, before a mistake is asked: all draw from the same random numbers."""
        asked = self._of(exchanges)
        if asked.right is None:
            asked.right = list(self._replay(None, asked))
        return asked.right

    def _replay(self, mistake: Mistake | None, asked: _Asked) -> Iterator[Returned | Raised]:
        """The answers of the master with this mistake, one at a time. Known answers are not computed again."""
        name, server, done = mistake.id if mistake else "", None, 0
        for number, (digest, question) in enumerate(zip(asked.digests, asked.questions, strict=True)):
            if (name, digest) not in self._replies:
                if server is None:
                    seed(SEED)
                    server = ObjectServer(dict(self._namespace(mistake)), self._shut)
                for earlier in asked.questions[done:number]:
                    server.answer(earlier)
                self._replies[name, digest] = server.answer(question)
                done = number + 1
            yield self._replies[name, digest]

    def _namespace(self, mistake: Mistake | None) -> dict[str, Any]:
        key = mistake.id if mistake else ""
        if key not in self._names:
            self._names[key] = definitions(self._book, mistake)
        return self._names[key]


def _errors(right: Sequence[Returned | Raised]) -> set[str]:
    """The exceptions that the correct solution raises: what students write into theirs is up to them."""
    return {reply.error for reply in right if isinstance(reply, Raised) and reply.cell}


def _is_refusal(reply: Returned | Raised, due: set[str]) -> bool:
    return isinstance(reply, Raised) and bool(reply.cell) and reply.error in due


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
    return not any(_is_missing(reply) for _, reply in exchanges if isinstance(reply, Raised))


def _is_missing(raised: Raised) -> bool:
    """Whether a stub was called, or a name that the notebook does not define was asked for."""
    stub = raised.error == "NotImplementedError" and not raised.message
    return stub or (raised.error == "NameError" and not raised.cell)
