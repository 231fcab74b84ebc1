"""The gradable notebook: each released cell once, in released order, with the student's own cells in between."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, Literal

import msgspec

from autograder.course.release import ReleasedCell
from autograder.results.result import Output, Repair
from autograder.submission.pictures import Album
from autograder.submission.rawcell import MAX_PICTURE_BYTES, Attachments, file_note


class GradableCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a repaired submission."""

    id: str
    """the released cell's id, or a new id (own-1, own-2 …) for one of the student's own cells"""
    kind: Literal["markdown", "code"]
    source: str
    skip: bool
    """whether the cell is not run: text, and code that the release (never the submission) tags as a demo"""
    released: ReleasedCell | None
    """None for the student's own cells"""
    attachments: Attachments = {}
    """pictures pasted into a written answer"""

    @property
    def own(self) -> bool:
        """Whether the student added it."""
        return self.released is None

    @property
    def tested(self) -> bool:
        """Whether hidden tests belong to this cell."""
        return self.released is not None and self.released.grade and not self.released.solution


class Gradable(msgspec.Struct, frozen=True):
    """A repaired submission: each released cell occurs once, in released order, and every id is unique."""

    cells: tuple[GradableCell, ...]
    repairs: tuple[Repair, ...]

    @property
    def unanswered(self) -> frozenset[str]:
        """The grade_ids of the written answers that are as released and have no cell of the student's beside them."""
        found = set()
        for at, cell in enumerate(self.cells):
            released = cell.released
            if released is None or not (released.grade and released.solution) or cell.attachments:
                continue
            blank = cell.source.strip() in ("", released.source.strip())
            beside = any(one.own for one in self.cells[max(0, at - 1) : at + 2])
            if blank and not beside and not any(one.own and one.kind == "markdown" for one in self._around(at)):
                found.add(released.grade_id)
        return frozenset(found)

    def answer(self, grade_id: str) -> str:
        """A digest of what the student wrote for a grade cell: for a written answer its text, with what stands near it.

        Of any other grade cell, everything that the student wrote in the notebook.
        """
        [at] = [n for n, cell in enumerate(self.cells) if cell.released and cell.released.grade_id == grade_id]
        found, released = self.cells[at], self.cells[at].released
        cells = [cell for cell in self.cells if cell.own or (cell.released and not cell.released.fixed)]
        if released is not None and released.grade and released.solution:
            cells = [found, *(cell for cell in self._around(at) if cell.own)]
        digest = hashlib.blake2b(digest_size=12)
        for cell in cells:
            digest.update(f"{cell.id}\0{cell.source.strip()}\0".encode(errors="replace"))
            digest.update(repr(sorted(cell.attachments.items())).encode(errors="replace"))
        return digest.hexdigest()

    def _around(self, at: int) -> Iterator[GradableCell]:
        """The cells near a cell: those above and below it, up to the next cells that students fill in or earn with."""
        for cells in (reversed(self.cells[:at]), self.cells[at + 1 :]):
            yield from takewhile(_between_exercises, cells)

    @property
    def pictures(self) -> Iterator[Output]:
        """The pictures in the student's texts, for the feedback page."""
        for cell in self.cells:
            for kinds in cell.attachments.values():
                for kind, data in kinds.items():
                    text = data if isinstance(data, str) else "".join(data)
                    with suppress(ValueError):  # it is not base64
                        if kind in ("image/png", "image/jpeg"):
                            png = base64.b64decode(text)
                            yield Output(cell=cell.id, kind=kind, png=png)  # type: ignore[arg-type]

    def beside(self, files: Mapping[str, bytes]) -> Gradable:
        """The same with `files` beside it: pictures that a text shows are attached to the text."""
        if not files:
            return self
        cells, notes, album = list[GradableCell](), list[Repair](), Album(files)
        for cell in self.cells:
            if cell.kind == "markdown" and (cell.own or not (cell.released and cell.released.fixed)):
                source, attachments = album.attach(cell.source, cell.attachments)
                if album.left_out and not notes:
                    most = f"{MAX_PICTURE_BYTES // 2**20} MB"
                    note = f"Your texts show more than {most} of pictures; from cell ‘{cell.id}’ on, some are left out."
                    notes.append(file_note("ignored", note))
                cell = msgspec.structs.replace(cell, source=source, attachments=attachments)
            cells.append(cell)
        return Gradable(tuple(cells), (*self.repairs, *notes))

    def notebook(self) -> dict[str, Any]:
        """The submission as an nbformat 4.5 notebook for nbgrader's commands: released metadata, no outputs."""
        return {
            "cells": [_as_dict(cell) for cell in self.cells],
            "metadata": {
                "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }


def _between_exercises(cell: GradableCell) -> bool:
    """Whether students neither fill in a cell nor earn points with it."""
    return cell.released is None or not (cell.released.grade or cell.released.solution)


def _as_dict(cell: GradableCell) -> dict[str, Any]:
    shared = {
        "id": cell.id,
        "metadata": copy.deepcopy(cell.released.metadata) if cell.released else {},
        "source": cell.source,
    }
    if cell.kind == "code":
        return {"cell_type": "code", "execution_count": None, "outputs": [], **shared}
    attached = {"attachments": copy.deepcopy(cell.attachments)} if cell.attachments else {}
    return {"cell_type": "markdown", **attached, **shared}
