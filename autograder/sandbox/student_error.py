"""What a hidden test learns when the student's code gives no answer, and how long it waits for one."""

from __future__ import annotations

from dataclasses import dataclass


class StudentError(Exception):
    """The student's code raised, or could not answer.

    `type` is the name of the exception's class, `message` its text, `cell` and `line` where in the notebook it came
    from ('' and 0 when it came from elsewhere).
    """

    def __init__(self, type: str, message: str, cell: str = "", line: int = 0) -> None:
        super().__init__(f"{type}: {message}")
        self.type, self.message, self.cell, self.line = type, message, cell, line


@dataclass(frozen=True)
class Allowance:
    """How long the student's code may take for one answer, and what a student is told whose code takes longer."""

    seconds: float
    beyond: str
