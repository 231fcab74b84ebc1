"""Regrades one submission: the hidden tests as they are now, on what was recorded when it was graded.

No student code runs, except where a test asks what it did not ask then. Trusted side only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from autograder.course.course import CourseError, NotebookSpec
from autograder.examination.examined import Examined
from autograder.examination.recording import no_line
from autograder.examination.suite import Suite
from autograder.examination.transcribing import Transcriber
from autograder.grading import transcription
from autograder.grading.changes import changes_between, scores
from autograder.grading.context import GradingContext
from autograder.grading.grade import moment, ran_in, rebound_cells, without_rehearsal
from autograder.grading.orders import UNKNOWN, About, Choosing, Regraded
from autograder.grading.verdict import Ran, Work, added, is_fault, verdict, without_notebook
from autograder.results import autograded, marks, record, transcript
from autograder.results.late import settled
from autograder.results.result import Late, NotebookResult, Result, TestResult
from autograder.results.transcript import NotebookRecord, TestRecord, Transcript, Unusable
from autograder.sandbox.session import Session


@dataclass(frozen=True)
class Place:
    """Where one submission and its results are."""

    student: str
    out: Path
    folder: Path | None
    """what was handed in; None if it is not there any more"""
    marked: Path | None
    """folder for the autograded notebooks; None for none"""
    about: About = UNKNOWN


def regrade(
    context: GradingContext, place: Place, choosing: Choosing, announce: Callable[[str, str], None]
) -> Regraded:
    """Regrade a submission. Writes its results if they have changed, unless `choosing.dry`.

    Nothing is written, and the reason is told, if the transcript cannot stand for the submission.
    """
    name = context.homework.name
    try:
        try:
            context = context.of(place.student)
            marked = record.read(place.out / place.student / f"{name}.json")
            old = marks.unmarked(marked)
        except CourseError as error:
            raise Unusable(str(error)) from None
        except (ValueError, OSError) as error:
            raise Unusable(f"its results file cannot be read: {error}") from None
        path = transcript.path_of(place.out, place.student, name)
        kept = transcription.usable(path, context, place.student, place.folder)
        kept.check(old.transcript)
        late = place.about.late if place.folder is not None else old.late
        regrading = _Regrading(context, old, late, kept, choosing, announce)
        new, renewed = regrading.regraded()
        key = _key(context, place, choosing, old)
    except Unusable as why:
        return Regraded(place.student, stale=str(why))
    changes = changes_between(old, new)
    if not choosing.dry:
        if new is not old or key != old.key:
            record.write(msgspec.structs.replace(new, key=key), place.out, name=place.about.name)
            for book in new.notebooks:
                if place.marked is not None and book.notebook in regrading.works and book not in old.notebooks:
                    gradable = regrading.works[book.notebook].gradable
                    autograded.write(gradable.notebook(), book, context.suites[book.notebook].master, place.marked)
        if renewed is not kept:  # last: until then, the next regrading does all of this again
            transcript.write(renewed, path)
    return Regraded(
        place.student,
        scores(marked, new),
        changes,
        result=new if new is not old else None,
        replayed=regrading.replayed,
        executed=regrading.executed,
    )


def _key(context: GradingContext, place: Place, choosing: Choosing, old: Result) -> str:
    """What the regraded result is made from; as before, where it is not known for every part of it."""
    if place.folder is None or choosing.notebook or choosing.test:
        return old.key
    return context.origin.key(place.folder, context.homework.values)


class _Regrading:
    """The regrading of one submission, notebook by notebook."""

    def __init__(
        self,
        context: GradingContext,
        old: Result,
        late: Late | None,
        kept: Transcript,
        choosing: Choosing,
        announce: Callable[[str, str], None],
    ) -> None:
        self._context, self._old, self._late, self._kept = context, old, late, kept
        self._choosing, self._announce = choosing, announce
        self._transcriber: Transcriber | None = None
        self.works: dict[str, Work] = {}
        self.replayed = self.executed = 0
        """how many tests ran on what was recorded, and how many in the sandbox"""

    def regraded(self) -> tuple[Result, Transcript]:
        """The result and the transcript as they are now; the same objects if nothing has changed."""
        books, notes = [], []
        then = {book.notebook: book for book in self._old.notebooks}
        for spec in self._context.homework.notebooks:
            if spec.name not in then:
                raise Unusable(f"it was graded without the notebook {spec.name}")
            note = self._kept.notebook(spec.name)
            if note is None:
                books.append(self._not_run(spec, then[spec.name]))
            elif self._choosing.notebook not in ("", spec.name):
                books.append(then[spec.name])
                notes.append(note)
            else:
                book, note = self._notebook(spec, then[spec.name], note)
                books.append(book)
                notes.append(note)
        renewed = self._transcript(notes)
        return self._result(books, renewed), renewed

    def _result(self, books: list[NotebookResult], renewed: Transcript) -> Result:
        new = msgspec.structs.replace(
            self._old,
            notebooks=tuple(books),
            max_score=sum(book.max_score for book in books),
            title=self._context.homework.title,
            transcript=renewed.index.body.hex(),
            late=self._late,
            rounding=self._context.homework.rounding,
        )
        new = settled(new)
        if new == self._old:
            return self._old
        return msgspec.structs.replace(new, graded_at=moment())

    def _transcript(self, notes: list[NotebookRecord]) -> Transcript:
        if self._transcriber is not None:
            index = msgspec.structs.replace(self._kept.index, notebooks=tuple(notes))
            return transcript.made(
                index, self._transcriber.blobs, transcription.with_ran(self._kept.body.work, self.works)
            )
        return self._kept if tuple(notes) == self._kept.index.notebooks else self._kept.with_notebooks(notes)

    def _not_run(self, spec: NotebookSpec, then: NotebookResult) -> NotebookResult:
        """A notebook that was not handed in, with the points that its cells are worth now."""
        if [incident.kind for incident in then.incidents] == ["internal"]:
            raise Unusable(f"{spec.name} could not be graded then")
        elsewhere = next((cell.note for cell in then.cells if cell.note), "")
        new = without_notebook(self._context, spec, then.incidents[0], elsewhere)
        return (
            then
            if new.cells == then.cells and new.title == then.title
            else msgspec.structs.replace(new, tier=then.tier)
        )

    def _notebook(
        self, spec: NotebookSpec, then: NotebookResult, note: NotebookRecord
    ) -> tuple[NotebookResult, NotebookRecord]:
        suite = self._context.suites[spec.name]
        execution, judged = transcription.prints(self._context, spec)
        if execution != note.execution:
            raise Unusable(f"the release, the limits or the forbidden tools of {spec.name} have changed")
        cells = self._cells(suite, note)
        if not cells and judged == note.verdict:
            return then, note
        body = self._kept.body
        if spec.name not in body.work:
            raise Unusable("its transcript is damaged")
        before = self.works[spec.name] = transcription.work_of(self._context, then, body.work[spec.name])
        examined, executed = self._examined(suite, before, note, cells)
        work = self.works[spec.name]
        results = self._merged(suite, then, examined)
        cut = len(then.outputs) - len(tuple(work.gradable.pictures))
        ran = Ran(
            then.outputs[:cut],
            tuple(incident for incident in then.incidents if not added(incident)),
            then.tier,
            then.cpu_seconds,
            then.wall_seconds,
            then.peak_memory_mb,
        )
        same = judged == note.verdict and _alike(_outcome(then), results) and work == before
        new = then if same else verdict(self._context, spec, work, results, ran)
        tests = {test.name: test for test in note.tests if test.cell not in cells}
        tests |= {test.name: test for test in self._replayed(suite, note, examined)}
        shared = note.shared
        if executed is not None:
            records, again = transcription.records(suite, executed, self._transcribed())
            tests |= {test.name: test for test in records}
            shared = again or shared
        known = dict(suite.known)
        if self._choosing.test:  # the other cells have not been looked at
            known = {**note.known, **{cell: known[cell] for cell in cells if cell in known}}
        return new, msgspec.structs.replace(
            note,
            known=known,
            verdict=judged,
            shared=shared,
            tests=tuple(tests[name] for name in suite.prints if name in tests),
        )

    def _cells(self, suite: Suite, note: NotebookRecord) -> frozenset[str]:
        """The grade cells whose tests have to run again, because they or the known mistakes have changed."""
        then = {test.name: test for test in note.tests}
        failed = {test.cell for test in note.tests if not test.passed}
        changed = {cell for cell, print_ in suite.known.items() if cell in failed and print_ != note.known.get(cell)}
        for name, print_ in suite.prints.items():
            before = then.get(name)
            if before is None or (before.fingerprint, before.cell) != (print_.fingerprint, print_.cell):
                changed |= {print_.cell} if before is None else {print_.cell, before.cell}
        changed |= {test.cell for test in note.tests if test.name not in suite.prints}
        if self._choosing.test:
            chosen = self._choosing.test
            changed = {one.cell for name, one in suite.prints.items() if chosen in (name, name.partition("[")[0])}
        return suite.together(changed)

    def _examined(
        self, suite: Suite, work: Work, note: NotebookRecord, cells: frozenset[str]
    ) -> tuple[Examined, Examined | None]:
        """The tests of these cells, on what was recorded; and those that had to be executed, if there are any."""
        if not cells:
            return Examined((), {}), None

        def tell(test: str) -> None:
            self._announce(suite.master.notebook, test)

        names = {name for name, print_ in suite.prints.items() if print_.cell in cells and not print_.timed}
        replayed = transcription.recorded_in(note, self._kept.body.blobs, names)
        rebound = rebound_cells(work.gradable)
        found = suite.examine(no_line, no_line, rebound, note.content, tell, (), cells, replayed)
        self.replayed += len(found.tests)
        if not found.unknown:
            return found, None
        again = suite.together({suite.prints[name].cell for name in found.unknown})
        files = self._kept.body.work[suite.master.notebook].files
        limits, forbidden = self._context.homework.limits, suite.spec.forbidden
        todo = without_rehearsal(suite, work.gradable)
        with Session(self._context.zygote, limits, todo, forbidden, files) as session:
            session.run()
            executed = suite.examine(session.fork, session.turn, rebound, note.content, tell, (), again)
        ran = dict.fromkeys((*work.ran, *ran_in(session)))
        self.works[suite.master.notebook] = replace(work, ran=tuple(ran))
        self.executed += len(executed.tests)
        self.replayed -= len(executed.tests)
        return _joined(found, executed, again), executed

    def _merged(self, suite: Suite, then: NotebookResult, examined: Examined) -> Examined:
        """All tests of the notebook: those that ran again, and those that did not have to."""
        old = _outcome(then)
        before = {test.name: test for test in old.tests}
        now = {test.name: test for test in examined.tests}
        ran = {test.cell for test in examined.tests}
        tests = [_steady(now.get(name), before.get(name)) for name in suite.prints]
        if None in tests:
            raise Unusable("its results file lacks a test")
        return Examined(
            tuple(test for test in tests if test is not None),
            {cell: named for cell, named in old.diagnoses.items() if cell not in ran} | examined.diagnoses,
            (*(cell for cell in old.unchecked if cell not in ran), *examined.unchecked),
            faults=examined.faults | (old.faults - ran),
        )

    def _replayed(self, suite: Suite, note: NotebookRecord, examined: Examined) -> Iterator[TestRecord]:
        """The records of the tests that ran again: they asked what they asked then."""
        then = {test.name: test for test in note.tests}
        for result in examined.tests:
            if result.name in then:
                fingerprint, old = suite.prints[result.name].fingerprint, then[result.name]
                now = examined.recorded.get(result.name)
                yield msgspec.structs.replace(
                    old,
                    cell=result.cell,
                    passed=result.passed,
                    fingerprint=fingerprint,
                    anew=old.anew if now is not None and now.anew is not None else None,  # else it does not count
                )

    def _transcribed(self) -> Transcriber:
        if self._transcriber is None:
            self._transcriber = Transcriber(self._kept.body.blobs)
        return self._transcriber


def _outcome(book: NotebookResult) -> Examined:
    """How the tests of a notebook came out, as its result has it."""
    return Examined(
        tuple(test for cell in book.cells for test in cell.tests),
        {cell.grade_id: cell.diagnoses for cell in book.cells if cell.diagnoses},
        tuple(one.cell for one in book.incidents if one.kind == "unchecked"),
        faults=frozenset(one.cell for one in book.incidents if is_fault(one)),
    )


def _alike(one: Examined, other: Examined) -> bool:
    """Whether tests came out alike, so that the same verdict follows."""
    first, second = (
        (
            {test.name: test for test in each.tests},
            {cell: named for cell, named in each.diagnoses.items() if named},
            set(each.unchecked),
            each.faults,
        )
        for each in (one, other)
    )
    return first == second


def _joined(found: Examined, executed: Examined, cells: Collection[str]) -> Examined:
    """The outcomes of a replay, with those of executed cells in place of theirs."""
    return Examined(
        (*(test for test in found.tests if test.cell not in cells), *executed.tests),
        {cell: named for cell, named in found.diagnoses.items() if cell not in cells} | executed.diagnoses,
        (*(cell for cell in found.unchecked if cell not in cells), *executed.unchecked),
        faults=(found.faults - frozenset(cells)) | executed.faults,
    )


def _steady(now: TestResult | None, before: TestResult | None) -> TestResult | None:
    """The result of now; that of before if nothing but the time differs."""
    if now is None or before is None:
        return now or before
    return before if msgspec.structs.replace(now, seconds=before.seconds) == before else now
