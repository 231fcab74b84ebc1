"""The course on disk: course.toml, the homeworks it lists, their rooms and their limits."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

_T = TypeVar("_T")
TierName = Literal["A", "B", "C", "none"]
Tool = Literal["autograd", "nn", "attention"]


class CourseError(Exception):
    """A mistake in the course's own files; the text names the file and the way out."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one submission of one notebook may use."""

    cell_seconds: float = 60.0
    """wall seconds for one cell"""
    total_seconds: float = 600.0
    """wall seconds for the notebook and all its tests"""
    call_seconds: float = 20.0
    """wall seconds for one call made by a hidden test"""
    memory_mb: int = 2048
    """resident memory of all processes of the submission together"""
    processes: int = 64
    """processes and threads alive at a time"""
    disk_mb: int = 64
    """everything written to its work folder, /tmp and shared memory"""
    output_mb: int = 8
    """everything printed and drawn"""


class NotebookSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One notebook of a homework, as homework.toml lists it."""

    name: str
    title: str
    minutes: int
    topics: tuple[str, ...] = ()
    forbidden: tuple[Tool, ...] = ()
    """tools that solution cells may not use; the sandbox shuts them while hidden tests call the student's code"""


class Homework(msgspec.Struct, frozen=True):
    """A homework's settings and its rooms on disk."""

    name: str
    root: Path
    title: str
    notebooks: tuple[NotebookSpec, ...]
    limits: Limits

    def notebook(self, name: str) -> NotebookSpec:
        for spec in self.notebooks:
            if spec.name == name:
                return spec
        known = ", ".join(spec.name for spec in self.notebooks)
        raise CourseError(f"{self.root / self.name / 'homework.toml'}: no notebook {name!r}; it lists {known}")

    def master(self, notebook: str) -> Path:
        return self.root / self.name / f"{notebook}.py"

    def hidden(self, notebook: str) -> Path:
        return self.root / self.name / "hidden" / f"test_{notebook}.py"

    def mistakes(self, notebook: str) -> Path:
        return self.root / self.name / "mistakes" / f"{notebook}.toml"

    def alternatives(self, notebook: str) -> Iterator[Path]:
        """Right answers written differently."""
        return (self.root / self.name / "alternatives").glob(f"{notebook}-*.py")

    def source(self, notebook: str) -> Path:
        return self.root / "source" / self.name / f"{notebook}.ipynb"

    def release(self, notebook: str) -> Path:
        return self.root / "release" / self.name / f"{notebook}.ipynb"


class Course(msgspec.Struct, frozen=True):
    """The settings of course.toml and where the course lies."""

    root: Path
    id: str
    title: str
    homeworks: tuple[str, ...]
    repository: str
    branch: str
    floor: TierName

    def homework(self, name: str) -> Homework:
        """The homework called `name`, from its homework.toml."""
        if name not in self.homeworks:
            known = ", ".join(self.homeworks)
            raise CourseError(f"{self.root / 'course.toml'}: no homework {name!r}; it lists {known}")
        path = self.root / name / "homework.toml"
        read = _read(path, _HomeworkFile)
        return Homework(name=name, root=self.root, title=read.title, notebooks=read.notebooks, limits=read.limits)


class _CourseFile(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    title: str
    homeworks: tuple[str, ...]
    repository: str
    branch: str = "main"
    floor: TierName = "C"


class _HomeworkFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    notebooks: tuple[NotebookSpec, ...]
    limits: Limits = Limits()


def open_course(root: Path) -> Course:
    """The course whose course.toml lies in `root`."""
    read = _read(root / "course.toml", _CourseFile)
    return Course(root=root.resolve(), **msgspec.structs.asdict(read))


def find_course(start: Path) -> Course:
    """The course that `start` lies in: the nearest folder upwards that holds a course.toml."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "course.toml").is_file():
            return open_course(folder)
    raise CourseError(f"no course.toml in {start} or above it: run this in a course folder, or name one with --course")


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise CourseError(f"{path}: this file is missing") from None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CourseError(f"{path}: {error}") from None
