"""When a submission was handed in: timestamp.txt in its folder.

nbgrader's exchange and zip collector write the file, and `autograder collect` does: one line with a moment in ISO 8601
and perhaps a zone, such as ‘2015-02-02 14:58:23.948203 America/Los_Angeles’ (nbgrader documentation, “Late submission
plugin”, and `nbgrader.utils.parse_utc`).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from autograder.course.late_rules import check_year, zone_of

FILE = "timestamp.txt"
_LONGEST = 200
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)"
    r"(?: ?([+-]\d\d(?::?\d\d)?)| ?(Z|UTC|GMT)| ([A-Za-z][\w+/-]*))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Stamp:
    """What a timestamp.txt says."""

    time: datetime | None
    """None: there is no file, or it cannot be read"""
    note: str = ""
    """why it cannot be read, for the instructor; '' if it can, or if there is none"""


def read_stamp(folder: Path) -> Stamp:
    """The moment of the submission in a folder. Never raises."""
    path = folder / FILE
    try:
        if not path.is_file():
            there = path.is_symlink() or path.exists()
            return Stamp(None, f"{path}: this is not a file, so the time of submission is not known" if there else "")
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        return Stamp(None, f"{path}: {error.strerror}, so the time of submission is not known")
    text = text_of(data)
    try:
        return Stamp(moment(text))
    except ValueError as error:
        what = f"{text[:40]!r} is not a moment ({error})" if text else "it is empty"
        return Stamp(None, f"{path}: {what}: write one line such as 2026-11-20 23:59:00 Europe/Berlin")


def text_of(data: bytes) -> str:
    """The text of a timestamp.txt, whatever an editor made of it."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace").strip("\0 \t\r\n")


def moment(text: str) -> datetime:
    """The moment in a text, with its zone. Without one it is UTC, as nbgrader reads it.

    The zone is an offset, UTC, Z, or an IANA name. nbgrader takes an offset behind a blank (‘12:00:00 -0500’) for
    seconds; here it is hours and minutes. nbgrader also guesses at other orders of day and month, and reads a zone that
    it does not know (PST) as UTC; here both are errors.

    Raises
    ------
    ValueError
        With the reason.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError("it needs year-month-day hour:minute:second and a time zone")
    clock, offset, _, name = found.groups()
    time = datetime.fromisoformat(clock)
    check_year(time)
    zone: tzinfo | None = zone_of(name) if name else UTC
    if offset:
        zone = datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
    return time.replace(tzinfo=zone)
