"""A recheck: a student's code is asked once more, in the sandbox, and its answers are compared with those of then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from autograder.examination.dialogue import Dialogue, answer_text
from autograder.examination.recording import Recording, slim
from autograder.examination.relation import SAME, relation
from autograder.examination.transcribing import recording_of
from autograder.grading import transcription
from autograder.grading.context import GradingContext
from autograder.grading.explanation import CellExplained, Examined, run_of
from autograder.grading.grade import rebound_cells, without_rehearsal
from autograder.grading.libraries import libraries_of
from autograder.sandbox.session import Session
from autograder.sandbox.wire.messages import bare
from autograder.sandbox.zygote_client import Zygote


def recheck(kept: Examined, cells: Sequence[CellExplained], floor: str) -> Iterator[str]:
    """Run the notebooks of these exercises from the transcript, and their tests; a line for each test."""
    homework = kept.homework
    root, name = kept.course.root, homework.name
    with (
        closing(Zygote(root, None, lambda: libraries_of(root, name))) as zygote,
        GradingContext(kept.course, homework, zygote) as context,
    ):
        context.check_confinement(floor)
        for notebook in dict.fromkeys(one.notebook for one in cells):
            wanted = [one for one in cells if one.notebook == notebook]
            yield from _notebook(kept, context, notebook, wanted)


def _notebook(kept: Examined, context: GradingContext, name: str, cells: Sequence[CellExplained]) -> Iterator[str]:
    noted, suite = kept.transcript.notebook(name), context.suites[name]
    if noted is None or name not in kept.transcript.body.work:
        return
    old = next(book for book in kept.result.notebooks if book.notebook == name)
    material = kept.transcript.body.work[name]
    work = transcription.work_of(context, old, material)
    limits = kept.homework.limits
    todo = without_rehearsal(suite, work.gradable)
    with Session(context.zygote, limits, todo, suite.spec.forbidden, material.files) as session:
        session.run()
        asked = suite.together({one.cell.grade_id for one in cells})
        rebound = rebound_cells(work.gradable)
        found = suite.examine(session.fork, session.turn, rebound, noted.content, cells=asked)
    outcomes = {test.name: test.passed for test in found.tests}
    for one in cells:
        for test in one.tests:
            run = run_of(noted, test.result.name)
            if run is None or test.result.name not in outcomes:
                continue
            passed = {True: "passes", False: "fails"}[outcomes[test.result.name]]
            now = found.recorded.get(test.result.name)
            same = _compared(recording_of(run, kept.transcript.body.blobs), now.last if now is not None else None)
            yield f"{name}/{one.cell.grade_id}: {test.result.name} {passed} when asked again: {same}"


def _compared(then: Recording, now: Recording | None) -> str:
    dialogue = Dialogue()
    for (question, answer), (again, other) in zip(then.exchanges, now.exchanges if now else [], strict=False):
        text = dialogue.text(question)
        if bare(slim(question)) != bare(slim(again)):
            return f"it is asked something else from {text} on, since the test has changed"
        if relation(other, answer) != SAME:
            return f"it answers differently: {text} gave {answer_text(answer)}, and now {answer_text(other)}"
        dialogue.heard(question, answer)
    return "the answers are the same"
