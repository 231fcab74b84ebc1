"""The sheet for an oral check: for each notebook a page of questions and code, and a last page with the key."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

from autograder.insight.viva.asking import Asked
from autograder.insight.viva.functions import functions
from autograder.insight.viva.questions import Question
from autograder.results import templating
from autograder.results.plain_text import cleaned

LETTERS = "ABCDEFGH"
_WIDTH = 150
"""characters of a line of code that are shown"""


@dataclass(frozen=True)
class Part:
    """One function, with the line numbers of its cell."""

    cell: str
    name: str
    text: str


def html(student: str, homework: str, books: Sequence[Asked]) -> str:
    """The sheet as a page that loads no other file; what the student wrote cannot run in it."""
    shown = [
        {
            "notebook": book.notebook,
            "why": book.why,
            "questions": [_shown(one) for one in book.questions],
            "code": list(code(book)),
        }
        for book in books
    ]
    lines = max((sum(part.text.count("\n") + 3 for part in each["code"]) for each in shown), default=0)  # type: ignore[attr-defined]
    size = 7.5 if lines <= 66 else 6.5
    asked = [each for each in shown if each["questions"]] or shown[:0]
    without = [each for each in shown if not each["questions"]]
    return _template().render(student=cleaned(student), homework=homework, books=[*asked, *without], size=size)


def _shown(one: Question) -> dict[str, Any]:
    return {
        "function": one.function,
        "setting": [cleaned(line) for line in one.setting],
        "text": cleaned(one.text),
        "answers": [cleaned(answer) for answer in one.answers],
        "right": cleaned(one.right),
        "letter": LETTERS[one.at],
    }


def code(book: Asked) -> Iterator[Part]:
    """Each function that a question is about, once."""
    for cell, first, last, name in dict.fromkeys((q.cell, q.first, q.last, q.function) for q in book.questions):
        yield Part(cell, name, numbered(book.sources[cell], first, last))


def numbered(source: str, first: int, last: int) -> str:
    """Lines of a cell behind their numbers, of a function's docstring the first one alone: more would give answers."""
    lines, folded = source.split("\n"), _folded(source, first)
    shown = [number for number in range(first, last + 1) if number not in folded[1:]]
    return "\n".join(
        "      ⋮" if number in folded else f"{number:3} {_cut(cleaned(lines[number - 1]))}" for number in shown
    )


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"


def _folded(source: str, first: int) -> range:
    """The lines of the docstring of the function that begins here, but for its first."""
    body = next((one.node.body for one in functions(source) if one.first == first), [])
    document = body[0] if body else None
    if not isinstance(document, ast.Expr) or not isinstance(document.value, ast.Constant):
        return range(0)
    return range(document.lineno + 1, (document.end_lineno or 0) + 1)


def coded(text: str) -> Markup:
    """Plain words as HTML; what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


@cache
def _template() -> jinja2.Template:
    made = templating.environment("autograder.insight")
    made.filters["coded"] = coded
    return made.get_template("viva.html")
