"""Known mistakes: wrong solutions that students really write, stored as edits of the master in hwN/mistakes/."""

from __future__ import annotations

import re
import tomllib

import msgspec

from autograder.course.course import Homework
from autograder.course.master import AuthorError, Finding, file_text


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


class _Mistakes(msgspec.Struct, forbid_unknown_fields=True):
    mistake: tuple[Mistake, ...] = ()


def mistakes(homework: Homework, notebook: str) -> tuple[Mistake, ...]:
    """Read the known mistakes of `notebook` from hwN/mistakes/. Without such a file there are none."""
    path = homework.mistakes(notebook)
    if not path.exists():
        return ()
    text = file_text(path, "")
    try:
        return msgspec.toml.decode(text, type=_Mistakes).mistake
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise AuthorError([Finding(path, _toml_line(text, str(error)), str(error))]) from None


def _toml_line(text: str, problem: str) -> int:
    """The line that a TOML or type error refers to; 1 if its message does not say."""
    if at := re.search(r"line (\d+)", problem):
        return int(at[1])
    tables = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[mistake]]"]
    at = re.search(r"mistake\[(\d+)\]", problem)
    return tables[int(at[1])] if at and int(at[1]) < len(tables) else 1
