"""Withholds what could tell who a student is: names, and counts of few students, for what leaves the teaching team.

In a row whose counts add up to a known total, a single hidden count could be computed back. So more are hidden, until
each count that is too small may be anything from 0 to the most that is hidden (complementary suppression: Willenborg
and de Waal 2001, Elements of Statistical Disclosure Control, chapter 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from autograder.insight.class_report import (
    Bin,
    ClassReport,
    ClusterFigures,
    Count,
    ExerciseFigures,
    Flag,
    Marking,
    MistakeFigures,
    Person,
    Scores,
    Tally,
)

HIDDEN = "hidden"
"""in place of a count that is large enough, but from which a small one could be computed; of all bars, if one is"""
_STEPS = 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0
"""to which means are rounded: from a step that was made for a number of students, that number could be told"""


def shared(report: ClassReport, least: int) -> ClassReport | None:
    """The report without names and without counts below `least`; None if the whole class is too small for any.

    Means are rounded so that no small count follows from them.
    """
    if not isinstance(report.handed_in, int) or report.handed_in < max(least, 1):
        return None
    hide = _Hiding(least, report.handed_in, _int(report.students))
    whole = hide.row([report.handed_in, _int(report.students) - report.handed_in])
    parts = hide.row([_int(one.students) for one in report.sections]) if report.sections else []
    full = hide.row(_upwards(report))[0]
    if isinstance(full, int) and hide.near_full(report):
        full = HIDDEN
    bars = hide.row([_int(one.students) for one in report.bins])
    if hide.near_bars(report):
        bars = [HIDDEN] * len(bars)
    return msgspec.structs.replace(
        report,
        students=report.students if isinstance(whole[1], int) else HIDDEN,
        scores=msgspec.structs.replace(
            hide.scores(report.scores, report.handed_in),
            full=full,
        ),
        sections=tuple(hide.scores(one, count) for one, count in zip(report.sections, parts, strict=True)),
        bins=tuple(
            Bin(low=one.low, high=one.high, students=count) for one, count in zip(report.bins, bars, strict=True)
        ),
        exercises=tuple(map(hide.exercise, report.exercises)),
        flags=tuple(map(hide.flag, report.flags)),
        mistakes=tuple(map(hide.mistake, report.mistakes)),
        clusters=None
        if report.clusters is None
        else tuple(hide.cluster(one) for one in report.clusters if _int(one.students) >= least),
        clusters_lost=0,
        marking=tuple(map(hide.marking, report.marking)),
        waiting=(),
        waiting_marks=hide.waiting(report),
        attempts=(),
        attempts_students=hide.part(report.attempts_students),
        incidents=tuple(map(hide.tally, report.incidents)),
        repairs=tuple(map(hide.tally, report.repairs)),
        slowest=(),
        largest=(),
        damaged={},
        damaged_students=hide.count(report.damaged_students),
        least=least,
    )


def withheld(counts: Sequence[int], least: int) -> tuple[bool, ...]:
    """Which counts of a row with a known sum are hidden.

    Those below `least` are; and if one of them could be told more closely than ‘from 0 to `least` − 1’ by who knows
    the sum, the smallest of the others is hidden, too, until none can, or nothing is left to hide.
    """
    small = [count < least for count in counts]
    hidden = list(small)
    if not any(small):
        return tuple(hidden)
    while not all(hidden) and not _open(counts, small, hidden, least):
        hidden[min((count, at) for at, count in enumerate(counts) if not hidden[at])[1]] = True
    return tuple(hidden)


def _open(counts: Sequence[int], small: Sequence[bool], hidden: Sequence[bool], least: int) -> bool:
    """Whether each small count may be anything from 0 to `least` − 1, by all that is shown."""
    total = sum(count for count, gone in zip(counts, hidden, strict=True) if gone)
    smalls, others = sum(small), sum(hidden) - sum(small)
    most = least - 1
    highest = total - others * least  # the other small ones 0, the large ones as small as they can be
    lowest = 0 if others else total - (smalls - 1) * most
    return highest >= most and lowest <= 0


def _int(count: Count) -> int:
    return count if isinstance(count, int) else 0


def _upwards(report: ClassReport) -> list[int]:
    """Who has full marks, who else is in the last bar, and the others."""
    full = _int(report.scores.full)
    last = max(full, _int(report.bins[-1].students))
    return [full, last - full, _int(report.handed_in) - last]


class _Hiding:
    """`students` handed in, of `everybody` with a result."""

    def __init__(self, least: int, students: int, everybody: int) -> None:
        self.least, self.few = least, f"< {least}"
        self.students, self.everybody = students, everybody

    def count(self, count: Count) -> Count:
        return self.few if isinstance(count, int) and count < self.least else count

    def part(self, count: Count) -> Count:
        """A part of the students, hidden also if few are missing to all of them."""
        near = (0 < whole - _int(count) < self.least for whole in (self.students, self.everybody))
        return HIDDEN if isinstance(count, int) and count >= self.least and any(near) else self.count(count)

    def row(self, counts: Sequence[int]) -> list[Count]:
        gone = withheld(counts, self.least)
        return [
            self.count(one) if not hide or one < self.least else HIDDEN for one, hide in zip(counts, gone, strict=True)
        ]

    def near_full(self, report: ClassReport) -> bool:
        """Whether few have all points of an exercise, but not of the homework: two tables would tell how many."""
        full = _int(report.scores.full)
        return any(0 <= _int(one.full) - full < self.least for one in report.exercises if one.points)

    def near_bars(self, report: ClassReport) -> bool:
        """Whether bars tell a small count together with an exercise.

        All points of an exercise put a student into the bar that its points reach, or above; none of them, into the
        bar that all the others' points reach, or below. Few may be there for another reason.
        """
        bars = [_int(one.students) for one in report.bins]
        left = []
        for one in report.exercises:
            share = one.points / report.maximum if report.maximum else 0.0
            reached, rest = (min(int(len(bars) * part + 1e-9), len(bars) - 1) for part in (share, max(0.0, 1 - share)))
            if reached > 0:
                left.append(sum(bars[reached:]) - _int(one.full))
            if rest < len(bars) - 1:
                waiting = self.students - _int(one.students)
                left.append(sum(bars[: rest + 1]) - _int(one.none) - _int(one.not_tried) - waiting)
        return any(0 <= count < self.least for count in left)

    def mean(self, value: float | None, students: Count) -> float | None:
        """A mean share, rounded to a step that is worth at least twice `least` students; None where few are behind it.

        The step depends on what everybody may know of their number alone.
        """
        if value is None or not isinstance(students, int):
            return None
        surely = students if students == self.students else min(students, self.students - self.least + 1)
        step = next((one for one in _STEPS if one * surely > 2 * self.least - 1e-9), None)
        return None if step is None else min(1.0, round(round(value / step) * step, 4))

    def rough(self, value: float | None, students: Count) -> float | None:
        return None if value is None or not isinstance(students, int) or students < self.least else round(value, 1)

    def scores(self, one: Scores, students: Count) -> Scores:
        known = isinstance(students, int)
        few = not known or _int(students) < 4 * self.least
        near = [None if few or value is None else float(round(value)) for value in (one.quarter, one.three_quarters)]
        middle = None if not known or one.median is None or _int(students) < 2 * self.least else one.median
        return Scores(
            section=one.section,
            students=students,
            lowest=None,
            quarter=near[0],
            median=None if middle is None else float(round(middle)),
            three_quarters=near[1],
            highest=None,
            mean=None if few or one.mean is None else float(round(one.mean)),
            spread=None,
            full=HIDDEN,  # the sections' counts add up to that of the class
        )

    def exercise(self, one: ExerciseFigures) -> ExerciseFigures:
        outcomes = list(map(_int, (one.full, one.partly, one.none, one.not_tried)))
        waiting = self.students - _int(one.students)
        if waiting:
            # They add up to those who handed in. That somebody waits is no secret: how many more do, is one.
            *shown, others = self.row([*outcomes, waiting - 1])
            students = one.students if isinstance(others, int) else HIDDEN
        else:
            shown, students = self.row(outcomes), one.students
        full, partly, none, untried = shown
        return msgspec.structs.replace(
            one,
            students=students,
            facility=self.mean(one.facility, one.students),
            discrimination=self.rough(one.discrimination, one.students),
            full=full,
            partly=partly,
            none=none,
            not_tried=untried,
            longest=None,
        )

    def waiting(self, report: ClassReport) -> Count:
        """How many answers wait for a mark, unless that says more than the exercises do."""
        told = [self.exercise(one).students for one in report.exercises]
        known = all(isinstance(one, int) for one in told)
        same = report.waiting_marks == sum(self.students - _int(one) for one in told)
        count = self.count(report.waiting_marks)
        return count if not isinstance(count, int) or (known and same) else HIDDEN

    def flag(self, one: Flag) -> Flag:
        exact = one.kind in ("nobody-passes", "everybody-passes")  # the kind says it already
        return msgspec.structs.replace(
            one,
            students=self.count(one.students) if one.students == self.students else HIDDEN,
            facility=one.facility if exact else self.mean(one.facility, one.students),
            correlation=self.rough(one.correlation, one.students),
        )

    def mistake(self, one: MistakeFigures) -> MistakeFigures:
        again, alone = _int(one.elsewhere), _int(one.students) - _int(one.elsewhere)
        return msgspec.structs.replace(
            one, students=self.part(one.students), elsewhere=self.row([again, alone])[0] if again else self.few
        )

    def cluster(self, one: ClusterFigures) -> ClusterFigures:
        return msgspec.structs.replace(one, students=self.count(one.students), people=_nobody())

    def marking(self, one: Marking) -> Marking:
        return msgspec.structs.replace(
            one,
            marked=HIDDEN if _int(one.marked) >= self.least else self.few,  # who is not marked did not try, or waits
            copied=HIDDEN if _int(one.copied) >= self.least else self.few,
            mean=self.mean(one.mean, one.marked),
            spread=None,
            same_answers=self.count(one.same_answers),
            different=self.count(one.different),
            apart=None,
            people=_nobody(),
        )

    def tally(self, one: Tally) -> Tally:
        return msgspec.structs.replace(one, students=self.part(one.students), people=_nobody())


def _nobody() -> tuple[Person, ...]:
    return ()
