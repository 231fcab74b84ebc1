"""A source, divided into what each person handed in at one time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from autograder.collecting.platforms import CANVAS, Person, Platform, Reader, Setting, reader
from autograder.collecting.source import Source, SourceFile
from autograder.submission.folder import is_called, reads_as

_ATTEMPT = re.compile(r"(?P<stem>.+)-\d{1,3}(?P<suffix>\.\w+)")
PACKED: tuple[Platform, ...] = ("gradescope", "moodle", "blackboard", "canvas")
"""platforms that hand out one archive of a class: the first in the order in which they are tried"""
_LEVELS = 4
"""folders around all submissions that are looked through"""


@dataclass(frozen=True)
class HandedIn:
    """What one person, or a group, handed in at one time."""

    source: Source
    platform: Platform
    people: tuple[Person, ...]
    files: tuple[tuple[str, SourceFile], ...]
    """the path of each file within the submission"""
    time: datetime | None = None
    order: int = 0
    """the larger, the later, where the platform does not tell the time"""
    late: bool = False
    """whether the platform says that it is late"""


@dataclass(frozen=True)
class Division:
    """All that was handed in."""

    source: Source
    platform: Platform
    handed_in: tuple[HandedIn, ...]
    strays: tuple[str, ...]
    """the paths of files that belong to nobody"""


def divide(source: Source, setting: Setting, platform: Platform | None = None) -> Division:
    """Tell who handed in what. Without `platform`, it is one that at least half of the names are from.

    Of the platforms that hand out one archive of a class, that is the one from which the most names are: a student may
    upload files that are called like those of another platform. Otherwise it is the first.
    """
    everything = [file.path for file in source.files]
    if platform:
        return _read_as(platform, source, setting) or Division(source, platform, (), tuple(everything))
    packed: list[Division] = []
    for one in get_args(Platform):
        if packed and one not in PACKED:
            break
        found = _read_as(one, source, setting)
        if found and 2 * len(found.strays) <= len(everything):
            if one not in PACKED:
                return found
            packed.append(found)
    nothing = Division(source, "folder", (), tuple(everything))
    return min(packed, key=lambda found: len(found.strays), default=nothing)


def _read_as(platform: Platform, source: Source, setting: Setting) -> Division | None:
    """The division of a source that is from a platform, in the folder that fits best; None if nothing is from there."""
    best: Division | None = None
    for prefix in _prefixes([file.path for file in source.files]):
        files = [(file.path.removeprefix(prefix), file) for file in source.files if file.path.startswith(prefix)]
        read = reader(platform, source, prefix, files, setting)
        division = _divided(source, platform, files, read, setting) if read else None
        if division and division.handed_in and (best is None or len(division.strays) < len(best.strays)):
            best = division
    return best


def _prefixes(paths: Sequence[str]) -> Iterator[str]:
    """'', and the folders that all files are in."""
    prefix = ""
    for _ in range(_LEVELS):
        yield prefix
        parts = {path[len(prefix) :].partition("/")[:2] for path in paths}
        if len(parts) != 1 or not next(iter(parts))[1]:
            return
        prefix += "".join(parts.pop())


def _divided(
    source: Source, platform: Platform, files: Iterable[tuple[str, SourceFile]], read: Reader, setting: Setting
) -> Division:
    """Put files of the same people and the same time together."""
    found: dict[tuple[tuple[Person, ...], datetime | None], list[tuple[str, SourceFile]]] = {}
    names: set[tuple[tuple[Person, ...], datetime | None, str]] = set()
    several = platform in ("folder", "nbgrader")  # what holds all homeworks, not the submissions of one
    late: set[tuple[Person, ...]] = set()
    strays: list[str] = []
    for path, file in files:
        told = read(path)
        if told is None:
            strays.append(file.path)
            continue
        inner = _within(told.rest, setting, several)
        if not told.people or (told.rest and not inner):
            continue
        together = found.setdefault((told.people, told.time), [])
        if inner:
            name = told.rest if (told.people, told.time, inner) in names else inner
            names.add((told.people, told.time, name))
            together.append((name, file))  # two of one name stay two: the desk says so
        if told.late:
            late.add(told.people)
    handed_in: Iterable[HandedIn] = (
        HandedIn(source, platform, people, tuple(files), time, late=people in late)
        for (people, time), files in found.items()
    )
    if platform == "canvas":
        handed_in = (attempt for one in handed_in for attempt in _attempts(one, setting.notebooks))
    elif platform == "ilias":
        handed_in = map(_dated, handed_in)
    return Division(source, platform, tuple(handed_in), tuple(strays))


def _within(path: str, setting: Setting, several: bool) -> str:
    """The path in the homework's own folder; '' for what belongs to another of `several` homeworks."""
    first, _, rest = path.partition("/")
    if not rest:
        return path
    if first == setting.homework or is_called(first, setting.homework):
        return rest
    meant = reads_as(first, setting.homeworks) if several else set()
    return "" if meant and setting.homework not in meant else path


def _attempts(one: HandedIn, notebooks: Iterable[str]) -> Iterator[HandedIn]:
    """What a student uploaded to Canvas, the newest of each file under its own name; and the older ones.

    Canvas calls a file mlp-1.ipynb when there is a mlp.ipynb already. Of other names the number may be the student's.
    """
    known = {name.casefold() for name in notebooks}
    groups: dict[str, list[tuple[int, SourceFile]]] = {}
    for name, file in one.files:
        counted = _ATTEMPT.fullmatch(name)
        again = counted and (counted["stem"].casefold() in known or counted["suffix"] == ".py")
        told = CANVAS.fullmatch(file.path.rpartition("/")[2])
        plain = f"{counted['stem']}{counted['suffix']}" if counted and again else name
        groups.setdefault(plain, []).append((int(told["file"]) if told else 0, file))
    for group in groups.values():
        group.sort(key=lambda numbered: numbered[0], reverse=True)
    for back in range(max(map(len, groups.values()), default=1)):
        chosen = {name: group[back] for name, group in groups.items() if len(group) > back}
        order = max((number for number, _ in chosen.values()), default=0)
        yield replace(one, files=tuple((name, file) for name, (_, file) in chosen.items()), order=order)


def _dated(one: HandedIn) -> HandedIn:
    """With the time of its newest file: ILIAS keeps it."""
    latest = max((file.modified for _, file in one.files), default=0.0)
    return replace(one, time=datetime.fromtimestamp(latest).astimezone()) if latest else one
