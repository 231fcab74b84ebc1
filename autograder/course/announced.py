"""What a notebook's text announces – points, minutes and title – checked against its cells and homework.toml.

The table at the top and the line that begins an exercise (**Exercise 2 · forward** · 3 points · 15 minutes) are prose:
their authors word them as they like. Only the numbers in them are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from autograder.course.course import NotebookSpec
from autograder.course.master import Cell, Finding, Master, parted

_EXERCISE = re.compile(r"^\*\*Exercise (\d+(?:\.\d+)*)[^*\n]*\*\*", re.MULTILINE)
_UNNUMBERED = re.compile(r"^\*\*(?!Exercise )[^*\n]*\*\*(?= · )", re.MULTILINE)
"""what begins a prediction or an explanation that has points of its own"""
_TITLE = re.compile(r"^# +(.+?) *$", re.MULTILINE)
_HALVES = {"": 0.0, "¼": 0.25, "½": 0.5, "¾": 0.75}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)?([¼½¾]?)(?![\d.]| ?%)")
_NOT_READ = re.compile(r"\([^)]*\)|\$[^$]*\$|`[^`]*`|\*")
"""asides, maths, code, and the asterisks of bold text"""
_BONUS = re.compile(r"(\d+(?:\.\d+)?)?([¼½¾]?) bonus(?: points?)?")
"""points on top"""
_SHARE = re.compile(r"([^,;:·()|]*[\d¼½¾][^,;:·()|]*) (by machine|by hand)\b")
_SOURCES = {
    "points": "the cells say",
    "points by machine": "the cells say",
    "points by hand": "the cells say",
    "minutes": "homework.toml says",
    "optional minutes": "the lines of the exercises say",
}


@dataclass
class _Exercise:
    """One or more exercises whose grade cells follow below all of them."""

    line: int
    numbers: list[str] = field(default_factory=list)
    points: float = 0.0
    """as its line says"""
    bonus: float = 0.0
    """points on top, as any of its lines says"""
    also: float = 0.0
    """as the lines without a number say: a prediction, an explanation"""
    minutes: float = 0.0
    also_minutes: float = 0.0
    optional_minutes: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    """points by machine and by hand, as its lines say"""
    silent: bool = False
    """whether a line says no points"""
    untimed: bool = False
    """whether a line with a number says no minutes"""
    cells: list[Cell] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "Exercise " + " and ".join(self.numbers)


@dataclass(frozen=True)
class _Row:
    """A row of the table at the top: what each column adds up to; a column that it leaves empty is missing."""

    line: int
    number: str
    sums: dict[str, float]
    shares: dict[str, float] = field(default_factory=dict)
    """what its words say of machine and hand: 34 by machine, 1 by hand"""


def check_announced(master: Master, spec: NotebookSpec) -> Iterator[Finding]:
    """Report a table, an exercise's line or a title that says something else than the cells and homework.toml."""
    exercises = list(_exercises(master))
    rows = list(_rows(master))
    listed = {row.number for row in rows}
    yield from _order(master, exercises, listed)
    for one in exercises:
        really = sum(cell.maximum for cell in one.cells)
        bonus = sum(cell.points for cell in one.cells if cell.bonus)
        if one.bonus != bonus:
            said = f"{one.name}: the text says {one.bonus:g} bonus points, its cells have {bonus:g}"
            yield Finding(master.path, one.line, f"{said} ({_listing(one.cells)}): change one of them")
        if not one.silent and really not in (one.points, one.points + one.also):
            said = f"{one.name}: the text says {one.points:g} points, its cells have {really:g}"
            yield Finding(master.path, one.line, f"{said} ({_listing(one.cells)}): change one of them")
        for share, value in one.shares.items():
            if _sums(one.cells)[share] not in (value, value + one.also):
                said = f"{one.name}: the text says {value:g} {share}, its cells have {_sums(one.cells)[share]:g}"
                yield Finding(master.path, one.line, f"{said} ({_listing(one.cells)}): change one of them")
    if rows:
        yield from _table(master, spec, rows, exercises)


