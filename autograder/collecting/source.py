"""A zip archive or a folder with the submissions of a class: its files, and what is not read of it."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from autograder.course.course import CourseError, refused
from autograder.submission.file import KINDS, USUAL_BYTES, Unreadable, read, too_big
from autograder.submission.filename import shown

_FILES = 100_000
_DEPTH = 12
_NAME = 200
"""most bytes of one part of a path: the file systems' limit is 255"""
_NOISE = {"__MACOSX", "__pycache__", "node_modules", "desktop.ini", "Thumbs.db", "Icon\r"}
_CHECKPOINTS = ".ipynb_checkpoints"
"""the only hidden folder that may hold a student's work"""
_MOST = 4 * USUAL_BYTES
"""most bytes of one file: what the grader reads of a notebook"""
_UTF8 = 0x800
"""the flag of a member whose name is UTF-8"""


@dataclass(frozen=True)
class SourceFile:
    """One file, which is read when it is needed."""

    path: str
    """relative to the source, its parts divided by /"""
    size: int
    modified: float
    """time of its last change, in seconds; 0 if it is not known"""
    read: Callable[[], bytes] = field(repr=False, compare=False)
    """its bytes; raises Unreadable"""


@dataclass(frozen=True)
class Source:
    """All files of an archive or a folder."""

    path: Path
    files: tuple[SourceFile, ...]
    refused: tuple[tuple[str, str], ...]
    """the path of each thing that is not read, and why: ‘…’ is a link"""
    repositories: frozenset[str] = frozenset()
    """the paths of folders that are git repositories"""


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The submissions in an archive or a folder. The files can be read until the context ends. Raises CourseError."""
    if path.is_dir():
        yield _folder(path)
        return
    if not path.is_file():
        raise CourseError(f"{path}: there is no such file or folder: check the name")
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start[:2] != b"PK":
            raise CourseError(f"{path}: this is neither a folder nor a zip archive: unpack it, and name the folder")
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError):
        raise CourseError(f"{path}: this zip archive is damaged: download it again") from None
    except OSError as error:
        raise refused(path, "this file cannot be read", error) from None
    with closing(archive):
        yield _archive(path, archive)


def _folder(root: Path) -> Source:
    files: list[SourceFile] = []
    refused: list[tuple[str, str]] = []
    repositories: set[str] = set()

    def visit(folder: str, path: str, depth: int) -> None:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            refused.append((path or str(root), f"a folder that cannot be opened ({error.strerror})"))
            return
        if path and any(entry.name == ".git" and entry.is_dir(follow_symlinks=False) for entry in entries):
            repositories.add(path)
        for entry in entries:
            inner = f"{path}/{_nfc(entry.name)}".lstrip("/")
            if _noise(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                refused.append((shown(inner), f"a file that cannot be opened ({error.strerror})"))
                continue
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR and depth:
                visit(entry.path, inner, depth - 1)
            elif kind == stat.S_IFREG and not (why := _unusable(inner)):
                files.append(SourceFile(inner, status.st_size, status.st_mtime, _reader(Path(entry.path))))
                _check(root, len(files))
            else:
                what = "folders in too many folders" if kind == stat.S_IFDIR else KINDS.get(kind) or why
                refused.append((shown(inner), what))

    visit(str(root), "", _DEPTH)
    return Source(root, tuple(files), tuple(refused), frozenset(repositories))


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: read(path)


def _archive(path: Path, archive: zipfile.ZipFile) -> Source:
    files: dict[str, SourceFile] = {}
    refused: list[tuple[str, str]] = []
    members = archive.infolist()
    _check(path, len(members))
    for info in members:
        name = _member_name(info)
        if info.is_dir() or name.endswith("/") or any(map(_noise, name.split("/"))):
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        inner = "/".join(parts)
        why = _unusable(inner)
        if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts:
            why = "a name that leads out of the archive"
        elif kind not in (0, stat.S_IFREG):
            why = KINDS.get(kind, "not a file")
        elif info.flag_bits & 1:
            why = "a file that is protected by a password"
        elif inner in files:
            why = "a second file of the same name"
        if why:
            refused.append((shown(name), why))
        else:
            files[inner] = SourceFile(inner, info.file_size, _changed(info), _unpacker(archive, info, shown(inner)))
    return Source(path, tuple(files.values()), tuple(refused))


def _check(path: Path, number: int) -> None:
    if number > _FILES:
        raise CourseError(f"{path}: there are more than {_FILES:,} files in it: name what holds the submissions only")


def _member_name(info: zipfile.ZipInfo) -> str:
    """The path of a member. Many programs write UTF-8 and do not say so; otherwise it is the old code page 437."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return _nfc(name.replace("\\", "/"))


def _changed(info: zipfile.ZipInfo) -> float:
    try:
        return datetime(*info.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _unpacker(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> Callable[[], bytes]:
    def unpack() -> bytes:
        if info.file_size > _MOST:
            raise too_big(path, info.file_size)
        try:
            with archive.open(info) as file:
                data = file.read(_MOST + 1)  # whatever size the archive states
        except Exception:  # each method of compression has errors of its own
            raise Unreadable(f"‘{path}’ is damaged in the zip archive.") from None
        if len(data) > _MOST or (len(data) > USUAL_BYTES and data.lstrip()[:1] != b"{"):
            raise too_big(path, len(data))
        return data

    return unpack


def _noise(part: str) -> bool:
    """Whether a file or folder is one that programs leave behind."""
    return part in _NOISE or (part.startswith((".", "~")) and part not in (".", "..", _CHECKPOINTS))


def _unusable(path: str) -> str:
    """Why a path cannot be written; '' if it can."""
    parts = path.split("/")
    if any(len(os.fsencode(part)) > _NAME for part in parts) or len(parts) > _DEPTH:
        return "a file with too long a name"
    if not path or not path.isprintable():
        return "a file with signs in its name that cannot be printed"
    return ""


def _nfc(name: str) -> str:
    """The name with letters and accents in one sign, as all systems but macOS write it."""
    return unicodedata.normalize("NFC", name)
