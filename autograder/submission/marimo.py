"""Reads marimo's notebooks: scripts in which each cell is the body of a function."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator

from autograder.submission.rawcell import MAX_CELLS, RawCell

_APP = re.compile(r"^app = marimo\.App\(", re.MULTILINE)


def is_marimo(text: str) -> bool:
    return _APP.search(text) is not None


def read_marimo(text: str) -> tuple[RawCell, ...]:
    """The cells of a marimo notebook; none if it is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(_cells(tree, text.split("\n")))[:MAX_CELLS]


def _cells(tree: ast.Module, lines: list[str]) -> Iterator[RawCell]:
    for node in tree.body:
        if isinstance(node, ast.With) and ast.unparse(node.items[0].context_expr).startswith("app.setup"):
            yield RawCell(kind="code", source=_body(node, lines))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            if "app.cell" in marks and not isinstance(node, ast.ClassDef):
                text = _text(node)
                if text is None:
                    yield RawCell(kind="code", source=_body(node, lines))
                else:
                    yield RawCell(kind="markdown", source=text)
            elif marks & {"app.function", "app.class_definition"}:
                yield RawCell(kind="code", source="\n".join(lines[node.lineno - 1 : node.end_lineno]))


def _body(node: ast.With | ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str:
    """The statements of a cell, without the line that hands its names to the others."""
    last = node.body[-1]
    end = last.lineno - 1 if isinstance(last, ast.Return) else node.end_lineno
    start = node.body[0].lineno - 1
    while start > node.lineno and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    decorators = getattr(node.body[0], "decorator_list", [])
    start = min(start, *(mark.lineno - 1 for mark in decorators)) if decorators else start
    return textwrap.dedent("\n".join(lines[start:end])).strip("\n")


def _text(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """The text of a cell that only shows Markdown."""
    shown = node.body[0]
    if not (isinstance(shown, ast.Expr) and isinstance(shown.value, ast.Call) and len(node.body) <= 2):
        return None
    call = shown.value
    if ast.unparse(call.func) != "mo.md" or len(call.args) != 1 or not isinstance(call.args[0], ast.Constant):
        return None
    return textwrap.dedent(str(call.args[0].value)).strip("\n")
