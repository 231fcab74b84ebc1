"""Starting: a new course of one small homework, or one more homework for a course.

The homework is complete: it builds, its audit finds nothing, and it grades. An author replaces it piece by piece.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from autograder import atomic_file
from autograder.course.course import Course, CourseError, refused
from autograder.course.shared_code import offers

FIRST = "hw1"
"""the homework that a new course begins with"""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_TAKEN = {"source", "release", "submitted", "autograded", "feedback", "results", "exchange", "student", "docs", "tests"}
"""folders of a course that no homework can be"""
_FIGURE = Path("kmeans.py")
"""the template with a figure in it"""
_HOMEWORKS = re.compile(r"^homeworks[ \t]*=[ \t]*\[[^\]]*\]", re.MULTILINE)
_STRING = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_RENAMED = {"gitignore": ".gitignore"}
"""files that would do something if they lay among the templates under their own names"""


def new_course(folder: Path) -> tuple[Path, ...]:
    """Make a course in `folder`, which has to be empty or missing; return its files.

    Raises CourseError if it is not, or cannot be written to.
    """
    folder = folder.resolve()
    try:
        there = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else []
    except OSError as error:
        raise refused(folder, "this folder cannot be read", error) from None
    if there or (folder.exists() and not folder.is_dir()):
        some = f" ({', '.join(there[:5])})" if there else ", but a file"
        raise CourseError(f"{folder}: this is not an empty folder{some}: name one that is empty or does not exist yet")
    for above in folder.parents:
        if (above / "course.toml").is_file():
            raise CourseError(f"{folder}: this is in the course {above}: name a folder outside of it")
    written = _texts(files("autograder.course") / "templates" / "course")
    written |= {Path(FIRST) / path: data for path, data in _homework().items()}
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.casefold()).strip("-") or "course"
    for path in (Path("course.toml"), Path("README.md")):
        text = written[path].decode()
        title = re.sub(r"[-_\s]+", " ", folder.name).strip() or "My course"
        quoted = {'"my-course"': json.dumps(name), '"My course"': json.dumps(title), "/my-course": f"/{name}"}
        for old, new in (quoted | {"# My course": f"# {title}"}).items():
            text = text.replace(old, new)
        written[path] = text.encode()
    _write_all(folder, written)
    return tuple(folder / path for path in written)


def new_homework(course: Course, name: str) -> tuple[Path, ...]:
    """Add the homework `name` to a course and to its course.toml; return the files that were written.

    Raises CourseError if the name is taken or is no name of a homework, or if course.toml cannot be changed.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise CourseError(
            f"{name!r}: this cannot be the name of a homework: use a letter, then letters, digits, - or _, as in hw5"
        )
    folder = course.root / name
    if folder.exists() or folder.is_symlink():
        raise CourseError(f"{folder}: this is there already: choose another name")
    settings = course.root / "course.toml"
    text = settings.read_bytes().decode()
    homeworks = list(dict.fromkeys([*course.homeworks, name]))
    changed = text if name in course.homeworks else _listing(text, name)
    if _decoded(changed) != _decoded(text) | {"homeworks": homeworks}:
        listed = json.dumps(homeworks)
        said = f"{settings}: no place was found for the new name: write there homeworks = {listed}"
        raise CourseError(f"{said}, then run this again")
    _write_all(folder, _homework() if offers(course.root, "show_figure") else _without_words(_homework()))
    try:
        atomic_file.replace(settings, changed.encode())
    except OSError as error:
        shutil.rmtree(folder)
        raise refused(settings, "this cannot be written, so nothing was changed", error) from None
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def place(argument: str, course: Course | None) -> Course | Path:
    """What `autograder new ARGUMENT` means: the course to add a homework to, or the folder of a new course.

    Within a course, a plain name is a homework.
    """
    plain = bool(_NAME.fullmatch(argument))
    if course is not None and plain:
        return course
    if course is None and re.fullmatch(r"hw\d+", argument):
        said = f"{argument}: there is no course here to add it to: go into a course's folder, or pass --course"
        raise CourseError(f"{said}; for a new course in a folder of this name, write ./{argument}")
    return Path(argument)


def _homework() -> dict[Path, bytes]:
    return _texts(files("autograder.course") / "templates" / "homework")


def _without_words(homework: dict[Path, bytes]) -> dict[Path, bytes]:
    """The homework for a course whose common.py has no show_figure: its figure is shown as it is."""

    def plain(text: str) -> str:
        text = re.sub(r"^# %%.*\n# @title .*\nfrom common import .*\n\n", "", text, flags=re.MULTILINE)
        return re.sub(r"^ends = .*\nshow_figure\(\n(?: .*\n)+\)\n", "plt.show()\n", text, flags=re.MULTILINE)

    return {path: plain(data.decode()).encode() if path == _FIGURE else data for path, data in homework.items()}


def _texts(folder: Traversable) -> dict[Path, bytes]:
    return dict(sorted(_walked(folder, Path())))


def _walked(folder: Traversable, below: Path) -> Iterator[tuple[Path, bytes]]:
    for entry in folder.iterdir():
        path = below / _RENAMED.get(entry.name, entry.name)
        if entry.is_file() and not entry.name.endswith(".pyc"):
            yield path, entry.read_bytes()
        elif entry.is_dir() and entry.name != "__pycache__":
            yield from _walked(entry, path)


def _write_all(folder: Path, written: dict[Path, bytes]) -> None:
    """Write the files to `folder`: all of them or, on an error, none."""
    exists = folder.is_dir()  # it is empty, perhaps with .git in it
    fresh = (folder if exists else folder.parent) / f".{folder.name[:40]}.{secrets.token_hex(4)}"
    try:
        for path, data in written.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_bytes(data)
        if exists:
            for entry in fresh.iterdir():
                entry.rename(folder / entry.name)
        else:
            fresh.rename(folder)
    except OSError as error:
        raise refused(folder, "this cannot be written", error) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _listing(text: str, name: str) -> str:
    """The text of course.toml with one more homework behind the last one; everything else in it stays."""
    if not (found := _HOMEWORKS.search(text)):
        return text
    listed = list(_STRING.finditer(text, found.start(), found.end()))
    at = listed[-1].end() if listed else found.end() - 1
    return f"{text[:at]}{', ' if listed else ''}{json.dumps(name)}{text[at:]}"


def _decoded(text: str) -> dict[str, object]:
    try:
        return msgspec.toml.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, tomllib.TOMLDecodeError):
        return {}
