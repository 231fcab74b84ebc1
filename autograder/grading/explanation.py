"""The explanation of a score: what each hidden test asked, what the student's code answered, and what is right.

It is read from the transcript; no student code runs. For instructors: it shows what hidden tests ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Course, CourseError, Homework
from autograder.course.personal import values_of
from autograder.examination.diagnosis import written
from autograder.examination.dialogue import Dialogue, answer_text, shown
from autograder.examination.personal_suite import personal_suites
from autograder.examination.plugin import SHARED
from autograder.examination.recording import Exchange, Recording, no_line, whole_part
from autograder.examination.relation import SAME, digits, parted, relation
from autograder.examination.suite import Suite
from autograder.examination.transcribing import recording_of
from autograder.grading.standing import no_result
from autograder.grading.transcription import recorded_in
from autograder.results import record, transcript
from autograder.results.plain_text import flat, one_line, points_text
from autograder.results.result import CellResult, NotebookResult, Result, TestResult
from autograder.results.transcript import NotebookRecord, Run, Transcript, Unusable
from autograder.sandbox.wire import messages
from autograder.sandbox.wire.messages import Attribute, Get, Question, Raised, Returned
from autograder.sandbox.wire.values import Dict, Ref

_MOST_QUESTIONS = 60
"""most questions of one test that are told"""
_LIKELY = 3
"""most known mistakes that are told where none explains everything"""


@dataclass(frozen=True)
class Step:
    """One question of a test."""

    asked: str
    """as code"""
    given: tuple[tuple[str, str], ...]
    """the large values in it: name, and what it is"""
    answer: str
    right: str
    """what the reference answers; '' if that is not known"""
    how: str
    """how the answer relates to that of the reference; `SAME` if it is the same"""
    digits: str
    """how well the two agree where they are nearly the same; '' where they are just the same"""
    plain: bool
    """whether it only reads a name or an attribute"""
    mistakes: tuple[tuple[str, str], ...] = ()
    """where the answer is wrong: what the likely mistakes answer"""


@dataclass(frozen=True)
class TestExplained:
    """One hidden test."""

    __test__ = False  # tells pytest that this is not a test class

    result: TestResult
    steps: tuple[Step, ...] = ()
    missing: str = ""
    """why there are no steps, or not all; '' if there are"""
    ended: str = ""
    """why a question got no answer"""


@dataclass(frozen=True)
class CellExplained:
    """One exercise."""

    notebook: str
    cell: CellResult
    tests: tuple[TestExplained, ...]
    incidents: tuple[str, ...] = ()
    """what ended or disturbed the run of its notebook, in sentences"""


@dataclass(frozen=True)
class Examined:
    """A student's result and transcript, as they lie in the folder of results."""

    course: Course
    homework: Homework
    result: Result
    transcript: Transcript

    def chosen(self, cell: str) -> list[tuple[NotebookResult, CellResult]]:
        """The exercises that lost points, or the one called `cell` or `notebook/cell`. Raises CourseError."""
        found = []
        for book in self.result.notebooks:
            for one in book.cells:
                named = cell in (one.grade_id, f"{book.notebook}/{one.grade_id}")
                failed = (one.earned is not None and one.earned < one.points) or not all(
                    test.passed for test in one.tests
                )
                if named or (not cell and failed):
                    found.append((book, one))
        if cell and not found:
            known = ", ".join(f"{book.notebook}/{one.grade_id}" for book in self.result.notebooks for one in book.cells)
            raise CourseError(f"{self.homework.name}: there is no grade cell {cell!r}: choose one of {known}")
        return found


def opened(course: Course, homework: Homework, out: Path, student: str) -> Examined:
    """What is kept of a student's homework below `out`. Raises CourseError, and says what is missing."""
    path = out / student / f"{homework.name}.json"
    if not path.is_file():
        raise no_result(course, homework, out, student)
    try:
        result = record.read(path)
        kept = transcript.read(transcript.path_of(out, student, homework.name))
        kept.check(result.transcript)
        _ = kept.body
    except (ValueError, Unusable) as why:
        said = str(why).removeprefix(f"{path}: ")
        raise CourseError(
            f"{path}: {said}: run `autograder grade {homework.name} --student {student}`, which makes both anew"
        ) from None
    return Examined(course, homework.personal(values_of(homework, student)), result, kept)


