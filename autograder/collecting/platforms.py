"""What the names that platforms give to files tell: who handed in what, and when.

The names are facts of these sources:

- Canvas: lib/content_zipper.rb of instructure/canvas-lms, `get_filename` and `add_upload_submission`:
  doejane_12345_678910_mlp-1.ipynb and doejane_LATE_12345_678910_mlp.ipynb, where 12345 is the student and 678910 the
  file; a number behind a name counts the attempts. No time of submission is in the archive. A group that is graded
  together has one submission: team1_12345_678910_mlp.ipynb, where 12345 is one of its members; who has no group then
  stands there with the first name first (app/models/abstract_assignment.rb, `representatives`).
- Moodle: mod/assign/classes/downloader.php of moodle/moodle: ‘Jane Doe_12345_assignsubmission_file/mlp.ipynb’, or
  without folders ‘Jane Doe_12345_assignsubmission_file_mlp.ipynb’, where 12345 is what assignments call the student.
  Behind the name of a group it is the group's number, which may be some student's as well. Signs such as apostrophes
  are taken out of names. No time of submission is in the archive either.
- Blackboard: the example of nbgrader's FileNameCollectorPlugin (nbgrader/plugins/zipcollect.py):
  hw1_jane_attempt_2026-11-27-10-11-12_mlp.ipynb; and hw1_jane_attempt_2026-11-27-10-11-12.txt, which describes it.
- Gradescope: see `gradescope`.
- GitHub Classroom: clones called hw1-jane, as “Using GitHub Classroom with GitHub CLI” (docs.github.com) makes them.
- ILIAS: `downloadAllAssignmentFiles` of class.ilExSubmission.php in ILIAS-eLearning/ILIAS: Doe_Jane_jdoe_257/, of
  teams in a folder Team 12/; the files keep the time of submission.
- nbgrader: “Collecting assignments” (nbgrader.readthedocs.io): submitted/jane/hw1/mlp.ipynb with a timestamp.txt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from autograder.collecting import commit_time, gradescope
from autograder.collecting.source import Source, SourceFile
from autograder.course.roster import Roster
from autograder.submission import timestamp
from autograder.submission.file import Unreadable
from autograder.submission.folder import is_called, reads_as

Platform = Literal["gradescope", "moodle", "blackboard", "canvas", "ilias", "github", "nbgrader", "folder"]
"""in the order in which they are tried"""
_CANVAS_WHO = r"(?:(?!(?:LATE_)?anon_)(?P<name>[^/]*?)_(?=(?:LATE_)?\d))?(?P<late>LATE_)?(?P<user>(?<=_)\d+|anon_\w+?)"
CANVAS = re.compile(rf"{_CANVAS_WHO}_(?P<file>\d+)_(?P<rest>[^/]+)")
_CANVAS_TEXT = re.compile(rf"{_CANVAS_WHO}_(?P<rest>(?:text|link)\.html)")
_MOODLE = re.compile(r"(?P<name>[^/]+?)(?:_(?P<number>\d+))?_assignsubmission_(?P<kind>[a-z]+)(?:_?/|_)(?P<rest>.+)")
_BLACKBOARD = re.compile(r"(?P<before>[^/]+)_[^\W\d_]+_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<rest>[^/]+)|\.txt)")
_ILIAS = re.compile(r"(?:[^/]+/){0,3}?(?P<last>[^_/]+)_(?P<first>[^_/]+)_(?P<login>[^/]+)_(?P<number>\d+)/(?P<rest>.+)")
_LOGINS = ("login", "id")
"""columns of the roster that hold the name with which a student logs in"""


@dataclass(frozen=True)
class Person:
    """Somebody as a platform knows them."""

    name: str
    """what the platform calls the person, for messages, and for the folder when there is no roster"""
    keys: tuple[tuple[str, str], ...]
    """by what the roster may know the person: columns, ‘any’ or ‘name’, and the text there; the surest first"""
    team: str = ""
    """the group for which the person may have handed in, if the platform says its name and a member's id"""


@dataclass(frozen=True)
class Found:
    """What a path tells."""

    people: tuple[Person, ...]
    rest: str
    """the path within the submission; '' for a file that only describes it"""
    time: datetime | None = None
    late: bool = False


NOTHING = Found((), "")
"""for a file that the platform adds, or that belongs to another homework"""
Reader = Callable[[str], Found | None]
"""what a path tells on one platform; None if it is not from there"""


@dataclass(frozen=True)
class Setting:
    """What is collected."""

    homework: str
    notebooks: tuple[str, ...]
    homeworks: tuple[str, ...]
    roster: Roster | None


def reader(
    platform: Platform, source: Source, prefix: str, files: Sequence[tuple[str, SourceFile]], setting: Setting
) -> Reader | None:
    """How the paths of `files` are read, which are below `prefix` in a source; None if they are not from there."""
    match platform:
        case "canvas":
            return _canvas
        case "moodle":
            return lambda path: _moodle(path, setting.roster)
        case "blackboard":
            return lambda path: _blackboard(path, setting.roster)
        case "ilias":
            return _ilias
        case "gradescope":
            return _gradescope(source, files)
        case "github":
            return _github(source, prefix, setting)
        case "nbgrader":
            return _nbgrader(files, setting)
        case "folder":
            return _by_folder(files, setting)


def _canvas(path: str) -> Found | None:
    told = CANVAS.fullmatch(path) or _CANVAS_TEXT.fullmatch(path)
    if told is None:
        return None
    name = told["name"] or ""  # an anonymous one has none
    keys = (("canvas_id", told["user"]), ("name", name))
    return Found((Person(f"{name}_{told['user']}".strip("_"), keys, team=name),), told["rest"], late=bool(told["late"]))


