"""Shared code: definitions that several notebooks need alike, written once in the course's common.py.

A master asks for them by `from common import compare, numbers` in a locked cell. Their text takes the place of that line,
so that every notebook stands alone.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

FILE = "common.py"

_IMPORT = re.compile(r"^from common import (\([^)]*\)|[^\n]*)\n*", re.MULTILINE)
_BEFORE_DEFINITION = "\n\n\n"


class SharedCodeError(Exception):
    """A name that common.py does not offer; the text says which, and what to do."""


def asks(source: str) -> bool:
    """Whether a cell takes something from common.py."""
    return _IMPORT.search(source) is not None


def expanded(source: str, root: Path) -> str:
    """The source of a cell with the definitions in place of its import from <root>/common.py.

    Definitions come in the order of common.py, with those that they use themselves.

    Raises
    ------
    SharedCodeError
        When common.py is missing or no Python, or does not define a name.
    """
    found = _IMPORT.search(source)
    if found is None:
        return source
    try:
        pieces = _pieces((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SharedCodeError(f"{root / FILE} is missing: write the shared definitions there") from None
    except SyntaxError as error:
        raise SharedCodeError(f"{root / FILE}:{error.lineno}: not Python: {error.msg}") from None
    wanted = [name.strip() for name in found[1].strip("()").partition("#")[0].split(",") if name.strip()]
    for name in wanted:
        if name not in pieces:
            raise SharedCodeError(f"{root / FILE} does not define {name!r}; it has {', '.join(pieces)}")
    taken = set(_with_used(wanted, pieces))
    texts = dict.fromkeys(text for name, (text, _) in pieces.items() if name in taken)
    constants = [text for text in texts if not text.startswith(("def ", "class "))]
    definitions = [text for text in texts if text.startswith(("def ", "class "))]
    before, after = source[: found.start()].rstrip("\n"), source[found.end() :].lstrip("\n")
    parts = [before, "\n".join(constants)] if constants else [before]
    lead = "\n\n".join(part for part in parts if part)
    if not definitions:
        return f"{lead}\n{after}" if after else lead
    return _BEFORE_DEFINITION.join(part for part in (lead, *definitions, after) if part)


@functools.lru_cache(maxsize=4)
def _pieces(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """By name, the text that defines it and the names that this text uses."""
    lines = text.split("\n")
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in ast.parse(text).body:
        piece = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        used = frozenset(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
        found |= dict.fromkeys(_defined(node), (piece, used))
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=[ast.Name(id=name)]):
            yield name
        case ast.Assign(targets=[ast.Tuple(elts=parts)]):
            yield from (part.id for part in parts if isinstance(part, ast.Name))


def _with_used(wanted: list[str], pieces: dict[str, tuple[str, frozenset[str]]]) -> Iterator[str]:
    waiting, seen = list(wanted), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += pieces[name][1] & pieces.keys()
