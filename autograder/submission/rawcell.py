"""A raw cell: one cell as it was handed in, before anything is known about it; and how much of a file is read."""

from __future__ import annotations

from typing import Literal

import msgspec

from autograder.results.result import Repair

MAX_CELLS = 2000
MAX_CODE_BYTES = 2**20
MAX_TEXT_BYTES = 8 * 2**20
"""of one written answer: Colab puts the pictures that are pasted into it right into its text"""
MAX_SOURCE_BYTES = 32 * 2**20
MAX_SCRIPT_BYTES = 4 * 2**20
MAX_PICTURE_BYTES = 12 * 2**20

Kind = Literal["markdown", "code"]
Attachments = dict[str, dict[str, str | list[str]]]


class RawCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell as it was handed in."""

    kind: Kind
    source: str
    grade_id: str = ""
    ids: tuple[str, ...] = ()
    """its own id and the one in its metadata (Colab's), where it has them"""
    attachments: Attachments = {}
    """pictures pasted into a written answer"""


class RawNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of a submitted file."""

    cells: tuple[RawCell, ...]
    repairs: tuple[Repair, ...] = ()
    plain: bool = False
    """a Python script without any cell markers: one code cell that holds everything"""
    torn: bool = False
    """some of it is lost"""


def clean(source: str) -> str:
    """With plain line ends, and without the half letters that no file could hold."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return source.encode("utf-8", errors="replace").decode()


def file_note(kind: str, note: str) -> Repair:
    return Repair(kind=kind, cell="", note=note)
