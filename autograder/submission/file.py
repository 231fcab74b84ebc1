"""Reads a submitted file safely: at most so many bytes, and never through a link or a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from autograder.submission.filename import shown

USUAL_BYTES = 32 * 2**20
"""a notebook with many figures is far smaller; a larger file nearly always consists of printed output"""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link to another file or folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(Exception):
    """Raised when there is a file, but nothing in it can be graded. The text is a message for the student."""


def read(path: Path, limit: int = USUAL_BYTES) -> bytes:
    """The bytes of a submitted file, at most `limit`.

    A notebook may be four times as large, because its outputs are ignored.

    Raises
    ------
    Unreadable
        When it is not a regular file, is too big, or cannot be opened or read.
    """
    try:
        _refuse_unless_file(path, path.lstat())
        # The file may have been replaced since the check: O_NOFOLLOW refuses a link, and O_NONBLOCK does not wait for a
        # process that writes to a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = error.strerror or error
        raise Unreadable(f"The file ‘{shown(path.name)}’ could not be opened ({why}). Submit it again.") from None
    try:
        status = os.fstat(descriptor)
        _refuse_unless_file(path, status)
    except Unreadable:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        try:
            start = file.read(64)
            bound = 4 * limit if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else limit
            if status.st_size > bound:
                raise too_big(shown(path.name), status.st_size)
            data = bytearray(start)
            while piece := file.read(min(2**20, bound + 1 - len(data))):
                data += piece
                if len(data) > bound:
                    raise too_big(shown(path.name), len(data))
        except OSError as error:
            why = error.strerror or error
            raise Unreadable(f"The file ‘{shown(path.name)}’ could not be read ({why}). Submit it again.") from None
    return bytes(data)


def _refuse_unless_file(path: Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        what = KINDS.get(kind, "not a file")
        raise Unreadable(f"‘{shown(path.name)}’ is {what}. Submit the notebook file itself.")


def too_big(path: str, size: int) -> Unreadable:
    """The error for a file of too many bytes."""
    return Unreadable(
        f"The file ‘{path}’ is too big ({size / 2**20:.0f} MB). "
        "In Jupyter choose Edit → Clear Outputs of All Cells, save, and submit it again."
    )
