"""Dependencies: which exercises use code of which others, read from the master. Nothing is executed."""

from __future__ import annotations

import ast

from autograder.course.master import Cell, Master
from autograder.course.names import names


def dependencies(book: Master) -> dict[str, tuple[str, ...]]:
    """For each autograded cell, the autograded cells above it that test code which its solution or its check uses.

    The code may be used directly, by another solution, or by one of the notebook's own cells.
    """
    cells = [cell for cell in book.code() if not cell.grade]
    defining = {name: cell for cell in reversed(cells) for name in names(cell.source)}  # the first cell that does
    graded = [cell for cell in book.grade_cells() if cell.autograded]
    examined = {cell.grade_id: book.examined(cell.grade_id) for cell in graded}
    found = {}
    for number, cell in enumerate(graded):
        own = examined[cell.grade_id]
        used = _reached((*own, cell), defining) - {one.id for one in own}
        found[cell.grade_id] = tuple(
            above.grade_id
            for above in graded[:number]
            if any(one.id in used for one in examined[above.grade_id]) and examined[above.grade_id] != own
        )
    return found


def _reached(start: tuple[Cell, ...], defining: dict[str, Cell]) -> set[str]:
    """The ids of the cells whose names these cells use, and so on."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        cell = waiting.pop()
        loaded = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
        for name in loaded & defining.keys():
            other = defining[name]
            if other.id not in seen and other is not cell:
                seen.add(other.id)
                waiting.append(other)
    return seen
