"""Clusters: exercises that fail alike and that no known mistake explains. Each is perhaps a mistake worth describing.

Nothing is executed but the master: the behaviour is read from transcripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Course, Homework
from autograder.course.parsing import read_master
from autograder.examination.diagnosis import written
from autograder.examination.recording import Exchange
from autograder.examination.suite import Suite, collected
from autograder.examination.transcribing import recording_of
from autograder.insight.behaviour import Behaviour, behaviour
from autograder.results import record, transcript
from autograder.results.plain_text import flat
from autograder.results.result import CellResult, Result
from autograder.results.transcript import Transcript, Unusable

LIKE = 0.8
"""the likeness from which on two behaviours are of one kind"""
_NAMED, _FEATURES, _EXAMPLES, _LINES = 5, 8, 2, 40
"""how many students, features, examples and lines of code are shown of each cluster"""


@dataclass(frozen=True)
class Cluster:
    """Exercises of several students that fail alike."""

    notebook: str
    cell: str
    members: tuple[Behaviour, ...]

    @property
    def common(self) -> tuple[str, ...]:
        """What all of them do."""
        shared = frozenset.intersection(*(member.features for member in self.members))
        return tuple(sorted(shared))


def clustered(found: Iterable[Behaviour]) -> tuple[Cluster, ...]:
    """Put behaviours of the same exercise that are alike together; the largest clusters come first.

    A behaviour joins the cluster whose members are most like it on average, if they are at least `LIKE` it.
    """
    groups: dict[tuple[str, str], list[list[Behaviour]]] = {}
    for one in sorted(found, key=lambda one: (one.notebook, one.cell, -len(one.features), one.student)):
        own = groups.setdefault((one.notebook, one.cell), [])
        likeness = [sum(one.likeness(other) for other in group) / len(group) for group in own]
        best = max(likeness, default=0.0)
        if best >= LIKE:
            own[likeness.index(best)].append(one)
        else:
            own.append([one])
    clusters = [Cluster(*key, tuple(group)) for key, own in groups.items() for group in own]
    return tuple(sorted(clusters, key=lambda one: (-len(one.members), one.notebook, one.cell)))


def of_class(
    course: Course,
    homework: Homework,
    out: Path,
    notebook: str = "",
    lost: Callable[[str, str], None] = lambda student, why: None,
) -> tuple[Cluster, ...]:
    """The clusters of all results below `out`. `lost` is told whose transcript cannot be used, and why."""
    paths = sorted(out.glob(f"*/{homework.name}.json"))
    if not paths:
        raise record.none(out, homework.name)
    names = [spec.name for spec in homework.notebooks if notebook in ("", spec.name)]
    suites = {name: Suite(course, homework, name) for name in names}
    found: list[Behaviour] = []
    with collected(*suites.values()):
        for path in paths:
            student = path.parent.name
            try:
                result = record.read(path)
                kept = transcript.read(transcript.path_of(out, student, homework.name))
                kept.check(result.transcript)
                found += _behaviours(result, kept, suites)
            except (ValueError, Unusable) as why:
                lost(student, str(why))
    return clustered(found)


def _behaviours(result: Result, kept: Transcript, suites: dict[str, Suite]) -> Iterator[Behaviour]:
    for book in result.notebooks:
        noted = kept.notebook(book.notebook)
        if noted is None or book.notebook not in suites:
            continue
        suite, tests = suites[book.notebook], {test.name: test for test in noted.tests}
        for cell in book.cells:
            failed: dict[str, Sequence[Exchange]] = {}
            common: dict[str, Sequence[Exchange]] = {}
            for name in _unexplained(cell):
                test = tests.get(name)
                run = test.last if test is not None else None
                if test is None or run is None or not run.whole:
                    continue
                exchanges = recording_of(run, kept.body.blobs).exchanges
                if not written(exchanges):
                    continue
                failed[name] = exchanges
                if test.common is not None:
                    common[name] = recording_of(test.common, kept.body.blobs).exchanges
            if failed:
                yield behaviour(result.student, book.notebook, cell.grade_id, failed, common, suite.diagnoser)
        suite.diagnoser.forget()


def _unexplained(cell: CellResult) -> Sequence[str]:
    """The failed tests of an exercise that was written, and that no known mistake and no error of a cell explains."""
    if cell.note or cell.diagnoses or cell.causes:
        return ()
    failed = [test for test in cell.tests if not test.passed]
    if all(test.message.startswith("This is not written yet") for test in failed):
        return ()
    return [test.name for test in failed]


def text(clusters: Sequence[Cluster], homework: Homework, out: Path) -> str:
    """The clusters for a terminal: what the members do, and the code of two of them."""
    if not clusters:
        return "no exercise failed that a known mistake does not explain"
    lines = []
    for number, one in enumerate(clusters, 1):
        students = [member.student for member in one.members]
        few = ", ".join(students[:_NAMED]) + (f" and {len(students) - _NAMED} more" if len(students) > _NAMED else "")
        many = f"{len(students)} student{'' if len(students) == 1 else 's'}"
        lines.append(f"{number}. {one.notebook}/{one.cell}: {many} ({few})")
        lines += [f"     {feature}" for feature in one.common[:_FEATURES]]
        for student in students[:_EXAMPLES]:
            for cell, source in _code(student, one, homework, out):
                lines += [
                    "",
                    f"   {student}, cell ‘{cell}’:",
                    *(f"     {line}" for line in source.splitlines()[:_LINES]),
                ]
        lines.append("")
    return "\n".join(map(flat, lines)).rstrip()


def stub(cluster: Cluster, homework: Homework, out: Path) -> str:
    """An entry for hwN/mistakes/<notebook>.toml, to be completed by hand."""
    student = cluster.members[0].student
    lines = [
        f"# {len(cluster.members)} students, for example {student}. What they do:",
        *(f"#   {feature}" for feature in cluster.common[:_FEATURES]),
    ]
    solution = ""
    for cell, source in _code(student, cluster, homework, out):
        solution = solution or cell
        lines += [f"# ‘{cell}’:", *(f"#   {line}" for line in source.splitlines()[:_LINES])]
    lines += [
        "[[mistake]]",
        'id = "…"',
        'title = "…"',
        f'cell = "{solution}"',
        "replace = '''…'''  # the lines of the master that are different, just as they stand there",
        "with = '''…'''",
        f'fails = ["{cluster.cell}"]',
        'hint = "…"  # what the code does, not how it is written; it must be true for everybody above',
    ]
    return "\n".join(map(flat, lines))


def _code(student: str, cluster: Cluster, homework: Homework, out: Path) -> Iterator[tuple[str, str]]:
    """The solution cells of a student that this exercise's tests look at: id and source."""
    book = read_master(homework, cluster.notebook)
    wanted = {cell.id for cell in book.examined(cluster.cell)}
    kept = transcript.read(transcript.path_of(out, student, homework.name))
    for cell in kept.body.work[cluster.notebook].cells:
        if cell.id in wanted:
            yield cell.id, cell.source
