"""Causes: errors in the cells of a notebook, told at the exercises that lost points because of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from autograder.course.master import Master
from autograder.course.names import names
from autograder.examination.messages import NO_GPU, needs_gpu
from autograder.forbidden.source import parse
from autograder.results.result import CellResult, Output
from autograder.submission import Gradable

_STANDARD = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn", "scipy", "tqdm")
"""what every notebook may import"""
_UNKNOWN = re.compile(r"name '(\w+)' is not defined|defines no ‘(\w+)’", re.IGNORECASE)
_PACKAGE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_LONGEST = 200
"""most characters of an error that are told"""


def with_causes(
    cells: Sequence[CellResult], gradable: Gradable, outputs: Sequence[Output], book: Master, packages: Sequence[str]
) -> tuple[CellResult, ...]:
    """The results, each with the errors of cells that explain why its tests failed."""
    errors = _errors(outputs)
    if not errors:
        return tuple(cells)
    bound = {cell.id: _bound(cell.source) for cell in gradable.cells if cell.id in errors}
    told = {cell: _sentence(cell, text, packages) for cell, text in errors.items()}
    return tuple(
        msgspec.structs.replace(cell, causes=tuple(told[one] for one in dict.fromkeys(_blamed(cell, book, bound))))
        for cell in cells
    )


def _errors(outputs: Sequence[Output]) -> dict[str, str]:
    """The first error of each cell, without the checks of the homework, which report what the tests tell as well."""
    found: dict[str, str] = {}
    for output in outputs:
        told = output.text.startswith(("AssertionError", "NotImplementedError")) and not needs_gpu(output.text)
        if output.kind == "error" and not told:
            found.setdefault(output.cell, output.text)
    return found


def _blamed(cell: CellResult, book: Master, bound: Mapping[str, set[str]]) -> Iterator[str]:
    """The cells whose errors cost this exercise points: its own solution, or those that should have defined a name."""
    failed = [test for test in cell.tests if not test.passed]
    if not failed or cell.note:
        return
    yield from (one.id for one in book.examined(cell.grade_id) if one.id in bound)
    unknown = {name for test in failed for found in _UNKNOWN.findall(test.message) for name in found if name}
    yield from (name for name, defines in bound.items() if defines & unknown)


def _bound(source: str) -> set[str]:
    """The names that a cell would have defined, imports included."""
    found = set(names(source))
    for statement in parse(source):
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def _sentence(cell: str, text: str, packages: Sequence[str]) -> str:
    first, _, rest = text.partition("\n")
    line = re.search(rf"cell {re.escape(cell)}, line (\d+)", rest) or re.search(r"line (\d+)", rest)
    where = f" in line {line[1]}" if line else ""
    advice = ""
    missing = _PACKAGE.match(first)
    if missing:
        package = missing[1].partition(".")[0]
        known = ", ".join((*_STANDARD, *packages))
        advice = (
            f" The grader has no package {package}, and there is no file {package}.py beside the notebook. "
            f"A notebook may import {known}."
        )
    elif needs_gpu(first):
        advice = f" {NO_GPU}"
    return f"Cell ‘{cell}’ stopped{where} with {first[:_LONGEST]}.{advice}".replace("..", ".")
