"""Pages about pairs of students whose work is alike: an index, and the two students' answers side by side.

They are for the teaching team. A page loads no other file, and nothing that a student wrote can run in it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from autograder import atomic_file
from autograder.insight.alike_class import AlikeClass
from autograder.insight.own_work import Answer, OwnWork
from autograder.insight.similarity import Alike, Findings, Pair
from autograder.results import templating

MOST_PAIRS = 500
"""pairs of which there is a page"""
_LINES, _WIDTH = 600, 400
"""lines of an answer, and characters of a line, that are shown"""
_MODE = 0o600


@dataclass(frozen=True)
class Line:
    """One line of an answer."""

    number: int
    text: str
    alike: bool
    """whether it belongs to a passage that the other answer has, too"""


@dataclass(frozen=True)
class Side:
    """One student's answer to one exercise."""

    student: str
    lines: tuple[Line, ...]
    left_out: int

    @property
    def alike(self) -> int:
        return sum(line.alike for line in self.lines)


@dataclass(frozen=True)
class Beside:
    """Both answers to one exercise."""

    exercise: Alike
    striking: bool
    sides: tuple[Side, Side]


def write(found: AlikeClass, out: Path) -> Path:
    """Write the index and a page for each pair into `out`; pages of an earlier run go. Returns the index's path.

    Raises OSError if a file cannot be written.
    """
    name = f"{found.homework.name}.similar"
    out.mkdir(parents=True, exist_ok=True)
    pages = [f"{name}-{number:03d}.html" for number in range(1, min(len(found.findings.pairs), MOST_PAIRS) + 1)]
    for page, pair in zip(pages, found.findings.pairs, strict=False):
        _replace(out / page, pair_html(found.homework.title, f"{name}.html", pair, *found.works(pair)))
    borrowed = [one.says for one in found.borrowed]
    index = index_html(found.homework.title, found.findings, found.damage, pages, borrowed, found.others)
    _replace(out / f"{name}.html", index)
    for old in out.glob(f"{name}-*.html"):
        if old.name not in pages and old.stem.removeprefix(f"{name}-").isdigit():
            old.unlink()
    return out / f"{name}.html"


def _replace(path: Path, text: str) -> None:
    atomic_file.replace(path, text.encode("utf-8", errors="replace"), _MODE)


def index_html(
    title: str,
    findings: Findings,
    damage: dict[str, tuple[str, ...]],
    pages: Sequence[str] = (),
    borrowed: Sequence[str] = (),
    others: Sequence[str] = (),
) -> str:
    """The page with all pairs and groups. `pages` are the files of the first pairs; the last two are sentences."""
    links = [*pages, *[""] * (len(findings.pairs) - len(pages))]
    rows = list(zip(findings.pairs, links, strict=True))
    template = _templates().get_template("alike.html")
    return template.render(title=title, found=findings, rows=rows, damage=damage, borrowed=borrowed, others=others)


def pair_html(title: str, index: str, pair: Pair, one: OwnWork, other: OwnWork) -> str:
    """The page with two students' answers side by side, what is alike in them marked."""
    beside = tuple(_beside(pair, one, other))
    return _templates().get_template("alike_pair.html").render(title=title, index=index, pair=pair, beside=beside)


def _beside(pair: Pair, one: OwnWork, other: OwnWork) -> Iterator[Beside]:
    for alike in pair.exercises:
        answers = one.answers.get(alike.exercise), other.answers.get(alike.exercise)
        if answers[0] is not None and answers[1] is not None:
            sides = _side(one.student, answers[0], alike.shared), _side(other.student, answers[1], alike.shared)
            yield Beside(alike, alike in pair.striking, sides)


def _side(student: str, answer: Answer, shared: Collection[int]) -> Side:
    marked = {line for mark, start, end in answer.prints if mark in shared for line in range(start, end + 1)}
    texts = answer.source.rstrip("\n").split("\n")
    lines = (
        Line(number, text if len(text) <= _WIDTH else f"{text[:_WIDTH]} …", number in marked)
        for number, text in enumerate(texts[:_LINES], 1)
    )
    return Side(student, tuple(lines), max(0, len(texts) - _LINES))


def chance(expected: float) -> str:
    """How many pairs are expected by chance, as people read it: 0.03, or 1 in 4 million."""
    if expected >= 0.001:
        return f"{expected:.2g}"
    inverse = 1 / max(expected, 1e-12)
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if inverse >= size:
            return f"{'less than ' if expected < 1e-12 else ''}1 in {inverse / size:.0f} {word}"
    return f"1 in {inverse:.0f}"


@functools.cache
def _templates() -> jinja2.Environment:
    environment = templating.environment("autograder.insight", "autograder.results")
    environment.filters["chance"] = chance
    return environment
