"""Transcription: keeps what was graded and what was asked, and says whether it still stands for a submission."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import msgspec

from autograder.constants import SEED
from autograder.course.course import NotebookSpec
from autograder.examination.examined import Examined, Recorded
from autograder.examination.fingerprint import execution_of, verdict_of
from autograder.examination.plugin import SHARED
from autograder.examination.suite import Suite
from autograder.examination.transcribing import Transcriber, recording_of
from autograder.forbidden.run_texts import RunText
from autograder.grading.context import GradingContext
from autograder.grading.origin import handed_in
from autograder.grading.verdict import Work
from autograder.results import transcript
from autograder.results.result import NotebookResult
from autograder.results.transcript import (
    Index,
    NotebookRecord,
    Run,
    TestRecord,
    Transcript,
    Unusable,
    WorkCell,
)
from autograder.submission import Gradable, GradableCell
from autograder.submission.rawcell import clean

_MOST_WORK = 32 * 2**20
"""most bytes of texts, pictures and files of one submission that are kept"""


class Transcription:
    """Collects the transcript of one submission while it is graded."""

    def __init__(self, context: GradingContext, student: str, folder: Path) -> None:
        self._context, self._student, self._folder = context, student, folder
        self._transcriber = Transcriber()
        self._notebooks: list[NotebookRecord] = []
        self._work: dict[str, transcript.Work] = {}

    def add(self, spec: NotebookSpec, content: str, work: Work, files: Mapping[str, bytes], examined: Examined) -> None:
        """Keep one notebook."""
        suite = self._context.suites[spec.name]
        cells = tuple(WorkCell(cell.id, cell.kind, cell.source, cell.attachments) for cell in work.gradable.cells)
        self._work[spec.name] = transcript.Work(cells, dict(files), work.answers_elsewhere, work.ran)
        execution, verdict = prints(self._context, spec)
        tests, shared = records(suite, examined, self._transcriber)
        self._notebooks.append(
            NotebookRecord(
                notebook=spec.name,
                content=content,
                execution=execution,
                verdict=verdict,
                known=dict(suite.known),
                shared=shared,
                tests=tests,
            )
        )

    def made(self, graded_at: str) -> Transcript | None:
        """The transcript; None if there is far too much to keep."""
        size = sum(
            len(cell.source) + sum(len(str(data)) for kinds in cell.attachments.values() for data in kinds.values())
            for work in self._work.values()
            for cell in work.cells
        )
        size += sum(len(data) for work in self._work.values() for data in work.files.values())
        if size > _MOST_WORK:
            return None
        context = self._context
        index = Index(
            schema=transcript.SCHEMA,
            course=context.course.id,
            homework=context.homework.name,
            student=self._student,
            handed_in=handed_in(self._folder, context.homework, context.course.homeworks),
            draws=draws_of(next(iter(context.suites.values()))),
            seed=SEED,
            versions=context.versions,
            graded_at=graded_at,
            body=b"",
            notebooks=tuple(self._notebooks),
        )
        return transcript.made(index, self._transcriber.blobs, self._work)


def with_ran(kept: Mapping[str, transcript.Work], works: Mapping[str, Work]) -> dict[str, transcript.Work]:
    """What was kept of each notebook, with what these ran."""
    return {
        name: msgspec.structs.replace(one, ran=works[name].ran) if name in works else one for name, one in kept.items()
    }


def prints(context: GradingContext, spec: NotebookSpec) -> tuple[bytes, bytes]:
    """The digests of what a notebook's run and its points depend on, as they are now."""
    released, suite = context.released[spec.name], context.suites[spec.name]
    return execution_of(released, context.homework, spec), verdict_of(released, suite.master, spec)


def records(suite: Suite, examined: Examined, transcriber: Transcriber) -> tuple[tuple[TestRecord, ...], Run | None]:
    """The records of the tests that ran, and what they asked the fork that several share."""
    recorded = examined.recorded
    tests = []
    for result in examined.tests:
        kept = recorded.get(result.name)
        tests.append(
            TestRecord(
                name=result.name,
                cell=result.cell,
                passed=result.passed,
                fingerprint=suite.prints[result.name].fingerprint,
                first=transcriber.run(kept.first) if kept is not None else None,
                again=transcriber.run(kept.again) if kept is not None else None,
                common=transcriber.run(kept.common) if kept is not None else None,
                anew=transcriber.run(kept.anew) if kept is not None else None,
            )
        )
    shared = recorded.get(SHARED)
    return tuple(tests), transcriber.run(shared.first) if shared is not None else None


def recorded_in(book: NotebookRecord, blobs: Sequence[bytes], names: set[str]) -> dict[str, Recorded]:
    """What these tests asked, and what was asked in the fork that tests share. Raises Unusable if it is damaged."""
    found = {}
    if book.shared is not None:
        found[SHARED] = Recorded(recording_of(book.shared, blobs))
    for test in book.tests:
        if test.name in names and test.first is not None:
            again = recording_of(test.again, blobs) if test.again is not None else None
            anew = recording_of(test.anew, blobs) if test.anew is not None else None
            found[test.name] = Recorded(recording_of(test.first, blobs), again, anew=anew)
    return found


def work_of(context: GradingContext, old: NotebookResult, kept: transcript.Work) -> Work:
    """The work as it was graded. Raises Unusable if its cells are not those of the release."""
    released = {cell.id: cell for cell in context.released[old.notebook].cells}
    cells = tuple(
        GradableCell(
            id=cell.id,
            kind=cast(Literal["markdown", "code"], cell.kind),
            source=cell.source,
            skip=cell.kind != "code" or (cell.id in released and released[cell.id].demo),
            released=released.get(cell.id),
            attachments=cell.attachments,
        )
        for cell in kept.cells
    )
    if not released.keys() <= {cell.id for cell in cells}:
        raise Unusable("its transcript is of another release")
    modules = {path: clean(data.decode(errors="replace")) for path, data in kept.files.items() if path.endswith(".py")}
    ran = tuple(RunText(*one) for one in kept.ran)
    return Work(old.file, Gradable(cells, old.repairs), modules, kept.answers_elsewhere, ran)


def usable(path: Path, context: GradingContext, student: str, folder: Path | None) -> Transcript:
    """The transcript in a file, if it stands for what is in the student's `folder`. Raises Unusable, and says why not.

    Without the folder, for example because it was moved away, the transcript is taken as it is.
    """
    found = transcript.read(path)
    index = found.index
    if (index.course, index.homework, index.student) != (context.course.id, context.homework.name, student):
        raise Unusable(f"its transcript is of another submission ({index.student}, {index.homework})")
    if index.draws != draws_of(next(iter(context.suites.values()))):
        raise Unusable("its transcript is of other draws: the course's secret has changed")
    if folder is not None and handed_in(folder, context.homework, context.course.homeworks) != index.handed_in:
        raise Unusable("its transcript is of another submission: other files were handed in since")
    return found


def draws_of(suite: Suite) -> bytes:
    """A digest of the course's secret, from which it cannot be found."""
    return hashlib.blake2b(b"transcript", key=suite.secret[:64], digest_size=12).digest()