def explained(kept: Examined, cell: str, everything: bool, suites: Mapping[str, Suite]) -> Iterator[CellExplained]:
    """Explain the exercises that lost points, or one; of their tests those that failed, or `everything`."""
    suites = personal_suites(suites, kept.homework)
    for book, one in kept.chosen(cell):
        noted = kept.transcript.notebook(book.notebook)
        tests = tuple(
            _explained(test, one, noted, kept.transcript.body.blobs, suites[book.notebook])
            if book.notebook in suites
            else TestExplained(test, missing=f"homework.toml lists no notebook {book.notebook} any more")
            for test in one.tests
            if everything or not test.passed
        )
        yield CellExplained(book.notebook, one, tests, tuple(incident.note for incident in book.incidents))


def run_of(noted: NotebookRecord | None, test: str) -> Run | None:
    """The run of a test whose result counts; of one that shares a fork, what was asked there."""
    found = next((one for one in noted.tests if one.name == test), None) if noted is not None else None
    if found is None or noted is None:
        return None
    run = found.last
    return noted.shared if run is not None and not run.exchanges and noted.shared is not None else run


def recording(test: str, noted: NotebookRecord | None, blobs: Sequence[bytes], suite: Suite) -> Recording:
    """What a test asked, with the large values that its questions have. Raises Unusable, and says what is missing."""
    run = run_of(noted, test)
    if run is None or noted is None:
        raise Unusable("this test asked nothing")
    if not run.whole:
        raise Unusable("what this test asked was too much to keep")
    kept = recording_of(run, blobs)
    if len(whole_part(kept.exchanges)) == len(kept.exchanges):
        return kept
    cells = suite.together({one.cell for one in noted.tests if one.name == test})
    names = {name for name, print_ in suite.prints.items() if print_.cell in cells}
    again = suite.examine(
        no_line, no_line, content=noted.content, cells=cells, replayed=recorded_in(noted, blobs, names)
    )
    name = SHARED if run is noted.shared else test
    if test not in again.unknown and name in again.recorded:
        return again.recorded[name].last
    raise Unusable("this test asks with large values that only the test itself can make, and it has changed since")


def _explained(
    test: TestResult, cell: CellResult, noted: NotebookRecord | None, blobs: Sequence[bytes], suite: Suite
) -> TestExplained:
    try:
        found = recording(test.name, noted, blobs, suite)
    except Unusable as why:
        return TestExplained(test, missing=str(why))
    steps = tuple(_steps(found, cell, suite))
    more = f"{len(found.exchanges) - len(steps)} more questions" if len(found.exchanges) > len(steps) else ""
    ended = ""
    if found.unanswered:
        question, error, _ = found.unanswered[0]
        dialogue = Dialogue()
        for asked, answer in found.exchanges:
            dialogue.heard(asked, answer)
        ended = f"{dialogue.text(question)} got no answer: {one_line(error.message)}"
    return TestExplained(test, steps, more, ended)


def _steps(recording: Recording, cell: CellResult, suite: Suite) -> Iterator[Step]:
    dialogue = Dialogue()
    exchanges = recording.exchanges[:_MOST_QUESTIONS]
    questions = [question for question, _ in exchanges]
    rights = suite.diagnoser.answers(None, questions)
    pairs = [(answer, right) for (_, answer), right in zip(exchanges, rights, strict=True)]
    known = next((number + 1 for number, pair in enumerate(pairs) if parted(*pair)), len(pairs))
    how = [one_line(relation(*pair)) for pair in pairs[:known]]
    likely = dict(_likely(exchanges[:known], how, cell, suite)) if written(recording.exchanges) else {}
    for number, (question, answer) in enumerate(exchanges):
        text = dialogue.text(question)
        given = tuple((name, shown(value)) for name, value in dialogue.values.items())
        name = dialogue.heard(question, answer)
        if name and name != text:
            text = f"{name} = {text}"
        mistakes: tuple[tuple[str, str], ...] = ()
        if number >= known:  # the reference has other objects by now
            yield Step(text, given, answer_text(answer), "", SAME, "", _is_plain(question, answer))
            continue
        if how[number] != SAME:
            mistakes = tuple(
                (
                    mistake,
                    "the same as the student"
                    if relation(answer, found[number]) == SAME
                    else answer_text(found[number]),
                )
                for mistake, found in likely.items()
            )
        yield Step(
            text,
            given,
            answer_text(answer),
            answer_text(rights[number]),
            how[number],
            digits(*pairs[number]),
            _is_plain(question, answer),
            mistakes,
        )


def looks(question: Question, answer: Returned | Raised | None) -> bool:
    """Whether a question only takes an object by its name."""
    return isinstance(question, Get | Attribute) and isinstance(answer, Returned) and isinstance(answer.value, Ref)


