"""Parts text cells that were joined: each of the course's own texts in a cell becomes a cell of its own again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from autograder.course.release import Released
from autograder.submission.match import normal
from autograder.submission.rawcell import RawCell

_SHORTEST = 24
"""characters; a shorter text may be part of an answer"""
_LONGEST = 100_000


def parted(cells: Iterable[RawCell], released: Released) -> tuple[RawCell, ...]:
    """The cells, with those text cells parted that contain a text of the release and something else."""
    known = {
        text for cell in released.cells if cell.kind == "markdown" and len(text := normal(cell.source)) >= _SHORTEST
    }
    given = {name: normal(cell.source) for cell in released.cells if cell.fixed for name in (cell.id, cell.grade_id)}
    return tuple(part for cell in cells for part in _parts(cell, known, given))


def _parts(cell: RawCell, known: set[str], given: Mapping[str, str]) -> Iterator[RawCell]:
    text = normal(cell.source)
    inside = (
        [] if cell.kind == "code" or text in known or len(text) > _LONGEST else [one for one in known if one in text]
    )
    pieces = [text]
    for one in sorted(inside, key=len, reverse=True):
        pieces = [part for piece in pieces for part in _split(piece, one, known)]
    if len(pieces) < 2:
        yield cell
        return
    # Pictures stay with what is the student's. The label does as well, unless it is that of a given text.
    mine = next((at for at, piece in enumerate(pieces) if piece not in known), 0)
    text = next((given[name] for name in (cell.grade_id, *cell.ids) if name in given), "")
    labelled = pieces.index(text) if text in pieces else mine
    for at, piece in enumerate(pieces):
        yield msgspec.structs.replace(
            cell,
            source=piece,
            grade_id=cell.grade_id if at == labelled else "",
            ids=cell.ids if at == labelled else (),
            attachments=cell.attachments if at == mine else {},
            untouched=None,
        )


def _split(piece: str, text: str, known: set[str]) -> list[str]:
    """A piece, divided where `text` stands in it on lines of its own."""
    if piece in known:
        return [piece]
    before, found, after = f"\n{piece}\n".partition(f"\n{text}\n")
    if not found:
        return [piece]
    return [part for part in (before.strip("\n"), text, after.strip("\n")) if part.strip()]
