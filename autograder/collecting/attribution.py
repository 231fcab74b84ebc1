"""Whose submission is what: people as a platform knows them, and students of the course."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autograder.collecting.division import Division, HandedIn
from autograder.collecting.namesakes import Namesakes, told_apart
from autograder.collecting.platforms import Person
from autograder.course.roster import FILE, Roster, Student, unfit
from autograder.submission.file import Unreadable


@dataclass(frozen=True)
class Trouble:
    """Something that was handed in and cannot be given to a student."""

    who: str
    kind: str
    """one word: unknown, ambiguous, twice"""
    why: str


@dataclass(frozen=True)
class Attribution:
    """What each student handed in, the newest first, and what cannot be told."""

    students: dict[str, tuple[HandedIn, ...]]
    troubles: tuple[Trouble, ...]
    shared: Mapping[str, str] = field(default_factory=dict)
    """without a roster, for each student who is called by more than the name, the name that others have, too"""


def attribute(divisions: Iterable[Division], roster: Roster | None, there: Collection[str] = ()) -> Attribution:
    """Find the student of everything that was handed in, and put each student's attempts in order.

    Without a roster, students who have a folder `there` keep it.
    """
    divisions = tuple(divisions)
    everybody = (person for division in divisions for one in division.handed_in for person in one.people)
    known = told_apart(everybody, there) if roster is None else roster
    found: dict[str, list[tuple[Person, HandedIn]]] = {}
    troubles: dict[Trouble, None] = {}
    for division in divisions:
        for one in division.handed_in:
            for person in one.people:
                ids = _called(person, known) if isinstance(known, Namesakes) else _students(person, known)
                if isinstance(ids, Trouble):
                    troubles[ids] = None
                    continue
                for id in ids:
                    theirs = found.setdefault(id, [])
                    if not any(one is other for _, other in theirs):  # a submitter may stand there twice
                        theirs.append((person, one))
    students: dict[str, tuple[HandedIn, ...]] = {}
    for id, attempts in sorted(found.items()):
        ordered = _ordered(attempts)
        if ordered:
            students[id] = ordered
        else:
            troubles[Trouble(id, "twice", _twice(attempts))] = None
    shared = known.shared if isinstance(known, Namesakes) else {}
    return Attribution(students, tuple(troubles), shared)


def _called(person: Person, known: Namesakes) -> tuple[str, ...] | Trouble:
    """What the student's folder is called without a roster."""
    if person in known.unclear:
        return Trouble(person.name, "ambiguous", f"{known.unclear[person]}, and collect again")
    id = known.folders[person]
    why = unfit(id)
    return Trouble(person.name, "unknown", f"{why}: make a {FILE} with a line for the student") if why else (id,)


def _students(person: Person, roster: Roster) -> tuple[str, ...] | Trouble:
    """The ids of the students that a person is: one, or the members of a group."""
    team = () if roster.named(person.team) else roster.in_group(person.team)
    for column, text in person.keys:
        matches = _matching(roster, column, text)
        if len(matches) == 1:
            [student] = matches
            if team and student not in team:
                why = f"{student.id} is not in the group {team[0].group}, whose name it has: mend the column group"
                return Trouble(person.name, "ambiguous", why)
            return tuple(one.id for one in team or matches)
        if matches:
            names = ", ".join(student.id for student in matches)
            why = f"this may be {names}: put the {_column(person)} into {roster.path.name}, at the right one"
            return Trouble(person.name, "ambiguous", why)
    members = team or roster.in_group(person.name)
    if members:
        return tuple(student.id for student in members)
    known = " or ".join(f"{column} {text}" for column, text in person.keys if text and column not in ("any", "login"))
    why = f"no line of {roster.path.name} has {known or 'such a name'}"
    return Trouble(person.name, "unknown", f"{why}: put it into the student's line, or add a line, and collect again")


def _matching(roster: Roster, column: str, text: str) -> Sequence[Student]:
    match column:
        case "name":
            return roster.named(text)
        case "any":
            return roster.having(text)
        case "email":
            return roster.having(text, ("email", "login", "id"))
        case "gradescope_id":
            return roster.having(text, ("gradescope_id", "sis_id", "moodle_id", "id"))
        case _:
            return roster.having(text, (column,))


def _column(person: Person) -> str:
    """What in the roster would tell a person from others."""
    return next((f"{column} {text}" for column, text in person.keys if column not in ("id", "any", "name")), "id")


def _ordered(attempts: Sequence[tuple[Person, HandedIn]]) -> tuple[HandedIn, ...]:
    """One student's attempts, the newest first; nothing if that cannot be told. The same twice is one attempt."""
    ones = [one for _, one in attempts]
    if len(ones) == 1:
        return tuple(ones)
    if all(one.time is not None for one in ones):
        return _different(sorted(ones, key=lambda one: (one.time, one.order), reverse=True))
    if len({(person.keys, one.platform) for person, one in attempts}) > 1:
        return ()  # perhaps two people
    different = _different(sorted(ones, key=lambda one: one.order, reverse=True))
    return different if len(different) == 1 or all(one.order for one in different) else ()


def _different(ones: Iterable[HandedIn]) -> tuple[HandedIn, ...]:
    """The first of each content."""
    found: dict[object, HandedIn] = {}
    for one in ones:
        found.setdefault(_content(one), one)
    return tuple(found.values())


def _content(one: HandedIn) -> object:
    """What two attempts have in common if they are the same: a path and a digest for each file."""
    try:
        return frozenset((name, hashlib.sha256(file.read()).digest()) for name, file in one.files)
    except Unreadable:
        return one


def _twice(attempts: Sequence[tuple[Person, HandedIn]]) -> str:
    places = ", ".join(dict.fromkeys(f"{one.source.path.name} ({person.name})" for person, one in attempts))
    how = "collect the older one first, then the other with --replace"
    return f"it is in {places}, and nothing says which is newer: {how}"
