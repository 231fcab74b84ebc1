"""Asking: the questions about one student's homework, from what grading kept and a run of the code in the sandbox."""

from __future__ import annotations

import ast
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from autograder.course.master import Master
from autograder.examination.suite import Suite
from autograder.grading import transcription
from autograder.grading.context import GradingContext
from autograder.grading.explanation import Examined
from autograder.insight.viva import edits, patterns, sieve
from autograder.insight.viva.functions import Function, functions
from autograder.insight.viva.questions import Question
from autograder.insight.viva.tracing import Edit, End, Lines, ends, traces
from autograder.results.result import NotebookResult
from autograder.sandbox.session import Session
from autograder.submission import GradableCell

_MOST_WORK = 1500
"""calls in an exercise's checks beyond which no edit is tried: each edit runs them twice"""
_SEEDS = 11, 4711
"""random seeds of the two runs whose keys must agree"""


@dataclass(frozen=True)
class Exercise:
    """Solution cells of a student that are right, and the visible checks that run them."""

    cells: dict[str, str]
    checks: tuple[tuple[str, str], ...]
    texts: str
    """what the course's texts say, without spaces"""
    given: frozenset[str] = frozenset()
    """the functions that students were handed out, as code"""

    def functions(self, cell: str) -> tuple[Function, ...]:
        """The functions of a cell that the student wrote or changed."""
        return tuple(one for one in functions(self.cells[cell]) if ast.unparse(one.node) not in self.given)


@dataclass(frozen=True)
class Asked:
    """The questions about one notebook."""

    notebook: str
    questions: tuple[Question, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    """the student's cells, by id"""
    why: str = ""
    """why there are fewer than there should be"""


def of_student(kept: Examined, context: GradingContext, most: int = sieve.ENOUGH) -> Iterator[Asked]:
    """The questions for each notebook of a homework. Raises Unusable or SandboxLost."""
    for old in kept.result.notebooks:
        if old.notebook not in context.suites:
            yield Asked(old.notebook, why="homework.toml lists it no more")
        elif old.notebook not in kept.transcript.body.work:
            yield Asked(old.notebook, why="it was not handed in")
        else:
            yield _of_notebook(kept, context, old, most)


def _of_notebook(kept: Examined, context: GradingContext, old: NotebookResult, most: int) -> Asked:
    suite = context.suites[old.notebook]
    work = transcription.work_of(context, old, kept.transcript.body.work[old.notebook])
    sources = {cell.id: cell.source for cell in work.gradable.cells if cell.kind == "code"}
    released = {cell.id: cell.source for cell in context.released[old.notebook].cells}
    todo = exercises(suite.master, released, sources, _right(old))
    if not todo:
        return Asked(old.notebook, why="no exercise with code is right")
    rng = random.Random(seed_of(suite, kept.result.student, old.notebook, sources))
    cells = without_checks(suite.master, work.gradable.cells)
    files = kept.transcript.body.work[old.notebook].files
    with Session(context.zygote, kept.homework.limits, cells, (), files) as session:
        session.run()

        def line(seed: int) -> object:
            return session.turn("", seed)

        found = questions(todo, line, rng, most)  # type: ignore[arg-type]
    why = f"only {len(found)} questions have a key that is sure" if len(found) < most else ""
    return Asked(old.notebook, tuple(found), sources, why)


def _right(old: NotebookResult) -> set[str]:
    """The grade cells whose tests all passed."""
    return {one.grade_id for one in old.cells if one.tests and all(test.passed for test in one.tests)}


def without_checks(master: Master, cells: Sequence[GradableCell]) -> tuple[GradableCell, ...]:
    """The cells of a notebook without the visible checks, which questions run for themselves."""
    checks = {cell.id for cell in master.cells if cell.autograded}
    return tuple(msgspec.structs.replace(cell, skip=cell.skip or cell.id in checks) for cell in cells)


def exercises(
    master: Master, released: Mapping[str, str], sources: Mapping[str, str], right: set[str]
) -> list[Exercise]:
    """The exercises with functions whose tests all passed; each with its visible checks.

    `released` are the cells that students were handed out, and `right` the grade cells whose tests passed.
    """
    checks: dict[tuple[str, ...], list[str]] = {}
    for cell in master.cells:
        if cell.autograded:
            examined = tuple(one.id for one in master.examined(cell.grade_id) if one.kind == "code")
            checks.setdefault(examined, []).append(cell.grade_id)
    markdown = (cell.source for cell in master.cells if cell.kind == "markdown" and not cell.solution)
    texts = sieve.plain_text(" ".join(markdown))
    found = []
    for cells, names in checks.items():
        given = frozenset(ast.unparse(one.node) for cell in cells for one in functions(released.get(cell, "")))
        shown = tuple((name, master.cell(name).source) for name in names)
        exercise = Exercise({cell: sources.get(cell, "") for cell in cells}, shown, texts, given)
        if set(names) <= right and any(map(exercise.functions, cells)):
            found.append(exercise)
    return found


def seed_of(suite: Suite, student: str, notebook: str, sources: dict[str, str]) -> int:
    """What the choice of questions is drawn from: the course's secret, the student and the code."""
    digest = hashlib.blake2b(b"viva", key=suite.secret[:64], digest_size=8)
    for text in (student, notebook, *(part for pair in sorted(sources.items()) for part in pair)):
        digest.update(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest())
    return int.from_bytes(digest.digest(), "big")


def questions(todo: Sequence[Exercise], line: Lines, rng: random.Random, most: int) -> list[Question]:
    """The questions about these exercises for one student."""
    found: list[Question] = []
    order = rng.sample(list(todo), len(todo))
    for exercise in order:
        first, second = (_drafts(exercise, line, seed) for seed in _SEEDS)
        found += sieve.sieved(
            first, second, exercise.texts, sieve.plain_text(" ".join(source for _, source in exercise.checks))
        )
        if len({(one.kind, one.function) for one in found}) >= 2 * most:
            break
    for exercise in order[:2]:
        found += _about_edits(exercise, line, rng)
    return sieve.chosen(found, rng, most)


def _drafts(exercise: Exercise, line: Lines, seed: int) -> list[Question]:
    known = {(cell, one.first): one for cell in exercise.cells for one in exercise.functions(cell)}
    checks = dict(exercise.checks)
    found: list[Question] = []
    for call in traces(line, exercise.checks, list(exercise.cells), seed):
        function = known.get((call.cell, call.first))
        if function is not None and call.check in checks:
            found += patterns.asked(call, function, checks[call.check])
    return found


def _about_edits(exercise: Exercise, line: Lines, rng: random.Random) -> Iterator[Question]:
    """Questions about edits of the exercise's cells, where the checks pass as they are."""
    plain = ends(line, exercise.checks, None, _SEEDS[0])
    if sum(one.work for one in plain) > _MOST_WORK:
        return
    passing = {one.check for one in plain if one.how == "passed"}
    checks = tuple(one for one in exercise.checks if one[0] in passing)
    if not checks or len(checks) < len(exercise.checks):
        return

    def runs(edit: Edit | None) -> tuple[End, ...]:
        first, second = (ends(line, checks, edit, seed) for seed in _SEEDS)
        return first if first == second else ()

    for cell, source in exercise.cells.items():
        own = exercise.functions(cell)
        yield from edits.removed(cell, source, own, checks, runs, rng)
        yield from edits.unnoticed(cell, source, own, runs, rng)
