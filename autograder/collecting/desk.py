"""The desk where submissions are put into students' folders. Nothing is lost, and nothing is written over."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from autograder.collecting.division import HandedIn
from autograder.course.release import Released
from autograder.submission import timestamp
from autograder.submission.choice import choose, most_telling
from autograder.submission.file import Unreadable
from autograder.submission.filename import shown
from autograder.submission.folder import contents
from autograder.submission.kinship import Kinship

_FILES = 2000
_BYTES = 256 * 2**20
"""most bytes of one submission"""
_FIRST = (".ipynb", ".py", ".zip")
"""what is taken first, while there is room"""
_LEFT = ("kept", "older", "empty", "failed")
"""states in which nothing was put into the student's folder, though something new came"""


@dataclass(frozen=True)
class Collected:
    """What became of one student's submission."""

    student: str
    state: str
    """new, same, replaced; kept or older: another one is there and stays; empty; failed"""
    notebooks: tuple[str, ...] = ()
    """the notebooks of the homework that are in it"""
    time: datetime | None = None
    """when it was handed in, if the platform tells"""
    late: bool = False
    """whether the platform says that it is late"""
    aside: int = 0
    """how many attempts were put aside"""
    notes: tuple[str, ...] = ()
    """what a person has to know"""

    @property
    def finding(self) -> bool:
        """Whether a person has to look at it."""
        return self.state in _LEFT or bool(self.notes)


@dataclass(frozen=True)
class Desk:
    """Where the submissions of one homework are put."""

    releases: Mapping[str, Released]
    kinship: Kinship
    submitted: Path
    aside: Path
    """the folder for older attempts"""
    replacing: bool
    dry: bool
    """whether nothing is written there"""

    @property
    def homework(self) -> str:
        return next(iter(self.releases.values())).homework

    def take(self, student: str, attempts: Sequence[HandedIn]) -> Collected:
        """Take one student's attempts, the newest first. Raises OSError if they cannot be written."""
        filled = [one for one in attempts if one.files]
        if not filled:
            return Collected(student, "empty", time=attempts[0].time, notes=("no file was handed in",))
        newest = filled[0]
        notes = ["the newest attempt has no file: this is the one before"] if newest is not attempts[0] else []
        if not self.dry:
            self.submitted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".collecting-", dir=None if self.dry else self.submitted) as folder:
            fresh = Path(folder) / self.homework
            notes += _write(fresh, newest)
            if not any(fresh.iterdir()):
                return Collected(student, "empty", time=newest.time, notes=tuple(notes))
            books, why = self._recognised(fresh.parent)
            if newest.time is not None:
                stamp = newest.time.isoformat(sep=" ", timespec="seconds")  # nbgrader reads it with its zone
                (fresh / timestamp.FILE).write_text(f"{stamp}\n", encoding="ascii")
            one = Collected(student, "new", books, newest.time, newest.late, notes=(*notes, *why))
            one = self._place(one, fresh)
            for number, attempt in enumerate(filled[1:]):
                old = Path(folder) / f"older-{number}"
                _write(old, attempt)
                if one.state in ("new", "replaced"):
                    one = self._without(one, self._books(old), "an earlier attempt")
                label = _of(attempt.time) if attempt.time else f"attempt-{attempt.order}"
                one = replace(one, aside=one.aside + self._put_aside(student, old, label))
        return one

    def holds(self, student: str) -> bool:
        """Whether a submission of the homework is in a student's folder."""
        folder = self.submitted / student
        return bool(student) and bool(contents(folder, self.homework, self.kinship.homeworks, unpack=False).files)

    def folders(self) -> frozenset[str]:
        """The students who have a folder, or an archive, whatever is in it."""
        there = self.submitted.iterdir() if self.submitted.is_dir() else ()
        return frozenset(path.name.removesuffix(".zip") for path in there if not path.name.startswith("."))

    def may_hold(self, student: str, shared: str) -> bool:
        """Whether a student without a folder may have the one that is called by the name that others have, too."""
        there = self.folders() if shared else ()
        return student not in there and shared in there

    def _recognised(self, folder: Path) -> tuple[tuple[str, ...], list[str]]:
        """The notebooks of the homework in a student's folder, and what there is to say if there are none."""
        choice = choose(folder, self.releases, self.kinship)
        if choice.notebooks:
            return tuple(name for name in self.releases if name in choice.notebooks), []
        why = most_telling(choice.without.values())
        return (), [f"no notebook of {self.homework} is in it: {why}"]

    def _books(self, folder: Path) -> tuple[str, ...]:
        return self._recognised(folder)[0]

    def _without(self, one: Collected, others: Sequence[str], which: str) -> Collected:
        """The same, with a note of the notebooks that another submission of this student has, and this one lacks."""
        lacking = [name for name in others if name not in one.notebooks]
        if not lacking:
            return one
        names = ", ".join(f"{self.homework}/{name}" for name in lacking)
        note = f"it lacks {names}, which {which} has: if that still counts, copy it from {self.aside / one.student}"
        return replace(one, notes=(*one.notes, note))

    def _place(self, one: Collected, fresh: Path) -> Collected:
        """Put a submission into its folder, unless another one is there."""
        target = self.submitted / one.student / self.homework
        if elsewhere := self._elsewhere(target):
            return _with(one, "kept", f"{elsewhere} is there already: move it away, and collect again")
        if target.is_dir() and any(target.iterdir()):
            before = timestamp.read_stamp(target).time
            if _files(target) == _files(fresh):
                if one.time and before is None and not self.dry:
                    shutil.copy(fresh / timestamp.FILE, target / timestamp.FILE)
                return replace(one, state="same")
            if before and one.time and one.time < before:
                aside = self._put_aside(one.student, fresh, _of(one.time))
                return replace(_with(one, "older", "what is there was handed in later, and stays"), aside=aside)
            if not self.replacing:
                which = "an earlier" if before and one.time and before < one.time else "another"
                return _with(one, "kept", f"{which} submission is there, and stays; --replace puts it aside")
            label = _of(before) if before else f"until-{_of(datetime.now(UTC))}"
            one = self._without(one, self._books(target.parent), "the submission that it replaces")
            one = replace(one, state="replaced", aside=self._put_aside(one.student, target, label))
        if not self.dry:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)  # empty, or aside already
            fresh.rename(target)
        return one

    def _elsewhere(self, target: Path) -> str:
        """What is in the way of a submission, or is one in another place; '' if there is nothing."""
        packed = target.parent.with_name(f"{target.parent.name}.zip")
        if packed.exists():
            return packed.name
        if target.is_symlink() or (os.path.lexists(target) and not target.is_dir()):
            return f"a link or a file {target.parent.name}/{target.name}"
        if target.parent.is_dir() and not target.is_dir():
            found = contents(target.parent, self.homework, self.kinship.homeworks, unpack=False).files
            return f"{target.parent.name}/{found[0].path}" if found else ""
        return ""

    def _put_aside(self, student: str, folder: Path, label: str) -> int:
        """Move a folder to the student's older attempts. Returns 1, or 0 if it is empty or is there already."""
        files = _files(folder)
        if not files:
            return 0
        target, number = self.aside / student / label, 1
        while os.path.lexists(target):
            if _files(target) == files:
                return 0
            number += 1
            target = target.with_name(f"{label}-{number}")
        if not self.dry:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, target)
        return 1


