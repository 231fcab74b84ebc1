"""A published folder: what publishing put there, what it changes next, and what somebody else has made or edited.

A manifest in the folder says which files were published, and what was in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from autograder import atomic_file
from autograder.course.course import Course, CourseError, refused

MANIFEST = ".published.json"
_FORMAT = 1
_GITHUB = re.compile(r"^\s*url\s*=\s*(?:\S*[@/])?github\.com[:/]+([^/\s]+/[^/\s]+?)(?:\.git)?/?\s*$", re.MULTILINE)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was published in a folder."""

    format: int
    course: str
    """id of the course"""
    homeworks: tuple[str, ...]
    files: dict[str, tuple[str, ...]]
    """of each file, the SHA-256 of what was published; for a moment two, the old and the new"""


@dataclass(frozen=True)
class Kept:
    """A file in the folder that stays as it is, although something else should be there, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What publishing changes in a folder."""

    folder: Path
    added: dict[str, bytes]
    changed: dict[str, bytes]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    kept: tuple[Kept, ...]
    dropped: tuple[str, ...]
    """homeworks that were published, and that the course no longer has"""
    before: Manifest
    after: Manifest

    def carry_out(self) -> None:
        """Change the folder. Each file is replaced in one step; a call that was cut short is made good by the next.

        Raises CourseError for a folder that cannot be written to.
        """
        path = self.folder
        try:
            path.mkdir(parents=True, exist_ok=True)
            if self.added or self.changed or self.removed:
                _write_manifest(path, self._both())
            for name, data in (self.added | self.changed).items():
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_file.replace(path, data)
            for name in self.removed:
                path = self.folder / name
                path.unlink(missing_ok=True)
                _remove_empty(path.parent, self.folder)
            path = self.folder / MANIFEST
            _write_manifest(self.folder, self.after)
        except OSError as error:
            said = refused(path, "this cannot be written", error)
            raise CourseError(f"{said}; then run the command again, which goes on from here") from None

    def _both(self) -> Manifest:
        """The manifest while files are replaced: any of them may be the old one or the new one."""
        names = self.before.files | self.after.files
        both = {
            name: tuple(dict.fromkeys((*self.before.files.get(name, ()), *self.after.files.get(name, ()))))
            for name in names
        }
        every = tuple(dict.fromkeys((*self.before.homeworks, *self.after.homeworks)))
        return msgspec.structs.replace(self.after, files=both, homeworks=every)


def compare(
    course: Course,
    folder: Path,
    before: Manifest,
    wanted: Mapping[str, bytes],
    homeworks: Sequence[str],
    untouched: Sequence[str] = (),
    replace: bool = False,
) -> Plan:
    """Find out what has to change in `folder`, whose manifest is `before`, so that the files `wanted` are there.

    `homeworks` are those that the folder is about then; files of those that are `untouched` stay. Files that others
    made or edited are kept, unless `replace`; then those that are in the way are overwritten.
    """
    added: dict[str, bytes] = {}
    changed: dict[str, bytes] = {}
    removed: list[str] = []
    unchanged: list[str] = []
    kept: list[Kept] = []
    files: dict[str, tuple[str, ...]] = {name: (_hash(data),) for name, data in wanted.items()}
    for name, data in wanted.items():
        there = _there(folder, name)
        known = before.files.get(name, ())
        if there == data:
            unchanged.append(name)
        elif there is None:
            added[name] = data
        elif isinstance(there, bytes) and (replace or _hash(there) in known):
            changed[name] = data
        else:
            kept.append(Kept(name, _why(there, bool(known))))
            files.pop(name)
            if known:
                files[name] = known
    for name, known in before.files.items():
        if name in wanted:
            continue
        there = _there(folder, name)
        if any(PurePosixPath(name).is_relative_to(f"release/{other}") for other in untouched):
            files[name] = known
        elif isinstance(there, bytes) and (replace or _hash(there) in known):
            removed.append(name)
        elif there is not None:
            kept.append(Kept(name, f"{_why(there, True)}. It is not published any more"))
            files[name] = known
    return Plan(
        folder,
        added,
        changed,
        tuple(removed),
        tuple(unchanged),
        tuple(kept),
        tuple(name for name in before.homeworks if name not in course.homeworks),
        before,
        Manifest(_FORMAT, course.id, tuple(homeworks), dict(sorted(files.items()))),
    )


def opened(course: Course, folder: Path, replace: bool) -> Manifest:
    """The manifest of the folder, or an empty one. Raises CourseError for a folder that must not be published to."""
    nothing = Manifest(_FORMAT, course.id, (), {})
    if folder == course.root or course.root in folder.parents:
        raise CourseError(f"{folder}: this is in the course, which students must not see: name a folder outside of it")
    if folder in course.root.parents:
        raise CourseError(f"{folder}: the course is in it, and students would get that too: name another folder")
    if not folder.exists():
        return nothing
    if not folder.is_dir():
        raise CourseError(f"{folder}: this is a file: name a folder")
    path = folder / MANIFEST
    way_out = "name another folder, or pass --replace, which overwrites files of the same names and leaves others"
    try:
        there = sorted(entry.name for entry in folder.iterdir() if entry.name != ".git")
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        if there and not replace:
            some = ", ".join(there[:5]) + (" …" if len(there) > 5 else "")
            raise CourseError(
                f"{folder}: this folder is not empty, and was not published to: {some}: {way_out}"
            ) from None
        return nothing
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        if replace and not isinstance(error, OSError):
            return nothing
        raise CourseError(f"{path}: this cannot be read ({error}): restore it from git, or {way_out}") from None
    if manifest.format != _FORMAT or manifest.course != course.id:
        if replace:
            return nothing
        raise CourseError(f"{folder}: the course {manifest.course!r} is published here: {way_out}")
    for name in manifest.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not name:
            raise CourseError(f"{path}: {name!r} is not in this folder: restore the file from git")
    return manifest


def github_name(folder: Path) -> str:
    """OWNER/NAME of the GitHub repository that a folder is a clone of; '' if it is none."""
    try:
        text = (folder / ".git" / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    _, _, origin = text.partition('[remote "origin"]')
    found = _GITHUB.search(origin.partition("\n[")[0])
    return found[1] if found else ""


def _there(folder: Path, name: str) -> bytes | str | None:
    """What is at a path in the folder: its bytes, None for nothing, or what is in the way."""
    path = folder / name
    for above in reversed(path.relative_to(folder).parents):
        if (folder / above).is_symlink():
            return f"{above} is a link, which is not followed"
        if (folder / above).exists() and not (folder / above).is_dir():
            return f"{above} is a file"
    if path.is_symlink():
        return "it is a link"
    if path.is_dir():
        return "it is a folder"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _why(there: bytes | str, known: bool) -> str:
    if isinstance(there, str):
        return f"{there}: move it away"
    if known:
        return "somebody has edited it here: take the change into the course, or pass --replace"
    return "it was not made by publishing: move it away, or pass --replace"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, unless it is there already."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    path = folder / MANIFEST
    if not path.is_file() or path.read_bytes() != data:
        atomic_file.replace(path, data)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder that has become empty, and those above it, up to `root`."""
    with contextlib.suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent
