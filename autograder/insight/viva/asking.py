"""Asking: the questions about one student's homework, from what grading kept and a run of the code in the sandbox."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from autograder.examination.suite import Suite
from autograder.grading import transcription
from autograder.grading.context import GradingContext
from autograder.grading.explanation import Examined
from autograder.insight.viva import drafting, exercises, sieve
from autograder.insight.viva.questions import Question
from autograder.results.result import NotebookResult
from autograder.sandbox.session import Session


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
    files = kept.transcript.body.work[old.notebook].files
    right = _right(old)
    todo = exercises.solved(suite.master, released, sources, right, files)
    if not todo:
        unsure = "what is right has no code that is sure to do the same in each run"
        return Asked(old.notebook, why=unsure if right else "no exercise with code is right")
    rng = random.Random(seed_of(suite, kept.result.student, old.notebook, sources))
    cells = exercises.without_checks(suite.master, work.gradable.cells)
    with Session(context.zygote, kept.homework.limits, cells, (), files) as session:
        session.run()
        found = drafting.questions(todo, lambda seed: session.turn("", seed), rng, most)
    many = "question has" if len(found) == 1 else "questions have"
    why = f"only {len(found)} {many} a key that is sure" if len(found) < most else ""
    return Asked(old.notebook, tuple(found), sources, why)


def _right(old: NotebookResult) -> set[str]:
    """The grade cells whose tests all passed."""
    return {one.grade_id for one in old.cells if one.tests and all(test.passed for test in one.tests)}


def seed_of(suite: Suite, student: str, notebook: str, sources: dict[str, str]) -> int:
    """What the choice of questions is drawn from: the course's secret, the student and the code."""
    digest = hashlib.blake2b(b"viva", key=suite.secret[:64], digest_size=8)
    for text in (student, notebook, *(part for pair in sorted(sources.items()) for part in pair)):
        digest.update(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest())
    return int.from_bytes(digest.digest(), "big")
