"""What a student added to a given cell: kept as a cell of the student's own, since the given text is restored."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher

from autograder.course.names import statements
from autograder.course.scopes import opened
from autograder.submission.markless import bare
from autograder.submission.match import ALIKE, likeness, normal


@dataclass(frozen=True)
class Added:
    """The difference between a given cell and what was submitted in its place."""

    source: str
    """the student's additions, with the given lines that they need; '' if there are none"""
    changed: bool
    """whether there are other differences, which are not kept"""


def added_code(submitted: str, given: str) -> Added:
    """What was added to a given code cell: imports, definitions, settings.

    Changed lines of the given text are not kept, nor is what only prints or checks.
    """
    if (body := opened(given)) != given:  # the build has put it into a function
        submitted, given = opened(submitted), body
    theirs = [(plain, defined) for text, defined in statements(given) if (plain := bare(text))]
    texts = {text for text, _ in theirs}
    mine = statements(submitted)
    here = {bare(text) for text, _ in mine}
    gone = [(text, defined) for text, defined in theirs if text not in here]
    bound = {name for _, names in theirs for name in names} | _imported(given)
    keep: set[int] = set()
    changed = bool(gone)
    for at, (text, defined) in enumerate(mine):
        plain = bare(text)
        if not plain or plain in texts:
            continue
        fresh = (defined | _imported(text)) - bound
        edited = not fresh and any(likeness(plain, other) >= ALIKE or defined & names for other, names in gone)
        if edited or not _lasts(text):
            changed = True
        else:
            keep.add(at)
    needed = {name for at in keep for name in _used(mine[at][0])}
    for at in range(len(mine) - 1, -1, -1):
        text, defined = mine[at]
        if keep and at < max(keep) and at not in keep and (defined | _imported(text)) & needed:
            keep.add(at)
            needed |= _used(text)
    lines = frozenset(given.split("\n"))
    return Added("\n".join(_without_comments_of(lines, mine[at][0]) for at in sorted(keep)), changed)


def added_text(submitted: str, given: str) -> Added:
    """What was added to a given text: the lines that are new in it."""
    old, new = normal(given).split("\n"), normal(submitted).split("\n")
    lines, changed = [], False
    for kind, _, _, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("insert", "replace"):
            lines += new[start:end]
        changed = changed or kind in ("delete", "replace")
    return Added("\n".join(lines).strip(), changed)


def _tree(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _without_comments_of(given: Collection[str], statement: str) -> str:
    """A statement without the given comments above it."""
    lines = statement.strip("\n").split("\n")
    while len(lines) > 1 and (not lines[0].strip() or (lines[0].startswith("#") and lines[0] in given)):
        lines.pop(0)
    return "\n".join(lines)


def _lasts(text: str) -> bool:
    """Whether a statement can matter to later cells."""
    tree = _tree(text)
    if not tree.body:
        return True  # not Python, or a magic: kept as it is
    for node in tree.body:
        call = node.value if isinstance(node, ast.Expr) else None
        if not (isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and not _setting(call))):
            return True
    return False


def _setting(call: ast.expr | None) -> bool:
    """Whether an expression calls a function of a module, such as torch.manual_seed."""
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)


def _used(text: str) -> set[str]:
    return {node.id for node in ast.walk(_tree(text)) if isinstance(node, ast.Name)}


def _imported(text: str) -> set[str]:
    """What it imports for the notebook: what a function imports is the function's own."""
    found: set[str] = set()
    waiting: list[ast.AST] = [_tree(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return found