def _table(master: Master, spec: NotebookSpec, rows: list[_Row], exercises: list[_Exercise]) -> Iterator[Finding]:
    if (title := _TITLE.search(master.cells[0].source)) and title[1] != spec.title:
        said = f"the notebook is called {title[1]!r}, and homework.toml says {spec.title!r}: change one of them"
        yield Finding(master.path, master.cells[0].line + master.cells[0].source[: title.start()].count("\n"), said)
    for above, below in pairwise([row for row in rows if row.number]):
        if not _key(above.number) < _key(below.number):
            yield Finding(master.path, below.line, f"row {below.number} stands below row {above.number}: sort the rows")
    *parts, last = rows
    total = None if last.number else last
    if total is None:
        parts = rows
    else:
        really = _sums(master.grade_cells()) | {"minutes": float(spec.minutes)}
        yield from _differences(master, total, total.shares | total.sums, really, "in all")
        minutes = sum(row.sums.get("minutes", 0.0) for row in parts)
        if minutes != total.sums.get("minutes", minutes):
            text = f"the rows add up to {minutes:g} minutes, the last one says {total.sums['minutes']:g}"
            yield Finding(master.path, total.line, f"{text}: change one of them")
    for number, group in _groups(parts, exercises):
        inside = [one for one in exercises if _part(one, {row.number for row in group}, number)]
        added: dict[str, float] = {}
        for row in group:
            for column, value in row.sums.items():
                if column != "minutes":
                    added[column] = added.get(column, 0.0) + value
        really = _sums([cell for one in inside for cell in one.cells])
        really["optional minutes"] = sum(one.optional_minutes for one in inside)
        if inside:
            yield from _differences(master, group[0], added, really, f"row {number}")
            yield from _minutes(master, group, inside)


def _minutes(master: Master, group: Sequence[_Row], inside: Sequence[_Exercise]) -> Iterator[Finding]:
    """Compare minutes: a prediction or an explanation may be a row of its own, or part of the exercise above it."""
    if any(one.untimed for one in inside) or "minutes" not in group[0].sums:
        return
    rows = {group[0].sums["minutes"], sum(row.sums.get("minutes", 0.0) for row in group)}
    least = sum(one.minutes for one in inside)
    if not rows & {least, least + sum(one.also_minutes for one in inside)}:
        text = f"row {group[0].number}: the table says {max(rows):g} minutes, the lines of the exercises say {least:g}"
        yield Finding(master.path, group[0].line, f"{text}: change one of them")


def _differences(
    master: Master, row: _Row, said: dict[str, float], really: dict[str, float], name: str
) -> Iterator[Finding]:
    for column, value in said.items():
        if column in really and value != really[column]:
            text = f"{name}: the table says {value:g} {column}, {_SOURCES[column]} {really[column]:g}"
            yield Finding(master.path, row.line, f"{text}: change one of them")


def _groups(rows: Sequence[_Row], exercises: Sequence[_Exercise]) -> Iterator[tuple[str, list[_Row]]]:
    """The rows with the number of each exercise, and with it those that no line of an exercise belongs to."""
    group: list[_Row] = []
    for row in rows:
        if group and row.number and any(_part(one, {row.number}, row.number) for one in exercises):
            yield group[0].number, group
            group = []
        group.append(row)
    if group and group[0].number:
        yield group[0].number, group


def _part(one: _Exercise, numbers: set[str], first: str) -> bool:
    """Whether an exercise belongs to one of the numbers: 1.2 to part 1. Of several exercises, the first counts."""
    return bool({one.numbers[0], one.numbers[0].partition(".")[0]} & (numbers | {first}))


def _order(master: Master, exercises: Sequence[_Exercise], listed: set[str]) -> Iterator[Finding]:
    """Report exercises whose numbers are not in order, occur twice or leave one out that the table does not list."""
    numbers = [(number, one.line) for one in exercises for number in one.numbers]
    for (above, _), (below, line) in pairwise([("", 0), *numbers]):
        before = f"Exercise {above}" if above else "the start"
        if above == below:
            yield Finding(master.path, line, f"Exercise {below} occurs twice: number the exercises anew")
        elif above and not _key(above) < _key(below):
            yield Finding(master.path, line, f"Exercise {below} comes after {before}: number the exercises anew")
        elif _leaves_out(above, below, listed):
            said = f"Exercise {below} comes after {before}, and one is left out between them"
            yield Finding(master.path, line, f"{said}: number the exercises anew")


def _leaves_out(above: str, below: str, listed: set[str]) -> bool:
    """Whether a number is missing between two that are in order; those that the table lists are not missing."""
    new = _key(below)
    old = _key(above) if above else (0,) * len(new)
    if len(old) == len(new) == 1:
        return any(str(number) not in listed for number in range(old[0] + 1, new[0]))
    return len(old) == len(new) == 2 and new not in ((old[0], old[1] + 1), (old[0] + 1, 1))


