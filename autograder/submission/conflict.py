"""Takes a file with an unresolved Git merge apart into its two versions, and puts their cells together again."""

from __future__ import annotations

from collections.abc import Iterable

from autograder.submission.rawcell import RawCell

_MARKS = {b"<<<<<<<": "ours", b"|||||||": "base", b"=======": "theirs", b">>>>>>>": "both"}


def versions(data: bytes) -> tuple[bytes, bytes] | None:
    """The two versions that a merge could not unite; None if there are no marks of a merge in the file."""
    if b"<<<<<<<" not in data:
        return None
    ours, theirs, side, seen = bytearray(), bytearray(), "both", 0
    for line in data.splitlines(keepends=True):
        mark = _MARKS.get(line[:7]) if line[7:8] in (b" ", b"\r", b"\n", b"") else None
        if mark is not None and (mark != "theirs" or side in ("ours", "base")):
            side, seen = mark, seen + 1
            continue
        if side in ("ours", "both"):
            ours += line
        if side in ("theirs", "both"):
            theirs += line
    return (bytes(ours), bytes(theirs)) if seen > 1 else None


def united(ours: Iterable[RawCell], theirs: Iterable[RawCell]) -> tuple[RawCell, ...]:
    """The cells of both versions: below each cell of the first, what the second has in its place."""
    first = list(ours)
    places: dict[object, list[int]] = {}
    for at, cell in enumerate(first):
        places.setdefault(_key(cell), []).append(at)
    below: list[list[RawCell]] = [[] for _ in range(len(first) + 1)]
    follows = 0
    for cell in theirs:
        equal = places.get(_key(cell))
        if equal:
            follows = equal.pop(0) + 1
        else:
            label = cell.grade_id or next(iter(cell.ids), "")
            same = [at for at, one in enumerate(first) if label and label in (one.grade_id, *one.ids)]
            follows = max(same[-1] + 1, follows) if same else follows
            below[follows].append(cell)
    cells = below[0]
    for at, cell in enumerate(first):
        cells += [cell, *below[at + 1]]
    return tuple(cells)


def _key(cell: RawCell) -> object:
    return cell.kind, cell.source, cell.grade_id, cell.ids
