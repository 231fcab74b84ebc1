"""A parcel: what a student has handed in for one homework as bytes, so that another machine finds the same in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from autograder.submission.file import Unreadable, read
from autograder.submission.filename import shown
from autograder.submission.folder import contents

MOST_BYTES = 256 * 2**20
"""most bytes of one parcel"""
_START = 64
"""bytes of a file that is not read whole: they tell what kind of file it is"""
_Kind = Literal["file", "folder", "link", "other"]
_KINDS: dict[int, _Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """One thing in a student's folder."""

    path: bytes
    """relative to the student's folder, as on the disk; b'' for what is handed in as a single file"""
    kind: _Kind
    data: bytes = b""
    """of a file that is too big or cannot be opened, only its start: nothing reads more of it"""
    size: int = 0
    modified: int = 0
    """nanoseconds"""


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """A student's folder, or the archive in its place."""

    name: bytes
    """of the folder or the archive, as on the disk"""
    pieces: tuple[Piece, ...]


class TooMuch(Exception):
    """Raised when a submission has more bytes than a parcel may have. The text is for the instructor."""


def packed(root: Path, homework: str, homeworks: Sequence[str] = ()) -> Parcel:
    """What `contents` looks at in `root`, a student's folder or archive. Raises TooMuch."""
    places = contents(root, homework, homeworks, unpack=False).places or [root]
    pieces: list[Piece] = []
    total = 0
    for place in places:
        piece = _piece(root, place)
        total += len(piece.data)
        if total > MOST_BYTES:
            raise TooMuch(
                f"{root}: there are more than {MOST_BYTES // 2**20} MB in this folder, too much to send: grade it on "
                f"this machine, without --scheduler: `autograder grade {homework} --student {shown(root.name)}`"
            )
        pieces.append(piece)
    return Parcel(os.fsencode(root.name), tuple(pieces))


def unpacked(parcel: Parcel, where: Path) -> Path:
    """Write a parcel below `where`. The path of the student's folder. Raises OSError."""
    root = _below(where, parcel.name)
    if not any(piece.path == b"" for piece in parcel.pieces):
        root.mkdir()
    for piece in parcel.pieces:
        path = _below(root, piece.path) if piece.path else root
        path.parent.mkdir(parents=True, exist_ok=True)
        match piece.kind:
            case "folder":
                path.mkdir(exist_ok=True)
            case "link":
                path.symlink_to("nowhere")  # no link is followed
            case "other":
                os.mkfifo(path)
            case "file":
                path.write_bytes(piece.data)
                if piece.size != len(piece.data):
                    os.truncate(path, piece.size)  # a hole: it takes no room
                os.utime(path, ns=(piece.modified, piece.modified))
    return root


def _piece(root: Path, place: Path) -> Piece:
    path = b"" if place == root else os.fsencode(place.relative_to(root))
    try:
        about = place.lstat()
    except OSError:
        return Piece(path, "other")  # it was there a moment ago
    if place == root and place.is_dir():  # an empty folder, or a link to one
        return Piece(path, "folder")
    kind: _Kind = _KINDS.get(stat.S_IFMT(about.st_mode), "other")
    if kind != "file":
        return Piece(path, kind)
    try:
        data = read(place)
        return Piece(path, kind, data, len(data), about.st_mtime_ns)
    except Unreadable:
        return Piece(path, kind, _start(place), about.st_size, about.st_mtime_ns)


def _start(place: Path) -> bytes:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return file.read(_START)
    except OSError:
        return b""


def _below(root: Path, path: bytes) -> Path:
    name = PurePosixPath(os.fsdecode(path))
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise OSError(f"{shown(str(name))}: this path leads out of the submission")
    return root / name
