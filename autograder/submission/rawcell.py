"""Raw cells: the cells of a submitted file before they are matched, and the limits on how much is read."""

from __future__ import annotations

from typing import Literal

import msgspec

from autograder.results.result import Repair

MAX_CELLS = 2000
MAX_CODE_BYTES = 2**20
"""limit for the code of one cell as it is stored in the file"""
MAX_CODE_CHARACTERS = 2**17
"""limit for the code of one cell, and 2**18 for all cells: a parsed cell needs 700 times its length in memory"""
MAX_ALL_CODE_CHARACTERS = 2**18
MAX_TEXT_BYTES = 8 * 2**20
"""limit for one written answer; it is high because Colab stores pasted pictures inside the text"""
MAX_SOURCE_BYTES = 32 * 2**20
MAX_SCRIPT_BYTES = 4 * 2**20
MAX_PICTURE_BYTES = 12 * 2**20

Kind = Literal["markdown", "code"]
Attachments = dict[str, dict[str, str | list[str]]]


class RawCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell as it was submitted."""

    kind: Kind
    source: str
    grade_id: str = ""
    ids: tuple[str, ...] = ()
    """the cell's own id and the id that Colab keeps in its metadata, where they exist"""
    attachments: Attachments = {}
    """pictures pasted into a written answer"""
    untouched: bool | None = None
    """whether it is as some release had it, by the checksum that it carries; None if it carries none"""


class RawNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a submitted file, as far as it could be read."""

    cells: tuple[RawCell, ...]
    repairs: tuple[Repair, ...] = ()
    plain: bool = False
    """whether it is a Python script without cell marks; it is then read as a single code cell"""
    torn: bool = False
    """whether part of the file is lost"""


def clean(source: str) -> str:
    """The text with line feeds as line ends, and with "?" for lone surrogates, which UTF-8 cannot encode."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return source.encode("utf-8", errors="replace").decode()


def file_note(kind: str, note: str) -> Repair:
    """A repair that concerns the file as a whole."""
    return Repair(kind=kind, cell="", note=note)
