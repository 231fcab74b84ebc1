"""The given code: what the locked cells of a notebook define and import."""

from __future__ import annotations

import ast
import functools

from autograder.course.names import names
from autograder.course.nodes import all_nodes
from autograder.forbidden.source import form, origins_of, parse


class Given:
    """The statements of the locked cells. In a student's cell, too, they are the course's: cells can be merged."""

    def __init__(self, cells: tuple[tuple[str, str], ...]) -> None:
        """`cells` are the locked cells: id and source."""
        statements = [statement for _, source in cells for statement in parse(source)]
        self.names = frozenset(name for _, source in cells for name in names(source))
        """what they define"""
        self.functions = frozenset(
            one.name for one in statements if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        )
        """the functions and classes among these"""
        self.origins = origins_of(statements, {})
        """the dotted path behind each name that they import or alias"""
        self._forms = frozenset(map(form, statements))
        self._sizes = frozenset(len(all_nodes(statement)) for statement in statements)

    def has(self, statement: ast.stmt) -> bool:
        """Whether a statement is one of theirs."""
        return len(all_nodes(statement)) in self._sizes and form(statement) in self._forms


@functools.lru_cache(maxsize=8)  # the locked cells are the same in all submissions of a notebook
def given_code(cells: tuple[tuple[str, str], ...]) -> Given:
    """The given code of these locked cells."""
    return Given(cells)
