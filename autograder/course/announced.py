"""What a notebook's text announces – points, minutes and title – checked against its cells and homework.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from autograder.course.announcement import Exercise, Row, added, exercises_of, rows_of
from autograder.course.course import NotebookSpec
from autograder.course.master import Cell, Finding, Master

_TITLE = re.compile(r"^# +(.+?) *$", re.MULTILINE)
_SOURCES = {
    "points": "the cells say",
    "points by machine": "the cells say",
    "points by hand": "the cells say",
    "minutes": "homework.toml says",
    "optional minutes": "the lines of the exercises say",
}


def check_announced(master: Master, spec: NotebookSpec) -> Iterator[Finding]:
    """Report a table, an exercise's line or a title that says something else than the cells and homework.toml."""
    exercises = list(exercises_of(master))
    rows = list(rows_of(master))
    listed = {row.number for row in rows}
    yield from _order(master, exercises, listed)
    for one in exercises:
        for said in _wrong(one):
            text = f"{one.name}: the text says {said} ({_listing(one.cells)}): change one of them"
            yield Finding(master.path, one.line, text)
    if rows:
        yield from _table(master, spec, rows, exercises)


def _wrong(one: Exercise) -> Iterator[str]:
    """What an exercise's lines say of points, and what its cells have, where these differ."""
    bonus = sum(cell.points for cell in one.cells if cell.bonus)
    if one.bonus != bonus:
        yield f"{one.bonus:g} bonus points, its cells have {bonus:g}"
    for column, parts in (({} if one.silent else {"points": one.parts}) | one.shares).items():
        said, really = sum(parts), _sums(one.cells)[column]
        if really not in (said, said + sum(one.also)):
            yield f"{said:g} {column}, its cells have {really:g}"
        elif column == "points" and one.shares:  # it may say first what is by hand; each share is in order
            continue
        elif not any(_in_order(parts, column, cells) for cells in (one.cells, one.own, [*one.own, *one.asides])):
            yield f"{_joined(parts)} {column}, its cells have {_joined(_values(column, one.cells))}"
    asides = [cell.maximum for cell in one.asides]
    needed = one.also and not one.silent and sum(one.parts + one.also) == _sums(one.cells)["points"]
    if needed and (sum(asides) != sum(one.also) or not _in_order(one.also, "points", one.asides)):
        yield f"{_joined(one.also)} points in lines without an exercise number, their cells have {_joined(asides) or 0}"


def _table(master: Master, spec: NotebookSpec, rows: list[Row], exercises: list[Exercise]) -> Iterator[Finding]:
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
        yield from _differences(master, total, added(total.shares) | total.sums, really, "in all")
        minutes = sum(row.sums.get("minutes", 0.0) for row in parts)
        if minutes != total.sums.get("minutes", minutes):
            text = f"the rows add up to {minutes:g} minutes, the last one says {total.sums['minutes']:g}"
            yield Finding(master.path, total.line, f"{text}: change one of them")
    for number, group in _groups(parts, exercises):
        inside = [one for one in exercises if _part(one, {row.number for row in group}, number)]
        columns: dict[str, list[float]] = {}
        for row in group:
            for column, numbers in row.parts.items():
                if column != "minutes":
                    columns[column] = columns.get(column, []) + numbers
        really = _sums([cell for one in inside for cell in one.cells])
        really["optional minutes"] = sum(one.optional_minutes for one in inside)
        if inside:
            yield from _differences(master, group[0], added(columns), really, f"row {number}")
            yield from _parts(master, group[0], columns, inside)
            yield from _minutes(master, group, inside)


def _parts(master: Master, row: Row, said: dict[str, list[float]], inside: Sequence[Exercise]) -> Iterator[Finding]:
    """Compare the single points where their sums agree. Those of predictions and explanations may stand last."""
    cells = [cell for one in inside for cell in one.cells]
    asides_last = [cell for one in inside for cell in (*one.own, *one.asides)]
    for column in [name for name in _sums(cells) if name in said]:
        parts, really = said[column], _values(column, cells)
        if sum(parts) == sum(really) and not any(_in_order(parts, column, one) for one in (cells, asides_last)):
            text = f"row {row.number}: the table says {_joined(parts)} {column}, the cells say {_joined(really)}"
            yield Finding(master.path, row.line, f"{text} ({_listing(cells)}): change one of them")


def _minutes(master: Master, group: Sequence[Row], inside: Sequence[Exercise]) -> Iterator[Finding]:
    """Compare minutes: a prediction or an explanation may be a row of its own, or part of the exercise above it."""
    if any(one.untimed for one in inside) or "minutes" not in group[0].sums:
        return
    rows = {group[0].sums["minutes"], sum(row.sums.get("minutes", 0.0) for row in group)}
    least = sum(one.minutes for one in inside)
    if not rows & {least, least + sum(one.also_minutes for one in inside)}:
        text = f"row {group[0].number}: the table says {max(rows):g} minutes, the lines of the exercises say {least:g}"
        yield Finding(master.path, group[0].line, f"{text}: change one of them")


def _differences(
    master: Master, row: Row, said: dict[str, float], really: dict[str, float], name: str
) -> Iterator[Finding]:
    for column, value in said.items():
        if column in really and value != really[column]:
            text = f"{name}: the table says {value:g} {column}, {_SOURCES[column]} {really[column]:g}"
            yield Finding(master.path, row.line, f"{text}: change one of them")


def _groups(rows: Sequence[Row], exercises: Sequence[Exercise]) -> Iterator[tuple[str, list[Row]]]:
    """The rows with the number of each exercise, and with it those that no line of an exercise belongs to."""
    group: list[Row] = []
    for row in rows:
        if group and row.number and any(_part(one, {row.number}, row.number) for one in exercises):
            yield group[0].number, group
            group = []
        group.append(row)
    if group and group[0].number:
        yield group[0].number, group


def _part(one: Exercise, numbers: set[str], first: str) -> bool:
    """Whether an exercise belongs to one of the numbers: 1.2 to part 1. Of several exercises, the first counts."""
    return bool({one.numbers[0], one.numbers[0].partition(".")[0]} & (numbers | {first}))


def _order(master: Master, exercises: Sequence[Exercise], listed: set[str]) -> Iterator[Finding]:
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


def _values(column: str, cells: Sequence[Cell]) -> list[float]:
    """The points in order of the cells that a column is about."""
    wanted = {"points": (True, False), "points by hand": (True,), "points by machine": (False,)}[column]
    return [cell.maximum for cell in cells if cell.manual in wanted]


def _sums(cells: Sequence[Cell]) -> dict[str, float]:
    return {column: sum(_values(column, cells)) for column in ("points", "points by hand", "points by machine")}


def _in_order(said: Sequence[float], column: str, cells: Sequence[Cell]) -> bool:
    """Whether these numbers are the cells' points in order. Neighbours may be added up, on either side."""
    one, other = ({round(at, 4) for at in accumulate(parts)} - {0.0} for parts in (said, _values(column, cells)))
    return one <= other or other <= one


def _joined(parts: Sequence[float]) -> str:
    return " + ".join(f"{part:g}" for part in parts if part)


def _listing(cells: Sequence[Cell]) -> str:
    return ", ".join(f"{cell.id} {cell.points:g}" for cell in cells) or "none"
