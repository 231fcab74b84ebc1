"""Questions about edits: what happens if a line is left out, and which other way of writing a line is right."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias

from autograder.insight.viva import nodes, patterns
from autograder.insight.viva.exercises import Exercise
from autograder.insight.viva.functions import Function, parsed_cell, read_by, statements_in, stored, written
from autograder.insight.viva.questions import LEAST_WRONG, MOST_WRONG, About, Question
from autograder.insight.viva.seen import Seen
from autograder.insight.viva.tracing import MOST_WORK, Edit, End, TracedCall

Again: TypeAlias = Callable[[TracedCall, Edit], TracedCall | None]
"""the same call after an edit; None if it is not made"""
Ends: TypeAlias = Callable[[str, Edit], End | None]
"""how a check ends after an edit; None if nobody can say"""
Passes: TypeAlias = Callable[[Edit], bool | None]
"""whether the checks of the cell pass after an edit; None if that is not sure"""
_MOST_EDITED, _MOST_WRONG_EDITS = 2, 6
"""lines of one exercise for which another is sought, and mistakes tried in each"""
_SAME, _OTHER = "it returns the same as before", "it returns other numbers, in the same shape"
_RESHAPED, _ELSE = "it returns something of another shape", "it returns something else, and not None"
_NONE, _RAISES = "it returns None", "it raises an exception"
_MOST_READ, _LONGEST = 12, 110
"""statements of one cell for which another way to write them is sought, and characters of it"""
_LONGEST_PLACE, _NOWHERE = 60, "nowhere: it passes"
"""characters of a place that are shown"""
_NOTHING = Seen("value", (), (None,))
_FAR = 1e-3
"""relative difference from which on numbers are others"""
_SWAPS: dict[type[ast.operator] | type[ast.cmpop], ast.operator | ast.cmpop] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(), ast.MatMult: ast.Mult(),
    ast.Gt: ast.Lt(), ast.Lt: ast.Gt(), ast.GtE: ast.Lt(), ast.LtE: ast.Gt(), ast.Eq: ast.NotEq(),
}  # fmt: skip


def removed(
    calls: Sequence[tuple[TracedCall, Function]], exercise: Exercise, again: Again, rng: random.Random, most: int
) -> Iterator[Question]:
    """How a call ends if a line of its function does nothing: at most `most` questions about these calls."""
    todo, found = _removable_lines(calls, exercise), 0
    for call, function, one in rng.sample(todo, min(len(todo), 2 * most)):
        if found == most:
            return
        edit = Edit(call.cell, with_line(exercise.cells[call.cell], one.lineno, "pass"))
        choices, right = _choices(call), ending(call, again(call, edit))
        if right in choices and (right != _SAME or _is_needless(one, call, function)):
            found += 1
            text = f"Line {one.lineno} is replaced by `pass`. How does this call of `{function.name}` end?"
            about = About(call.check, call.place, call.number, one.lineno)
            told = patterns.setting(call, function, exercise.sources[call.check])
            wrong = tuple(other for other in choices if other != right)
            place = call.cell, function.name, function.first, function.last
            poor = bool(patterns.unshown(call, function) & read_by(one))
            yield Question("removed", *place, text, right, wrong, about, told, poor)


def failing(
    calls: Sequence[tuple[TracedCall, Function]], exercise: Exercise, ends: Ends, rng: random.Random, most: int
) -> Iterator[Question]:
    """At which line a visible check fails first if a line of a function does nothing: at most `most` questions."""
    found = 0
    short = [(call, function) for call, function in calls if call.work <= MOST_WORK]
    todo = _removable_lines(short, exercise)
    for call, function, one in rng.sample(todo, min(len(todo), 2 * most)):
        source = exercise.sources[call.check]
        places = [*places_of(source).values(), _NOWHERE]
        edit = Edit(call.cell, with_line(exercise.cells[call.cell], one.lineno, "pass"))
        if len(places) <= LEAST_WRONG or (right := failure(source, ends(call.check, edit))) not in places:
            continue
        others = [place for place in places if place != right]
        text = f"Line {one.lineno} is replaced by `pass`. Where does check ‘{call.check}’ fail first?"
        about = About(call.check, line=one.lineno)
        wrong = tuple(rng.sample(others, min(len(others), MOST_WRONG)))
        cell = call.cell, function.name, function.first, function.last
        yield Question("fails", *cell, text, right, wrong, about, poor=has_loop(source))
        found += 1
        if found == most:
            return


def has_loop(source: str) -> bool:
    """Whether rounds, which nobody sees on the sheet, decide which line of a check runs before which."""
    tree = parsed_cell(source)
    return tree is not None and any(isinstance(one, ast.For | ast.While) for one in nodes.walk(tree))


def failure(source: str, end: End | None) -> str:
    """Where a check with this source failed, in words; '' if nobody can say."""
    if end is None or end.how == "enough":
        return ""
    if end.how == "passed":
        return _NOWHERE
    return next((text for (first, last), text in places_of(source).items() if first <= end.line <= last), "")


def places_of(source: str) -> dict[tuple[int, int], str]:
    """The simple statements of a check that call or assert something: their lines, and what is said of them.

    Those of functions within its function are left out, and the call of that function: several lines would fail there.
    """
    tree, lines = parsed_cell(source), source.split("\n")
    body = tree.body if tree is not None else []
    own = [one for one in body if isinstance(one, ast.FunctionDef)]
    calls = {f"{one.name}()" for one in own}
    found: dict[tuple[int, int], str] = {}
    for one in chain(statements_in(body), *(statements_in(each.body) for each in own)):
        if not isinstance(one, ast.Assert | ast.Expr | ast.Assign) or ast.unparse(one) in calls:
            continue
        if isinstance(one, ast.Assert) or any(map(_is_call, nodes.walk(one))):
            text = lines[one.lineno - 1].strip()
            shown = text if len(text) <= _LONGEST_PLACE else f"{text[:_LONGEST_PLACE]}…"
            found[one.lineno, one.end_lineno or one.lineno] = f"line {one.lineno}: {shown}"
    return found


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def _removable_lines(
    calls: Sequence[tuple[TracedCall, Function]], exercise: Exercise
) -> list[tuple[TracedCall, Function, ast.stmt]]:
    """The lines that can be taken out of a call, if it is sure that an edit reaches them."""
    return [
        (call, function, one)
        for call, function in calls
        if call.number == 1 and call.returned not in (None, _NOTHING)  # before later ones, others have changed, too
        if function.is_plain and not call.draws and call.cell not in exercise.held
        for one in function.simple
        if _removable(one, function) and any(step.line == one.lineno for step in call.steps)
    ]


def _removable(one: ast.stmt, function: Function) -> bool:
    """Whether the function can go on without it: it sets nothing, or something that was there before."""
    if isinstance(one, ast.AugAssign | ast.Expr):
        return not _prints(one)
    if not isinstance(one, ast.Assign):
        return False
    before = {name for other in function.statements if other.lineno < one.lineno for name in stored(other)}
    before |= {each.arg for each in function.node.args.args}
    return all(name in before for name in stored(one))


def _prints(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) and written(one.value.func) == "print"


def _is_needless(one: ast.stmt, call: TracedCall, function: Function) -> bool:
    """Whether the sheet shows it: what is set is not read, and of all that is used more is told than the class."""
    used = any(set(stored(one)) & read_by(other) for other in function.statements if other is not one)
    return not used and not patterns.unclear(call, function) & read_by(one)


def _choices(call: TracedCall) -> tuple[str, ...]:
    if call.returned is not None and _of_arrays(call.returned):
        return _SAME, _OTHER, _RESHAPED, _NONE, _RAISES
    return _SAME, _ELSE, _NONE, _RAISES


def _of_arrays(thing: Seen) -> bool:
    inner = thing.items if thing.kind in ("list", "tuple") else None
    return thing.is_array or (bool(inner) and all(map(_of_arrays, inner or ())))


def ending(plain: TracedCall, edited: TracedCall | None) -> str:
    """How the same call ends after an edit, in words; '' if that is not sure."""
    if edited is None or repr(edited.given) != repr(plain.given) or plain.returned is None or edited.draws:
        return ""
    if not edited.before or any(plain.before.get(name) != value for name, value in edited.before.items()):
        return ""  # something else than the line is another thing, or may be: what the check draws, what was kept
    if edited.raised:
        return _RAISES
    if edited.returned is None:
        return ""
    if edited.returned == _NOTHING:
        return _NONE
    if _form(plain.returned) != _form(edited.returned):
        if not _of_arrays(plain.returned) or not _of_arrays(edited.returned):
            return _ELSE
        return _RESHAPED if plain.returned.shapes() != edited.returned.shapes() else ""
    if not plain.sums or len(plain.sums) != len(edited.sums):
        return ""
    if plain.sums == edited.sums:
        return _SAME if plain.digest and plain.digest == edited.digest else ""
    far = any(abs(one - other) > _FAR * max(abs(one), 1) for one, other in zip(plain.sums, edited.sums, strict=True))
    return (_OTHER if _of_arrays(plain.returned) else _ELSE) if far else ""


def _form(thing: Seen) -> tuple[object, ...]:
    inner = tuple(map(_form, thing.items or ())) if thing.kind in ("list", "tuple") else ()
    return thing.kind, thing.shape, inner


def with_line(source: str, line: int, text: str) -> str:
    """The cell with another statement in a line."""
    lines = source.split("\n")
    old = lines[line - 1]
    lines[line - 1] = old[: len(old) - len(old.lstrip())] + text
    return "\n".join(lines)


def unnoticed(
    cell: str, source: str, functions: Sequence[Function], passes: Passes, rng: random.Random
) -> Iterator[Question]:
    """Which of some edits of a line changes nothing that the visible checks see: one question, if there is any."""
    todo = [(function, one) for function in functions for one in function.simple]
    tries = _MOST_EDITED
    for function, one in rng.sample(todo, min(len(todo), _MOST_READ)):
        alike, others, bad = _alike(one), _different(one), list[str]()
        if not alike or len(others) < LEAST_WRONG or not tries:
            continue
        tries, good = tries - 1, rng.choice(alike)
        passed = passes(Edit(cell, with_line(source, one.lineno, good)))
        if passed is None:  # the checks are too long, whatever stands in the line
            return
        if not passed:
            continue
        for text in rng.sample(others, min(len(others), _MOST_WRONG_EDITS)):
            if len(bad) < LEAST_WRONG and passes(Edit(cell, with_line(source, one.lineno, text))) is False:
                bad.append(text)
        if len(bad) == LEAST_WRONG:
            text = f"Line {one.lineno} is replaced. With which of these do the visible checks still pass?"
            about = About(line=one.lineno)
            yield Question("edit", cell, function.name, function.first, function.last, text, good, tuple(bad), about)
            return


def _alike(one: ast.stmt) -> list[str]:
    """The statement written otherwise, with the same meaning for numbers and tensors."""
    return _rewritten(one, _harmless)


def _different(one: ast.stmt) -> list[str]:
    """The statement with one mistake."""
    return _rewritten(one, _harmful)


def _rewritten(one: ast.stmt, change: Callable[[ast.AST], Iterator[ast.AST]]) -> list[str]:
    """The statement once for each change that a node of it allows."""
    before, found = ast.unparse(one), list[str]()
    for node, put in list(_places(one)):
        for new in change(node):
            try:
                text = ast.unparse(put(new))
            finally:
                put(node)
            if text != before and "\n" not in text and len(text) <= _LONGEST:
                found.append(text)
    return list(dict.fromkeys(found))


def _places(one: ast.stmt) -> Iterator[tuple[ast.AST, Callable[[ast.AST], ast.AST]]]:
    """Each node of a statement, and a function that puts another in its place and returns the statement."""

    def as_field(parent: ast.AST, name: str, new: ast.AST) -> ast.AST:
        setattr(parent, name, new)
        return one

    def as_item(items: list[ast.AST], at: int, new: ast.AST) -> ast.AST:
        items[at] = new
        return one

    yield one, lambda new: new
    for parent in ast.walk(one):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                yield value, partial(as_field, parent, name)
            elif isinstance(value, list):
                inner = [(at, item) for at, item in enumerate(value) if isinstance(item, ast.AST)]
                yield from ((item, partial(as_item, value, at)) for at, item in inner)


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
