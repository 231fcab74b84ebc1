"""The names that a piece of Python defines at its top level, found without running it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise

MAX_PARSED = 100_000
"""characters; a longer source is searched with regular expressions instead of parsed"""

_MAGIC = re.compile(r"^[ \t]*+[%!?][^\n]*+", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:async[ \t]++)?(?:def|class)[ \t]++(\w++)", re.MULTILINE)
_VARIABLES = re.compile(r"^([A-Za-z_]\w*+[ \t]*+(?:,[ \t]*+[A-Za-z_]\w*+[ \t]*+)*+)(?::[^\n=]*+)?=(?!=)", re.MULTILINE)
_OPENING = re.compile(r"^(?:@|(?:async[ \t]++)?def[ \t]|class[ \t])", re.MULTILINE)


def names(source: str) -> frozenset[str]:
    """The functions, classes and variables that `source` defines at its top level; it need not be valid Python."""
    found = set(_FUNCTION.findall(source))
    for targets in _VARIABLES.findall(source):
        found.update(name.strip() for name in targets.split(","))
    return frozenset(found)


def functions(source: str) -> frozenset[str]:
    """The functions and classes that `source` defines at its top level."""
    return frozenset(_FUNCTION.findall(source))


def statements(source: str) -> list[tuple[str, frozenset[str]]]:
    """The top-level statements of `source`, each with the comments above it and the names that it defines.

    A source that is not valid Python is split before every line that begins a function or class.
    """
    tree = _parsed(source)
    if tree is None:
        starts = [0, *(opening.start() for opening in _OPENING.finditer(source)), len(source)]
        pieces = [source[start:end] for start, end in pairwise(starts)]
        return [(piece, names(piece)) for piece in pieces if piece]
    lines = [line + "\n" for line in source.split("\n")]
    spans: list[tuple[int, int, set[str]]] = []
    at = 0
    for node in tree.body:
        end = max(at, node.end_lineno or node.lineno)
        if spans and node.lineno <= at:  # two statements on one line
            start, _, defined = spans.pop()
        else:
            start, defined = at, set()
        defined.update(_defined(node))
        spans.append((start, end, defined))
        at = end
    if any(line.strip() for line in lines[at:]):
        spans.append((at, len(lines), set()))
    return [("".join(lines[start:end]), frozenset(defined)) for start, end, defined in spans]


def _parsed(source: str) -> ast.Module | None:
    """The syntax tree of `source` without IPython magics; None if it is not valid Python or too long."""
    if len(source) > MAX_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for example about "\d" in a student's string
            return ast.parse(_MAGIC.sub("", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            yield from (part.id for part in parts if isinstance(part, ast.Name))
