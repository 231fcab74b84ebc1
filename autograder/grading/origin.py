"""What a result was made from. While that stays the same, nobody is graded a second time."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import autograder
from autograder.confine.confinement import Tier
from autograder.course import shared_code
from autograder.course.course import Course, CourseError, Homework, TierName
from autograder.course.parameters import Values
from autograder.course.personal import values_of
from autograder.examination.fingerprint import digest
from autograder.examination.secret import course_secret
from autograder.results import record, transcript
from autograder.results.result import Result
from autograder.submission import Unreadable
from autograder.submission.folder import contents

_LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "ipython", "pytest", "msgspec")
"""what a score may depend on, beside Python and this package"""

_ELSEWHERE = ("cli", "collecting", "exporting", "insight", "proving")
"""rooms of this package that no result depends on"""


class Origin:
    """All that results of a homework are made from, beside the submissions: files, settings, software."""

    def __init__(self, course: Course, homework: Homework) -> None:
        self._course, self._homework = course, homework
        self._print = digest(_parts(course, homework))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self._print == other._print

    def __hash__(self) -> int:
        return hash(self._print)

    def key(self, folder: Path, values: Values = ()) -> str:
        """A digest of everything that the result of the submission in a folder depends on.

        `values` are the parameters of the student who handed it in.
        """
        personal = [repr(values).encode()] if values else []
        return digest([self._print, handed_in(folder, self._homework, self._course.homeworks), *personal]).hex()

    def key_of(self, student: str, folder: Path) -> str:
        """The same for a student. Raises CourseError if nobody knows which parameters the student was given."""
        return self.key(folder, values_of(self._homework, student))

    def standing(self, student: str, folder: Path, out: Path, marked: Path | None, floor: TierName) -> Result | None:
        """The student's result in `out`, if grading would make the same one again, and all its files are there.

        `marked` is the folder of all autograded notebooks, if there are to be some. A result that was made with less
        confinement than the tier `floor`, or by grading that failed, does not count.
        """
        name = self._homework.name
        try:
            found = record.read(out / student / f"{name}.json")
            key = self.key_of(student, folder)
        except (ValueError, OSError, CourseError):
            return None
        if not found.key or found.key != key or not Tier(found.tier).at_least(Tier(floor)):
            return None
        files = [out / student / f"{name}.html"]
        if found.transcript:
            files.append(transcript.path_of(out, student, name))
        if marked is not None:
            files += [marked / student / name / f"{book.notebook}.ipynb" for book in found.notebooks if book.file]
        failed = any(one.kind == "internal" for book in found.notebooks for one in book.incidents)
        return found if not failed and all(map(Path.is_file, files)) else None


def handed_in(folder: Path, homework: Homework, homeworks: tuple[str, ...]) -> bytes:
    """A digest of the files in a student's folder that may belong to this homework."""
    parts: list[bytes] = []
    for entry in sorted(contents(folder, homework.name, homeworks, unpack=False).files, key=lambda one: one.path):
        try:
            data = entry.read()
        except Unreadable:
            data = b"%d bytes" % entry.size
        parts += [entry.path.encode(errors="replace"), hashlib.blake2b(data).digest()]
    return digest(parts)


def _parts(course: Course, homework: Homework) -> Iterator[bytes]:
    yield repr((homework.notebooks, homework.limits, homework.packages, homework.title, course.id)).encode()
    yield course_secret(course)
    for name in (*_LIBRARIES, *homework.packages):
        yield f"{name} {_version(name)}".encode()
    yield repr((sys.version_info, autograder.__version__)).encode()
    root = course.root
    own = root / homework.name
    files = [root / shared_code.FILE, *sorted((root / "release").rglob("*.ipynb"))]
    for spec in homework.notebooks:
        files += [homework.master(spec.name), homework.mistakes(spec.name)]
    files += sorted((own / "hidden").rglob("*"))
    yield from _contents(root, files)
    yield from _own_code()


def software(packages: Sequence[str]) -> dict[str, str]:
    """Everything installed here that a score may depend on, and its version; `packages` are those of the homework.

    Of this package, also a digest of its code: a checkout that is worked on keeps its version.
    """
    found = {name: _version(name) for name in (*_LIBRARIES, *packages)}
    code = digest(_own_code()).hex()[:8]
    python = ".".join(map(str, sys.version_info[:2]))
    return found | {"autograder": f"{autograder.__version__} {code}", "python": python}


def _own_code() -> Iterator[bytes]:
    package = Path(autograder.__file__).parent
    rooms = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".html"))
    yield from _contents(package, [path for path in rooms if path.relative_to(package).parts[0] not in _ELSEWHERE])


def _contents(base: Path, files: Iterable[Path]) -> Iterator[bytes]:
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(base)).encode()
            yield path.read_bytes()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
