"""Drafting: questions about a student's exercises from one run of the checks, and those a second run agrees with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from autograder.insight.viva import edits, patterns, sieve
from autograder.insight.viva.exercises import Exercise
from autograder.insight.viva.functions import Function
from autograder.insight.viva.questions import Question
from autograder.insight.viva.tracing import Edit, End, Key, Lines, TracedCall, ends, traces

_SEEDS = 11, 4711
"""random seeds of the two runs whose keys must agree"""
_MORE_ROUNDS = 2
"""how often all exercises are gone through again, with other lines taken out, if too few questions came"""
_MOST_REMOVED, _MOST_FAILING = (1, 2), (1, 3)
"""drafts about a line of one exercise that is taken out, in the first round and later: each costs a run or two"""
_MOST_CHECKS, _MOST_EDITED = 4, 2
"""checks of one exercise that are run, and exercises for which another way to write a line is sought"""
_SHORT, _LONG_CALL = 2500, 60
"""most calls and lines of a check that is run with an edit in the first round; lines from which a call tells enough"""

Calls: TypeAlias = list[tuple[TracedCall, Function]]


def questions(todo: Sequence[Exercise], line: Lines, rng: random.Random, most: int) -> list[Question]:
    """The questions about these exercises for one student."""
    runs = [_Runs(one, line) for one in rng.sample(list(todo), len(todo))]
    drafts: dict[Question, _Runs] = {}
    sure: set[Question] = set()
    found: list[Question] = []
    for number, run in enumerate(runs * (1 + _MORE_ROUNDS), 1):
        later, kinds = number > len(runs), {one.kind for one in drafts}
        made = run.drafts(rng, later or "removed" not in kinds, later)
        if number <= _MOST_EDITED and "edit" not in kinds:
            made += run.unnoticed(rng)
        drafts |= dict.fromkeys(rng.sample(made, len(made)), run)
        if len({(one.kind, one.function) for one in drafts}) >= most or number >= len(runs):
            found = _agreed(drafts, sure, most)
        if len(found) >= most:
            break
    return sieve.ordered(found, rng)


def _agreed(drafts: dict[Question, _Runs], sure: set[Question], most: int) -> list[Question]:
    """The choice for one student, of the drafts with which the second run agrees; the others are taken out.

    `sure` are the drafts with which it is known to agree, before and afterwards.
    """
    while True:
        found = sieve.chosen(list(drafts), most)
        new = [one for one in found if one not in sure]
        if not new:
            return found
        for run in {id(drafts[one]): drafts[one] for one in new}.values():
            sure |= run.seen_again([one for one in new if drafts[one] is run])
        for one in new:
            if one not in sure:
                del drafts[one]


class _Runs:
    """What runs of one exercise's checks show. A first run, and a run with an edit, is not made twice."""

    def __init__(self, exercise: Exercise, line: Lines) -> None:
        self._exercise, self._line = exercise, line
        self._known = {(cell, one.first): one for cell in exercise.cells for one in exercise.functions(cell)}
        self._seen: dict[tuple[tuple[str, ...], bool], Calls] = {}
        """what the first run shows, by the names of its checks and by whether all of them were run"""
        self._edited: dict[tuple[Key, Edit, int], TracedCall | None] = {}
        self._ends: dict[tuple[tuple[str, ...], Edit, int], tuple[End, ...]] = {}

    def drafts(self, rng: random.Random, removed: bool, later: bool) -> list[Question]:
        """Questions of which the first run knows the answer, with `removed` also about lines that are taken out.

        In the first round no more checks are run than it takes to see each function, and lines are taken out where the
        check is short; more is done `later`.
        """
        exercise = self._exercise
        drawn = rng.sample(exercise.checks, min(len(exercise.checks), _MOST_CHECKS))
        calls = self._watched([one for one in exercise.checks if one in drawn], later)  # in the notebook's order
        shown = sieve.plain_text(" ".join(exercise.sources.values()))
        own = sieve.plain_text(" ".join(exercise.cells.values()))
        found = sieve.sieved(list(self._asked(calls)), exercise.texts, shown, own)
        if not removed:
            return found
        if not later:
            calls = [(call, function) for call, function in calls if call.work <= _SHORT]
        again, end = partial(self._after, seed=_SEEDS[0]), partial(self._end, seed=_SEEDS[0])
        found += edits.removed(calls, exercise, again, rng, _MOST_REMOVED[later])
        return [*found, *edits.failing(calls, exercise, end, rng, _MOST_FAILING[later])]

    def unnoticed(self, rng: random.Random) -> list[Question]:
        """A question about another way to write a line, if no check of the exercise is known to be long."""
        exercise = self._exercise
        cells = [cell for cell in exercise.cells if exercise.functions(cell) and cell not in exercise.held]
        if not cells or any(call.work > _SHORT for calls in self._seen.values() for call, _ in calls):
            return []
        cell = rng.choice(cells)
        passes = partial(self._passes, seed=_SEEDS[0])
        return list(edits.unnoticed(cell, exercise.cells[cell], exercise.functions(cell), passes, rng))

    def seen_again(self, questions: Sequence[Question]) -> set[Question]:
        """Those of the questions that have the same key in a run with another random seed, of each check alone.

        So a key does not depend on what the checks before it have changed.
        """
        exercise = self._exercise
        traced = [one for one in questions if one.kind not in ("edit", "fails")]
        wanted = {(one.about.check, one.cell, one.first, one.about.number) for one in traced}
        checks = [one for one in exercise.checks if one[0] in {check for check, *_ in wanted}]
        calls = [one for check in checks for one in self._calls([check], _SEEDS[1], wanted)]
        same = {(one.id, one.about, one.setting, one.right) for one in self._asked(calls)}
        by_key = {call.key: call for call, _ in calls}

        def agrees(one: Question) -> bool:
            source = exercise.cells[one.cell]
            if one.kind == "edit":
                edited = {text: Edit(one.cell, edits.with_line(source, one.about.line, text)) for text in one.answers}
                return all(self._passes(edited[text], _SEEDS[1]) is (text == one.right) for text in edited)
            edit = Edit(one.cell, edits.with_line(source, one.about.line, "pass"))
            if one.kind == "fails":
                check = one.about.check
                return edits.failure(exercise.sources[check], self._end(check, edit, _SEEDS[1])) == one.right
            if one.kind == "removed":
                call = by_key.get((one.about.check, one.cell, one.first, one.about.number))
                return call is not None and edits.ending(call, self._after(call, edit, _SEEDS[1])) == one.right
            return (one.id, one.about, one.setting, one.right) in same

        return {one for one in questions if agrees(one)}

    def _calls(
        self, checks: Sequence[tuple[str, str]], seed: int, wanted: Iterable[Key] = (), enough: int = 0
    ) -> Calls:
        """The calls of the student's functions that these checks make, without those that end in an exception."""
        return [
            (call, self._known[call.cell, call.first])
            for call in traces(self._line, checks, self._known, seed, None, wanted, enough)
            if (call.cell, call.first) in self._known and call.check in self._exercise.sources and not call.raised
        ]

    def _watched(self, checks: Sequence[tuple[str, str]], later: bool) -> Calls:
        """The calls of these checks in the first run, one check after another, as a student would run them.

        In the first round, the checks after which each function has been seen are the last.
        """
        run = tuple(name for name, _ in checks), later
        if run not in self._seen:
            self._seen[run] = self._calls(checks, _SEEDS[0], enough=0 if later else _LONG_CALL)
        return self._seen[run]

    def _asked(self, calls: Calls) -> Iterator[Question]:
        for call, function in calls:
            if self._exercise.loose & {name.removeprefix("self.") for name in function.reads}:
                continue
            yield from patterns.asked(call, function, self._exercise.sources[call.check])

    def _end(self, check: str, edit: Edit, seed: int) -> End | None:
        """How one check ends after an edit."""
        return next(iter(self._ended([(check, self._exercise.sources[check])], edit, seed)), None)

    def _passes(self, edit: Edit, seed: int) -> bool | None:
        """Whether all checks pass after an edit; None if they take too long to say."""
        found = self._ended(self._exercise.checks, edit, seed)
        if not found or any(one.how == "enough" for one in found):
            return None
        return all(one.how == "passed" for one in found)

    def _ended(self, checks: Sequence[tuple[str, str]], edit: Edit, seed: int) -> tuple[End, ...]:
        run = tuple(name for name, _ in checks), edit, seed
        if run not in self._ends:
            self._ends[run] = ends(self._line, checks, edit, seed)
        return self._ends[run]

    def _after(self, call: TracedCall, edit: Edit, seed: int) -> TracedCall | None:
        """The same call after an edit, if it is made."""
        run = call.key, edit, seed
        if run not in self._edited:
            check = [(call.check, self._exercise.sources[call.check])]
            found = traces(self._line, check, self._known, seed, edit, [call.key])
            self._edited[run] = next((one for one in found if one.key == call.key), None)
        return self._edited[run]
