"""Reads the cells of a notebook file, and salvages what a damaged one still contains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice, pairwise
from pathlib import PurePath

import msgspec

from autograder.course.names import names
from autograder.results.result import Repair
from autograder.submission import torn_json
from autograder.submission.checksum import fits
from autograder.submission.file import USUAL_BYTES, Unreadable
from autograder.submission.rawcell import (
    MAX_CELLS,
    MAX_CODE_BYTES,
    MAX_PICTURE_BYTES,
    MAX_SOURCE_BYTES,
    MAX_TEXT_BYTES,
    Attachments,
    RawCell,
    RawNotebook,
    clean,
    file_note,
)

_MAX_MEMBERS = 200
_PEEK = 4000
"""bytes of an object that are read to tell what it is"""

# The start of a cell. Inside a string the quotes would be escaped. Outputs and metadata begin in the same ways, so the
# keys that follow decide.
_CELL = re.compile(rb'\{\s*+"(?:cell_type|attachments|execution_count|id|metadata|outputs|source)"\s*+:')
_SURE = re.compile(rb'\{\s*+"cell_type"\s*+:')
_OTHER_KEYS = {"output_type", "data", "grade_id", "schema_version", "kernelspec", "language_info", "nbformat", "cells"}
"""keys of objects in a notebook that are no cells"""
SOURCE = re.compile(rb'"source"\s*+:\s*+(?=[\["])')
_OLD_SOURCE = re.compile(rb'"(?:source|input)"\s*+:\s*+(?=[\["])')
"""before nbformat 4, the code of a cell is called input"""
_LINES = re.compile(rb'\[(?:\s*+"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+,?)*+', re.DOTALL)
_LABEL = re.compile(rb'"grade_id"\s*+:\s*+("[^"\\]{1,200}")')
_NAME = re.compile(r"[\w.:+-]{1,100}")
"""what a label or a type is at most; anything else would read as words of the grader where it is named in a sentence"""
_KIND = re.compile(rb'"cell_\w*+"\s*+:\s*+"(code|markdown|raw)"')
_FORMAT = re.compile(rb'"nbformat"\s*+:\s*+(\d{1,3})')


def read_notebook(data: bytes, name: str, repairs: list[Repair]) -> RawNotebook | None:
    """The cells of a notebook, whole or damaged; None if the data is no notebook."""
    if data.count(b"[") + data.count(b"{") > torn_json.BRACKETS:
        raise Unreadable(
            f"The file ‘{name}’ has too many brackets to be read, probably in its outputs. "
            "In Jupyter choose Edit → Clear Outputs of All Cells, save, and submit it again."
        )
    repairs = list(repairs)
    whole = torn_json.is_whole(data)
    spans = _cell_spans(data) if whole else []
    if not spans:
        whole = False  # its cells are not where they belong
        starts = list(islice(_starts(data), MAX_CELLS + 1))
        spans = list(pairwise([*starts, len(data)])) or _cell_spans(data)
    if not spans and not SOURCE.search(data):
        return None

    if PurePath(name).suffix.casefold() == ".py":
        note = f"The file ‘{name}’ contains a notebook, not a script; it was read as a notebook."
        repairs.append(file_note("converted", note))
    version = _FORMAT.search(data)
    if version and int(version[1]) != 4:
        age = "an old" if int(version[1]) < 4 else "a newer"
        note = f"The notebook was saved in {age} format (version {int(version[1])}) and was converted."
        repairs.append(file_note("converted", note))
    if len(data) > USUAL_BYTES:
        size = f"{len(data) / 2**20:.0f} MB"
        repairs.append(file_note("ignored", f"The file size is {size}, most of it output; the output was ignored."))
    if len(spans) > MAX_CELLS:
        note = f"The notebook has more than {MAX_CELLS} cells; all after the first {MAX_CELLS} were ignored."
        repairs.append(file_note("ignored", note))

    cells: list[tuple[int, RawCell]] = []
    claimed: set[int] = set()
    torn = False
    lost = total = 0
    for number, (start, end) in enumerate(spans[:MAX_CELLS], start=1):
        if data[start : start + 1] != b"{":
            repairs.append(file_note("ignored", f"Entry {number} of the notebook is not a cell; it was ignored."))
            continue
        cell, notes, place = _cell(data, start, len(data) if end < 0 else end, number, whole)
        total += len(cell.source) if cell else 0
        if total > MAX_SOURCE_BYTES:
            limit = MAX_SOURCE_BYTES // 2**20
            note = f"The notebook contains more than {limit} MB of text; cell {number} and later cells were ignored."
            repairs.append(file_note("ignored", note))
            break
        repairs += notes
        if cell:
            cells.append((start, cell))
            claimed.add(place)
        else:
            lost += 1
    if not whole:
        salvaged = list(
            islice(_unclaimed(data, claimed, version is not None and int(version[1]) < 4), MAX_CELLS - len(cells))
        )
        cells = sorted([*cells, *salvaged], key=lambda pair: pair[0])
        lost = max(0, lost - len(salvaged))
        torn = bool(salvaged)
    # A file with NaN is not valid JSON either, but nothing is missing from it.
    torn = torn or lost > 0 or (not whole and data.rstrip()[-1:] not in (b"}", b"]"))
    if torn:
        what = {0: "", 1: ", one cell was lost"}.get(lost, f", {lost} cells were lost")
        note = (
            f"The file ‘{name}’ is damaged, perhaps because saving or uploading it was interrupted: "
            f"{len(cells)} cells could be read{what}. Check the file that you submitted."
        )
        repairs.append(file_note("salvaged", note))
    if not cells and torn:
        raise Unreadable(f"The file ‘{name}’ is damaged and contains no complete cell. Save it and submit it again.")
    return RawNotebook(cells=tuple(cell for _, cell in cells), repairs=tuple(repairs), torn=torn)


def _starts(data: bytes) -> Iterator[int]:
    """Where cells begin in a damaged notebook."""
    for found in islice(_CELL.finditer(data), 4 * MAX_CELLS):
        at = found.start()
        before = data[max(0, at - 200) : at].rstrip()[-1:]
        if before == b":" and not _SURE.match(data, at):
            continue  # the value of a key
        keys = {key for key, _ in islice(torn_json.members(data, at, min(len(data), at + _PEEK)), 8)}
        if not keys & _OTHER_KEYS:
            yield at


def _unclaimed(data: bytes, claimed: set[int], old: bool) -> Iterator[tuple[int, RawCell]]:
    """What a damaged notebook still holds of cells that cannot be read as a whole: position and cell.

    `old` says whether it was saved in a format before nbformat 4.
    """
    end = 0
    for found in islice((_OLD_SOURCE if old else SOURCE).finditer(data), 4 * MAX_CELLS):
        at = found.end()
        region, end = data[end:at], at
        if at in claimed:
            continue
        lines = _LINES.match(data, at)
        raw = lines.group() if lines else torn_json.string_at(data, at)
        source, _ = torn_json.text(raw)
        if not source.strip():
            continue
        label, kind = _last(_LABEL, region), _last(_KIND, region)
        code = kind == b"code" if kind else bool(names(source))
        yield at, RawCell(kind="code" if code else "markdown", source=clean(source), grade_id=_label(label))


def _last(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    found: list[bytes] = pattern.findall(data)
    return found[-1] if found else b""


def _cell_spans(data: bytes) -> list[torn_json.Span]:
    """The spans of the cells, found by the structure of the file.

    At most MAX_CELLS + 1 spans are returned; the extra one shows that there are too many cells.
    """
    start, stop = len(data) - len(data.lstrip()), len(data)
    arrays: list[int] = []
    if data[start : start + 1] == b"[":
        arrays = [start]
    elif data[start : start + 1] == b"{":
        for key, (at, _) in islice(torn_json.members(data, start, stop), _MAX_MEMBERS):
            if key == "cells":
                arrays.append(at)
            elif key == "worksheets" and data[at : at + 1] == b"[":  # the layout before nbformat 4
                for sheet, end in islice(torn_json.elements(data, at, stop), _MAX_MEMBERS):
                    inner = torn_json.members(data, sheet, end if end > 0 else stop)
                    arrays += [cells for key, (cells, _) in islice(inner, _MAX_MEMBERS) if key == "cells"]
    spans: list[torn_json.Span] = []
    for at in arrays:
        if data[at : at + 1] == b"[":
            spans += islice(torn_json.elements(data, at, stop), MAX_CELLS + 1 - len(spans))
    if not any(data[at : at + 1] == b"{" for at, _ in spans):
        return []
    return spans


def _cell(data: bytes, start: int, stop: int, number: int, whole: bool) -> tuple[RawCell | None, list[Repair], int]:
    """The cell between `start` and `stop`, its repairs, and where its source stands; None when its source is lost."""
    repairs: list[Repair] = []
    found: dict[str, bytes] = {}
    places: dict[str, int] = {}
    others: dict[str, torn_json.Span] = {}
    twice = False
    for key, (at, end) in islice(torn_json.members(data, start, stop), _MAX_MEMBERS):
        if end >= 0 and key in _WANTED:
            twice = twice or (key in _SOURCES and key in found)
            found[key], places[key] = data[at:end], at
        elif end >= 0 and data[at : at + 1] in (b'"', b"["):
            others[key] = at, end
    source_key = next((key for key in _SOURCES if key in found), "")
    misspelt = [] if source_key else get_close_matches(_SOURCES[0], others, 1)  # bytes of the file were lost
    for source_key in misspelt:
        at, end = others[source_key]
        found[source_key], places[source_key] = data[at:end], at
    if not source_key and not whole:
        return None, [], -1

    nbgrader = _members(_members(found.get("metadata", b"")).get("nbgrader", b""))
    grade_id = _label(nbgrader.get("grade_id", b""))
    ids = (_label(found.get("id", b"")), _label(_members(found.get("metadata", b"")).get("id", b"")))
    label = grade_id or ids[0] or ids[1]
    called = f"‘{label}’" if label else str(number)

    def say(kind: str, note: str) -> None:
        repairs.append(Repair(kind=kind, cell=label, note=note))

    raw = found.get(source_key, b"")
    limit = MAX_CODE_BYTES if found.get("cell_type") == b'"code"' else MAX_TEXT_BYTES
    if len(raw) > limit:
        say("ignored", f"Cell {called} contains more than {limit // 2**20} MB of text; its text was ignored.")
        raw = b'""'
    source, sound = torn_json.text(raw)
    if not sound:
        say("converted", f"The text of cell {called} is stored incorrectly in the file; as much as possible was read.")
    if misspelt:
        say("converted", f"In the file, the text of cell {called} has a damaged name; it was read all the same.")
    if twice:
        say("converted", f"The file contains the text of cell {called} twice; the last one counts.")

    if len(found.get("attachments", b"")) > MAX_PICTURE_BYTES:
        limit = MAX_PICTURE_BYTES // 2**20
        say("ignored", f"The pictures in cell {called} are larger than {limit} MB; they were ignored.")

    cell_type = _short(found.get("cell_type", b""))
    if cell_type not in _TYPES:
        was = (f"‘{cell_type[:20]}’" if _NAME.fullmatch(cell_type) else "not a word") if cell_type else "missing"
        say("converted", f"The type of cell {called} is unknown ({was}); it was treated as text.")
    if cell_type == "heading":
        level = found.get("level", b"1")
        source = "#" * (int(level) if level in (b"1", b"2", b"3", b"4", b"5", b"6") else 1) + " " + source
    source = clean(source)
    cell = RawCell(
        kind="code" if cell_type == "code" else "markdown",
        source=source,
        grade_id=grade_id,
        ids=tuple(label for label in ids if label),
        attachments=_attachments(found.get("attachments", b"")),
        untouched=fits(source, cell_type, nbgrader),
    )
    return cell, repairs, places.get(source_key, -1)


_SOURCES = ("source", "input", "text", "code")  # all but the first are from nbformat 3, 2 and 1
_WANTED = {*_SOURCES, "cell_type", "id", "metadata", "level", "attachments"}
_TYPES = ("code", "markdown", "raw", "heading", "html", "text", "plaintext")
_PICTURES = msgspec.json.Decoder(Attachments)


def _members(raw: bytes) -> dict[str, bytes]:
    if raw[:1] != b"{":
        return {}
    found = islice(torn_json.members(raw, 0, len(raw)), _MAX_MEMBERS)
    return {key: raw[at:end] for key, (at, end) in found if end >= 0}


def _short(raw: bytes) -> str:
    return clean(torn_json.text(raw)[0]) if raw[:1] == b'"' and len(raw) < 200 else ""


def _label(raw: bytes) -> str:
    """The label in a string; '' if it is none that Jupyter, Colab or nbgrader would give to a cell."""
    text = _short(raw)
    return text if _NAME.fullmatch(text) else ""


def _attachments(raw: bytes) -> Attachments:
    if not raw or len(raw) > MAX_PICTURE_BYTES:
        return {}
    try:
        found = _PICTURES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {
        name: {mime: data for mime, data in kinds.items() if mime.startswith("image/")} for name, kinds in found.items()
    }
