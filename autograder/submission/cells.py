"""Reads the cells of a submitted file, whatever its format or damage. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import PurePath

import msgspec

from autograder.course.names import names
from autograder.results.result import Repair
from autograder.submission import script, torn_json
from autograder.submission.conflict import united, versions
from autograder.submission.document import SUFFIXES, read_document
from autograder.submission.file import USUAL_BYTES, Unreadable
from autograder.submission.rawcell import (
    MAX_ALL_CODE_CHARACTERS,
    MAX_CELLS,
    MAX_CODE_BYTES,
    MAX_CODE_CHARACTERS,
    MAX_PICTURE_BYTES,
    MAX_SCRIPT_BYTES,
    MAX_SOURCE_BYTES,
    MAX_TEXT_BYTES,
    Attachments,
    RawCell,
    RawNotebook,
    clean,
    file_note,
)


def read_cells(data: bytes, filename: str) -> RawNotebook:
    """The cells of a submitted notebook or script.

    Raises
    ------
    Unreadable
        When the file is neither a notebook nor a script, or contains no cells.
    """
    name = PurePath(filename).name
    _refuse_others(data, name)
    data, repairs = _as_utf8(data, name)
    return _bounded(_united(data, repairs, name) or _read(data, repairs, name))


def _united(data: bytes, repairs: list[Repair], name: str) -> RawNotebook | None:
    """The cells of both versions in a file with an unresolved Git merge; None for any other file."""
    both = versions(data)
    if both is None:
        return None
    books = []
    for version in both:
        with suppress(Unreadable):
            books.append(_read(version, [], name))
    if not books or any(book.plain for book in books):
        return None
    note = (
        "The file contains an unresolved Git merge; both versions were read. Where both have work of yours, the second "
        "one counts. Resolve it and save the file again."
    )
    notes = dict.fromkeys(note for book in books for note in book.repairs)
    cells = united(books[0].cells, books[-1].cells)[:MAX_CELLS]
    torn = all(book.torn for book in books)
    return RawNotebook(cells=cells, repairs=(*repairs, file_note("salvaged", note), *notes), torn=torn)


def _read(data: bytes, repairs: list[Repair], name: str) -> RawNotebook:
    # A script rarely begins with a list or a dict, so a bracket means a notebook. A damaged notebook may lack its first
    # bytes, so the members of a cell anywhere in the file mean a notebook, too.
    if data.lstrip()[:1] in (b"{", b"[") or (b'"cell_type"' in data and _SOURCE.search(data)):
        notebook = _notebook(data, name, repairs)
        if notebook:
            return notebook
    if PurePath(name).suffix.casefold() in SUFFIXES and b"\0" not in data:
        text = clean(torn_json.decoded(data[:MAX_SCRIPT_BYTES]))
        return RawNotebook(cells=read_document(text, name), repairs=tuple(repairs))
    if _PYTHON.search(data) and b"\0" not in data:
        return script.read_script(data, name, repairs)
    if not data.lstrip().startswith((b"{", b"[")):
        raise Unreadable(
            f"The file ‘{name}’ is neither a notebook nor a Python script. Submit the .ipynb file that you worked in."
        )
    raise Unreadable(f"The file ‘{name}’ contains no notebook cells. Submit the .ipynb file that you worked in.")


def _bounded(book: RawNotebook) -> RawNotebook:
    """The notebook without the code that goes beyond the limits. What reads code needs much memory for it."""
    cells, repairs, total = [], list(book.repairs), 0
    most = MAX_ALL_CODE_CHARACTERS if book.plain else MAX_CODE_CHARACTERS
    for number, cell in enumerate(book.cells, start=1):
        size = len(cell.source) if cell.kind == "code" else 0
        if size > most or total + size > MAX_ALL_CODE_CHARACTERS:
            label = cell.grade_id or next(iter(cell.ids), "")
            called, limit = f"‘{label}’" if label else str(number), most // 1024
            note = f"Cell {called} contains more than {limit} kB of code; its code was ignored."
            if size <= most:
                limit = MAX_ALL_CODE_CHARACTERS // 1024
                note = f"The notebook contains more than {limit} kB of code; the code of cell {called} was ignored."
            repairs.append(Repair(kind="ignored", cell=label, note=note))
            cell = msgspec.structs.replace(cell, source="")
            size = 0
        total += size
        cells.append(cell)
    return msgspec.structs.replace(book, cells=tuple(cells), repairs=tuple(repairs))


# ---- what kind of file it is ----

_PYTHON = re.compile(
    rb"^(?:(?:async )?def |class |import |from [\w.]++ import|print\(|[A-Za-z_]\w*+[ \t]*+=[^=]|# ?%%|# In ?\[)",
    re.MULTILINE,
)
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive (or a Word file)", "Unpack it and submit the .ipynb file itself."),
    (b"Rar!", "an archive", "Unpack it and submit the .ipynb file itself."),
    (b"7z\xbc\xaf", "an archive", "Unpack it and submit the .ipynb file itself."),
    (b"\x1f\x8b", "a compressed archive", "Unpack it and submit the .ipynb file itself."),
    (b"%PDF", "a PDF file, perhaps a printed copy of the notebook", ""),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
    (b"\xd0\xcf\x11\xe0", "an Office document", ""),
    (b"{\\rtf", "a text document", ""),
    (b"\x7fELF", "a compiled program", ""),
    (b"version https://git-lfs", "a Git LFS pointer file", "Run git lfs pull, then submit the .ipynb file."),
)
_DOWNLOAD = (
    "Open the notebook and choose File → Download (in Colab: File → Download → Download .ipynb), "
    "then submit that .ipynb file."
)


def _refuse_others(data: bytes, name: str) -> None:
    body = data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\0")
    if not body:
        raise Unreadable(f"The file ‘{name}’ is empty. Save your notebook and submit it again.")
    for signature, what, way_out in _SIGNATURES:
        if body.startswith(signature):
            raise Unreadable(f"The file ‘{name}’ is {what}, not a notebook. {way_out or _DOWNLOAD}")
    if body.startswith(b"<") and not body.startswith(b"<<<<<<<"):  # a Git merge conflict: see `_notebook`
        raise Unreadable(f"The file ‘{name}’ is a web page, not a notebook. {_DOWNLOAD}")


def _as_utf8(data: bytes, name: str) -> tuple[bytes, list[Repair]]:
    head = data[:4]
    wide = ""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        wide = "utf-16"
    elif len(head) == 4 and head[1] == head[3] == 0:
        wide = "utf-16-le"
    elif len(head) == 4 and head[0] == head[2] == 0:
        wide = "utf-16-be"
    if wide and data.strip(b"\0"):
        data = data.decode(wide, errors="replace").encode("utf-8", errors="replace")
        return data, [file_note("converted", f"The file ‘{name}’ was saved as UTF-16 text; it was converted to UTF-8.")]
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        if data.lstrip()[:1] == b"{":  # normal in scripts, but Jupyter refuses a notebook with this mark
            mark = "a byte order mark (an invisible character)"
            return data, [file_note("converted", f"The file ‘{name}’ began with {mark}; it was removed.")]
    if not torn_json.is_utf8(data):
        note = (
            f"The file ‘{name}’ was not saved as UTF-8 text; it was read as Latin-1. "
            "Accented and other non-English letters may look wrong."
        )
        return data, [file_note("converted", note)]
    return data, []


# ---- notebooks ----

_MAX_MEMBERS = 200
_PEEK = 4000
"""bytes of an object that are read to tell what it is"""

# The start of a cell. Inside a string the quotes would be escaped. Outputs and metadata begin in the same ways, so the
# keys that follow decide.
_CELL = re.compile(rb'\{\s*+"(?:cell_type|attachments|execution_count|id|metadata|outputs|source)"\s*+:')
_SURE = re.compile(rb'\{\s*+"cell_type"\s*+:')
_OTHER_KEYS = {"output_type", "data", "grade_id", "schema_version", "kernelspec", "language_info", "nbformat", "cells"}
"""keys of objects in a notebook that are no cells"""
_SOURCE = re.compile(rb'"source"\s*+:\s*+(?=[\["])')
_LINES = re.compile(rb'\[(?:\s*+"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+,?)*+', re.DOTALL)
_LABEL = re.compile(rb'"grade_id"\s*+:\s*+("[^"\\]{1,200}")')
_KIND = re.compile(rb'"cell_\w*+"\s*+:\s*+"(code|markdown|raw)"')
_FORMAT = re.compile(rb'"nbformat"\s*+:\s*+(\d{1,3})')


def _notebook(data: bytes, name: str, repairs: list[Repair]) -> RawNotebook | None:
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
    if not spans and not _SOURCE.search(data):
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
        salvaged = list(islice(_unclaimed(data, claimed), MAX_CELLS - len(cells)))
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


def _unclaimed(data: bytes, claimed: set[int]) -> Iterator[tuple[int, RawCell]]:
    """What a damaged notebook still holds of cells that cannot be read as a whole: position and cell."""
    end = 0
    for found in islice(_SOURCE.finditer(data), 4 * MAX_CELLS):
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
        yield at, RawCell(kind="code" if code else "markdown", source=clean(source), grade_id=_short(label))


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
    twice = False
    for key, (at, end) in islice(torn_json.members(data, start, stop), _MAX_MEMBERS):
        if end >= 0 and key in _WANTED:
            twice = twice or (key in _SOURCES and key in found)
            found[key], places[key] = data[at:end], at
    source_key = next((key for key in _SOURCES if key in found), "")
    if not source_key and not whole:
        return None, [], -1

    nbgrader = _members(_members(found.get("metadata", b"")).get("nbgrader", b""))
    grade_id = _short(nbgrader.get("grade_id", b""))
    ids = (_short(found.get("id", b"")), _short(_members(found.get("metadata", b"")).get("id", b"")))
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
    if twice:
        say("converted", f"The file contains the text of cell {called} twice; the last one counts.")

    if len(found.get("attachments", b"")) > MAX_PICTURE_BYTES:
        limit = MAX_PICTURE_BYTES // 2**20
        say("ignored", f"The pictures in cell {called} are larger than {limit} MB; they were ignored.")

    cell_type = _short(found.get("cell_type", b""))
    if cell_type not in _TYPES:
        was = f"‘{cell_type[:20]}’" if cell_type else "missing"
        say("converted", f"The type of cell {called} is unknown ({was}); it was treated as text.")
    if cell_type == "heading":
        level = found.get("level", b"1")
        source = "#" * (int(level) if level in (b"1", b"2", b"3", b"4", b"5", b"6") else 1) + " " + source
    cell = RawCell(
        kind="code" if cell_type == "code" else "markdown",
        source=clean(source),
        grade_id=grade_id,
        ids=tuple(label for label in ids if label),
        attachments=_attachments(found.get("attachments", b"")),
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
