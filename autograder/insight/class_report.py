"""The class report: every figure of the instructor's page as a value, which is also its JSON.

A share is from 0 to 1, a correlation from −1 to 1; null is what cannot be told. Where small numbers are hidden, a text
stands in place of a count: see `withholding`.
"""

from __future__ import annotations

import msgspec

SCHEMA = 3
"""increases when a field changes its meaning or is removed"""
Count = int | str
"""a number of students, or a text in its place"""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A student."""

    id: str
    """name of the folder"""
    name: str = ""
    """from the roster"""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of the whole class or of a section, in points."""

    section: str = ""
    """'' for the whole class; '(no section)' for those without one"""
    students: Count
    lowest: float | None
    quarter: float | None
    """a quarter of the students is below: quantiles by Hyndman and Fan 1996, definition 7"""
    median: float | None
    three_quarters: float | None
    highest: float | None
    mean: float | None
    spread: float | None
    """standard deviation, with n − 1"""
    full: Count
    """students with all points"""


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the distribution of scores: `low` belongs to it, `high` only to the last bar."""

    low: float
    high: float
    students: Count


class ExerciseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One grade cell; students who handed nothing in are left out."""

    notebook: str
    cell: str
    title: str
    points: float
    by_hand: bool
    """whether a person marks it"""
    students: Count
    """those with a share of the points: who waits for a mark is not among them"""
    facility: float | None
    """mean share of the points; what was not tried counts 0. null where over a tenth of the answers wait for a mark"""
    discrimination: float | None
    """correlation with the points of all other exercises that have a facility, by those who wait for no mark in one"""
    full: Count
    partly: Count
    none: Count
    """tried, and no points"""
    not_tried: Count
    """the cell stands as it was released, or the notebook is missing"""
    seconds: float | None
    """median time of its hidden tests"""
    longest: float | None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A suspect exercise or test."""

    kind: str
    """reversed, hard, blind, nobody-passes, everybody-passes or same"""
    notebook: str
    cell: str
    test: str = ""
    """the hidden test; '' for an exercise"""
    other: str = ""
    """of `same`: the other test"""
    students: Count
    facility: float | None
    correlation: float | None
    """with the rest of the points; of `same`: φ of the two tests"""
    alarm: bool
    """whether it was found by a test of significance, all of which together rarely err"""
    advice: str
    """what to do"""


class MistakeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A known mistake."""

    notebook: str
    id: str
    """unique in the notebook"""
    title: str
    hint: str
    students: Count
    elsewhere: Count
    """how many of them made the mistake of this id in another homework, too"""


class ClusterFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Exercises that fail alike and that no known mistake explains."""

    notebook: str
    cell: str
    students: Count
    does: tuple[str, ...]
    """what they have in common"""
    people: tuple[Person, ...] = ()


class Marking(msgspec.Struct, frozen=True, kw_only=True):
    """An exercise with marks given by hand."""

    notebook: str
    cell: str
    title: str
    marked: Count
    """marks that a person gave"""
    copied: Count
    """marks that another member of the team was given for the same answer: they count nowhere else here"""
    mean: float | None
    """share of the points"""
    spread: float | None
    """standard deviation, with n − 1"""
    same_answers: Count
    """answers that several students gave word for word, and that were marked more than once"""
    different: Count
    """how many of these got different marks"""
    apart: float | None
    """the largest difference between marks for one answer, in points"""
    people: tuple[Person, ...] = ()
    """who gave an answer that got different marks"""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents or repairs of one kind."""

    kind: str
    students: Count
    people: tuple[Person, ...] = ()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person has to look at."""

    person: Person
    notebook: str
    cell: str
    why: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What grading one submission took."""

    person: Person
    cpu_seconds: float
    peak_memory_mb: float


class ClassReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the class page says of a homework."""

    schema: int = SCHEMA
    homework: str
    title: str
    maximum: float
    """points of the homework, without a bonus"""
    students: Count
    """those with a result that can be read"""
    handed_in: Count
    scores: Scores
    """of those who handed in"""
    sections: tuple[Scores, ...]
    """() if the roster has none"""
    bins: tuple[Bin, ...]
    exercises: tuple[ExerciseFigures, ...]
    flags: tuple[Flag, ...]
    tests: int
    """hidden tests that were looked at"""
    same_left_out: int = 0
    """pairs of tests that say the same and that are not in `flags`"""
    mistakes: tuple[MistakeFigures, ...]
    other_homeworks: tuple[str, ...]
    """where mistakes were looked for as well"""
    clusters: tuple[ClusterFigures, ...] | None
    """null if they were not computed"""
    clusters_lost: int = 0
    """students whose transcript could not be used"""
    marking: tuple[Marking, ...]
    waiting: tuple[Case, ...]
    waiting_marks: Count
    attempts: tuple[Case, ...]
    """attempts to reach a forbidden tool or the grader, which wait for a person"""
    attempts_students: Count
    incidents: tuple[Tally, ...]
    repairs: tuple[Tally, ...]
    slowest: tuple[Usage, ...]
    largest: tuple[Usage, ...]
    cpu_seconds: float
    """of all students together"""
    damaged: dict[str, str]
    """who has a result that cannot be read, and why"""
    damaged_students: Count
    least: int = 0
    """the least count that is shown; 0 on the page of the teaching team"""


def json_bytes(report: msgspec.Struct) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
