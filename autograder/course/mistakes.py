"""Known mistakes: wrong solutions that students really write, stored as edits of the master in hwN/mistakes/."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from autograder.course.course import Homework
from autograder.course.master import AuthorError, Finding, file_text
from autograder.course.parameters import rendered, wrong_lines

T = TypeVar("T")


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A known mistake: an edit of the master, the grade cells that it fails, and a hint for the student."""

    id: str
    title: str
    cell: str
    replace: str
    instead: str = msgspec.field(name="with")
    fails: tuple[str, ...]
    hint: str

    def edit(self, source: str) -> str:
        """The source of the cell with this mistake in it."""
        return source.replace(self.replace, self.instead)


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mutant of the master that no test is expected to find, and why."""

    cell: str
    line: str
    """the lines of the master that the mutant changes, without indentation and comments"""
    instead: str = msgspec.field(name="with")
    reason: str
    differs: bool = False
    """whether it does mean something else, which the tests cannot see; such survivors are counted"""


class _Mistakes(msgspec.Struct, forbid_unknown_fields=True):
    mistake: tuple[Mistake, ...] = ()


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A variant of the master that the text does not allow, and why."""

    name: str
    """for example number:loss-code, or numpy:* for all solution cells"""
    reason: str


class _Survivors(msgspec.Struct, forbid_unknown_fields=True):
    same: tuple[Survivor, ...] = ()
    variant: tuple[LeftOut, ...] = ()


def mistakes(homework: Homework, notebook: str) -> tuple[Mistake, ...]:
    """Read the known mistakes of `notebook` from hwN/mistakes/. Without such a file there are none."""
    return _read(homework, notebook, homework.mistakes(notebook), _Mistakes, "mistake").mistake


def survivors(homework: Homework, notebook: str) -> tuple[Survivor, ...]:
    """Read from hwN/mistakes/ the mutants that are expected to survive. Without such a file there are none."""
    return _read(homework, notebook, homework.same(notebook), _Survivors, "same").same


def variants_left_out(homework: Homework, notebook: str) -> tuple[LeftOut, ...]:
    """Read from hwN/mistakes/ the variants of a right solution that the notebook's text does not allow."""
    return _read(homework, notebook, homework.same(notebook), _Survivors, "variant").variant


def _read(homework: Homework, notebook: str, path: Path, kind: type[T], table: str) -> T:
    if not path.exists():
        return kind()
    text = file_text(path, "")
    standard = homework.standard(notebook)
    if wrong := [Finding(path, number + 1, said) for number, said in wrong_lines(text, standard)]:
        raise AuthorError(wrong)
    try:
        return msgspec.toml.decode(rendered(text, standard, homework.numbers(notebook)), type=kind)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        problem = str(error)
    try:
        msgspec.toml.decode(text, type=kind)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        problem = str(error)  # the same, by its line in the file
    raise AuthorError([Finding(path, _toml_line(text, problem, table), problem)])


def _toml_line(text: str, problem: str, table: str) -> int:
    """The line that a TOML or type error refers to; 1 if its message does not say."""
    if at := re.search(r"line (\d+)", problem):
        return int(at[1])
    tables = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == f"[[{table}]]"]
    at = re.search(rf"{table}\[(\d+)\]", problem)
    return tables[int(at[1])] if at and int(at[1]) < len(tables) else 1
