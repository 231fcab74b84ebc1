"""Reads a zip archive that a student submitted. Nothing is unpacked to the disk."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from datetime import datetime

_END = b"PK\x05\x06"
"""the start of the record at a zip file's end"""
_LOCATOR = b"PK\x06\x07"
"""the start of what leads to the record of a large archive (zip64)"""
_RECORD = struct.Struct("<4s4H2LH")
_COMMENT = 2**16
"""most bytes of the comment that may follow the record"""
_MEMBERS = 2000
_DIRECTORY = 2**20
"""most bytes of the list of members: reading it needs memory before anything else is known"""


class BadArchive(Exception):
    """The archive cannot be read. The text is part of a sentence for the student: ‘all.zip’ …"""


class Archive:
    """A zip archive, read in memory."""

    def __init__(self, data: bytes) -> None:
        """Read the list of members. Raises BadArchive."""
        at = data.rfind(_END, max(0, len(data) - _COMMENT - _RECORD.size))
        if at < 0 or len(data) < at + _RECORD.size:
            raise BadArchive("is a damaged zip archive")
        _, _, _, _, members, directory, _, _ = _RECORD.unpack_from(data, at)
        # a larger archive has a second record, of which these numbers say nothing
        if members > _MEMBERS or directory > _DIRECTORY or _LOCATOR in data[max(0, at - 20) : at]:
            raise BadArchive(f"is a zip archive of more than {_MEMBERS} files")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error):
            raise BadArchive("is a damaged zip archive") from None

    def members(self) -> Iterator[tuple[str, float, int]]:
        """The path of each file in it, the time of its last change and its size, as the archive states them."""
        for info in self._zip.infolist()[:_MEMBERS]:
            if not info.is_dir():
                try:
                    changed = datetime(*info.date_time).timestamp()
                except (ValueError, OverflowError, OSError):
                    changed = 0.0
                yield info.filename.replace("\\", "/"), changed, info.file_size

    def read(self, path: str, most: int) -> bytes:
        """The first `most` bytes of a member, whatever size the archive states. Raises BadArchive."""
        try:
            info = next(info for info in self._zip.infolist() if info.filename.replace("\\", "/") == path)
            if info.flag_bits & 1:
                raise BadArchive("is in a zip archive that is protected by a password")
            with self._zip.open(info) as file:
                return file.read(most)
        except BadArchive:
            raise
        except Exception:  # each method of compression has errors of its own
            raise BadArchive("is damaged in its zip archive") from None