def _moodle(path: str, roster: Roster | None) -> Found | None:
    told = _MOODLE.fullmatch(path)
    if told is None:
        return None
    group = roster is not None and roster.in_group(told["name"]) and not roster.named(told["name"])
    number = (("moodle_participant", told["number"]),) if told["number"] and not group else ()
    return Found((Person(told["name"], (*number, ("name", told["name"]))),), told["rest"])


def _blackboard(path: str, roster: Roster | None) -> Found | None:
    told = _BLACKBOARD.fullmatch(path)
    if told is None:
        return None
    try:
        time = datetime.strptime(told["time"], "%Y-%m-%d-%H-%M-%S").astimezone()
    except ValueError:
        return None
    user = _known_end(told["before"], "_", ("blackboard_id", *_LOGINS), roster)
    return Found((_login("blackboard_id", user),), told["rest"] or "", time)


def _ilias(path: str) -> Found | None:
    told = _ILIAS.fullmatch(path)
    if told is None:
        return None
    person = _login("ilias_id", told["login"], ("name", f"{told['first']} {told['last']}"))
    return Found((person,), told["rest"])


def _gradescope(source: Source, files: Sequence[tuple[str, SourceFile]]) -> Reader | None:
    about = next((file for path, file in files if path == gradescope.METADATA), None)
    if about is None:
        return None
    entries = gradescope.entries(source.path, about)
    people = {
        folder: tuple(Person(submitter.called, submitter.keys) for submitter in entry.submitters)
        for folder, entry in entries.items()
    }

    def read(path: str) -> Found | None:
        first, _, rest = path.partition("/")
        if path == gradescope.METADATA:
            return NOTHING
        return Found(people[first], rest or first, entries[first].time) if first in entries else None

    return read


def _github(source: Source, prefix: str, setting: Setting) -> Reader | None:
    here = {path.removeprefix(prefix) for path in source.repositories if path.startswith(prefix)}
    names = {path for path in here if "/" not in path}
    if not names:
        return None
    before = _common(names, f"{setting.homework}-")
    people = {
        name: _login("github", _known_end(name, "-", ("github",), setting.roster, name.removeprefix(before)))
        for name in names
    }
    times = {name: commit_time.read(source.path / prefix / name) for name in names}

    def read(path: str) -> Found | None:
        first, _, rest = path.partition("/")
        return Found((people[first],), rest, times[first]) if first in people and rest else None

    return read


def _nbgrader(files: Sequence[tuple[str, SourceFile]], setting: Setting) -> Reader | None:
    ours = f"/{setting.homework}/"
    if not any(ours in path and "/" not in path.partition(ours)[0] for path, _ in files):
        return None
    times = {path.partition("/")[0]: stamp_of(file) for path, file in files if path.endswith(f"{ours}{timestamp.FILE}")}

    def read(path: str) -> Found | None:
        name, _, rest = path.partition("/")
        other = rest.partition("/")[0] in setting.homeworks and not f"/{rest}".startswith(ours)
        if not rest or other:
            return NOTHING if rest else None
        inner = f"/{rest}".removeprefix(ours).lstrip("/")
        return Found((_anybody(name),), "" if inner == timestamp.FILE else inner, times.get(name))

    return read


def stamp_of(file: SourceFile) -> datetime | None:
    """The time in a timestamp.txt; None if it cannot be read. Without a zone it is UTC, as nbgrader reads it."""
    try:
        return timestamp.moment(timestamp.text_of(file.read()))
    except (Unreadable, ValueError):
        return None


def _by_folder(files: Sequence[tuple[str, SourceFile]], setting: Setting) -> Reader | None:
    outer = {path.partition("/")[0] for path, _ in files if "/" in path}
    inner = {path.split("/")[1] for path, _ in files if "/" in path}
    deep = all(path.count("/") > 1 or path.casefold().endswith(".zip") for path, _ in files)
    theirs = any(reads_as(name, setting.homeworks) for name in (*outer, *inner))
    if (
        len(outer) == 1
        and len(inner) > 1
        and deep
        and not theirs
        and not any(_is_student(name, setting) for name in outer)
    ):
        return None  # a folder around the students' folders
    by_homework = bool(outer) and all(any(is_called(name, one) for one in setting.homeworks) for name in outer)

    def read(path: str) -> Found | None:
        if by_homework and "/" in path:
            homework, _, path = path.partition("/")
            if setting.homework not in reads_as(homework, setting.homeworks):
                return NOTHING
        name, _, rest = path.partition("/")
        if not rest and not name.casefold().endswith(".zip"):
            return None
        return Found((_anybody(name if rest else name[:-4]),), rest or name)

    return read


def _is_student(name: str, setting: Setting) -> bool:
    return setting.roster is not None and bool(setting.roster.having(name) or setting.roster.named(name))


def _anybody(name: str) -> Person:
    return Person(name, (("id", name), ("any", name), ("name", name)))


def _login(column: str, user: str, *more: tuple[str, str]) -> Person:
    return Person(user, ((column, user), *((other, user) for other in _LOGINS), *more))


def _known_end(text: str, sign: str, columns: Sequence[str], roster: Roster | None, otherwise: str = "") -> str:
    """The longest end of a text that the roster knows; else `otherwise`, or its last part."""
    parts = text.split(sign)
    ends = (sign.join(parts[at:]) for at in range(len(parts)))
    known = next((end for end in ends if roster and roster.having(end, columns)), "")
    return known or otherwise or parts[-1]


def _common(names: Iterable[str], usual: str) -> str:
    """What all names begin with, up to a hyphen."""
    several = sorted(names)
    if len(several) == 1 or all(name.startswith(usual) for name in several):
        return usual
    first, last = several[0], several[-1]
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: first.rfind("-", 0, same) + 1]
