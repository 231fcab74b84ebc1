"""Computes the class report from the class table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from autograder.insight import items
from autograder.insight.class_report import (
    Bin,
    Case,
    ClassReport,
    ClusterFigures,
    ExerciseFigures,
    Flag,
    Marking,
    MistakeFigures,
    Person,
    Scores,
    Tally,
    Usage,
)
from autograder.insight.class_table import ClassTable, Cost, Happening
from autograder.insight.items import Array
from autograder.results.plain_text import plain

_BARS, _PAIRS, _COSTS = 10, 20, 5
"""how many bars, pairs of tests that say the same, and slowest or largest submissions are shown"""
_OPEN = 0.1
"""share of an exercise's answers; while more of them wait for a mark, those with points are mostly the blanks"""
_ADVICE = {
    "reversed": "Weak students do better here than strong ones: read it as a student would, and look for a right way "
    "of solving it that is turned down.",
    "hard": "Too hard, or not taught: look at what the answers have in common, then change the text, the hint or the "
    "points.",
    "blind": "Whether it passes says next to nothing about a student: look for chance in it, such as a tolerance that "
    "is too tight, or leave it out.",
    "nobody-passes": "Nobody passes: check it against the text and against a right solution written otherwise.",
    "everybody-passes": "Nobody fails: that tells nothing about this class. It may stay as a check of what must not "
    "break.",
    "same": "The two tests give the same outcome: leave one out, or make one look at something else.",
}


def report(
    table: ClassTable,
    elsewhere: Mapping[str, Mapping[str, set[str]]],
    clusters: tuple[ClusterFigures, ...] | None = None,
    clusters_lost: int = 0,
) -> ClassReport:
    """The report of a class. `elsewhere` has, for each other homework, the students of each mistake."""
    who = dict(zip(table.students, map(_person, table.students, table.names), strict=True))
    here = table.handed_in
    flags, left_out = _flags(table)
    attempts = [one for one in table.incidents if one.kind == "attempt"]
    return ClassReport(
        homework=table.homework,
        title=table.title,
        maximum=table.maximum,
        students=len(table.students),
        handed_in=int(here.sum()),
        scores=scores(table.scores[here], table.maximum),
        sections=_sections(table) if table.has_sections else (),
        bins=bins(table.scores[here], table.maximum),
        exercises=_exercises(table),
        flags=flags,
        tests=len(table.tests),
        same_left_out=left_out,
        mistakes=_mistakes(table, elsewhere),
        other_homeworks=tuple(elsewhere),
        clusters=clusters,
        clusters_lost=clusters_lost,
        marking=_marking(table, who),
        waiting=tuple(
            Case(person=who[student], notebook=book, cell=cell, why=f"waits for {what}")
            for student, book, cell, what in table.waiting
        ),
        waiting_marks=len(table.waiting),
        attempts=tuple(
            Case(person=who[one.student], notebook=one.notebook, cell=one.cell, why=one.note) for one in attempts
        ),
        attempts_students=len({one.student for one in attempts}),
        incidents=_tallies(table.incidents, who),
        repairs=_tallies(table.repairs, who),
        slowest=_most(table.costs, who, lambda one: one.cpu_seconds),
        largest=_most(table.costs, who, lambda one: one.peak_memory_mb),
        cpu_seconds=round(sum(one.cpu_seconds for one in table.costs), 3),
        damaged=table.damaged,
        damaged_students=len(table.damaged),
    )


def number(value: float, digits: int = 4) -> float | None:
    """The number as JSON may have it: None for what cannot be told."""
    return round(float(value), digits) if np.isfinite(value) else None


def scores(found: Array, maximum: float, section: str = "") -> Scores:
    """The distribution of scores in a few numbers."""
    five = np.quantile(found, [0, 0.25, 0.5, 0.75, 1]) if len(found) else np.full(5, np.nan)
    lowest, quarter, median, three, highest = map(number, five)
    return Scores(
        section=section,
        students=len(found),
        lowest=lowest,
        quarter=quarter,
        median=median,
        three_quarters=three,
        highest=highest,
        mean=number(found.mean()) if len(found) else None,
        spread=number(found.std(ddof=1)) if len(found) > 1 else None,
        full=int((found >= maximum - 1e-6).sum()),
    )


def bins(found: Array, maximum: float) -> tuple[Bin, ...]:
    """Ten bars of equal width from 0 points to the most; scores beyond, with a bonus, are in the last."""
    top = maximum or 1.0
    counts, edges = np.histogram(np.clip(found, 0, top), bins=_BARS, range=(0, top))
    pairs = zip(edges[:-1], edges[1:], counts, strict=True)
    return tuple(Bin(low=round(float(a), 4), high=round(float(b), 4), students=int(n)) for a, b, n in pairs)