def _is_plain(question: Question, answer: Returned | Raised | None) -> bool:
    """Whether a question only prepares others: it takes an object by its name, or makes the functions of a harness."""
    match question, answer:
        case messages.Run(), Returned(value=Dict(pairs)):
            return bool(pairs) and all(isinstance(value, Ref) for _, value in pairs)
    return looks(question, answer)


def _likely(
    exchanges: Sequence[Exchange], how: Sequence[str], cell: CellResult, suite: Suite
) -> Iterator[tuple[str, list[Returned | Raised]]]:
    """The known mistakes that were diagnosed; otherwise those that give most of the wrong answers."""
    wrong = [number for number, text in enumerate(how) if text != SAME]
    if not wrong:
        return
    questions = [question for question, _ in exchanges]
    diagnosed = {one.mistake for one in cell.diagnoses}
    found = []
    for mistake in suite.mistakes:
        if cell.grade_id in mistake.fails and (not diagnosed or mistake.id in diagnosed):
            answers = suite.diagnoser.answers(mistake, questions)
            alike = sum(relation(exchanges[number][1], answers[number]) == SAME for number in wrong)
            if alike or diagnosed:
                found.append((alike, mistake.id, answers))
    found.sort(key=lambda one: (-one[0], one[1]))
    yield from ((name, answers) for _, name, answers in found[:_LIKELY])


def text(student: str, cells: Sequence[CellExplained]) -> str:
    """The explanation for a terminal."""
    lines = [f"{note}" for note in dict.fromkeys(note for one in cells for note in one.incidents)]
    lines += [""] * bool(lines)
    for one in cells:
        cell = one.cell
        earned = points_text(cell.earned) or "not marked yet"
        lines += [f"{one.notebook}/{cell.grade_id} · {cell.title}: {earned} of {points_text(cell.points)}"]
        lines += [f"  {line}".rstrip() for line in _marked(cell)]
        if cell.note and not (cell.mark and cell.mark.points is not None):  # a person decided, whatever it says
            lines += [f"  {cell.note}"]
        lines += [f"  looks like {found.mistake}: {found.title}" for found in cell.diagnoses]
        if cell.follows:
            lines += [f"  it uses code of {', '.join(cell.follows)}, which lost points too"]
        lines += [f"  {cause}" for cause in cell.causes]
        for test in one.tests:
            lines += ["", *_test_lines(test)]
        lines.append("")
    if not lines:
        return f"{student}: no points were lost, as far as they are not marked by a person"
    return "\n".join(map(flat, lines)).rstrip()


def _marked(cell: CellResult) -> Iterator[str]:
    """What a person has decided on an exercise, or that one has to."""
    if cell.earned is None and not cell.note:
        yield "it waits for a mark: a person marks it in formgrader, and `autograder marks` brings the mark here"
    if (mark := cell.mark) is None:
        return
    if mark.points is not None:
        alone = mark.tests is not None and mark.tests != mark.points
        tests = f" (the tests alone gave {points_text(mark.tests)})" if alone else ""
        yield f"a person marked it: {points_text(mark.points)} of {points_text(cell.points)}{tests}"
    if mark.extra:
        yield f"extra credit: {points_text(mark.extra)}"
    if mark.outdated:
        yield "the answer may have changed since it was marked: look at it again"
    if mark.comment:
        yield "the comment:"
        yield from (f"  {line}" for line in mark.comment.splitlines())


def _test_lines(test: TestExplained) -> Iterator[str]:
    result = test.result
    yield f"  {result.name} {'passed' if result.passed else 'failed'}. It looks at: {result.says}"
    if result.message:
        yield f"    The student reads: {result.message}"
    shown_right = False
    for number, step in enumerate(test.steps, 1):
        if step.how == SAME and step.plain:
            continue
        yield f"    {number:>2}  {step.asked}"
        yield from (f"          where {name} is {value}" for name, value in step.given)
        if step.how == SAME:
            if step.answer != "None":
                yield f"        → {step.answer}"
            if step.digits and not result.passed:
                yield f"        the reference: {step.right}, which agrees {step.digits}"
            continue
        yield f"        → {step.answer}"
        yield f"        the reference: {step.right}"
        yield f"        {'the first difference' if not shown_right else 'different'}: {step.how}"
        yield from (f"        {mistake} answers {answer}" for mistake, answer in step.mistakes)
        shown_right = True
    if test.ended:
        yield f"        {test.ended}"
    if test.missing:
        yield f"    {test.missing}"
    if test.steps and not shown_right and not result.passed:
        yield "    No answer differs clearly from the reference's. Look at what the test asks for."
