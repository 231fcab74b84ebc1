"""The last cell of every notebook: it tells students what is done and what is not, before they hand in."""

from __future__ import annotations

import re
import textwrap
import zlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

from autograder.course.master import Cell, Master, parted
from autograder.course.names import names
from autograder.course.scopes import check_name, given_by
from autograder.course.stripping import TEXT_STUB

_HEADING = re.compile(r"\*\*[^*\n]*?(\d+(?:\.\d+)*)[^*\n]*\*\* · ")
"""the number in the line that begins an exercise: **Exercise 1.2 · forward** · 3 points"""
_CODE = files("autograder.course").joinpath("hand_in_cell.py").read_text(encoding="utf-8")


def hand_in_source(master: Master, setup: str) -> str:
    """The source of the cell. It needs nothing but the notebook, and leaves no public name behind.

    `setup` is the source of the set-up cell: what it defines is not the student's.
    """
    exercises, answers = (
        [(label, cell) for label, cell in _labelled(master) if cell.manual is manual] for manual in (False, True)
    )
    lines = [
        f'    "{master.notebook}.ipynb",',
        *_listing("[]", [f'"{label}"' for label, _ in exercises]),
        *_listing("{}", [f'"{label}": {_around(cell)}' for label, cell in answers]),
        "    {",
        *(line for cell, names in given_by(master.cells) for line in _names(checksum(cell.source), names)),
        f'        {checksum(setup)}: "",',
        "    },",
        f'    "{TEXT_STUB}",',
    ]
    return "\n".join([hand_in_code(), "", "", "_hand_in(", *lines, ")"])


def hand_in_code() -> str:
    """The part of the cell that is the same in all notebooks."""
    return re.sub(r"  # (?:type: ignore|noqa).*", "", _CODE.partition('"""\n')[2]).strip("\n")


def checksum(source: str) -> int:
    """What the cell recognises another cell by. White space does not count."""
    return zlib.crc32("".join(source.split()).encode())


def _labelled(master: Master) -> Iterator[tuple[str, Cell]]:
    """The grade cells, each with the number of its exercise and its grade_id."""
    parts = [("", "")]
    for cell in master.cells:
        if cell.kind == "markdown" and not cell.solution:
            _, *found = _HEADING.split(cell.source)
            parts = list(zip(found[::2], found[1::2], strict=True)) or parts
        if (cell.autograded and check_name(cell) in cell.source) or (cell.manual and cell.kind == "markdown"):
            yield f"{_number(master, cell, parts)} {cell.grade_id}".strip(), cell


def _number(master: Master, cell: Cell, parts: Sequence[tuple[str, str]]) -> str:
    """The number of a grade cell's exercise, of those (number, text) that the text above it begins.

    It is the last that names what the cell examines in code, or the last of all.
    """
    asked = {name for one in master.examined(cell.grade_id) if one.kind == "code" for name in names(one.source)}
    named = [number for number, text in parts if asked & set(re.findall(r"\w+", text))]
    return (named or [number for number, _ in parts])[-1]


def _names(key: int, names: Sequence[str]) -> Iterator[str]:
    first, *others = (f'"{piece}"' for piece in textwrap.wrap(" ".join(names), 90))
    if not others:
        yield f"        {key}: {first},"
    else:
        yield f"        {key}: {first}"
        yield from (f'        " " {piece}' for piece in others[:-1])
        yield f'        " " {others[-1]},'


def _around(cell: Cell) -> int:
    """The checksum of a written answer's cell without the answer: 0 for a cell that has nothing else in it."""
    return checksum("\n".join(parted(cell)[0]))


def _listing(brackets: str, entries: Sequence[str]) -> Iterator[str]:
    if not entries:
        yield f"    {brackets},"
    else:
        yield f"    {brackets[0]}"
        yield from (f"        {entry}," for entry in entries)
        yield f"    {brackets[1]},"
