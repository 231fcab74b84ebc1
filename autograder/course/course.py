"""The course on disk: course.toml, the homeworks that it lists, their files and their limits."""

from __future__ import annotations

import errno
import re
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from autograder.course import parameters
from autograder.course.late_rules import HomeworkLateRules, LateRules, Step, due_in, zone_of
from autograder.course.parameters import Number, Parameter, Values

_T = TypeVar("_T")
TierName = Literal["A", "B", "C", "none"]
Tool = Literal["autograd", "nn", "attention"]


SECRET_FILE = ".course-secret"
"""the file of the course's secret, below the course: see examination/secret.py"""
EXAMPLE_OWNER = "your-organisation/"
"""what `repository` begins with in a course.toml that nobody has filled in"""


class CourseError(Exception):
    """An error in the course's own files, or in what was asked for. The message has one form.

    PLACE: WHAT IS WRONG: WAY OUT. The place is a file (FILE:LINE in a source, `FILE, line N` in a table), a homework,
    or an option; the way out begins with a verb: what to do.
    """


_WAYS_OUT = {
    errno.ENOENT: "check the name",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.EEXIST: "name a folder, not a file",
    errno.ENOSPC: "make room on the disk, and run the command again",
    errno.EDQUOT: "make room on the disk, and run the command again",
}
"""what helps where the operating system refuses"""


def refused(place: object, what: str, error: OSError) -> CourseError:
    """The error where the operating system refuses: `what` is "this file cannot be read", say."""
    way_out = _WAYS_OUT.get(error.errno or 0, "change its permissions, or name another")
    return CourseError(f"{place}: {what} ({error.strerror or error}): {way_out}")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits for one submission of one notebook."""

    cell_seconds: float = 60.0
    """seconds for one cell"""
    total_seconds: float = 600.0
    """seconds for all cells, half of them at most for those that the student added; the tests have what is left, at
    least half as much. Here and below, waiting for a busy processor does not count."""
    call_seconds: float = 20.0
    """seconds for one call made by a hidden test"""
    memory_mb: int = 2048
    """resident memory of all processes of the submission together"""
    processes: int = 64
    """processes and threads that exist at the same time"""
    disk_mb: int = 64
    """all data in its work folder, /tmp and shared memory"""
    output_mb: int = 8
    """all printed text and figures"""


class NotebookSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One notebook of a homework, as homework.toml lists it."""

    name: str
    title: str
    minutes: int
    forbidden: tuple[Tool, ...] = ()
    """tools that solution cells may not use; the sandbox blocks them while hidden tests call the student's code"""


class Homework(msgspec.Struct, frozen=True):
    """A homework: its settings and the paths of its files."""

    name: str
    root: Path
    title: str
    notebooks: tuple[NotebookSpec, ...]
    limits: Limits
    packages: tuple[str, ...] = ()
    """modules that submissions may import beyond those of the course: installed by the instructor, loaded once"""
    due: datetime | None = None
    """in the course's time zone"""
    late: LateRules = LateRules()
    """the course's rules, changed by the homework's own"""
    rounding: Step = 0.0
    """the score of the homework is rounded to a multiple of this; 0: to four digits"""
    parameters: tuple[Parameter, ...] = ()
    values: Values = ()
    """the values of one student's parameters, where they are not standard; () for the homework as everybody gets it"""

    def personal(self, values: Values) -> Homework:
        """The same homework with these values in its notebooks, tests and known answers."""
        return msgspec.structs.replace(self, values=values)

    def standard(self, notebook: str) -> dict[str, Number]:
        """The standard values of a notebook's parameters, by name."""
        return {one.name: one.standard for one in self.parameters if one.notebook == notebook}

    def value(self, name: str) -> Number:
        """The value of a parameter."""
        return dict(self.values).get(name, next(one.standard for one in self.parameters if one.name == name))

    def numbers(self, notebook: str) -> dict[str, Number]:
        """The values of a notebook's parameters, by name."""
        return {name: self.value(name) for name in self.standard(notebook)}

    def notebook(self, name: str) -> NotebookSpec:
        for spec in self.notebooks:
            if spec.name == name:
                return spec
        known = ", ".join(spec.name for spec in self.notebooks)
        path = self.root / self.name / "homework.toml"
        raise CourseError(f"{path}: no notebook {name!r}: choose one of {known}")

    def master(self, notebook: str) -> Path:
        return self.root / self.name / f"{notebook}.py"

    def hidden(self, notebook: str) -> Path:
        return self.root / self.name / "hidden" / f"test_{notebook}.py"

    def mistakes(self, notebook: str) -> Path:
        return self.root / self.name / "mistakes" / f"{notebook}.toml"

    def same(self, notebook: str) -> Path:
        """The mutants that mean the same as the master, and those that are known to survive."""
        return self.root / self.name / "mistakes" / f"{notebook}.same.toml"

    def alternatives(self, notebook: str) -> Iterator[Path]:
        """Scripts with correct solutions that differ from the master's."""
        return (self.root / self.name / "alternatives").glob(f"{notebook}-*.py")

    def source(self, notebook: str) -> Path:
        return self.root / "source" / self.name / f"{notebook}.ipynb"

    def release(self, notebook: str) -> Path:
        return self.root / "release" / self.name / f"{notebook}.ipynb"


