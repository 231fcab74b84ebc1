"""Reads the cells of a submitted file, whatever its format or damage. Nothing is executed."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import PurePath

import msgspec

from autograder.forbidden import magics
from autograder.results.result import Repair
from autograder.submission import script, torn_json
from autograder.submission.conflict import united, versions
from autograder.submission.document import SUFFIXES, read_document
from autograder.submission.file import Unreadable
from autograder.submission.notebook import SOURCE, read_notebook
from autograder.submission.rawcell import (
    MAX_ALL_CODE_CHARACTERS,
    MAX_CELLS,
    MAX_CODE_CHARACTERS,
    MAX_SCRIPT_BYTES,
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
    if data.lstrip()[:1] in (b"{", b"[") or (b'"cell_type"' in data and SOURCE.search(data)):
        notebook = read_notebook(data, name, repairs)
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
    """The notebook without the code that goes beyond the limits. What reads code needs much memory or time for it."""
    cells, repairs, total, work = [], list(book.repairs), 0, 0
    most = MAX_ALL_CODE_CHARACTERS if book.plain else MAX_CODE_CHARACTERS
    for number, cell in enumerate(book.cells, start=1):
        size = len(cell.source) if cell.kind == "code" else 0
        more = magics.work(cell.source) if 0 < size <= most else 0
        if size > most or total + size > MAX_ALL_CODE_CHARACTERS or work + more > magics.MOST_WORK:
            label = cell.grade_id or next(iter(cell.ids), "")
            called, limit = f"‘{label}’" if label else str(number), most // 1024
            note = f"Cell {called} contains more than {limit} kB of code; its code was ignored."
            if size <= most:
                of_all = f"more than {MAX_ALL_CODE_CHARACTERS // 1024} kB of code"
                much = of_all if total + size > MAX_ALL_CODE_CHARACTERS else "too many magics (% and !) in long cells"
                note = f"The notebook contains {much}; the code of cell {called} was ignored."
            repairs.append(Repair(kind="ignored", cell=label, note=note))
            cell = msgspec.structs.replace(cell, source="")
            size = more = 0
        total, work = total + size, work + more
        cells.append(cell)
    return msgspec.structs.replace(book, cells=tuple(cells), repairs=tuple(repairs))


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
