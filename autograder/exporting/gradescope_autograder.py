"""The zip archive that makes Gradescope grade a homework: a programming assignment's autograder.

From Gradescope's documentation (gradescope-autograders.readthedocs.io):

- specs: `setup.sh` and the executable `run_autograder` are at the archive's root. It is unpacked to /autograder/source;
  run_autograder is copied to /autograder and runs there, with the submission in /autograder/submission. What it prints
  is for the instructor; the result is /autograder/results/results.json (`gradescope_results`).
- tech, base_images: setup.sh runs once, as root, when the image is built; images are Ubuntu, 22.04 by default. Each
  submission gets a fresh container.
- best_practices: the autograder begins as root; student code must neither be root nor read source and results.
- troubleshooting: by default 10 minutes, 40 at most, half a processor and 768 MB. Whoever runs out of time gets a 0.
  Without a valid results.json, “The autograder failed to execute correctly”: so an infrastructure failure writes none.
- manual_grading: questions that a person marks are added to the assignment's outline.

The archive holds every answer of the homework and the course's secret: both decide on the hidden tests' numbers.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path, PurePosixPath

from autograder.course import shared_code
from autograder.course.build import generated
from autograder.course.course import SECRET_FILE, Course, CourseError, Homework
from autograder.course.release import released
from autograder.exporting.pins import pinned, version_of
from autograder.exporting.wheel import PACKAGE, wheel, zipped

LOCK = "requirements.lock"
COURSE = "course"
"""the folder of the course in the archive"""
RUN = "run_autograder"
SETUP = "setup.sh"
_EXECUTABLE, _PRIVATE = 0o755, 0o600

Members = Mapping[str, tuple[bytes, int]]
"""bytes and permissions of each file in the archive"""


def archive(course: Course, homework: Homework, secret: bytes) -> bytes:
    """The archive. The same course and package make the same bytes. Raises CourseError."""
    return zipped(members(course, homework, secret))


def members(course: Course, homework: Homework, secret: bytes) -> Members:
    """Everything in the archive. Raises CourseError where the homework could not be graded with it."""
    _check(course, homework)
    name, data = wheel()
    try:
        pins = pinned(PACKAGE, homework.packages)
    except PackageNotFoundError as error:
        raise CourseError(f"{error.name}: this package is not installed here, so nothing tells its version") from None
    values = {
        "homework": shlex.quote(homework.name),
        "wheel": shlex.quote(name),
        "python": ".".join(map(str, sys.version_info[:2])),
        "uv": version_of("uv"),
    }
    lock = "".join(f"{package}=={version}\n" for package, version in pins.items())
    found = {path.relative_to(course.root): path.read_bytes() for path in _files(course, homework)}
    found[Path(SECRET_FILE)] = secret
    return {
        RUN: (_text(RUN, values), _EXECUTABLE),
        SETUP: (_text(SETUP, values), _EXECUTABLE),
        LOCK: (lock.encode(), _PRIVATE),
        name: (data, _PRIVATE),
    } | {str(PurePosixPath(COURSE, path)): (content, _PRIVATE) for path, content in found.items()}


def tested_points(homework: Homework) -> float:
    """The points that hidden tests give. Raises CourseError."""
    books = (released(homework, spec.name) for spec in homework.notebooks)
    return sum(cell.maximum for book in books for cell in book.cells if cell.grade and not cell.solution)


def _check(course: Course, homework: Homework) -> None:
    if sys.platform != "linux":
        raise CourseError("the archive pins the versions that are installed here: make it on Linux, as Gradescope runs")
    if not version_of("uv"):
        raise CourseError("uv is not installed here, and the archive installs this version of it: pip install uv")
    if course.floor == "none":
        raise CourseError(
            f'{course.root / "course.toml"}: with floor = "none", a submission could read every answer there: set it '
            "to A, B or C"
        )
    fresh = generated(course, (homework.name,))
    for path in (homework.release(spec.name) for spec in homework.notebooks):
        if not path.is_file() or path.read_bytes() != fresh[path.relative_to(course.root)].encode():
            raise CourseError(f"{path}: this is not what the master makes: run `autograder build`")


def _files(course: Course, homework: Homework) -> Iterator[Path]:
    """What grading the homework reads. Of other homeworks, only what tells that their notebooks are not this one's."""
    yield course.root / "course.toml"
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


def _text(name: str, values: Mapping[str, str]) -> bytes:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("autograder.exporting"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # shell; the values are quoted
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values).encode()