class Course(msgspec.Struct, frozen=True):
    """A course: its folder and the settings in course.toml."""

    root: Path
    id: str
    title: str
    homeworks: tuple[str, ...]
    repository: str
    branch: str
    floor: TierName
    timezone: str = "UTC"
    """IANA name of the zone in which dates are meant and shown"""
    late: LateRules = LateRules()
    rounding: Step = 0.0
    """see Homework"""

    @property
    def has_repository(self) -> bool:
        """Whether `repository` names one, so that badges lead to it: not the example that a new course begins with."""
        return bool(self.repository) and not self.repository.startswith(EXAMPLE_OWNER)

    def homework(self, name: str) -> Homework:
        """Read the homework called `name` from its homework.toml."""
        if name not in self.homeworks:
            known = ", ".join(self.homeworks)
            raise CourseError(f"{self.root / 'course.toml'}: no homework {name!r}: choose one of {known}")
        path = self.root / name / "homework.toml"
        read = _read(path, _HomeworkFile, f"write it, or take {name} off the list in course.toml")
        try:
            due = due_in(zone_of(self.timezone), read.due) if read.due else None
        except ValueError as error:
            raise CourseError(f"{path}: due: {error}") from None
        for wrong in parameters.errors(read.parameters, (spec.name for spec in read.notebooks)):
            raise CourseError(f"{path}: {wrong}")
        fields = msgspec.structs.asdict(read) | {
            "due": due,
            "late": read.late.over(self.late),
            "rounding": self.rounding,
        }
        return Homework(name=name, root=self.root, **fields)


class _CourseFile(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    title: str
    homeworks: tuple[str, ...]
    repository: str
    branch: str = "main"
    floor: TierName = "C"
    timezone: str = "UTC"
    late: LateRules = LateRules()
    rounding: Step = 0.0


class _HomeworkFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    notebooks: tuple[NotebookSpec, ...]
    limits: Limits = Limits()
    packages: tuple[str, ...] = ()
    due: datetime | None = None
    late: HomeworkLateRules = HomeworkLateRules()
    parameters: tuple[Parameter, ...] = ()


_DUE = re.compile(
    rb"^[ \t]*due[ \t]*=[ \t]*(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?)?[ \t\r]*(?:#.*)?$", re.MULTILINE
)
"""a due date without an offset; it may lack the time, or the seconds, though TOML 1.0 asks for both"""


def open_course(root: Path) -> Course:
    """Read the course whose course.toml is in `root`."""
    path = root / "course.toml"
    read = _read(path, _CourseFile, "name a course's folder with --course")
    try:
        zone_of(read.timezone)
    except ValueError as error:
        raise CourseError(f"{path}: timezone: {error}") from None
    return Course(root=root.resolve(), **msgspec.structs.asdict(read))


def find_course(start: Path) -> Course:
    """Read the course that contains `start`: the nearest folder upwards that has a course.toml."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "course.toml").is_file():
            return open_course(folder)
    raise CourseError(
        f"{start}: no course.toml is here or in a folder above: go into a course's folder, or name it with --course"
    )


def _read(path: Path, kind: type[_T], if_missing: str) -> _T:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CourseError(f"{path}: this file is missing: {if_missing}") from None
    except OSError as error:
        raise refused(path, "this file cannot be read", error) from None
    try:
        return msgspec.toml.decode(data, type=kind)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        due = _DUE.search(data)
        whole = f"{due[1].decode()}T{(due[2] or b'23:59').decode()}{(due[3] or b':00').decode()}" if due else ""
        if due and not _is_moment(whole):
            number = data.count(b"\n", 0, due.start()) + 1
            what = f"due: there is no such day or time as {whole if due[2] else due[1].decode()}"
            raise CourseError(f"{path}:{number}: {what}: write one such as due = 2026-11-20T23:59:00") from None
        way_out = f"write a due date as due = {whole}" if due and not due[3] else ""
        line = re.search(r"line (\d+)", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        raise CourseError(f"{place}: {error}: {way_out or 'correct the line'}") from None


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
