"""What a notebook's text announces: the rows of the table at the top, and the lines that begin the exercises.

They are prose: their authors word them as they like. Only the numbers in them are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autograder.course.master import Cell, Master, parted

_EXERCISE = re.compile(r"^\*\*Exercise (\d+(?:\.\d+)*)[^*\n]*\*\*", re.MULTILINE)
_UNNUMBERED = re.compile(r"^\*\*(?!Exercise )[^*\n]*\*\*(?= · )", re.MULTILINE)
"""what begins a prediction or an explanation that has points of its own"""
_HALVES = {"": 0.0, "¼": 0.25, "½": 0.5, "¾": 0.75}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)?([¼½¾]?)(?![\d.]| ?%)")
_NOT_READ = re.compile(r"\([^)]*\)|\$[^$]*\$|`[^`]*`|\*")
"""asides, maths, code, and the asterisks of bold text"""
_BONUS = re.compile(r"(\d+(?:\.\d+)?)?([¼½¾]?) bonus(?: points?)?")
"""points on top"""
_SHARE = re.compile(r"([^,;:·()|]*[\d¼½¾][^,;:·()|]*) (by machine|by hand)\b")


@dataclass
class Exercise:
    """One or more exercises whose grade cells follow below all of them."""

    line: int
    numbers: list[str] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    """points as its line says them: 2 and 5 for ‘2 points forward, 5 points backward’"""
    bonus: float = 0.0
    """points on top, as any of its lines says"""
    also: list[float] = field(default_factory=list)
    """as the lines without a number say: a prediction, an explanation"""
    minutes: float = 0.0
    also_minutes: float = 0.0
    optional_minutes: float = 0.0
    shares: dict[str, list[float]] = field(default_factory=dict)
    """points by machine and by hand, as its lines say them"""
    silent: bool = False
    """whether a line says no points"""
    untimed: bool = False
    """whether a line with a number says no minutes"""
    cells: list[Cell] = field(default_factory=list)
    asides: list[Cell] = field(default_factory=list)
    """those of them that the lines without a number are about"""

    @property
    def name(self) -> str:
        return "Exercise " + " and ".join(self.numbers)

    @property
    def own(self) -> list[Cell]:
        return [cell for cell in self.cells if cell not in self.asides]

    def add(self, cell: Cell) -> None:
        """Add a grade cell: one of a line without a number, as long as that has points left."""
        if 0 < cell.maximum <= sum(self.also) - sum(aside.maximum for aside in self.asides):
            self.asides.append(cell)
        self.cells.append(cell)


@dataclass(frozen=True)
class Row:
    """A row of the table at the top: what each column says; a column that it leaves empty is missing."""

    line: int
    number: str
    parts: dict[str, list[float]]
    """the numbers in each column: 2 and 5 for ‘2 + 5’"""
    shares: dict[str, list[float]] = field(default_factory=dict)
    """what its words say of machine and hand: 34 by machine, 1 by hand"""

    @property
    def sums(self) -> dict[str, float]:
        return added(self.parts)


def exercises_of(master: Master) -> Iterator[Exercise]:
    """The exercises in order, each with its grade cells. Several without a grade cell between them are one."""
    current: Exercise | None = None
    for cell in master.cells:
        if cell.kind == "markdown":
            for found in () if cell.solution else _EXERCISE.finditer(cell.source):
                line = cell.line + cell.source[: found.start()].count("\n")
                if current is not None and current.cells:
                    yield current
                    current = None
                current = current or Exercise(line)
                current.numbers.append(found[1])
                points, minutes, optional = _line(cell.source[found.end() :])
                current.parts += points or []
                for share, parts in _shares(cell.source[found.end() :].partition("\n\n")[0]).items():
                    current.shares[share] = current.shares.get(share, []) + parts
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
            current.add(cell)
    if current is not None:
        yield current


def _line(rest: str) -> tuple[list[float] | None, float | None, bool]:
    """What an exercise's line says behind its name: points and minutes, or None, and whether it is optional."""
    text = _NOT_READ.sub("", rest.partition("\n\n")[0].partition("\n*")[0].replace("\n", " "))
    points = next((part for part in text.split("·") if "point" in part), None)
    minutes = re.search(r"(\d+(?:\.\d+)?) min", text)
    optional = "no points" in text
    said = [] if optional else _numbers(points) if points is not None else None
    return said, float(minutes[1]) if minutes else None, optional


def _shares(text: str) -> dict[str, list[float]]:
    """What a text says of the points by machine and by hand: 34 by machine, 1 by hand."""
    shares: dict[str, list[float]] = {}
    for said, who in _SHARE.findall(text.replace("*", "")):
        shares[f"points {who}"] = shares.get(f"points {who}", []) + _numbers(said)
    return shares


def _bonus(rest: str) -> float:
    """The bonus points that an exercise's line says behind its name."""
    text = _NOT_READ.sub("", rest.partition("\n\n")[0])
    return sum(float(found[1] or 0) + _HALVES[found[2]] for found in _BONUS.finditer(text) if found[1] or found[2])


def rows_of(master: Master) -> Iterator[Row]:
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
        parts = {
            name: _numbers(text.partition(":")[0])
            for name, text in zip(names, fields, strict=False)
            if name and re.search(r"[\d¼½¾]", _NOT_READ.sub("", text))
        }
        if optional := re.search(r"\((\d+)\)", fields[names.index("minutes")] if len(fields) == len(names) else ""):
            parts["optional minutes"] = [float(optional[1])]
        if not found and (whole := re.search(r"([\d.]*[¼½¾]?) points", " ".join(fields).replace("*", ""))):
            parts["points"] = _numbers(whole[1])
        yield Row(number, found[0] if found else "", parts, _shares(line))


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


def _numbers(text: str) -> list[float]:
    """The numbers that begin the parts of a text: 2 and 3 for ‘2 points forward, 3 backward’ and for ‘2 + 3’."""
    parts = re.split(r"[,;+]| and ", _BONUS.sub("", _NOT_READ.sub("", text)))
    found = [_NUMBER.match(part.strip()) for part in parts]
    return [float(one[1] or 0) + _HALVES[one[2]] for one in found if one and one[0]]


def added(parts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {column: sum(numbers) for column, numbers in parts.items()}
