"""Compares the homeworks of a class: scores, how they go together, exercises, and who needs help."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np

from autograder.insight.class_figures import bins, number, report, scores
from autograder.insight.class_report import SCHEMA, Bin, Count, ExerciseFigures, Person, Scores
from autograder.insight.class_table import ClassTable
from autograder.insight.items import FEW, Array
from autograder.insight.withholding import HIDDEN, shared
from autograder.results.plain_text import plain

FALL = 0.25
"""how much of all points a score has to fall, beyond what the class's median falls"""
LOW = 0.25
"""who is among so many of the class is low"""
SEVERAL = 2
"""in how many homeworks somebody has to be low"""


class HomeworkFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One homework in the comparison."""

    homework: str
    title: str
    maximum: float
    scores: Scores
    bins: tuple[Bin, ...]
    exercises: tuple[ExerciseFigures, ...]
    damaged: dict[str, str]
    damaged_students: Count


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """Two homeworks, by those who handed in both."""

    first: str
    second: str
    students: Count
    correlation: float | None
    """Pearson's r of the scores (Pearson 1895); null if it cannot be told"""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A student who may need help, and why."""

    person: Person
    shares: tuple[float | None, ...]
    """of the points of each homework; null where nothing was handed in"""
    why: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of several homeworks says."""

    schema: int = SCHEMA
    homeworks: tuple[HomeworkFigures, ...]
    together: tuple[Together, ...]
    needs: tuple[Need, ...]
    needs_students: Count
    strangers: tuple[tuple[str, str], ...] = ()
    """homeworks of which no student is in both, mostly because their folders call students differently: then `needs`
    is empty"""
    least: int = 0
    """the least count that is shown; 0 on the page of the teaching team"""


def comparison(tables: Sequence[ClassTable]) -> Comparison:
    """Compare homeworks, given in the order of the course."""
    people = _people(tables)
    order = sorted(people)
    shares = _shares(tables, order)
    strangers = _strangers(tables)
    needs = () if strangers else _needs(tables, order, people, shares)
    return Comparison(
        homeworks=tuple(map(_homework, tables)),
        together=tuple(
            _together(tables[a].homework, tables[b].homework, shares[:, a], shares[:, b])
            for a in range(len(tables))
            for b in range(a + 1, len(tables))
        ),
        needs=needs,
        needs_students=len(needs),
        strangers=strangers,
    )


def shared_comparison(found: Comparison, tables: Sequence[ClassTable], least: int) -> Comparison | None:
    """The comparison as it may leave the teaching team; None if one of the classes is too small."""
    homeworks = []
    for table, one in zip(tables, found.homeworks, strict=True):
        hidden = shared(report(table, {}), least)
        if hidden is None:
            return None
        homeworks.append(
            msgspec.structs.replace(
                one,
                scores=hidden.scores,
                bins=hidden.bins,
                exercises=hidden.exercises,
                damaged={},
                damaged_students=hidden.damaged_students,
            )
        )

    def few(count: Count) -> Count:
        return f"< {least}" if isinstance(count, int) and count < least else count

    together = (
        msgspec.structs.replace(
            one,
            students=HIDDEN,  # with the numbers of both homeworks, it tells how many handed in one alone
            correlation=round(one.correlation, 1)
            if one.correlation is not None and isinstance(one.students, int) and one.students >= 2 * least
            else None,
        )
        for one in found.together
    )
    return msgspec.structs.replace(
        found,
        homeworks=tuple(homeworks),
        together=tuple(together),
        needs=(),
        needs_students=HIDDEN if found.strangers else few(found.needs_students),
        strangers=(),
        least=least,
    )


def _homework(table: ClassTable) -> HomeworkFigures:
    found = table.scores[table.handed_in]
    return HomeworkFigures(
        homework=table.homework,
        title=table.title,
        maximum=table.maximum,
        scores=scores(found, table.maximum),
        bins=bins(found, table.maximum),
        exercises=report(table, {}).exercises,
        damaged=table.damaged,
        damaged_students=len(table.damaged),
    )


def _people(tables: Sequence[ClassTable]) -> dict[str, Person]:
    """Everybody in these homeworks, with the name if one of them has it."""
    found: dict[str, Person] = {}
    for table in tables:
        for student, name in zip(table.students, table.names, strict=True):
            who = table.person(student)
            if who not in found or (name and not found[who].name):
                found[who] = Person(id=plain(student), name=plain(name))
    return found


def _strangers(tables: Sequence[ClassTable]) -> tuple[tuple[str, str], ...]:
    there = [{table.person(student) for student in (*table.students, *table.damaged)} for table in tables]
    pairs = itertools.combinations(zip(tables, there, strict=True), 2)
    return tuple((one.homework, other.homework) for (one, these), (other, those) in pairs if not these & those)


def _shares(tables: Sequence[ClassTable], order: Sequence[str]) -> Array:
    """(students, homeworks): the share of the points; NaN where nothing was handed in.

    The higher one counts where somebody has two folders.
    """
    row = {who: at for at, who in enumerate(order)}
    found = np.full((len(order), len(tables)), np.nan)
    for column, table in enumerate(tables):
        for student, score, there in zip(table.students, table.scores, table.handed_in, strict=True):
            if there:
                at = row[table.person(student)], column
                found[at] = np.fmax(found[at], score / (table.maximum or 1.0))
    return found


def _together(first: str, second: str, a: Array, b: Array) -> Together:
    both = ~np.isnan(a) & ~np.isnan(b)
    told = both.sum() >= 3 and a[both].std() > 1e-9 and b[both].std() > 1e-9
    r = number(np.corrcoef(a[both], b[both])[0, 1]) if told else None
    return Together(first=first, second=second, students=int(both.sum()), correlation=r)


def _needs(
    tables: Sequence[ClassTable], order: Sequence[str], people: dict[str, Person], shares: Array
) -> tuple[Need, ...]:
    """Who fell, or is low in several homeworks, or handed nothing in any more; most reasons first."""
    there = ~np.isnan(shares)
    lowest = np.array([_lowest(column[~np.isnan(column)]) for column in shares.T])
    low = there & (np.nan_to_num(shares) <= lowest)
    falls: list[list[str]] = [[] for _ in order]
    for at in range(1, len(tables)):
        step = shares[:, at] - shares[:, at - 1]
        usual = float(np.median(step[~np.isnan(step)])) if (~np.isnan(step)).any() else 0.0
        for row in map(int, np.flatnonzero(step - min(usual, 0.0) <= -FALL)):
            falls[row].append(f"fell by {-100 * step[row]:.0f} percent of the points to {tables[at].homework}")
    found = []
    unread = {tables[-1].person(student) for student in tables[-1].damaged}
    for row, who in enumerate(order):
        why = list(falls[row])
        if low[row].sum() >= SEVERAL:
            names = ", ".join(table.homework for table, is_low in zip(tables, low[row], strict=True) if is_low)
            why.append(f"in the lowest quarter in {names}")
        if there[row].any() and not there[row, -1] and who not in unread:
            why.append(f"handed in nothing for {tables[-1].homework}")
        if why:
            found.append(
                Need(
                    person=people[who],
                    shares=tuple(number(value) for value in shares[row]),
                    why="; ".join(why),
                )
            )
    return tuple(sorted(found, key=lambda one: (-one.why.count(";"), one.person.id)))


def _lowest(known: Array) -> float:
    """The share up to which a student is low; −1 if the class is too small or too equal for that.

    At most a quarter of the class is low, and one more.
    """
    if len(known) < FEW:
        return -1.0
    low = float(np.quantile(known, LOW))
    if low >= float(np.median(known)):
        return -1.0
    many = (known <= low).sum() > LOW * len(known) + 1  # have this very score: only those below it are low
    return float(np.max(known[known < low], initial=-1.0)) if many else low
