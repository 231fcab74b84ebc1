"""How late a homework was handed in, and what that costs.

Days are counted in 24 hours after the due date, on whatever day the clocks change, and a started day counts. The same
number of minutes of grace is granted on each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from autograder.course.course import Homework
from autograder.course.late_rules import LateRules
from autograder.course.roster import Student

_DAY = timedelta(days=1)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Lateness:
    """How late one student handed in one homework. `lateness` computes it."""

    rules: LateRules
    due: datetime | None
    """when it was due for this student, in the course's time zone; None: never"""
    submitted: datetime | None
    """None: nobody knows, or nothing was handed in"""
    extra_days: float = 0.0
    """days that the student has more than others"""
    extension: timedelta = timedelta()
    """the same as time that really passes: an hour less or more where clocks change"""
    used_free_days: int = 0
    """free days that earlier homeworks have used"""
    days: int = 0
    """started days after the due date, beyond the minutes of grace"""
    free_days: int = 0
    """how many of these are free"""
    per_cent: float = 0.0
    """what is taken off the points earned"""

    @property
    def sentence(self) -> str:
        """What the student reads; '' when there is no due date."""
        if self.due is None:
            return ""
        if self.submitted is None:
            return f"Due on {self._due}. It is not known when you handed in, so it counts as on time."
        after = _since(self.due, self.submitted)
        if after <= timedelta():
            return f"Handed in on time. It was due on {self._due}."
        said = f"Handed in {_length(after)} after {self._due}: "
        if not self.days:
            grace = _length(timedelta(minutes=self.rules.grace_minutes))
            return f"{said}on time, because up to {grace} are forgiven."
        said += _count(self.days, "day") + " late"
        most = self.rules.most_days
        if most is not None and self.days > most:
            return f"{said}{f', but at most {most} can be' if most else ''}. It counts 0."
        if self.free_days:
            how = ("free" if self.days == 1 else "all free") if self.free_days == self.days else None
            said += f", {how or f'{self.free_days} of them free'}"
        cost = f"{self.per_cent:g} % of your points are" if self.per_cent else "nothing is"
        said += f"; {cost} taken off."
        if self.free_days:
            left = self.rules.free_days - self.used_free_days - self.free_days
            said += f" You have {_count(left, 'free day') if left else 'no free day'} left."
        return said

    @property
    def _due(self) -> str:
        extra = f", with your {_count(self.extra_days, 'extra day')}" if self.extra_days else ""
        return f"{written(self.due)[:-1]}{extra})" if self.due else ""


def lateness(
    homework: Homework, student: Student | None, submitted: datetime | None, used_free_days: int = 0
) -> Lateness:
    """How late a student handed in a homework, after homeworks that have used so many free days.

    Without a due date or a moment of submission nothing is late. A moment without a time zone is in UTC. `student` is
    the line of the roster, for extra days: these end at the same time of day as the due date.
    """
    rules = homework.late
    if submitted is not None and submitted.tzinfo is None:
        submitted = submitted.replace(tzinfo=UTC)
    if homework.due is None:
        return Lateness(rules, None, submitted)
    extra = student.extra_days if student else 0.0
    due = _later(homework.due, extra)
    extension = _since(homework.due, due)
    if submitted is None:
        return Lateness(rules, due, None, extra, extension, used_free_days)
    over = _since(due, submitted) - timedelta(minutes=rules.grace_minutes)
    days = max(0, -(-over // _DAY))
    if rules.most_days is not None and days > rules.most_days:
        return Lateness(rules, due, submitted, extra, extension, used_free_days, days, 0, 100.0)
    free = min(days, max(0, rules.free_days - used_free_days)) if rules.per_day else 0
    per_cent = min(100.0, (days - free) * rules.per_day)
    return Lateness(rules, due, submitted, extra, extension, used_free_days, days, free, per_cent)


def term(
    homeworks: Iterable[Homework], student: Student | None, submitted: Mapping[str, datetime | None]
) -> dict[str, Lateness]:
    """How late a student handed in each homework, by the moment of each.

    Free days go to the homework that was due first, as long as there are any, and only where they save points: none to
    a homework that is too late to count, or that costs nothing when late. So the same moments always give the same
    result, whichever homework is graded first. Homeworks that are due together come in the order given.
    """
    used = 0
    found = {}
    for homework in sorted(homeworks, key=lambda one: one.due.timestamp() if one.due else math.inf):
        found[homework.name] = lateness(homework, student, submitted.get(homework.name), used)
        used += found[homework.name].free_days
    return found


def written(moment: datetime) -> str:
    """A moment as people write it, with its zone: ‘Friday, 20 November 2026, 23:59 (Europe/Berlin)’."""
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    day = f"{_WEEKDAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return f"{day}, {clock} ({getattr(moment.tzinfo, 'key', None) or moment.tzname() or 'UTC'})"


def utc(moment: datetime) -> datetime:
    """The moment as nbgrader's gradebook stores it: in UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _later(due: datetime, days: float) -> datetime:
    """So many days later at the same time of day; where clocks leave that time out, when they have moved on."""
    return (due + timedelta(days=days)).astimezone(UTC).astimezone(due.tzinfo) if days else due


def _since(start: datetime, end: datetime) -> timedelta:
    """The time that really passed. Python's own difference of two moments in one zone is that of their clocks."""
    return end.astimezone(UTC) - start.astimezone(UTC)


def _length(time: timedelta) -> str:
    """‘1 day and 3 hours’: the two largest parts, and never less than a second."""
    seconds = math.ceil(time / timedelta(seconds=1))
    parts = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(_count(count, unit))
    return " and ".join(parts[:2])


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"
