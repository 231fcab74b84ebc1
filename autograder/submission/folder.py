"""A student's folder: every file in it that may be part of a submission, also in subfolders and zip archives."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from pathlib import Path, PurePosixPath

from autograder.submission.archive import Archive, BadArchive
from autograder.submission.file import KINDS, USUAL_BYTES, Unreadable, read, too_big
from autograder.submission.filename import shown, within, words

_DEPTH = 6
_FILES = 2000
_ARCHIVES = 4
_ARCHIVE_BYTES = 32 * 2**20
"""most bytes of one archive"""
_UNPACKED_BYTES = 256 * 2**20
"""most bytes that are unpacked for one submission"""
_OWN_KINDS = {
    *(".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".pages", ".numbers", ".key", ".epub"),
    *(".npz", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".jar", ".whl", ".egg"),
}
"""ends of files that are zip archives, and are never handed in as one"""
_OURS = {"timestamp.txt", "desktop.ini", "Thumbs.db", "Icon\r"}
"""files that nbgrader and operating systems put beside a submission"""
_TOOLS = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv", "env"}
_CHECKPOINTS = ".ipynb_checkpoints"
_WORDS = {"hw", "homework", "assignment", "exercise", "ex", "sheet", "ps", "lab", "hausaufgabe", "übung", "blatt", "tp"}
"""what a homework may be called, followed by its number"""


class Place(IntEnum):
    """Where a file is: the smaller, the more likely it is what the student means."""

    EXPECTED = 0
    """in the homework's folder"""
    ELSEWHERE = 1
    CHECKPOINT = 2
    """a copy that Jupyter keeps while a notebook is edited"""


@dataclass(frozen=True)
class Entry:
    """One file of a submission."""

    path: str
    """as it is shown: relative to the student's folder, with the archive that contains it"""
    place: Place
    modified: float
    """time of its last change, in seconds; 0 if it is not known"""
    size: int
    read: Callable[[], bytes] = field(repr=False, compare=False)
    """its bytes; raises Unreadable"""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path of the folder that it is in: '' or 'hw1'."""
        return self.path.rpartition("/")[0]

    @property
    def depth(self) -> int:
        return self.path.count("/")


@dataclass
class Contents:
    """What is in a student's folder."""

    files: list[Entry] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    """path of each thing that is not read, and why: ‘…’ is a link"""
    places: list[Path] = field(default_factory=list)
    """where on the disk everything is that was looked at, folders included"""
    unpacked: int = 0
    archives: int = 0
    unpack: bool = True

    @property
    def full(self) -> bool:
        return len(self.files) >= _FILES


def contents(root: Path, homework: str, homeworks: Sequence[str] = (), unpack: bool = True) -> Contents:
    """The files in `root`, a student's folder (or archive) or the folder of one homework in it.

    Folders that by their name belong to another one of `homeworks` are left out. Links are not followed. Without
    `unpack`, an archive is one file.
    """
    found = Contents(unpack=unpack)
    try:
        kind = stat.S_IFMT(root.lstat().st_mode)
    except OSError:
        return found
    if kind == stat.S_IFLNK and root.is_dir() and not reads_as(root.name, [homework]):
        kind = stat.S_IFDIR  # the instructor links a student's folder to another place
    if kind == stat.S_IFREG:
        _add(found, root, shown(root.name), Place.EXPECTED)
    elif kind == stat.S_IFDIR:
        entries = _listed(root, found, "")
        ours = {entry.name for entry in entries if reads_as(entry.name, homeworks or [homework]) == {homework}}
        for entry in entries:
            theirs = reads_as(entry.name, homeworks)
            if theirs and homework not in theirs and (entry.is_dir(follow_symlinks=False) or _zip_name(entry.name)):
                continue
            place = Place.EXPECTED if not ours or entry.name in ours else Place.ELSEWHERE
            _visit(found, entry, shown(entry.name), place, _DEPTH)
    else:
        found.passed_over.append((shown(root.name), KINDS.get(kind, "not a file")))
    return found


def reads_as(name: str, homeworks: Iterable[str]) -> set[str]:
    """Those of `homeworks` that a folder's name can mean: HW1, homework_1 and anna-hw01 mean hw1."""
    there = _words(name)
    found = set()
    for homework in homeworks:
        wanted = _words(homework)
        number = wanted[-1] if wanted and wanted[-1].isdigit() else None
        if within(wanted, there) or any(word in _WORDS and following == number for word, following in pairwise(there)):
            found.add(homework)
    return found


def is_called(name: str, homework: str) -> bool:
    """Whether a folder's name is the homework's and nothing else."""
    return len(_words(name)) == 2 and bool(reads_as(name, [homework]))


def _words(name: str) -> list[str]:
    """The words of a name, in which hw01 is hw1."""
    return [str(int(word)) if word.isdigit() and len(word) < 9 else word for word in words(name)]