def _person(id: str, name: str) -> Person:
    return Person(id=plain(id), name=plain(name))


def _sections(table: ClassTable) -> tuple[Scores, ...]:
    names = np.array([plain(name) or "(no section)" for name in table.sections])
    here = table.handed_in
    return tuple(scores(table.scores[here & (names == name)], table.maximum, str(name)) for name in np.unique(names))


def _worth(table: ClassTable) -> Array:
    return np.array([one.points for one in table.exercises], dtype=np.float64)


def _worth_of_tests(table: ClassTable, judged: Array) -> Array:
    """(students, tests): the points of each test that are in a total of `judged` exercises."""
    column = {(one.notebook, one.cell): at for at, one in enumerate(table.exercises)}
    at = [column[one.notebook, one.cell] for one in table.tests]
    worth = np.array([one.worth for one in table.tests], dtype=np.float64)
    return np.asarray(np.where(np.isnan(judged[:, at]), 0.0, worth), dtype=np.float64)


def _judged(table: ClassTable) -> Array:
    """The shares of those who handed in; NaN for all in an exercise too many of whose answers wait for a mark."""
    shares, tried = table.shares[table.handed_in], table.tried[table.handed_in]
    waiting = (np.isnan(shares) & tried).sum(axis=0)
    return np.where(waiting > _OPEN * tried.sum(axis=0), np.nan, shares)


def _total(table: ClassTable, judged: Array) -> Array:
    """(students,): the points in `judged` exercises; NaN while one of a student's answers to them waits for a mark."""
    counts = ~np.isnan(judged).all(axis=0)
    waits = (np.isnan(judged) & table.tried[table.handed_in])[:, counts].any(axis=1)
    return np.asarray(np.where(waits, np.nan, np.nansum(judged * _worth(table), axis=1)), dtype=np.float64)


def _exercises(table: ClassTable) -> tuple[ExerciseFigures, ...]:
    here, judged = table.handed_in, _judged(table)
    shares, tried, seconds = table.shares[here], table.tried[here], table.seconds[here]
    facility = items.facility(judged)
    r = items.discrimination(judged, _worth(table), _total(table, judged))
    found = []
    for at, one in enumerate(table.exercises):
        known = ~np.isnan(shares[:, at])
        share, own, took = shares[known, at], tried[known, at], seconds[:, at][~np.isnan(seconds[:, at])]
        full, some = share >= 1 - 1e-9, share > 1e-9
        found.append(
            ExerciseFigures(
                notebook=one.notebook,
                cell=one.cell,
                title=plain(one.title),
                points=one.points,
                by_hand=one.by_hand,
                students=int(known.sum()),
                facility=number(facility[at]),
                discrimination=number(r[at]),
                full=int(full.sum()),
                partly=int((some & ~full).sum()),
                none=int((~some & own).sum()),
                not_tried=int((~some & ~own).sum()),
                seconds=number(np.median(took)) if len(took) else None,
                longest=number(np.max(took)) if len(took) else None,
            )
        )
    return tuple(found)


def _flags(table: ClassTable) -> tuple[tuple[Flag, ...], int]:
    """The suspects, alarms first, and how many pairs of tests that say the same are left out."""
    here, worth = table.handed_in, _worth(table)
    shares, passed = _judged(table), table.passed[here]
    total = _total(table, shares)
    of_tests = _worth_of_tests(table, shares)
    easy, rest = items.facility(shares), items.discrimination(shares, worth, total)
    share, r = items.facility(passed), items.discrimination(passed, of_tests, total)
    counted, tested = (~np.isnan(shares)).sum(axis=0), (~np.isnan(passed)).sum(axis=0)
    turned, hard, turned_tests, blind = items.alarms(shares, worth, passed, of_tests, total)

    def exercise(kind: str, at: int) -> Flag:
        one = table.exercises[at]
        return Flag(
            kind=kind,
            notebook=one.notebook,
            cell=one.cell,
            students=int(counted[at]),
            facility=number(easy[at]),
            correlation=number(rest[at]),
            alarm=True,
            advice=_ADVICE[kind],
        )

    def test(kind: str, at: int, alarm: bool, other: str = "", correlation: float = np.nan) -> Flag:
        one = table.tests[at]
        return Flag(
            kind=kind,
            notebook=one.notebook,
            cell=one.cell,
            test=one.name,
            other=other,
            students=int(tested[at]),
            facility=number(share[at]),
            correlation=number(correlation if other else r[at]),
            alarm=alarm,
            advice=_ADVICE[kind],
        )

    found = [exercise("reversed", int(at)) for at in np.flatnonzero(turned)]
    found += [exercise("hard", int(at)) for at in np.flatnonzero(hard)]
    found += [test("reversed", int(at), True) for at in np.flatnonzero(turned_tests)]
    found += [test("blind", int(at), True) for at in np.flatnonzero(blind & ~turned_tests)]
    many = tested >= items.FEW
    found += [test("nobody-passes", int(at), False) for at in np.flatnonzero(many & (share == 0))]
    found += [test("everybody-passes", int(at), False) for at in np.flatnonzero(many & (share == 1))]
    pairs = items.alike(passed)
    for first, second, value in pairs[:_PAIRS]:
        other = table.tests[second]
        found.append(test("same", first, False, f"{other.notebook}/{other.name}", value))
    return tuple(found), max(0, len(pairs) - _PAIRS)


