"""Drafting: questions about a student's exercises from one run of the checks, and those a second run agrees with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from autograder.insight.viva import edits, patterns, sieve
from autograder.insight.viva.exercises import Exercise
from autograder.insight.viva.functions import Function
from autograder.insight.viva.questions import Question
from autograder.insight.viva.tracing import Edit, End, Key, Lines, TracedCall, ends, traces

_SEEDS = 11, 4711
"""random seeds of the two runs whose keys must agree"""
_PLENTY = 1.2
"""drafts for each question that is asked, counting one of each kind for each function"""
_ENOUGH_REMOVED = 2
"""drafts about a line that is taken out: each costs a run or two"""
_MORE_ROUNDS = 2
"""how often all exercises are gone through again, with other lines taken out, if too few questions came"""
_MOST_CHECKS = 4
"""checks of one exercise that are run"""

Watched: TypeAlias = dict[tuple[int, tuple[str, ...]], list[tuple[TracedCall, Function]]]
"""what is known of the first run: the calls, by exercise and by the names of its checks"""


def questions(todo: Sequence[Exercise], line: Lines, rng: random.Random, most: int) -> list[Question]:
    """The questions about these exercises for one student."""
    order = rng.sample(list(todo), len(todo))
    drafts = _about_edit(order[:2], line, rng)
    sure: set[Question] = set()
    found: list[Question] = []
    seen: Watched = {}
    for number, exercise in enumerate(order * (1 + _MORE_ROUNDS), 1):
        removed = sum(one.kind == "removed" for one in drafts)
        made = _drafts(exercise, line, rng, removed < _ENOUGH_REMOVED or number > len(order), seen)
        drafts |= dict.fromkeys(rng.sample(made, len(made)), exercise)
        if len({(one.kind, one.function) for one in drafts}) >= _PLENTY * most or number >= len(order):
            found = _agreed(drafts, sure, line, most)
        if len(found) >= most:
            break
    return sieve.ordered(found, rng)


def _agreed(drafts: dict[Question, Exercise], sure: set[Question], line: Lines, most: int) -> list[Question]:
    """The choice for one student, of the drafts with which the second run agrees; the others are taken out.

    `sure` are the drafts with which it is known to agree, before and afterwards.
    """
    while True:
        found = sieve.chosen(list(drafts), most)
        new = [one for one in found if one not in sure]
        if not new:
            return found
        for exercise in {id(drafts[one]): drafts[one] for one in new}.values():
            sure |= _seen_again([one for one in new if drafts[one] is exercise], exercise, line)
        for one in new:
            if one not in sure:
                del drafts[one]


def _known(exercise: Exercise) -> dict[tuple[str, int], Function]:
    return {(cell, one.first): one for cell in exercise.cells for one in exercise.functions(cell)}


def _calls(
    exercise: Exercise,
    checks: Sequence[tuple[str, str]],
    line: Lines,
    seed: int,
    wanted: Iterable[Key] = (),
) -> list[tuple[TracedCall, Function]]:
    """The calls of the student's functions that these checks make, without those that end in an exception."""
    known = _known(exercise)
    found = traces(line, checks, list(exercise.cells), seed, None, wanted)
    return [
        (call, known[call.cell, call.first])
        for call in found
        if (call.cell, call.first) in known and call.check in exercise.sources and not call.raised
    ]


def _asked(exercise: Exercise, calls: Sequence[tuple[TracedCall, Function]]) -> Iterator[Question]:
    for call, function in calls:
        if exercise.loose & {name.removeprefix("self.") for name in function.reads}:
            continue
        yield from patterns.asked(call, function, exercise.sources[call.check])