def _listed(folder: Path | os.DirEntry[str], found: Contents, path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # notebooks first, then files, so that no thousand pictures keep a notebook from being seen
            return sorted(entries, key=lambda entry: (entry.is_dir(follow_symlinks=False), *_rank(entry.name)))
    except OSError as error:
        found.passed_over.append((path, f"a folder that cannot be opened ({error.strerror})"))
        return []


def _rank(name: str) -> tuple[bool, str]:
    return not name.casefold().endswith((".ipynb", ".py", ".zip")), name


def _visit(found: Contents, entry: os.DirEntry[str], path: str, place: Place, depth: int) -> None:
    name = entry.name
    if name == _CHECKPOINTS:
        place = Place.CHECKPOINT
    elif _unimportant(name):
        return
    try:
        kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return
    found.places.append(Path(entry.path))
    if found.full:
        found.passed_over.append((path, f"more than the {_FILES} files that are looked at"))
    elif kind == stat.S_IFREG:
        _add(found, Path(entry.path), path, Place.CHECKPOINT if "-checkpoint." in name else place)
    elif kind == stat.S_IFDIR and depth:
        for inner in _listed(entry, found, path):
            if found.full:
                break
            _visit(found, inner, f"{path}/{shown(inner.name)}", place, depth - 1)
    else:
        found.passed_over.append((path, KINDS.get(kind, "not a file")))


def _unimportant(name: str) -> bool:
    return name.startswith((".", "~")) or name.endswith("~") or name in _OURS or name in _TOOLS


def _zip_name(name: str) -> bool:
    return name.casefold().endswith(".zip")


def _add(found: Contents, file: Path, path: str, place: Place) -> None:
    """Add a file, or the files in it if it is an archive."""
    try:
        status = file.lstat()
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            start = opened.read(4)
    except OSError as error:
        found.passed_over.append((path, f"a file that cannot be opened ({error.strerror})"))
        return
    if start == b"PK\x03\x04" and not is_of_its_own(path) and found.unpack:
        try:
            found.archives += 1
            if found.archives > _ARCHIVES:
                raise BadArchive(f"is one of more than {_ARCHIVES} zip archives")
            archive = Archive(read(file, _ARCHIVE_BYTES))
            _add_members(found, archive, path, place)
        except (BadArchive, Unreadable) as error:
            text = str(error) if isinstance(error, Unreadable) else f"‘{path}’ {error}."
            found.files.append(Entry(path, place, status.st_mtime, status.st_size, _refusing(text)))
        return
    found.files.append(Entry(path, place, status.st_mtime, status.st_size, lambda: read(file)))


def is_of_its_own(path: str) -> bool:
    """Whether a zip archive is a file of its own kind: a document of an office program, or what PyTorch saves."""
    return PurePosixPath(path).suffix.casefold() in _OWN_KINDS


def _refusing(text: str) -> Callable[[], bytes]:
    def refuse() -> bytes:
        raise Unreadable(text)

    return refuse


def _add_members(found: Contents, archive: Archive, path: str, place: Place) -> None:
    for member, modified, size in archive.members():
        parts = [part for part in member.split("/") if part not in ("", ".")]
        checkpoint = _CHECKPOINTS in parts[:-1] or (parts and "-checkpoint." in parts[-1])
        if not parts or ".." in parts or any(part != _CHECKPOINTS and _unimportant(part) for part in parts):
            continue
        if found.full:
            found.passed_over.append((path, f"an archive of more than the {_FILES} files that are looked at"))
            return
        whole = f"{path}/{'/'.join(map(shown, parts))}"
        where = Place.CHECKPOINT if checkpoint else place
        inner = _inner_archive(found, archive, member) if _zip_name(member) else None
        if inner is not None:
            _add_members(found, inner, whole, where)
            continue
        found.files.append(Entry(whole, where, modified, size, _member(found, archive, member, whole)))


def _inner_archive(found: Contents, archive: Archive, member: str) -> Archive | None:
    """An archive in an archive; None if it is damaged, too large, or one of too many: then it is one file."""
    room = min(_ARCHIVE_BYTES, _UNPACKED_BYTES - found.unpacked)
    if found.archives >= _ARCHIVES:
        return None
    found.archives += 1
    try:
        data = archive.read(member, room + 1)
        found.unpacked += len(data)
        return Archive(data) if len(data) <= room else None
    except BadArchive:
        return None


def _member(found: Contents, archive: Archive, member: str, path: str) -> Callable[[], bytes]:
    def unpack() -> bytes:
        limit = min(4 * USUAL_BYTES, _UNPACKED_BYTES - found.unpacked)
        try:
            data = archive.read(member, limit + 1)
        except BadArchive as error:
            raise Unreadable(f"‘{path}’ {error}. Submit the notebook itself.") from None
        found.unpacked += len(data)
        if len(data) > limit or (len(data) > USUAL_BYTES and data.lstrip()[:1] != b"{"):
            raise too_big(path, len(data))
        return data

    return unpack


def named(files: Iterable[Entry]) -> Iterator[str]:
    """The paths of files between quotes."""
    return (f"‘{file.path}’" for file in files)
