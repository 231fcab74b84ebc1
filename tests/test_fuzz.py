"""Damaged copies of every released notebook: each becomes a gradable notebook in which no intact answer is missing.

A fixed seed makes the same 506 files every time. `look("hw1/mlp", 7)` shows one of them.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.course.course import open_course
from autograder.course.release import Released, released
from autograder.submission import Unreadable, repair

pytestmark = pytest.mark.slow(seconds=10, waits=False)
Notebook = dict[str, Any]
Cell = dict[str, Any]

FILES = 46
"""files made from each notebook"""
COURSE = open_course(Path(__file__).parents[1])
NOTEBOOKS = [f"{work}/{book.name}" for work in COURSE.homeworks for book in COURSE.homework(work).notebooks]


# ---- a submission in which every answer can be told from every other ----


@cache
def handed_out(notebook: str) -> Released:
    homework, _, name = notebook.partition("/")
    return released(COURSE.homework(homework), name)


@cache
def _filled(notebook: str) -> str:
    homework, _, name = notebook.partition("/")
    book: Notebook = json.loads(COURSE.homework(homework).release(name).read_text(encoding="utf-8"))
    number = 100
    for cell, given in zip(book["cells"], handed_out(notebook).cells, strict=True):
        if given.solution:
            number += 1
            cell["source"] = answer(number, sorted(given.names)) if given.kind == "code" else prose(number)
    code = {"cell_type": "code", "execution_count": 3, "id": "a1", "metadata": {}, "outputs": []}
    text = {"cell_type": "markdown", "id": "b2", "metadata": {}}
    book["cells"] += [code | {"source": "tried_901 = 901"}, text | {"source": prose(902)}]
    for cell in book["cells"]:
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    return json.dumps(book)


def filled(notebook: str) -> Notebook:
    """The release with a short answer in each solution cell, and two cells of the student's own at the end."""
    book: Notebook = json.loads(_filled(notebook))
    return book


def answer(number: int, names: list[str]) -> str:
    """Code that defines what the cell is asked to define, with one line in it that no other cell has."""
    line = f"answer_{number} = {number}"
    defined = [f"def {name}(*args):\n    {line}\n    return args\n" for name in names[:1]]
    return "\n\n".join([*defined, *(f"{name} = {number}" for name in names[1:])]) or line


def prose(number: int) -> str:
    return f"Zwölf Sätze; it follows that\n\nMy answer number {number}.\n\n$$x \\to \\sigma(x)$$"


MARK = re.compile(rb"(?:(?:answer|tried)_(\d{3}) = \1|My answer number \d{3}\.)(?=\\[nr]|\")")
"""the line of an answer that no other answer has; nothing in it is escaped in JSON"""
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_GAP = rb"(?:[\s,\[]|<{7}[^\n]*|={7}|>{7}[^\n]*)*+"
SOURCE = re.compile(rb'"(?:source|input)"\s*+:(?:' + _GAP + _STRING + rb")++", re.DOTALL)
"""the text of a cell, as far as it is sound: its key, then string behind string, perhaps with Git's marks between"""


