"""Which students of a class are alike: reads all submissions of a homework, in forks, and compares them."""

from __future__ import annotations

import functools
import gc
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.course.course import Course, Homework
from autograder.course.roster import Roster, group_keys, open_roster
from autograder.grading.submissions import Submission, survey
from autograder.insight.borrowed import Borrowed
from autograder.insight.borrowed import of_class as borrowed_answers
from autograder.insight.known_answers import known_prints
from autograder.insight.own_work import Imprint, OwnWork, Reader
from autograder.insight.similarity import EXPECTED, Findings, Pair, similar
from autograder.proving.fork_pool import ForkPool

_OF_ONE = re.compile(r"(The file ‘|Nothing was found for )(.+?)((?:’ |\. ).+)", re.DOTALL)
"""a note about one file or one notebook: what comes before its name, the name, and what comes after it"""
_TOGETHER = 16
"""submissions that one fork reads"""
_SECONDS = 20
"""of processor time for one submission"""


@dataclass(frozen=True)
class AlikeClass:
    """What was found, and where the submissions are."""

    homework: Homework
    findings: Findings
    damage: dict[str, tuple[str, ...]]
    """for each student of whom not everything could be read: why"""
    reader: Reader
    folders: dict[str, Path]
    borrowed: tuple[Borrowed, ...] = ()
    """answers that are right with a classmate's numbers only"""
    others: tuple[str, ...] = ()
    """of each notebook whose released text has the numbers of other students: it in a sentence"""

    def work(self, student: str) -> OwnWork:
        """The own work of one student, read again."""
        return self.reader.read(student, self.folders[student])

    def works(self, pair: Pair) -> tuple[OwnWork, OwnWork]:
        return self.work(pair.one), self.work(pair.other)


def of_class(
    course: Course,
    homework: Homework,
    submitted: Path,
    out: Path,
    notebook: str = "",
    threshold: float = EXPECTED,
    workers: int = 1,
) -> AlikeClass:
    """Compare all submissions of a homework; only one notebook of it if `notebook` is given.

    Where students have numbers of their own, the results in `out` say which answers are right with others' alone.
    Raises CourseError if there are no submissions, or if the course's own files cannot be read.
    """
    names = [spec.name for spec in homework.notebooks if notebook in ("", spec.name)]
    reader, roster = Reader(course, homework, names), open_roster(course.root)
    todo = survey(submitted, homework.name, course.homeworks).todo
    known = known_prints(homework, reader)
    read = _read_all(reader, todo, workers)
    teams = {one.student: teams_of(one.student, roster) for one in todo} if roster else {}
    damage = {one.student: why for one in read if (why := _not_compared(one, read))}
    borrowed = tuple(one for one in borrowed_answers(course, homework, out) if one.exercise[0] in names)
    findings = _noted(similar(read, known.common, teams, threshold, known.all), borrowed)
    folders = {one.student: one.folder for one in todo}
    others = tuple(says for one in read for says in one.others)
    return AlikeClass(homework, findings, damage, reader, folders, borrowed, others)


def _not_compared(one: Imprint, read: Sequence[Imprint]) -> tuple[str, ...]:
    """What is not compared of a student, and why. A notebook that nobody handed in is not missed."""
    missed = [name for name in one.lacks if any(name not in other.lacks for other in read)]
    return (*_gathered(one.damage), *([f"Nothing was handed in for {', '.join(missed)}."] if missed else []))


def _gathered(notes: Sequence[str]) -> list[str]:
    """Each note once, those that differ only in the file or the notebook together."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for note in notes:
        match = _OF_ONE.fullmatch(note)
        before, name, after = match.groups() if match else (note, "", "")
        found.setdefault((before, after), {})[name] = None
    told = []
    for (before, after), names in found.items():
        many = before.replace("The file", "Each of the files") if len(names) > 1 else before
        told.append(many + ("’, ‘" if "‘" in before else ", ").join(names) + after)
    return told


def _noted(findings: Findings, borrowed: Sequence[Borrowed]) -> Findings:
    """The findings, with what is borrowed noted at the pairs between whom it may have been."""

    def notes(pair: Pair) -> tuple[str, ...]:
        both = {pair.one, pair.other}
        return tuple(one.says for one in borrowed if one.student in both and both - {one.student} <= {*one.classmates})

    return replace(findings, pairs=tuple(replace(pair, notes=(*pair.notes, *notes(pair))) for pair in findings.pairs))


def teams_of(student: str, roster: Roster) -> frozenset[str]:
    """What a student's groups are called, whatever platform wrote them; a folder may have the name of a group.

    A student is a team, too: the folder of the id and that of the pseudonym are no pair.
    """
    found = roster.bearer(student)
    members = roster.in_group(student) if found is None else (found,)
    groups = {name for one in members if one.group for name in group_keys([one.group])}
    return frozenset(groups if found is None else groups | {f"student {found.id}"})


def _read_all(reader: Reader, todo: Sequence[Submission], workers: int) -> list[Imprint]:
    """All submissions. One that ends a fork, or takes it too long, is found by reading those of the fork one by one."""
    chunks = [todo[at : at + _TOGETHER] for at in range(0, len(todo), _TOGETHER)]
    found: list[Imprint] = []
    alone: list[Sequence[Submission]] = []
    for chunk, outcome in zip(chunks, _outcomes(reader, chunks, workers), strict=True):
        if isinstance(outcome, str):
            alone += [[one] for one in chunk]
        else:
            found += outcome
    for chunk, outcome in zip(alone, _outcomes(reader, alone, workers), strict=True):
        lost = Imprint(chunk[0].student, {}, ("its files cannot be read in the time and memory that there is",))
        found += [lost] if isinstance(outcome, str) else outcome
    return found


def _outcomes(reader: Reader, chunks: Sequence[Sequence[Submission]], workers: int) -> Collection[list[Imprint] | str]:
    pool = ForkPool(list[Imprint], workers, _SECONDS * _TOGETHER)
    for chunk in chunks:
        pool.begin(functools.partial(_read, reader, chunk))
    return pool.outcomes()


def _read(reader: Reader, chunk: Sequence[Submission]) -> list[Imprint]:
    gc.disable()  # a fork ends soon, and syntax trees hold no cycles
    return [Imprint.of(reader.read(one.student, one.folder)) for one in chunk]
