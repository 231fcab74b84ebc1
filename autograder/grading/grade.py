"""Grades one submission of one homework, from the submitted files to the result. Trusted side only."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograder.course.course import NotebookSpec
from autograder.examination.suite import Suite
from autograder.forbidden.run_texts import RunText
from autograder.grading.context import GradingContext
from autograder.grading.orders import GradeOrder
from autograder.grading.transcription import Transcription
from autograder.grading.verdict import Ran, Work, verdict, waiting, without_notebook
from autograder.results import autograded
from autograder.results.late import settled
from autograder.results.result import NUMBERS, SCHEMA, NotebookResult, Result
from autograder.results.transcript import Transcript
from autograder.sandbox.session import Session
from autograder.submission import Beside, Choice, Chosen, Gradable, GradableCell, beside, choose, repaired
from autograder.submission.match import normal
from autograder.submission.others_text import strange_numbers, texts
from autograder.submission.rawcell import RawNotebook, file_note
from autograder.submission.rebindings import rebindings

_NAMED = 5
"""documents that a note names"""


@dataclass(frozen=True)
class Grading:
    """A graded submission."""

    result: Result
    transcript: Transcript | None
    """None if nothing was to be kept, or far too much was asked and answered"""


def grade(context: GradingContext, order: GradeOrder, announce: Callable[[str, str], None]) -> Grading:
    """Grade a submission. Anything wrong with it becomes part of the result.

    Raises CourseError if nobody knows which parameters the student was given.

    `announce` is told each step before it begins: the notebook, and the test or ''.
    """
    folder, marked = Path(os.fsdecode(order.folder)), Path(os.fsdecode(order.marked)) if order.marked else None
    began, cpu = time.monotonic(), time.process_time()
    context = context.of(order.student)
    announce("", "")
    # first: what is handed in on the way is graded the next time
    key = order.key or context.origin.key(folder, context.homework.values)
    unread = any(not place.notebook for place in order.barred)
    choice = Choice({}, {}, ()) if unread else choose(folder, context.released, context.kinship)
    kept = Transcription(context, order.student, folder) if order.out else None
    books = []
    for spec in context.homework.notebooks:
        tell = functools.partial(announce, spec.name)
        tell("")
        barred = [place.test for place in order.barred if place.notebook == spec.name]
        if unread or "" in barred:
            books.append(waiting(context, spec))
            kept = None
        elif spec.name in choice.without:
            books.append(_without(context, spec, choice, marked))
        else:
            chosen = choice.notebooks[spec.name]
            files = beside(choice, chosen)
            books.append(_notebook(context, spec, chosen, files, marked, tell, barred, kept))
    graded_at = moment()
    transcript = kept.made(graded_at) if kept is not None else None
    result = Result(
        schema=SCHEMA,
        course=context.course.id,
        homework=context.homework.name,
        title=context.homework.title,
        student=order.student,
        score=0.0,  # see below
        max_score=sum(book.max_score for book in books),
        notebooks=tuple(books),
        tier=context.zygote.tier,
        versions=context.versions,
        graded_at=graded_at,
        cpu_seconds=round(time.process_time() - cpu + sum(book.cpu_seconds for book in books), 3),
        wall_seconds=round(time.monotonic() - began, 3),
        transcript=transcript.index.body.hex() if transcript is not None else "",
        key=key,
        late=order.about.late,
        rounding=context.homework.rounding,
    )
    return Grading(settled(result), transcript)


def moment() -> str:
    """Now, in ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _notebook(
    context: GradingContext,
    spec: NotebookSpec,
    chosen: Chosen,
    files: Beside,
    marked: Path | None,
    announce: Callable[[str], None],
    barred: Collection[str],
    kept: Transcription | None,
) -> NotebookResult:
    began = time.monotonic()
    suite = context.suites[spec.name]
    blank = context.released[spec.name]
    gradable = repaired(chosen.raw, chosen.entry.name, blank, (*chosen.notes, *files.notes)).beside(files.files)
    gradable = _with_numbers_told(context, spec, chosen, gradable)
    joined = any(repair.kind == "joined" for repair in gradable.repairs)  # a text's place is lost
    work = Work(chosen.entry.name, gradable, files.modules, bool(files.answers) or joined)
    content = _digest(gradable, files.files)
    cells = without_rehearsal(suite, gradable)
    with Session(context.zygote, context.homework.limits, cells, spec.forbidden, files.files) as session:
        session.run()
        examined = suite.examine(session.fork, session.turn, rebound_cells(gradable), content, announce, barred)
    work = dataclasses.replace(work, ran=ran_in(session))
    ran = Ran(
        tuple(session.outputs),
        tuple(session.incidents),
        context.zygote.tier,
        round(session.cpu_seconds, 3),
        round(time.monotonic() - began, 3),
        round(session.peak_memory_mb, 1),
    )
    found = verdict(context, spec, work, examined, ran)
    if kept is not None:
        kept.add(spec, content, work, files.files, examined)
    if marked is not None:
        autograded.write(gradable.notebook(), found, suite.master, marked)
    return found