def _with(one: Collected, state: str, note: str) -> Collected:
    return replace(one, state=state, notes=(*one.notes, note))


def _write(folder: Path, one: HandedIn) -> list[str]:
    """Write an attempt's files. Returns what was left out, and why."""
    folder.mkdir()
    notes = []
    room = _BYTES
    ordered = sorted(one.files, key=lambda named: (not named[0].casefold().endswith(_FIRST), named[1].size))
    if len(ordered) > _FILES:
        notes.append(f"only {_FILES} of {len(ordered)} files were taken")
    for name, file in ordered[:_FILES]:
        if name == timestamp.FILE:
            continue
        try:
            data = file.read()
        except Unreadable as unreadable:
            notes.append(f"{shown(name)} was left out: {unreadable}")
            continue
        if len(data) > room:
            notes.append(f"{shown(name)} was left out: the submission is larger than {_BYTES // 2**20} MB")
            continue
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as opened:
                opened.write(data)
        except (FileExistsError, NotADirectoryError):
            notes.append(f"{shown(name)} was left out: another file has its name")
            continue
        room -= len(data)
        if file.modified > 0:
            os.utime(path, (file.modified, file.modified))
    return notes


def _files(folder: Path) -> dict[str, str]:
    """A digest of each file in a folder, the timestamp aside; '' for what is no file, or cannot be read."""
    found: dict[str, str] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name == timestamp.FILE or (path.is_dir() and not path.is_symlink()):
            continue
        found[name] = ""
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as opened:
                    found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def _of(time: datetime) -> str:
    """The name of a folder for what was handed in at a time."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
