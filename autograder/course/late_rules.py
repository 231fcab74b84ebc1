"""What course.toml and homework.toml say about dates: the time zone, when a homework is due, what lateness costs."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import msgspec

_YEARS = range(2000, 2200)

PerDay = Annotated[float, msgspec.Meta(ge=0, le=100)]
Days = Annotated[int, msgspec.Meta(ge=0, le=366)]
Step = Annotated[float, msgspec.Meta(ge=0, le=100)]
Minutes = Annotated[float, msgspec.Meta(ge=0, le=1440)]


class LateRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to a homework that is handed in late: `[late]` in course.toml. Unless it says more, nothing."""

    per_day: PerDay = 0.0
    """per cent of the points earned that each started day costs"""
    most_days: Days | None = None
    """what is later than this many days, free ones included, counts 0; None: there is no end"""
    grace_minutes: Minutes = 0.0
    """minutes after the due date, and after each day that follows, that are forgiven"""
    free_days: Days = 0
    """days a term that cost nothing, for all homeworks together: spent in the order of the due dates"""


class HomeworkLateRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[late]` in homework.toml: what differs from course.toml. Free days belong to the term, not to a homework."""

    per_day: PerDay | msgspec.UnsetType = msgspec.UNSET
    most_days: Days | msgspec.UnsetType = msgspec.UNSET
    grace_minutes: Minutes | msgspec.UnsetType = msgspec.UNSET

    def over(self, rules: LateRules) -> LateRules:
        """The rules of the course, with those of this homework in their place."""
        changes = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not msgspec.UNSET}
        return msgspec.structs.replace(rules, **changes)


def penalty(points: float, per_cent: float) -> float:
    """What lateness takes off the points of one notebook, to the four digits of a score.

    The penalty of a homework is the sum of its notebooks' penalties, as in nbgrader's gradebook.
    """
    if per_cent == 100:
        return max(points, 0.0)
    return max(0.0, min(points, round(round(points, 4) * per_cent / 100, 4)))


def zone_of(name: str) -> tzinfo:
    """The time zone of this IANA name. Raises ValueError, with the names that were perhaps meant."""
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    known = {zone.casefold(): zone for zone in zoneinfo.available_timezones()}
    if not known:
        raise ValueError("this machine has no list of time zones: install it with `pip install tzdata`")
    close = difflib.get_close_matches(name.strip().casefold().replace(" ", "_"), known, n=3)
    meant = " or ".join(f'"{known[one]}"' for one in close) or 'a name such as "Europe/Berlin" or "UTC"'
    raise ValueError(f"there is no time zone {name!r}: write {meant}")


def check_year(moment: datetime) -> None:
    """Raise ValueError for a year that cannot be meant."""
    if moment.year not in _YEARS:
        raise ValueError(f"the year {moment.year} is not in {_YEARS.start} to {_YEARS.stop - 1}")


def due_in(zone: tzinfo, due: datetime) -> datetime:
    """The due date in the course's zone; a date-time without an offset is meant there.

    A time that clocks show twice, or leave out, when summer time ends or begins is the later of the two readings.
    Raises ValueError for a year that cannot be meant.
    """
    check_year(due)
    if due.tzinfo is None:
        return max(due.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)).astimezone(zone)
    return due.astimezone(zone)
