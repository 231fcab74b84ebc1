"""The names that a piece of Python defines at its top level, found without running it."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MAX_PARSED = 100_000
"""characters; a longer source is searched with regular expressions instead of parsed"""

_MAGIC = re.compile(r"^[ \t]*+[%!?][^\n]*+", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:async[ \t]++)?(?:def|class)[ \t]++(\w++)", re.MULTILINE)
_VARIABLES = re.compile(r"^([A-Za-z_]\w*+[ \t]*+(?:,[ \t]*+[A-Za-z_]\w*+[ \t]*+)*+)(?::[^\n=]*+)?=(?!=)", re.MULTILINE)
_MARGIN = re.compile(r"^(?=[^\s#)\]}])(?!(?:else|elif|except|finally)\b)", re.MULTILINE)
"""where a statement at the top level may begin"""
_TRIED = 1_000_000
"""characters that are parsed at most in search of the statements between errors"""
_EARLY = ("was never closed", "unexpected EOF", "unterminated triple-quoted", "expected an indented block")
"""the syntax errors of a text that ends too early"""


@functools.lru_cache(maxsize=2**10)  # asked for each cell and each notebook of the course
def names(source: str) -> frozenset[str]:
    """The functions, classes and variables that `source` defines at its top level; it need not be valid Python."""
    found = set(_FUNCTION.findall(source))
    for targets in _VARIABLES.findall(source):
        found.update(name.strip() for name in targets.split(","))
    return frozenset(found)


@functools.lru_cache(maxsize=2**10)
def functions(source: str) -> frozenset[str]:
    """The functions and classes that `source` defines at its top level."""
    return frozenset(_FUNCTION.findall(source))


@dataclass(frozen=True)
class Statement:
    """A statement at the top level, or two of them on one line."""

    text: str
    """with the comments above it"""
    defines: frozenset[str]
    tree: ast.Module | None = None
    """None if it is not valid Python"""
    above: int = 0
    """lines above `text` that the line numbers in `tree` count, too"""


def statements(source: str) -> list[tuple[str, frozenset[str]]]:
    """The top-level statements of `source`, each with the comments above it and the names that it defines.

    What is not valid Python, such as an unfinished line or a text without comment signs, is a statement of its own.
    """
    return [(one.text, one.defines) for one in parsed_statements(source)]


def parsed_statements(source: str) -> list[Statement]:
    """The same, with their trees."""
    try:
        tree = _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return list(_around_errors(source))
    return _of_tree(tree, source)


def is_python(source: str) -> bool:
    """Whether `source` is valid Python, apart from IPython magics."""
    try:
        _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _of_tree(tree: ast.Module, source: str) -> list[Statement]:
    lines = [line + "\n" for line in source.split("\n")]
    spans: list[tuple[int, int, list[ast.stmt]]] = []
    at = 0
    for node in tree.body:
        end = max(at, node.end_lineno or node.lineno)
        if spans and node.lineno <= at:  # two statements on one line
            start, _, nodes = spans.pop()
        else:
            start, nodes = at, []
        nodes.append(node)
        spans.append((start, end, nodes))
        at = end
    if any(line.strip() for line in lines[at:]):
        spans.append((at, len(lines), []))
    return [
        Statement(
            "".join(lines[start:end]),
            frozenset(name for node in nodes for name in _defined(node)),
            ast.Module(nodes, []),
            start,
        )
        for start, end, nodes in spans
    ]


def syntax_tree(source: str) -> ast.Module:
    """The syntax tree of `source`, without IPython magics if it has any. Raises what `ast.parse` raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for example about "\d" in a student's string
        try:
            return ast.parse(source)
        except SyntaxError:
            return ast.parse(_MAGIC.sub("", source))


def _parsed(source: str) -> ast.Module:
    """The same. Raises ValueError if the source is too long to be parsed."""
    if len(source) > MAX_PARSED:
        raise ValueError("too long")
    return syntax_tree(source)


def _around_errors(source: str) -> Iterator[Statement]:
    """The statements of a source with errors: pieces that begin at the left margin, joined until they are Python."""
    starts = [0, *(found.start() for found in _MARGIN.finditer(source) if found.start()), len(source)]
    pieces = [source[start:end] for start, end in pairwise(starts) if end > start]
    at, tried = 0, 0
    while at < len(pieces):
        joined, found = "", None
        for end in range(at, len(pieces)):
            joined += pieces[end]
            tried += len(joined)
            try:
                found = end + 1, _parsed(joined), joined
            except SyntaxError as error:
                early = any(part in str(error.msg) for part in _EARLY) or joined.lstrip().startswith("@")
                if early and tried < _TRIED:
                    continue
            except (ValueError, RecursionError, MemoryError):
                pass
            break
        if found:
            at, tree, text = found
            yield from _of_tree(tree, text)
        else:
            yield Statement(pieces[at], names(pieces[at]))
            at += 1


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            yield from (part.id for part in parts if isinstance(part, ast.Name))