def intact(data: bytes) -> set[str]:
    """The marked lines that are sound: the file is valid JSON, or the text of the cell is sound from its key on."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        wide = "utf-16" if data[:1] > b"\xf0" else "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        data = data.decode(wide, "replace").encode("utf-8", "replace")
    pieces = [data]
    if not is_json(data):
        pieces = [found.group() for found in SOURCE.finditer(data)]
    return {found.group().decode() for piece in pieces for found in MARK.finditer(piece)}


def is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


# ---- damage to the notebook: each function changes it and says what it did ----


def pick(cells: list[Any], chance: random.Random) -> int:
    """The place of a cell; one with an answer is more likely."""
    if chance.random() < 0.4:
        return chance.randrange(len(cells))
    solved = [at for at, cell in enumerate(cells) if re.search(r"(?:answer|tried)[_ ]", "".join(cell["source"])[:200])]
    return chance.choice(solved or range(len(cells)))


def named(cells: list[Any], at: int) -> str:
    return f"{at} ({cells[at].get('id', '?') if isinstance(cells[at], dict) else cells[at]!r})"


def deletes(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    said = f"cell {named(book['cells'], at)} deleted"
    del book["cells"][at]
    return said


def duplicates(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    at, to = pick(cells, chance), chance.randrange(len(cells) + 1)
    said = f"cell {named(cells, at)} copied to {to}"
    cells.insert(to, copy.deepcopy(cells[at]))
    return said


def reorders(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    if chance.random() < 0.2:
        chance.shuffle(cells)
        return "cells shuffled"
    at, to = pick(cells, chance), chance.randrange(len(cells))
    said = f"cell {named(cells, at)} moved to {to}"
    cells.insert(to, cells.pop(at))
    return said


def relabels(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    at, other = pick(cells, chance), chance.choice(cells)
    labels = ["", "x" * 300, None, 7, ["linear"], "none-such", str(other.get("id", ""))]
    label = chance.choice(labels)
    said = f"cell {named(cells, at)} labelled {str(label)[:30]!r}"
    cells[at]["metadata"].setdefault("nbgrader", {})["grade_id"] = label
    if chance.random() < 0.5:
        cells[at]["id"] = label
        said += ", its id too"
    return said


def unlabels(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    one = chance.random() < 0.7
    chosen = [pick(cells, chance)] if one else list(range(len(cells)))
    what = chance.choice(["id", "metadata", "both"])
    said = f"{what} of {named(cells, chosen[0]) if one else 'all cells'} removed"
    for at in chosen:
        if what != "metadata":
            cells[at].pop("id", None)
        if what != "id":
            cells[at]["metadata"] = {}
    return said


def retypes(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    kind = chance.choice(["code", "markdown", "raw", "sql", None])
    said = f"cell {named(book['cells'], at)} made {kind}"
    book["cells"][at]["cell_type"] = kind
    return said


def retags(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    tags: Notebook = book["cells"][at]["metadata"].setdefault("nbgrader", {})
    key = chance.choice(["points", "grade", "locked", "solution", "task", "schema_version", "cell_type", "checksum"])
    value = chance.choice([True, False, None, -1, 1e9, "yes", [], {}])
    tags[key] = value
    return f"nbgrader.{key} of cell {named(book['cells'], at)} made {value!r}"


def merges(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    at = min(pick(cells, chance), len(cells) - 2)
    first = at if chance.random() < 0.5 or at == 0 else at - 1
    said = f"cell {named(cells, first + 1)} merged into {named(cells, first)}"
    below = cells.pop(first + 1)
    cells[first]["source"] = ["".join(cells[first]["source"]), "\n\n", "".join(below["source"])]
    return said


def splits(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    at = pick(cells, chance)
    lines = "".join(cells[at]["source"]).splitlines(keepends=True)
    cut = chance.randrange(len(lines) + 1)
    rest = copy.deepcopy(cells[at])
    if chance.random() < 0.5:
        rest |= {"id": "c0ffee", "metadata": {}}
    cells[at]["source"], rest["source"] = lines[:cut], lines[cut:]
    cells.insert(at + 1, rest)
    return f"cell {named(cells, at)} split at line {cut}, the rest labelled {rest.get('id')!r}"


STRUCTURE = (deletes, duplicates, reorders, relabels, unlabels, retypes, retags, merges, splits)


# ---- damage to the values: the notebook is no notebook any more ----


def swaps_a_source(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    source = book["cells"][at].get("source", [])
    none: list[Any] = [7, None, {}, True]
    some: list[Any] = [{"text": source}, [*source, 3], [source], [3, *source, None], "".join(source)]
    swapped = chance.choice(none + some)
    book["cells"][at]["source"] = swapped
    return f"source of cell {named(book['cells'], at)} swapped for {json.dumps(swapped)[:40]}"


def swaps_metadata(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    metadata = book["cells"][at]["metadata"]
    odd: list[tuple[str, Any]] = [("metadata", odd) for odd in ([metadata], None, 3)]
    key, value = chance.choice([*odd, ("outputs", {}), ("id", 12), ("attachments", [1])])
    book["cells"][at][key] = value
    return f"{key} of cell {named(book['cells'], at)} made {type(value).__name__}"


def swaps_the_cells(book: Notebook, chance: random.Random) -> str:
    cells = book["cells"]
    match chance.randrange(4):
        case 0:
            book["cells"] = {str(at): cell for at, cell in enumerate(cells)}
            return "cells made a dict"
        case 1:
            book["cells"] = [cells]
            return "cells nested in a list"
        case 2:
            cells[chance.randrange(len(cells)) : 0] = [None, 3, "text", []]
            return "things that are no cells put between the cells"
        case _:
            book["metadata"] = cells[:2]
            return "metadata made a list of cells"


def changes_the_version(book: Notebook, chance: random.Random) -> str:
    version = chance.choice([2, 3, 5, 40, "4", None, "gone"])
    book["nbformat"] = version
    if version == "gone":
        del book["nbformat"]
    elif version in (2, 3):
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                cell["input"] = cell.pop("source")
        book["worksheets"] = [{"cells": book.pop("cells"), "metadata": {}}]
    return f"nbformat {version}"


def changes_line_ends(book: Notebook, chance: random.Random) -> str:
    ends = chance.choice(["\r\n", "\r", "\n\r\n"])
    at = pick(book["cells"], chance)
    for cell in book["cells"] if chance.random() < 0.5 else [book["cells"][at]]:
        cell["source"] = [line.replace("\n", ends) for line in cell["source"]]
    return f"line ends {ends!r}"


def turns_keys_round(book: Notebook, chance: random.Random) -> str:
    keys = ["cell_type", "execution_count", "id", "metadata", "outputs", "source"]
    chance.shuffle(keys)
    book["cells"] = [{key: cell[key] for key in [*keys, *cell] if key in cell} for cell in book["cells"]]
    return f"keys of the cells in the order {' '.join(keys)}"


def pastes_pictures(book: Notebook, chance: random.Random) -> str:
    at = pick(book["cells"], chance)
    pictures = {"attachments": {"photo.png": {"image/png": "iVBORw0K"}}}
    book["cells"] = [pictures | cell if cell["cell_type"] == "markdown" else cell for cell in book["cells"]]
    book["cells"][at]["attachments"] = pictures["attachments"]
    return f"pictures in every text cell, and in {named(book['cells'], at)}"


VALUES = (
    swaps_a_source,
    swaps_metadata,
    swaps_the_cells,
    changes_the_version,
    changes_line_ends,
    turns_keys_round,
    pastes_pictures,
)


# ---- damage to the text of the file ----


def conflicts(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    lines = data.split(b"\n")
    start = chance.randrange(len(lines))
    end = min(len(lines), start + chance.choice([0, 1, 3, 20, 80]))
    theirs = lines[start:end] if chance.random() < 0.5 else []
    marks = [b"<<<<<<< HEAD", b"=======", b">>>>>>> theirs"]
    dropped = chance.choice([None, None, None, 0, 1, 2])
    if dropped is not None:
        marks[dropped] = b""
    lines[start:end] = [marks[0], *lines[start:end], marks[1], *theirs, marks[2]]
    return b"\n".join(lines), f"conflict marks around lines {start} to {end}, theirs {len(theirs)} lines"


def doubles_a_key(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice([b"source", b"metadata", b"cell_type", b"id", b"cells", b"nbformat"])
    places = [found.start() for found in re.finditer(rb'"%s":' % key, data)]
    if not places:
        return data, f"no key {key.decode()} to double"
    at = chance.choice(places)
    value = chance.choice([b'"old"', b"[]", b"null", b"{}", b"4"])
    said = f"a second {key.decode()} ({value.decode()}) before byte {at}"
    return data[:at] + b'"%s": %s, ' % (key, value) + data[at:], said


def adds_commas(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    every = chance.random() < 0.3
    places = [found.start() for found in re.finditer(rb"\n *[\]}]", data)] or [len(data)]
    chosen = places if every else [chance.choice(places)]
    for at in reversed(chosen):
        data = data[:at] + b"," + data[at:]
    return data, "trailing commas everywhere" if every else f"a trailing comma at byte {chosen[0]}"


def writes_nan(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    value = chance.choice([b"NaN", b"Infinity", b"-Infinity", b"None", b"True", b"undefined"])
    return data.replace(b'"execution_count": null', b'"execution_count": ' + value), f"{value.decode()} for null"


TEXT = (conflicts, doubles_a_key, adds_commas, writes_nan)


# ---- damage to the bytes of the file ----


def flips(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    changed = bytearray(data)
    places = sorted(chance.randrange(len(data)) for _ in range(chance.choice([1, 3, 30])))
    for at in places:
        changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed), f"bits flipped in bytes {places[:5]}"


def inserts(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = chance.randrange(len(data) + 1)
    odd = [b"\0", b"\0" * 4096, b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1a"]
    new = chance.choice([*odd, *(bytes([sign]) for sign in b'"\\{}[]\n,')])
    return data[:at] + new + data[at:], f"{new[:8]!r} × {len(new)} put in at byte {at}"


def cuts_out(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = chance.randrange(len(data))
    length = chance.choice([1, 1, 2, 20, 4096])
    return data[:at] + data[at + length :], f"{length} bytes cut out at byte {at}"


def overwrites(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = chance.randrange(len(data))
    length = chance.choice([1, 16, 512])
    filler = chance.choice([b"\0", b"\xff", b"\x80"])
    return data[:at] + filler * length + data[at + length :], f"{length} bytes {filler!r} written at byte {at}"


def truncates(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    stop = chance.randrange(1, len(data))
    return data[:stop], f"cut off after {stop} of {len(data)} bytes"


def loses_its_head(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    start = chance.randrange(len(data) // 2)
    return data[start:], f"first {start} bytes lost"


def recodes(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    encoding = chance.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1", "two at once"])
    if encoding == "two at once":
        half = len(data) // 2
        return data[:half] + data[half:].decode("latin-1").encode(), "first half UTF-8, second half encoded twice"
    return data.decode("utf-8", errors="replace").encode(encoding, errors="replace"), encoding


def ends_lines_like_windows(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    return data.replace(b"\n", b"\r\n"), "line ends of the file CRLF"


BYTES = (flips, inserts, cuts_out, overwrites, truncates, loses_its_head, recodes, ends_lines_like_windows)


# ---- one file ----


class Damaged:
    """A damaged file, what was done to it, and the notebook as it was before its text was damaged."""

    def __init__(self, notebook: str, number: int, book: Notebook | None = None) -> None:
        self.seed = f"{notebook} {number}"
        chance = random.Random(self.seed)
        picked = [chance.choice((*STRUCTURE, *VALUES, *TEXT, *BYTES)) for _ in range(chance.choice([1, 1, 2, 2, 3]))]
        layers: tuple[tuple[Callable[..., Any], ...], ...] = (STRUCTURE, VALUES, TEXT, BYTES)
        picked.sort(key=lambda one: next(depth for depth, layer in enumerate(layers) if one in layer))
        self.book = filled(notebook) if book is None else copy.deepcopy(book)
        self.done: list[str] = []
        for one in picked:
            if one in STRUCTURE or (one in VALUES and _usual(self.book)):
                self.done.append(one(self.book, chance))
        layouts: list[dict[str, Any]] = [{"indent": 1}, {"indent": 2}, {"separators": (",", ":")}, {}]
        if turns_keys_round not in picked:
            layouts += [{"indent": 1, "sort_keys": True, "ensure_ascii": False}] * 3  # as Jupyter writes
        self.data = json.dumps(self.book, **chance.choice(layouts)).encode("utf-8", "replace")
        for one in picked:
            if one in TEXT or one in BYTES:
                self.data, said = one(self.data, chance)
                self.done.append(said)

    def __str__(self) -> str:
        return f"look({self.seed.partition(' ')[0]!r}, {self.seed.partition(' ')[2]}): " + "; ".join(self.done)


def _usual(book: Notebook) -> bool:
    """Whether the notebook still is a list of cells whose sources are lists of lines."""
    cells = book.get("cells")
    return isinstance(cells, list) and all(
        isinstance(cell, dict)
        and isinstance(cell.get("metadata"), dict)
        and isinstance(cell.get("source"), list)
        and all(isinstance(line, str) for line in cell["source"])
        for cell in cells
    )


# ---- what has to hold ----


def plain(source: str) -> str:
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def texts(cells: list[Cell]) -> list[tuple[str, str]]:
    """Kind and text of every cell that is not blank."""
    found = [("code" if cell["cell_type"] == "code" else "text", plain("".join(cell["source"]))) for cell in cells]
    return [(kind, text) for kind, text in found if text]


def changed(mended: Notebook, damaged: Damaged) -> bool:
    """Whether a cell was lost, added or edited, or code was moved, to make the gradable notebook."""
    valid = is_json(damaged.data)
    book = json.loads(damaged.data) if valid else damaged.book
    if not _usual(book):
        return False
    before, after = texts(book["cells"]), texts(mended["cells"])
    if not valid:  # the damage may have edited a cell
        return len(before) != len(after)
    code = [[text for kind, text in found if kind == "code"] for found in (before, after)]
    return Counter(before) != Counter(after) or code[0] != code[1]


def complaints(damaged: Damaged, given: Released) -> Iterator[str]:
    """What is wrong with the gradable notebook that was made from a damaged file."""
    try:
        mended = repair(damaged.data, f"{given.notebook}.ipynb", given)
    except Unreadable as sentence:
        if not str(sentence).endswith("."):
            yield f"this is no sentence: {sentence}"
        if held := intact(damaged.data):
            yield f"called unreadable, with {len(held)} intact answers in it: {sentence}"
        return
    except Exception as error:
        yield f"repair raised {error!r}"
        return
    if [cell.released for cell in mended.cells if cell.released] != list(given.cells):
        yield "the released cells are not there once each, in their order"
    ids = [cell.id for cell in mended.cells]
    if len(set(ids)) != len(ids):
        yield f"ids occur twice: {sorted(name for name, count in Counter(ids).items() if count > 1)}"
    book = mended.notebook()
    try:
        nbformat.validate(book)
    except nbformat.ValidationError as error:
        yield f"the notebook is not valid: {error}"
    kept = "\n".join("".join(cell["source"]) for cell in book["cells"])
    lost = sorted(mark for mark in intact(damaged.data) if mark not in kept)
    if lost:
        yield f"lost: {', '.join(lost[:4])}" + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")
    if not mended.repairs and changed(book, damaged):
        yield "something was changed, and nobody was told"
    for note in mended.repairs:
        if not note.kind or not note.note.strip().endswith("."):
            yield f"this repair is no sentence: {note}"


def look(notebook: str, number: int) -> Damaged:
    """Print what is wrong with one file; in tests/, python -c 'import test_fuzz; test_fuzz.look("hw1/mlp", 7)'."""
    damaged = Damaged(notebook, number)
    print(damaged, *complaints(damaged, handed_out(notebook)), sep="\n    ")
    return damaged


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_no_damage_loses_an_answer_that_is_still_in_the_file(notebook: str) -> None:
    given = handed_out(notebook)
    found = []
    for number in range(FILES):
        damaged = Damaged(notebook, number)
        found += [f"{damaged}\n    {complaint}" for complaint in complaints(damaged, given)]
    assert not found, f"{len(found)} complaints about the files of {notebook}:\n" + "\n".join(found)
