"""Packages that are missing where a notebook is graded: an import that is not used costs nothing.

The names of such an import get placeholders, which raise Python's own error where they are used. So the rest of the
cell runs. An import in a `try`, in an `if` or in a function fails as it does everywhere.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from typing import Any, NoReturn

HOOK = "__missing_package__"
"""the built-in function that makes a placeholder from an import's error, its module and its line"""


class Missing:
    """Stands for a package that is not there, or for something that was to come from it."""

    def __init__(self, error: ModuleNotFoundError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python itself looks up
            raise AttributeError(name)
        self()

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ModuleNotFoundError(str(self._error), name=self._error.name)


class Placeholders(ast.NodeTransformer):
    """Lets the imports of missing modules in a cell give placeholders to their names."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [part for one in node.body for part in _instead(one)]
        return ast.fix_missing_locations(node)


def is_missing(error: ModuleNotFoundError, module: str) -> bool:
    """Whether a module itself could not be found, and not one that it imports."""
    return error.name is not None and f"{module}.".startswith(f"{error.name}.")


def _instead(node: ast.stmt) -> list[ast.stmt]:
    match node:
        case ast.Import(names=aliases):
            single: list[ast.Import | ast.ImportFrom] = [ast.copy_location(ast.Import([one]), node) for one in aliases]
            wanted = [one.name for one in aliases]
        case ast.ImportFrom(module=str(module), names=aliases, level=0) if aliases[0].name != "*":
            single, wanted = [node], [module]
        case _:
            return [node]
    there = list(map(_is_there, wanted))
    if all(there):
        return [node]
    parts = zip(single, wanted, there, strict=True)
    return [one if is_there else _tried(one, module) for one, module, is_there in parts]


def _tried(node: ast.Import | ast.ImportFrom, module: str) -> ast.stmt:
    """The import in a `try`: the cell may have written the module by then."""
    names = [one.asname or one.name.partition(".")[0] for one in node.names]
    made = ast.Call(
        ast.Name(HOOK, ast.Load()), [ast.Name("_", ast.Load()), ast.Constant(module), ast.Constant(node.lineno)], []
    )
    given = ast.Assign([ast.Name(name, ast.Store()) for name in names], made)
    handler = ast.ExceptHandler(ast.Name("ModuleNotFoundError", ast.Load()), "_", [given])
    return ast.copy_location(ast.Try([node], [handler], [], []), node)


def _is_there(module: str) -> bool:
    """Whether a module can be found. Nothing that is broken counts as missing."""
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        return not is_missing(error, module)
    except Exception:
        return True
