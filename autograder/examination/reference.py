"""The reference of a notebook: the names that its master defines, with or without a mistake. Trusted side only."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import sys
import types
from typing import Any

from autograder.constants import SEED, cell_filename
from autograder.course.master import Master
from autograder.course.mistakes import Mistake
from autograder.sandbox.seeding import seed


def definitions(book: Master, mistake: Mistake | None = None) -> dict[str, Any]:
    """The names that a master defines, with `mistake` in it if given.

    These are imports, functions, classes, constants and answers. Checks and figures are not run, because they take a
    hundred times as long.
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
            except Exception:
                if mistake is None:
                    raise
    return module.__dict__


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
