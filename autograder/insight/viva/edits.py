"""Questions about edits: which line of a visible check fails if a line is removed, and which edit no check notices."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from autograder.insight.viva.functions import Function
from autograder.insight.viva.questions import LEAST_WRONG, MOST_WRONG, About, Question
from autograder.insight.viva.tracing import Edit, End

Runs = Callable[[Edit | None], tuple[End, ...]]
"""how the checks of the cell end after an edit; () if that is not sure"""
_MOST_REMOVED, _MOST_EDITED = 3, 2
"""lines of one cell that are tried"""
_SAME = "all checks pass"
_SWAPS: dict[type[ast.operator] | type[ast.cmpop], ast.operator | ast.cmpop] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(), ast.MatMult: ast.Mult(),
    ast.Gt: ast.Lt(), ast.Lt: ast.Gt(), ast.GtE: ast.Lt(), ast.LtE: ast.Gt(), ast.Eq: ast.NotEq(),
}  # fmt: skip


def removed(
    cell: str,
    source: str,
    functions: Sequence[Function],
    checks: Sequence[tuple[str, str]],
    runs: Runs,
    rng: random.Random,
) -> Iterator[Question]:
    """Which line of the checks fails first if a line of the cell is removed."""
    todo = [(function, one) for function in functions for one in function.simple if _removable(one)]
    for function, one in rng.sample(todo, min(len(todo), _MOST_REMOVED)):
        edited = with_line(source, one, "pass")
        found = runs(Edit(cell, edited))
        if not found or found[-1].how == "enough":
            continue
        right = _SAME if found[-1].how == "passed" else _place(found[-1].check, found[-1].line, checks)
        demands = [_place(name, line, checks) for name, text in checks for line in _demands(text)]
        wrong = [other for other in dict.fromkeys([*demands, _SAME]) if other != right]
        if right and len(wrong) >= LEAST_WRONG:
            kept = rng.sample(wrong, min(len(wrong), MOST_WRONG))
            text = f"If line {one.lineno} did nothing (`pass`), which line of the visible checks would fail first?"
            about = About(found[-1].check, found[-1].line, line=one.lineno, name=edited)
            yield Question(
                "removed", cell, function.name, function.first, function.last, text, right, tuple(kept), about
            )


def _removable(one: ast.stmt) -> bool:
    return isinstance(one, ast.Assign | ast.AugAssign | ast.Expr)


def with_line(source: str, one: ast.stmt, text: str) -> str:
    """The cell with another statement in a line."""
    lines = source.split("\n")
    line = lines[one.lineno - 1]
    lines[one.lineno - 1] = line[: len(line) - len(line.lstrip())] + text
    return "\n".join(lines)


def _place(check: str, line: int, checks: Sequence[tuple[str, str]]) -> str:
    lines = dict(checks).get(check, "").split("\n")
    return f"{check}, line {line}: {lines[line - 1].strip()[:90]}" if 0 < line <= len(lines) else ""


def _demands(check: str) -> list[int]:
    """The lines of a check that can fail: what it asserts, and what it calls."""
    try:
        tree = ast.parse(check)
    except (SyntaxError, ValueError):
        return []
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Assert | ast.Expr) and not _documents(one)]
    return sorted(one.lineno for one in found if not _calls_own(one, tree))


def _documents(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)


def _calls_own(one: ast.stmt, tree: ast.Module) -> bool:
    """Whether a statement only calls a function that the check itself defines: lines in there fail."""
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) and getattr(one.value.func, "id", "") in own


def unnoticed(
    cell: str, source: str, functions: Sequence[Function], runs: Runs, rng: random.Random
) -> Iterator[Question]:
    """Which of some edits of a line changes nothing that the visible checks see."""
    todo = [(function, one, alike) for function in functions for one in function.simple if (alike := _alike(one))]
    for function, one, alike in rng.sample(todo, min(len(todo), _MOST_EDITED)):
        good = rng.choice(alike)
        if not _passes(runs(Edit(cell, with_line(source, one, good)))):
            continue
        bad: list[str] = []
        for text in rng.sample(others := _different(one), len(others)):
            ended = runs(Edit(cell, with_line(source, one, text)))
            if ended and ended[-1].how == "failed":
                bad.append(text)
            if len(bad) == LEAST_WRONG:
                break
        if len(bad) >= LEAST_WRONG:
            text = f"Line {one.lineno} is replaced. With which of these do the visible checks still pass?"
            about = About(line=one.lineno, name=with_line(source, one, good))
            yield Question("edit", cell, function.name, function.first, function.last, text, good, tuple(bad), about)


def _passes(found: Sequence[End]) -> bool:
    return bool(found) and all(one.how == "passed" for one in found)


def _alike(one: ast.stmt) -> list[str]:
    """The statement written otherwise, with the same meaning for numbers and tensors."""
    return _rewritten(one, _harmless)


def _different(one: ast.stmt) -> list[str]:
    """The statement with one mistake."""
    return _rewritten(one, _harmful)


def _rewritten(one: ast.stmt, change: Callable[[ast.AST], Iterator[ast.AST]]) -> list[str]:
    """The statement once for each change that a node of it allows."""
    before, found = ast.unparse(one), list[str]()
    size = sum(1 for _ in ast.walk(one))
    for at in range(size):
        tree = copy.deepcopy(one)
        node = list(ast.walk(tree))[at]
        for new in change(copy.deepcopy(node)):
            text = ast.unparse(_Put(node, new).visit(copy.deepcopy(tree)) if node is tree else _put(tree, at, new))
            if text != before and "\n" not in text and len(text) <= 110:
                found.append(text)
    return list(dict.fromkeys(found))


def _put(tree: ast.stmt, at: int, new: ast.AST) -> ast.stmt:
    tree = copy.deepcopy(tree)
    made: Any = _Put(list(ast.walk(tree))[at], new).visit(tree)
    return cast(ast.stmt, made)


class _Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def _harmless(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield ast.BinOp(right, ast.Mult(), left)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield ast.BinOp(ast.UnaryOp(ast.USub(), right), ast.Add(), left)
        case ast.Attribute(value=value, attr="T"):
            yield ast.Call(ast.Attribute(value, "t"), [], [])
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            yield ast.Compare(right, [ast.Lt()], [left])
        case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
            yield ast.Assign([ast.Name(target.id, ast.Store())], ast.BinOp(target, op, value), lineno=1)


def _harmful(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in _SWAPS:
                yield ast.BinOp(left, _SWAPS[type(op)], right)  # type: ignore[arg-type]
            yield left
            if isinstance(op, ast.MatMult | ast.Sub | ast.Div):
                yield ast.BinOp(right, op, left)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _SWAPS:
            yield ast.Compare(left, [_SWAPS[type(op)]], [right])  # type: ignore[list-item]
        case ast.Attribute(value=value, attr="T"):
            yield value
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(1 - value)
        case ast.Constant(value=float(value)):
            yield ast.Constant(value * 2)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand
        case ast.AugAssign(target=target, op=op, value=value):
            yield ast.Assign([target], value, lineno=1)
            if type(op) in _SWAPS:
                yield ast.AugAssign(target, _SWAPS[type(op)], value)  # type: ignore[arg-type]
