"""The error that a hidden test gets when the student's code fails, and the timeout for the student's code."""

from __future__ import annotations

from dataclasses import dataclass


class StudentError(Exception):
    """The student's code raised an exception or gave no answer.

    `type` is the name of the exception's class and `message` its text. `cell` and `line` say where in the notebook it
    was raised; they are '' and 0 if it was raised elsewhere or may not be told. `withheld` says that it has a text that
    may not be shown.
    """

    def __init__(self, type: str, message: str, cell: str = "", line: int = 0, withheld: bool = False) -> None:
        super().__init__(f"{type}: {message}")
        self.type, self.message, self.cell, self.line, self.withheld = type, message, cell, line, withheld


@dataclass(frozen=True)
class Allowance:
    """The timeout for one answer, and the message to the student if the code takes longer."""

    seconds: float
    beyond: str
