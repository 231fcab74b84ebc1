"""Questions: what is asked about a student's own code, the right answer, and answers that are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["shape", "length", "result", "value", "round", "runs", "next", "removed", "fails", "edit"]


@dataclass(frozen=True)
class About:
    """Where the key comes from, so that it can be found again another way."""

    check: str = ""
    place: int = 0
    number: int = 0
    """which call of the function in the check, from 1"""
    line: int = 0
    name: str = ""
    """a local name, '' for what is returned"""
    round: int = 0


@dataclass(frozen=True)
class Question:
    kind: Kind
    cell: str
    """the id of the student's cell"""
    function: str
    first: int
    last: int
    """the lines of the cell that are shown"""
    text: str
    right: str
    wrong: tuple[str, ...]
    about: About
    setting: tuple[str, ...] = ()
    """which call it is about: the line of the check, and what the function gets"""

    poor: bool = False
    """whether it is answered at a glance, or needs more than is shown: asked if there is nothing better"""
    at: int = 0
    """where the right answer stands among the answers"""

    @property
    def answers(self) -> tuple[str, ...]:
        return *self.wrong[: self.at], self.right, *self.wrong[self.at :]

    @property
    def id(self) -> tuple[object, ...]:
        """What makes two questions the same."""
        about = self.about
        return self.kind, self.cell, self.function, about.line, about.name, about.round, self.text


MOST_WRONG, LEAST_WRONG = 4, 3