def _key(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def _exercises(master: Master) -> Iterator[_Exercise]:
    """The exercises in order, each with its grade cells. Several without a grade cell between them are one."""
    current: _Exercise | None = None
    for cell in master.cells:
        if cell.kind == "markdown":
            for found in () if cell.solution else _EXERCISE.finditer(cell.source):
                line = cell.line + cell.source[: found.start()].count("\n")
                if current is not None and current.cells:
                    yield current
                    current = None
                current = current or _Exercise(line)
                current.numbers.append(found[1])
                points, minutes, optional = _line(cell.source[found.end() :])
                current.points += points or 0.0
                for share, value in _shares(cell.source[found.end() :].partition("\n\n")[0]).items():
                    current.shares[share] = current.shares.get(share, 0.0) + value
                current.bonus += _bonus(cell.source[found.end() :])
                current.silent |= points is None
                current.untimed |= minutes is None
                if optional:
                    current.optional_minutes += minutes or 0.0
                else:
                    current.minutes += minutes or 0.0
            seen = "\n".join(parted(cell)[0])
            for found in _UNNUMBERED.finditer(seen):
                points, minutes, _ = _line(seen[found.end() :])
                if current is not None:
                    current.bonus += _bonus(seen[found.end() :])
                if current is not None and points is not None:
                    current.also += points
                    current.also_minutes += minutes or 0.0
        if current is not None and (cell.grade or cell.task):
            current.cells.append(cell)
    if current is not None:
        yield current


def _line(rest: str) -> tuple[float | None, float | None, bool]:
    """What an exercise's line says behind its name: points and minutes, or None, and whether it is optional."""
    text = _NOT_READ.sub("", rest.partition("\n\n")[0].partition("\n*")[0].replace("\n", " "))
    points = next((part for part in text.split("·") if "point" in part), None)
    minutes = re.search(r"(\d+(?:\.\d+)?) min", text)
    optional = "no points" in text
    said = 0.0 if optional else _added(points) if points is not None else None
    return said, float(minutes[1]) if minutes else None, optional


def _shares(text: str) -> dict[str, float]:
    """What a text says of the points by machine and by hand: 34 by machine, 1 by hand."""
    shares: dict[str, float] = {}
    for said, who in _SHARE.findall(text.replace("*", "")):
        shares[f"points {who}"] = shares.get(f"points {who}", 0.0) + _added(said)
    return shares


def _bonus(rest: str) -> float:
    """The bonus points that an exercise's line says behind its name."""
    text = _NOT_READ.sub("", rest.partition("\n\n")[0])
    return sum(float(found[1] or 0) + _HALVES[found[2]] for found in _BONUS.finditer(text) if found[1] or found[2])


def _rows(master: Master) -> Iterator[_Row]:
    """The rows of the first cell's table, when one column of it says points and one says minutes."""
    if not master.cells or master.cells[0].kind != "markdown":
        return
    first = master.cells[0]
    lines = [(first.line + at, line) for at, line in enumerate(first.source.split("\n")) if line.startswith("|")]
    if len(lines) < 3:
        return
    names = [_column(name) for name in _fields(lines[0][1])]
    if "minutes" not in names or not {"points", "points by machine"} & set(names):
        return
    for number, line in lines[2:]:
        fields = _fields(line)
        found = re.match(r"\d+(?:\.\d+)*", fields[0])
        sums = {
            name: _added(text.partition(":")[0])
            for name, text in zip(names, fields, strict=False)
            if name and re.search(r"[\d¼½¾]", _NOT_READ.sub("", text))
        }
        if optional := re.search(r"\((\d+)\)", fields[names.index("minutes")] if len(fields) == len(names) else ""):
            sums["optional minutes"] = float(optional[1])
        if not found and (whole := re.search(r"([\d.]*[¼½¾]?) points", " ".join(fields).replace("*", ""))):
            sums["points"] = _added(whole[1])
        yield _Row(number, found[0] if found else "", sums, _shares(line))


def _fields(line: str) -> list[str]:
    return [text.strip() for text in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _column(name: str) -> str:
    """What the numbers of a column are; '' for a column that holds none."""
    name = name.casefold()
    if "minutes" in name:
        return "minutes"
    if "by hand" in name:
        return "points by hand"
    return "points by machine" if "by machine" in name else "points" if "points" in name else ""


def _sums(cells: Sequence[Cell]) -> dict[str, float]:
    hand = sum(cell.maximum for cell in cells if cell.manual)
    machine = sum(cell.maximum for cell in cells if cell.autograded)
    return {"points": hand + machine, "points by hand": hand, "points by machine": machine}


def _added(text: str) -> float:
    """The sum of the numbers that begin the parts of a text: 5 for ‘2 points forward, 3 backward’ and for ‘2 + 3’."""
    total = 0.0
    for part in re.split(r"[,;+]| and ", _BONUS.sub("", _NOT_READ.sub("", text))):
        found = _NUMBER.match(part.strip())
        if found and found[0]:
            total += float(found[1] or 0) + _HALVES[found[2]]
    return total


def _listing(cells: Sequence[Cell]) -> str:
    return ", ".join(f"{cell.id} {cell.points:g}" for cell in cells) or "none"
