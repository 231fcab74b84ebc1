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
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import PurePosixPath

from autograder.course.build import generated
from autograder.course.bundle import bundle
from autograder.course.course import Course, CourseError, Homework
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
        raise CourseError(
            f"{error.name}: this package is not installed here, so nothing tells its version: install it"
        ) from None
    values = {
        "homework": shlex.quote(homework.name),
        "wheel": shlex.quote(name),
        "python": ".".join(map(str, sys.version_info[:2])),
        "uv": version_of("uv"),
    }
    lock = "".join(f"{package}=={version}\n" for package, version in pins.items())
    read = bundle(course, homework, secret).files
    return {
        RUN: (_text(RUN, values), _EXECUTABLE),
        SETUP: (_text(SETUP, values), _EXECUTABLE),
        LOCK: (lock.encode(), _PRIVATE),
        name: (data, _PRIVATE),
    } | {str(PurePosixPath(COURSE, path)): (content, _PRIVATE) for path, content in read.items()}


def tested_points(homework: Homework) -> float:
    """The points that hidden tests give. Raises CourseError."""
    books = (released(homework, spec.name) for spec in homework.notebooks)
    return sum(cell.maximum for book in books for cell in book.cells if cell.grade and not cell.solution)


def _check(course: Course, homework: Homework) -> None:
    if sys.platform != "linux":
        raise CourseError(
            "--to gradescope-autograder: the archive pins the versions that are installed here: make it on Linux"
        )
    if not version_of("uv"):
        raise CourseError(
            "uv: it is not installed here, and the archive installs this version of it: run `pip install uv`"
        )
    if course.floor == "none":
        raise CourseError(
            f'{course.root / "course.toml"}: with floor = "none", a submission could read every answer there: set it '
            "to A, B or C"
        )
    fresh = generated(course, (homework.name,))
    for path in (homework.release(spec.name) for spec in homework.notebooks):
        if not path.is_file() or path.read_bytes() != fresh[path.relative_to(course.root)].encode():
            raise CourseError(f"{path}: this is not what the master makes: run `autograder build`")


def _text(name: str, values: Mapping[str, str]) -> bytes:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("autograder.exporting"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # shell; the values are quoted
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values).encode()
