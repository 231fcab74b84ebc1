"""Pseudonyms: what students are called where no name may stand. The roster, which has both, is the key."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace

from autograder.course.roster import Roster

_LETTERS = "cdfjkrtxy"
"""no vowels, so that no word comes out; none that look like another one, or make a homework's name, such as hw or ps"""
_DIGITS = "34679"
_PATTERN = "LLDLLD"


def given(roster: Roster) -> Roster:
    """The roster in which everybody has a pseudonym. Those that are there stay."""
    taken = {name.casefold() for student in roster.students for name in (student.id, student.pseudonym)}
    students = []
    for student in roster.students:
        if not student.pseudonym:
            fresh = _fresh(taken)
            taken.add(fresh)
            student = replace(student, fields={**student.fields, "pseudonym": fresh})
        students.append(student)
    return roster.extended(students)


def _fresh(taken: Collection[str]) -> str:
    """A random pseudonym that nobody has, such as kt4xr7."""
    while True:
        found = "".join(secrets.choice(_LETTERS if sign == "L" else _DIGITS) for sign in _PATTERN)
        if found not in taken:
            return found
