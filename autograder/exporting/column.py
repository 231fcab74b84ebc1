"""The column of a homework's scores in a platform's gradebook: where it is, and how it writes numbers.

- Canvas: the name of an assignment with its id; in the line ‘Points Possible’ below the header stands what it is worth,
  or ‘(read only)’ for sums that Canvas makes itself (“How do I import grades in the Gradebook?”, Instructor Guide).
- Moodle: Grade in the grading worksheet, beside Maximum Grade (mod/assign/gradingtable.php; in German Bewertung and
  Bestwertung, where Identifier is ID); in a grade export ‘Assignment: Homework 1 (Real)’, beside ‘… (Feedback)’,
  with a hyphen where there is no score (grade/export).
- Gradescope: the assignment's name, and further columns that begin with it: ‘ - Max Points’, ‘ - Submission Time’,
  ‘ - Lateness (H:M:S)’. Gradescope does not describe them; this is what public programs that read them rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from autograder.course.class_list import Form
from autograder.course.course import CourseError, Homework
from autograder.course.sheet import column_name
from autograder.exporting.fields import Field, Fields, column_names
from autograder.submission.folder import reads_as

_GRADE = ("grade", "bewertung")
_MAXIMUM = ("maximum grade", "höchstbewertung", "bestwertung")
_ABOUT = re.compile(r".*(?: - (?:max points|submission time|(?:total )?lateness \(h:m:s\))|\(feedback\))")
"""columns beside a score"""
_READ_ONLY = "(read only)"
_COMMA = re.compile(r"-?\d+,\d+")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+")


def header_of(fields: Fields) -> tuple[str, ...]:
    """The names of the columns in small letters. What Moodle's worksheet calls ID in German is its Identifier."""
    header = column_names(fields.records[0])
    german = "vollständiger name" in header and "bestwertung" in header
    return tuple("identifier" if german and name == "id" else name for name in header)


def find(
    fields: Fields, header: Sequence[str], form: Form, homework: Homework, homeworks: Sequence[str], wanted: str = ""
) -> int:
    """The number of the column: the one that is called `wanted`, or like the homework. Raises CourseError."""
    titles = [field.text.strip() for field in fields.records[0]]
    if wanted:
        name = column_name(wanted)
        found = [at for at, there in enumerate(header) if there == name]
    elif form == "moodle" and any(name in header for name in _GRADE):
        found = [at for at, name in enumerate(header) if name in _GRADE]
    else:
        title = re.compile(rf"(?<!\w){re.escape(homework.title.casefold())}(?!\w)")
        found = [
            at
            for at, name in enumerate(header)
            if (reads_as(name, homeworks) == {homework.name} or title.search(name))
            and not _ABOUT.fullmatch(name)
            and not _read_only(fields, at)
        ]
    if len(found) == 1:
        if _read_only(fields, found[0]):
            raise CourseError(f"{fields.path}: the platform makes {titles[found[0]]!r} itself: choose another --column")
        return found[0]
    there = f"there are {', '.join(filter(None, titles))}"
    if wanted and found:
        raise CourseError(f"{fields.path}: {len(found)} columns are called {wanted!r}: rename all but one of them")
    if found:
        several = ", ".join(titles[at] for at in found)
        raise CourseError(f"{fields.path}: several columns may be meant: {several}: choose one with --column")
    what = repr(wanted) if wanted else f"like {homework.name}"
    raise CourseError(f"{fields.path}: no column is called {what}: choose one with --column; {there}")


def with_comma(fields: Fields, header: Sequence[str], at: int) -> bool:
    """Whether the file writes numbers with a decimal comma, as other scores and the maximum grades show."""
    columns = [at, *(other for other, name in enumerate(header) if name in _MAXIMUM)]
    texts = [row[other].text.strip() for row in fields.records[1:] for other in columns if len(row) > other]
    return any(_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text) for text in texts)


def other_maximum(fields: Fields, header: Sequence[str], form: Form, at: int, most: str) -> list[str]:
    """What to say when the platform's assignment is not worth `most` points."""
    texts: list[str] = []
    if form == "canvas":
        texts = [row[at].text for row in fields.records[1:] if _is_points_possible(row) and len(row) > at]
    else:
        names = _MAXIMUM if header[at] in _GRADE else (f"{header[at]} - max points",)
        columns = [other for other, name in enumerate(header) if name in names]
        texts = [row[other].text for row in fields.records[1:] for other in columns if len(row) > other]
    return other_worth(texts, most)


def other_worth(texts: Iterable[str], most: str) -> list[str]:
    """What to say about each of the maximum scores that is not `most`."""
    return [
        f"the platform's assignment is worth {text} points, the homework {most}"
        for text in dict.fromkeys(text.strip() for text in texts)
        if text and not equal(text, most)
    ]


def equal(one: str, other: str) -> bool:
    """Whether two texts are the same number, with whatever decimal sign."""
    try:
        return float(one.replace(",", ".")) == float(other.replace(",", "."))
    except ValueError:
        return False


def _read_only(fields: Fields, at: int) -> bool:
    rows = (row for row in fields.records[1:3] if _is_points_possible(row) and len(row) > at)
    return any(row[at].text.strip().casefold() == _READ_ONLY for row in rows)


def _is_points_possible(row: Sequence[Field]) -> bool:
    return row[0].text.strip().casefold() == "points possible"
