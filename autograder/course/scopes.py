"""Scopes: the notebook's own cells leave no names behind, so that students may name their helpers as they like.

The build puts the code of a check, and of a locked figure that would leave names behind, into a function. A locked cell
that defines something for later cells says so: `"gives": ["blur"]`. The notebook's set-up cell lists these names.
"""

from __future__ import annotations

import ast
import dis
import re
import textwrap
from collections.abc import Iterator, Sequence
from types import CodeType

import msgspec

from autograder.course.master import Cell

_LINE = 110
"""characters of a line in the list of names"""


_BINDS = {"STORE_NAME", "STORE_GLOBAL"}
_READS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
"""instructions: a symbol table does not tell, since Python 3.12 the variables of comprehensions stand in it, too"""
_HEAD = re.compile(r"def (_check_\w+|_figure)\(\):")
"""the first line of a cell that the build has put into a function"""


def closed(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells, with checks, and locked figures that would leave names behind, put into functions."""
    return tuple(
        msgspec.structs.replace(cell, source=_in_function(cell))
        if closable and cell.kind == "code" and cell.locked and _closes(cell)
        else cell
        for cell, closable in _with_place(cells)
    )


def check_name(cell: Cell) -> str:
    """The name of the function that a check is put into, by which the notebook's last cell calls it again."""
    return "_check_" + cell.grade_id.replace("-", "_")  # as the last cell writes it: a grade_id has no other signs


def given(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The names that the notebook's own cells define for later cells, in their order. Imports are left out."""
    return tuple(dict.fromkeys(name for _, names in given_by(cells) for name in names))


def given_by(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Sequence[str]]]:
    """The cells that define names for later cells, with these names."""
    for cell, closable in _with_place(cells):
        if cell.kind == "code" and cell.locked:
            names = cell.gives if closable else _defined(cell.source)
            if names:
                yield cell, names


def listed(names: Sequence[str]) -> str:
    """A comment that tells students which names are taken; '' if there are none."""
    if not names:
        return ""
    text = f"The cells below use these names themselves: {', '.join(names)}. Give your own helpers other names."
    return "\n".join(textwrap.wrap(text, _LINE, initial_indent="# ", subsequent_indent="# "))


def check_scopes(cells: Sequence[Cell]) -> Iterator[tuple[int, str]]:
    """Lines and texts of an author's errors: names that are left behind, or that are needed and do not stay."""
    hidden: dict[str, str] = {}
    """for each name that a function hides, the cell"""
    for cell, closable in _with_place(cells):
        if cell.kind != "code" or _bound(cell.source) is None:
            continue
        if cell.gives and not (cell.locked and closable):
            yield (
                cell.line,
                f'cell {cell.id}: "gives" belongs on a locked demo cell or behind the first exercise: remove it',
            )
        for name in sorted(_needed(cell, closable) & hidden.keys()):
            yield (
                cell.line,
                f"cell {cell.id}: it uses {name!r} of the cell {hidden[name]}, whose names do not leave it: "
                f'add "gives": ["{name}", …] to that cell, or define {name!r} here',
            )
        names = _public(cell.source)
        if cell.gives and cell.grade:
            yield (
                cell.line,
                f"cell {cell.id}: a check that fails gives nothing: define {cell.gives[0]!r} in a cell above it",
            )
        for name in sorted(set(cell.gives) - names):
            yield cell.line, f'cell {cell.id}: "gives" lists {name!r}, which the cell does not define'
        stay = names if not (cell.locked and closable) else names & set(cell.gives)
        hidden = {name: where for name, where in hidden.items() if name not in stay}
        hidden |= dict.fromkeys(names - stay, cell.id)


def _with_place(cells: Sequence[Cell]) -> Iterator[tuple[Cell, bool]]:
    """The cells, each with whether it is one whose names go: behind the first exercise, or only a demonstration."""
    began = False
    for cell in cells:
        yield cell, began or cell.demo
        began = began or (cell.kind == "code" and cell.solution)


def _closes(cell: Cell) -> bool:
    if cell.grade:
        return bool(ast.parse(cell.source).body)
    return bool(_public(cell.source) - set(cell.gives))


def _in_function(cell: Cell) -> str:
    """The cell as a function that is called once and returns what the cell gives."""
    name = check_name(cell) if cell.grade else "_figure"
    lines = cell.source.split("\n")
    inner = {
        number
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for number in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }  # lines that begin inside a string
    body = [line if number in inner or not line.strip() else f"    {line}" for number, line in enumerate(lines, 1)]
    given = ", ".join(cell.gives)
    back = [f"    return {given}"] if given else []
    return "\n".join([f"def {name}():", *body, *back, "", "", f"{given} = {name}()" if given else f"{name}()"])


def opened(source: str) -> str:
    """The lines of a cell that was put into a function, as they were before; any other source as it is.

    What stands below the function stays below.
    """
    head, _, rest = source.partition("\n")
    found = _HEAD.fullmatch(head.rstrip())
    if not found:
        return source
    call = re.compile(rf"(?:[\w, ]+ = )?{found[1]}\(\)\s*")
    lines = (line.removeprefix("    ") for line in rest.split("\n") if not call.fullmatch(line))
    return "\n".join(lines)


def _needed(cell: Cell, after: bool) -> set[str]:
    """The names that a cell takes from the notebook."""
    source = _in_function(cell) if after and cell.locked and ast.parse(cell.source).body else cell.source
    used: set[str] = set()
    waiting = [compile(source, cell.id, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        waiting += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
        used |= _names(code, _READS) - _names(code, _BINDS)  # what a class binds, it reads by its name
    return used - (_bound(source) or set())


def _public(source: str) -> set[str]:
    return {name for name in _bound(source) or () if not name.startswith("_")}


def _defined(source: str) -> list[str]:
    """The public names that a cell assigns or defines, without its imports, in alphabetical order."""
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return sorted(_public(source) - imported, key=str.lower)


def _bound(source: str) -> set[str] | None:
    """The names that a source binds at its top level; None if it is not valid Python."""
    try:
        code = compile(source, "cell", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return _names(code, _BINDS)


def _names(code: CodeType, kinds: set[str]) -> set[str]:
    return {step.argval for step in dis.get_instructions(code) if step.opname in kinds}