def _with_numbers_told(context: GradingContext, spec: NotebookSpec, chosen: Chosen, gradable: Gradable) -> Gradable:
    """The same; if its text is not of an earlier release but has numbers of other students, this is told instead."""
    if not any(repair.kind == "earlier" for repair in gradable.repairs):
        return gradable
    own = {normal(cell.source) for cell in context.released[spec.name].cells}
    known = texts(context.homework, spec.name)
    strange = strange_numbers(known, own, (cell.source for cell in chosen.raw.cells))
    if not strange:
        return gradable
    note = (
        f"Your notebook has numbers that you were not given ({', '.join(strange)}), and was tested with yours. Solve "
        "the notebook that your course made for you; if this is the one that you got, tell your instructor."
    )
    others = (repair for repair in gradable.repairs if repair.kind != "earlier")
    return msgspec.structs.replace(gradable, repairs=(file_note(NUMBERS, note), *others))


def _without(context: GradingContext, spec: NotebookSpec, choice: Choice, marked: Path | None) -> NotebookResult:
    """The result of a notebook that cannot be run; answers to it may be in a document or on a photo beside it."""
    documents = ", ".join(f"‘{path}’" for path in choice.documents(spec.name)[:_NAMED])
    elsewhere = f"Your instructor looks for your answer in {documents}." if documents else ""
    found = without_notebook(context, spec, choice.without[spec.name], elsewhere)
    if documents and marked is not None:
        blank = repaired(RawNotebook(cells=()), spec.name, context.released[spec.name])
        autograded.write(blank.notebook(), found, context.suites[spec.name].master, marked)
    return found


def without_rehearsal(suite: Suite, gradable: Gradable) -> tuple[GradableCell, ...]:
    """The cells of a notebook, without its last one that is run if a hidden test does the same again.

    Of an earlier check, it has to be known whether it passes: then its tests see the names as they are there.
    """
    last = next((cell for cell in reversed(gradable.cells) if not cell.skip), None)
    again = last is not None and last.tested and last.released is not None and last.released.grade_id in suite.rehearsed
    return tuple(cell for cell in gradable.cells if not (again and cell is last))


def ran_in(session: Session) -> tuple[RunText, ...]:
    """What the notebook ran in a session that stands in no cell."""
    return tuple(RunText(one.cell, one.line, one.what, one.text, one.digest) for one in session.ran)


def rebound_cells(gradable: Gradable) -> set[str]:
    """The grade cells with names that a later cell has given another meaning."""
    return {cell for one in rebindings(gradable.cells) for cell in one.between}


def _digest(gradable: Gradable, files: Mapping[str, bytes]) -> str:
    """A digest of what was handed in: the same file is always tested with the same numbers."""
    digest = hashlib.blake2b(digest_size=16)
    for cell in gradable.cells:
        digest.update(msgspec.json.encode((cell.id, cell.kind, cell.skip, cell.source)))
    for path, data in sorted(files.items()):
        digest.update(f"{path}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()
