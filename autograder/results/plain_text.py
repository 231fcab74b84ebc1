"""Makes plain text of what students and their code wrote.

Removes every character that a terminal, an editor or a browser would act on instead of showing. HTML is not removed
here: the templates escape it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_NOISE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ANSI: colours, cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)"  # ANSI: window titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"  # ANSI: the rest
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]"  # they change the direction of the text around them
    r"|[\ufff9-\ufffb\U000e0000-\U000e007f]"  # annotations and tags: text that nobody sees
    r"|[\ud800-\udfff\ufffe\uffff]"  # not characters; they come from file names that are not UTF-8
)


_SEPARATORS = re.compile("[\u2028\u2029]")
"""line ends to some programs and none to others"""


def plain(text: str) -> str:
    """The text without control codes, direction marks, tags and invalid characters; its only line ends are \\n."""
    return _SEPARATORS.sub(" ", _NOISE.sub("", text))


def flat(text: str) -> str:
    """The plain text with a blank for each line end, whatever program would take it for one."""
    return plain(" ".join(text.splitlines()))


def one_line(text: str, most: int | None = None) -> str:
    """The plain text in one line, with single blanks, and shortened to `most` characters."""
    line = " ".join(flat(text).split())
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def cleaned(value: Any) -> Any:
    """The plain text of a string; any other value unchanged."""
    return plain(value) if type(value) is str else value


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines, with columns of equal width; the last column is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]


def counted(number: float, thing: str) -> str:
    """A number and what it counts: 1 point, 2 points, 0.5 points."""
    return f"{points_text(number)} {thing}{'' if number == 1 else 's'}"


def points_text(points: float | None) -> str:
    """Points with at most two decimal places; '' for None."""
    return "" if points is None else f"{points:.2f}".rstrip("0").rstrip(".")
