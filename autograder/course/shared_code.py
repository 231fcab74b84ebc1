"""Shared code: definitions that several notebooks need, written once in the course's common.py.

A master imports them in a locked cell, for example `from common import compare, numbers`. The build replaces this line
with the text of the definitions, so that a notebook needs no other file.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

FILE = "common.py"

_BEFORE_DEFINITION = "\n\n\n"


class SharedCodeError(Exception):
    """The import of shared code failed. The message says why and what to do."""


def asks(source: str) -> bool:
    """Whether a cell imports from common.py."""
    return bool(_imports(source))


def offers(root: Path, name: str) -> bool:
    """Whether <root>/common.py defines `name`."""
    try:
        expanded(f"from common import {name}", root)
    except SharedCodeError:
        return False
    return True


def expanded(source: str, root: Path) -> str:
    """The source of a cell, with its import from <root>/common.py replaced by the definitions.

    The definitions, and those that they use, come in the order of common.py.

    Raises
    ------
    SharedCodeError
        If common.py is missing, is not valid Python, or does not define a name.
    """
    imports = _imports(source)
    if not imports:
        return source
    try:
        pieces = _pieces((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SharedCodeError(f"{root / FILE}: this file is missing: write the shared definitions there") from None
    except SyntaxError as error:
        raise SharedCodeError(f"{root / FILE}:{error.lineno}: this file is not valid Python: {error.msg}") from None
    wanted = [alias.name for node in imports for alias in node.names]
    if any(alias.asname for node in imports for alias in node.names):
        raise SharedCodeError(f"shared code keeps its names: write {FILE}'s own, without `as`")
    for name in wanted:
        if name not in pieces:
            raise SharedCodeError(
                f"{root / FILE}: it does not define {name!r}: write it there, or choose one of {', '.join(pieces)}"
            )
    taken = set(_with_used(wanted, pieces))
    texts = dict.fromkeys(text for name, (text, _) in pieces.items() if name in taken)
    constants = [text for text in texts if not text.startswith(("def ", "class "))]
    definitions = [text for text in texts if text.startswith(("def ", "class "))]
    gone = {number for node in imports for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    kept = [(number, line) for number, line in enumerate(source.split("\n"), 1) if number not in gone]
    place = imports[-1].lineno
    before = "\n".join(line for number, line in kept if number < place).rstrip("\n")
    after = "\n".join(line for number, line in kept if number > place).lstrip("\n")
    parts = [before, "\n".join(constants)] if constants else [before]
    lead = "\n\n".join(part for part in parts if part)
    if not definitions:
        return f"{lead}\n{after}" if after else lead
    return _BEFORE_DEFINITION.join(part for part in (lead, *definitions, after) if part)


def _imports(source: str) -> list[ast.ImportFrom]:
    """The statements that take something from common.py; none where the cell is not valid Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "common"]


@functools.lru_cache(maxsize=4)
def _pieces(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """For each name, the text that defines it and the names that this text uses."""
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
