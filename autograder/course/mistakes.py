"""Mistakes that students really make: edits of the master, kept in hwN/mistakes/."""

from __future__ import annotations

import re
import tomllib

import msgspec

from autograder.course.course import Homework
from autograder.course.master import AuthorError, Finding, file_text


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wrong solution that students really write: an edit of the master, what it fails and the hint it deserves."""

    id: str
    title: str
    cell: str
    replace: str
    instead: str = msgspec.field(name="with")
    fails: tuple[str, ...]
    hint: str

    def edit(self, source: str) -> str:
        """The cell's source with this mistake in it."""
        return source.replace(self.replace, self.instead)


class _Mistakes(msgspec.Struct, forbid_unknown_fields=True):
    mistake: tuple[Mistake, ...] = ()


def mistakes(homework: Homework, notebook: str) -> tuple[Mistake, ...]:
    """The mistakes that hwN/mistakes/ keeps for `notebook`; none where there is no such file."""
    path = homework.mistakes(notebook)
    if not path.exists():
        return ()
    text = file_text(path, "")
    try:
        return msgspec.toml.decode(text, type=_Mistakes).mistake
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise AuthorError([Finding(path, _toml_line(text, str(error)), str(error))]) from None


def _toml_line(text: str, problem: str) -> int:
    """The line that a TOML or type error speaks of, as far as its text tells."""
    if at := re.search(r"line (\d+)", problem):
        return int(at[1])
    tables = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[mistake]]"]
    at = re.search(r"mistake\[(\d+)\]", problem)
    return tables[int(at[1])] if at and int(at[1]) < len(tables) else 1