def _drafts(exercise: Exercise, line: Lines, rng: random.Random, removed: bool, seen: Watched) -> list[Question]:
    drawn = rng.sample(exercise.checks, min(len(exercise.checks), _MOST_CHECKS))
    checks = [one for one in exercise.checks if one in drawn]  # in their order in the notebook
    run = id(exercise), tuple(name for name, _ in checks)
    if run not in seen:
        seen[run] = _calls(exercise, checks, line, _SEEDS[0])
    calls = seen[run]
    shown = sieve.plain_text(" ".join(exercise.sources.values()))
    own = sieve.plain_text(" ".join(exercise.cells.values()))
    found = sieve.sieved(list(_asked(exercise, calls)), exercise.texts, shown, own)

    def again(call: TracedCall, edit: Edit) -> TracedCall | None:
        return _after(call, edit, exercise, line, _SEEDS[0])

    def end(check: str, edit: Edit) -> End | None:
        return _end(check, edit, exercise, line, _SEEDS[0])

    if not removed:
        return found
    return [*found, *edits.removed(calls, exercise, again, rng), *edits.failing(calls, exercise, end, rng)]


def _end(check: str, edit: Edit, exercise: Exercise, line: Lines, seed: int) -> End | None:
    """How one check ends after an edit."""
    return next(iter(ends(line, [(check, exercise.sources[check])], edit, seed)), None)


def _after(call: TracedCall, edit: Edit, exercise: Exercise, line: Lines, seed: int) -> TracedCall | None:
    """The same call after an edit, if it is made."""
    check = [(call.check, exercise.sources[call.check])]
    found = traces(line, check, list(exercise.cells), seed, edit, [call.key])
    return next((one for one in found if one.key == call.key), None)


def _about_edit(exercises: Sequence[Exercise], line: Lines, rng: random.Random) -> dict[Question, Exercise]:
    """At most one question about an edit: each costs several runs of all checks of an exercise."""
    for exercise in exercises:
        if found := dict.fromkeys(_unnoticed(exercise, line, rng), exercise):
            return found
    return {}


def _unnoticed(exercise: Exercise, line: Lines, rng: random.Random) -> Iterator[Question]:
    """A question about another way to write a line, if all checks of the exercise are short."""
    cells = [cell for cell in exercise.cells if exercise.functions(cell) and cell not in exercise.held]
    if not cells:
        return
    cell = rng.choice(cells)

    def passes(edit: Edit) -> bool | None:
        return _passes(exercise, edit, line, _SEEDS[0])

    yield from edits.unnoticed(cell, exercise.cells[cell], exercise.functions(cell), passes, rng)


def _passes(exercise: Exercise, edit: Edit, line: Lines, seed: int) -> bool | None:
    found = ends(line, exercise.checks, edit, seed)
    if not found or any(one.how == "enough" for one in found):
        return None
    return all(one.how == "passed" for one in found)


def _seen_again(questions: Sequence[Question], exercise: Exercise, line: Lines) -> set[Question]:
    """Those of the questions that have the same key in a run with another random seed, of each check alone.

    So a key does not depend on what the checks before it have changed.
    """
    traced = [one for one in questions if one.kind not in ("edit", "fails")]
    wanted = {(one.about.check, one.cell, one.first, one.about.number) for one in traced}
    checks = [one for one in exercise.checks if one[0] in {check for check, *_ in wanted}]
    calls = [one for check in checks for one in _calls(exercise, [check], line, _SEEDS[1], wanted)]
    same = {(one.id, one.about, one.setting, one.right) for one in _asked(exercise, calls)}
    by_key = {call.key: call for call, _ in calls}

    def agrees(one: Question) -> bool:
        source = exercise.cells[one.cell]
        if one.kind == "edit":
            edited = {text: Edit(one.cell, edits.with_line(source, one.about.line, text)) for text in one.answers}
            return all(_passes(exercise, edited[text], line, _SEEDS[1]) is (text == one.right) for text in edited)
        if one.kind == "fails":
            edit = Edit(one.cell, edits.with_line(source, one.about.line, "pass"))
            check = one.about.check
            return edits.failure(exercise.sources[check], _end(check, edit, exercise, line, _SEEDS[1])) == one.right
        if one.kind == "removed":
            call = by_key.get((one.about.check, one.cell, one.first, one.about.number))
            edit = Edit(one.cell, edits.with_line(source, one.about.line, "pass"))
            return call is not None and edits.ending(call, _after(call, edit, exercise, line, _SEEDS[1])) == one.right
        return (one.id, one.about, one.setting, one.right) in same

    return {one for one in questions if agrees(one)}