def _mistakes(table: ClassTable, elsewhere: Mapping[str, Mapping[str, set[str]]]) -> tuple[MistakeFigures, ...]:
    found = []
    for (notebook, id), students in table.mistakes.items():
        others = {table.person(student) for made in elsewhere.values() for student in made.get(id, ())}
        title, hint = map(plain, table.told[notebook, id])
        again = sum(table.person(student) in others for student in students)
        found.append(
            MistakeFigures(notebook=notebook, id=id, title=title, hint=hint, students=len(students), elsewhere=again)
        )
    return tuple(sorted(found, key=lambda one: (-len(table.mistakes[one.notebook, one.id]), one.id, one.notebook)))


def _marking(table: ClassTable, who: Mapping[str, Person]) -> tuple[Marking, ...]:
    found = []
    teams = dict(zip(table.students, table.teams, strict=True))
    for one in table.exercises:
        marks = table.marks.get((one.notebook, one.cell))
        if not marks:
            continue
        digests = {digest: _given(all, teams) if digest else all for digest, all in marks.items()}
        shares = np.array([share for given in digests.values() for _, share in given])
        # Where tests mark it, the digest is of the whole notebook, and says nothing of this answer alone.
        same = [digest for digest, given in digests.items() if digest and len(given) > 1 and one.by_hand]
        gaps = [np.ptp([share for _, share in digests[digest]]) for digest in same]
        people = sorted(
            {who[name].id for digest, gap in zip(same, gaps, strict=True) if gap > 1e-9 for name, _ in marks[digest]}
        )
        by_id = {person.id: person for person in who.values()}
        found.append(
            Marking(
                notebook=one.notebook,
                cell=one.cell,
                title=plain(one.title),
                marked=len(shares),
                copied=sum(map(len, marks.values())) - len(shares),
                mean=number(shares.mean()),
                spread=number(shares.std(ddof=1)) if len(shares) > 1 else None,
                same_answers=len(same),
                different=sum(bool(gap > 1e-9) for gap in gaps),
                apart=number(max(gaps) * one.points) if gaps else None,
                people=tuple(by_id[id] for id in people),
            )
        )
    return tuple(found)


def _given(marks: Sequence[tuple[str, float]], teams: Mapping[str, str]) -> list[tuple[str, float]]:
    """The marks for one answer without copies: a team's members who handed in the same answer get one mark."""
    first: dict[tuple[str, str, float], tuple[str, float]] = {}
    for student, share in marks:
        first.setdefault((teams[student], "" if teams[student] else student, share), (student, share))
    return list(first.values())


def _tallies(happenings: Iterable[Happening], who: Mapping[str, Person]) -> tuple[Tally, ...]:
    kinds: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for one in happenings:
        kinds[one.kind][one.student] = None
    tallies = [
        Tally(kind=plain(kind), students=len(names), people=tuple(who[name] for name in names))
        for kind, names in kinds.items()
    ]
    return tuple(sorted(tallies, key=lambda one: (-len(one.people), one.kind)))


def _most(costs: Sequence[Cost], who: Mapping[str, Person], cost: Callable[[Cost], float]) -> tuple[Usage, ...]:
    return tuple(
        Usage(person=who[one.student], cpu_seconds=one.cpu_seconds, peak_memory_mb=one.peak_memory_mb)
        for one in sorted(costs, key=cost, reverse=True)[:_COSTS]
    )
