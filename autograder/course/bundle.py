"""The bundle: everything that grading a homework reads, for a machine that does not have the course."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from autograder.course import personal, shared_code
from autograder.course.course import SECRET_FILE, Course, Homework

_PRIVATE = 0o600


class Bundle(msgspec.Struct, frozen=True):
    """The files of a course that grading one homework reads, the secret among them. It is named by its content."""

    homework: str
    files: Mapping[str, bytes]
    """content of each file, by its path below the course"""

    @property
    def digest(self) -> str:
        """The same for the same files."""
        found = hashlib.blake2b(self.homework.encode(), digest_size=16)
        for path, data in sorted(self.files.items()):
            found.update(f"\0{path}\0{len(data)}\0".encode() + data)
        return found.hexdigest()

    def unpack(self, root: Path) -> None:
        """Write the files below `root`, a folder of ours, for nobody else to read. Raises OSError."""
        for name, data in self.files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise OSError(f"{name}: this path leads out of the bundle")
            (root / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (root / path).touch(mode=_PRIVATE)
            (root / path).write_bytes(data)


def bundle(course: Course, homework: Homework, secret: bytes) -> Bundle:
    """What grading `homework` takes, as it is on the disk now."""
    found = {str(PurePosixPath(path.relative_to(course.root))): path.read_bytes() for path in files(course, homework)}
    return Bundle(homework.name, found | {SECRET_FILE: secret})


def files(course: Course, homework: Homework) -> Iterator[Path]:
    """What grading the homework reads. Of other homeworks, only what tells that their notebooks are not this one's."""
    yield course.root / "course.toml"
    yield from _there(personal.file_of(homework))
    folder = course.root / homework.name
    for spec in homework.notebooks:
        yield homework.master(spec.name)
        yield from _there(homework.mistakes(spec.name))
    yield from (path for path in sorted((folder / "hidden").rglob("*")) if path.is_file() and not _left_out(path))
    if any(_asks(homework.master(spec.name)) for spec in homework.notebooks):
        yield course.root / shared_code.FILE
    for name in course.homeworks:
        other = course.homework(name)
        yield course.root / name / "homework.toml"
        for spec in other.notebooks:
            yield from _there(other.release(spec.name))


def _left_out(path: Path) -> bool:
    return "__pycache__" in path.parts or path.name.startswith(".") or path.name.endswith("~")


def _there(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path


def _asks(master: Path) -> bool:
    """Whether a cell of the master imports shared code."""
    cells = master.read_text(encoding="utf-8").split("\n# %%")
    return any(shared_code.asks(cell.partition("\n")[2]) for cell in cells)
