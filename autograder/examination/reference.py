"""The reference of a notebook: the names that its master defines, with or without a mistake. Trusted side only."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import sys
import traceback
import types
from typing import Any

from autograder.constants import SEED, cell_filename
from autograder.course.course import CourseError
from autograder.course.master import Cell, Master
from autograder.course.mistakes import Mistake
from autograder.sandbox.seeding import seed

_LONGEST = 300
"""characters of an error's message that are shown"""


def definitions(book: Master, mistake: Mistake | None = None) -> dict[str, Any]:
    """The names that a master defines, with `mistake` in it if given.

    These are imports, functions, classes, constants and answers. Checks and figures are not run, because they take a
    hundred times as long. Raises CourseError if a cell without a mistake raises an error.
    """
    module = types.ModuleType(f"{book.homework}_{book.notebook}")
    sys.modules[module.__name__] = module  # dataclasses and pickle look up the module by its name
    seed(SEED)
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in book.code():
            if cell.grade:
                continue
            source = mistake.edit(cell.source) if mistake and cell.grade_id == mistake.cell else cell.source
            try:
                exec(defining(cell.id, source, cell.solution), module.__dict__)
            except Exception as error:
                if mistake is None:
                    raise _told(book, cell, error) from None
    return module.__dict__


def _told(book: Master, cell: Cell, error: Exception) -> CourseError:
    """The error where a cell of the master raises one."""
    steps = [
        step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == cell_filename(cell.id)
    ]
    last = error.lineno if isinstance(error, SyntaxError) and not steps else steps[-1] if steps else None
    line = cell.line + (last - 1 if last and not cell.marked else 0)  # `marked`: its lines are not those of the file
    said = " ".join(f"{type(error).__name__}: {str(error)[:_LONGEST]}".split()).removesuffix(":")
    way_out = "correct the cell"
    if isinstance(error, ModuleNotFoundError) and error.name:
        way_out = f"install {error.name.partition('.')[0]} where the grader is installed, or correct the cell"
    return CourseError(f"{book.path}:{line}: the cell ‘{cell.id}’ raises an error ({said}): {way_out}")


@functools.cache  # all mistakes share the cells that they do not edit
def defining(cell: str, source: str, whole: bool) -> types.CodeType:
    """Compile a cell: all of it if `whole`, otherwise only its definitions."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if whole or _defines(node)]
    return compile(tree, cell_filename(cell), "exec", dont_inherit=True)


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return not any(isinstance(inner, ast.Name) and inner.id == "plt" for inner in ast.walk(node))
    return False
