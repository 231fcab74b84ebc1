"""People of a course without a roster: what their folders are called, and who has the name of somebody else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from autograder.collecting.platforms import Person
from autograder.course.roster import FILE, unfit

_TELLING = ("email", "gradescope_id", "moodle_participant")
"""what stands behind a name that two people have: the first that all of them have"""
_NAMES = ("name", "any")
"""columns in which two people may have the same"""


@dataclass(frozen=True)
class Namesakes:
    """What the folder of each person is called."""

    folders: Mapping[Person, str]
    shared: Mapping[str, str]
    """for each folder that is called by more than the name, the name alone"""
    unclear: Mapping[Person, str]
    """those who may be one or several, and why"""


def told_apart(people: Iterable[Person], there: Collection[str] = ()) -> Namesakes:
    """Name a folder for each person: by the name, and by what tells them apart if several people have that name.

    `there` are the folders of an earlier collecting: who has one gets it again, whoever else is in the archive now.
    """
    named: dict[str, list[Person]] = {}
    for person in dict.fromkeys(people):
        named.setdefault(_folder(person.name), []).append(person)
    folders: dict[Person, str] = {}
    shared: dict[str, str] = {}
    unclear: dict[Person, str] = {}
    taken = set(named)
    for name, several in named.items():
        ones = _different(several)
        places = _places(name, ones, there, taken)
        if not places:
            who = " and ".join(dict.fromkeys(_described(one[0]) for one in ones))
            why = f"{who} may be one person or several, and no folder's name tells: make a {FILE} with a line for each"
            unclear |= dict.fromkeys(several, why)
        for one, place in zip(ones, places, strict=False):
            folders |= dict.fromkeys(one, place)
            taken.add(place)
            if place != name:
                shared[place] = name
    return Namesakes(folders, shared, unclear)


def _places(
    name: str, ones: Sequence[Sequence[Person]], there: Collection[str], taken: Collection[str]
) -> Sequence[str]:
    """A folder for each of those who have a name; nothing if they cannot be told apart."""
    if unfit(name):
        return [name] * len(ones)
    before = [_before(name, one, there, taken) for one in ones]
    if len(ones) == 1:
        return [before[0] or name]
    if not all(_columns(one) & _columns(other) for one, other in combinations(ones, 2)):
        return ()
    for at in range(len(_TELLING) + 1):
        places = [old or _called(name, one, at) for old, one in zip(before, ones, strict=True)]
        if len(set(places)) == len(ones) and not any(unfit(place) or place in taken for place in places):
            return places
    return ()


def _before(name: str, one: Iterable[Person], there: Collection[str], taken: Collection[str]) -> str:
    """The folder that somebody has already because of a namesake; '' if there is none."""
    places = (f"{name}_{label}" for at in range(len(_TELLING) + 1) for label in _labels(one, at))
    return next((place for place in places if place in there and place not in taken), "")


def _called(name: str, one: Iterable[Person], at: int) -> str:
    label = next(_labels(one, at), "")
    return f"{name}_{label}" if label else ""


def _labels(one: Iterable[Person], at: int) -> Iterator[str]:
    """What can stand behind a name: of e-mail addresses what is before the @, and, at last, the whole address."""
    column = (*_TELLING, "email")[at]
    for text in sorted({text.casefold().strip() for person in one for key, text in person.keys if key == column}):
        if label := _folder(text.partition("@")[0] if at < len(_TELLING) else text):
            yield label


def _different(people: Iterable[Person]) -> list[list[Person]]:
    """The people, those together who are the same: they have an id in common."""
    ones: list[list[Person]] = []
    for person in people:
        same = [one for one in ones if any(_same(person, other) for other in one)]
        ones = [one for one in ones if one not in same]
        ones.append([*(other for one in same for other in one), person])
    return ones


def _same(person: Person, other: Person) -> bool:
    return person.keys == other.keys or bool(_ids(person) & _ids(other))


def _ids(person: Person) -> set[tuple[str, str]]:
    return {(column, text.casefold().strip()) for column, text in person.keys if column not in _NAMES}


def _columns(one: Iterable[Person]) -> set[str]:
    return {column for person in one for column, _ in _ids(person)}


def _described(person: Person) -> str:
    ids = ", ".join(f"{column} {text}" for column, text in person.keys if column not in (*_NAMES, "id", "login"))
    return f"{person.name} ({ids})" if ids else person.name


def _folder(text: str) -> str:
    """A text without the signs that the name of a folder must not have."""
    return re.sub(r'[/\\:*?"<>|+]', "_", text).strip(" .")
