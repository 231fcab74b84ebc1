"""Questions that one traced call answers: shapes, lengths, results, rounds of a loop, lines that are run."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from autograder.insight.viva import near, nodes, sieve
from autograder.insight.viva.functions import Function, read_by, stored
from autograder.insight.viva.questions import About, Question
from autograder.insight.viva.seen import Seen, shape_text
from autograder.insight.viva.tracing import MOST_EVENTS, Step, TracedCall

_ROUNDS = ("first", "second", "third")
_ORDINALS = *_ROUNDS, "fourth", "fifth", "sixth", "seventh", "eighth"
_COUNTED = 12
"""rounds of a loop that people count"""
_LONG = 70
"""most characters of an answer"""
_MOST_TOLD = 10
"""names whose values a question tells"""
_TINY = 1e-6
_INNER = (ast.Lambda, ast.comprehension)
"""what runs a line several times"""


def asked(call: TracedCall, function: Function, check: str) -> Iterator[Question]:
    """All questions about one call; `check` is the source of the check that made it."""
    if call.draws:
        begin = replace(call, steps=call.steps[: call.undrawn], returned=None, draws=False)
        yield from dict.fromkeys((*_asked(begin, function, check), *_asked(call, function, check)))
    else:
        yield from _asked(call, function, check)


def _asked(call: TracedCall, function: Function, check: str) -> Iterator[Question]:
    if not function.is_plain:
        return
    told = setting(call, function, check)
    if not (function.is_ordered and call.fixed):
        return
    whole = not call.within  # a line that "is run for the first time" may be run in the inner call
    for pattern in (_shapes, _lengths, _results, _values, _rounds, _runs, _next):
        if call.draws and pattern not in (_shapes, _lengths, _runs):
            continue  # those three look themselves for what hangs on a draw
        if not (whole or pattern in (_lengths, _results)):
            continue
        for text, right, wrong, about, poor in pattern(call, function):
            if pattern in (_shapes, _lengths, _results, _values) and sieve.says(told[0], right):
                continue
            kind = pattern.__name__.strip("_").removesuffix("s") if pattern is not _runs else "runs"
            yield Question(
                kind,  # type: ignore[arg-type]
                call.cell,
                function.name,
                function.first,
                function.last,
                text,
                right,
                tuple(dict.fromkeys(one for one in wrong if one)),
                about,
                told,
                poor,
            )


Draft = tuple[str, str, Iterable[str], About, bool]
"""text, right answer, wrong answers, where the key comes from, and whether it is poor"""


def _about(call: TracedCall, line: int = 0, name: str = "", round: int = 0) -> About:
    return About(call.check, call.place, call.number, line, name, round)


def setting(call: TracedCall, function: Function, check: str) -> tuple[str, ...]:
    """Which call it is, and what the function gets; `check` is the source of the check."""
    lines = check.split("\n")
    where = lines[call.place - 1].strip() if 0 < call.place <= len(lines) else ""
    told = [f"{name} = {thing.told()}" for name, thing in _told(call, function).items()]
    return f"{_ORDINALS[call.number - 1]} call in check ‘{call.check}’, line {call.place}: {where}", *told[:_MOST_TOLD]


def _told(call: TracedCall, function: Function) -> dict[str, Seen]:
    """What the function gets and uses: the question says it, of the first ones."""
    return {name: thing for name, thing in call.given.items() if name != "self" and name in function.reads}


def unshown(call: TracedCall, function: Function) -> set[str]:
    """The names whose values the question does not tell, but for functions: a constant of the notebook, a member."""
    told = set(list(_told(call, function))[:_MOST_TOLD])
    return function.unshown(told) - function.called


def _shapes(call: TracedCall, function: Function) -> Iterator[Draft]:
    given, dark = _shapes_in(_told(call, function)), unclear(call, function)
    drawn = _from(set(function.sized_by_values), function) if call.draws else set()
    for one in function.simple:
        after = _after_first(call, one)
        for name in stored(one) if after is not None else []:
            if name in drawn:
                continue
            thing = after.names.get(name) if after is not None else None
            if thing is not None and thing.is_array and thing.shape:
                text = f"Which shape does `{name}` have right after line {one.lineno} has run for the first time?"
                others = _shapes_in(after.names) if after is not None else ()
                poor = thing.shape in given or len(thing.shape) == 1 or name in dark
                wrong = near.shapes(thing.shape, others)
                yield text, shape_text(thing.shape), wrong, _about(call, one.lineno, name), poor
    if call.returned is None or "" in drawn:
        return
    if call.returned.is_array and call.returned.shape:
        text = f"Which shape does the result of this call of `{function.name}` have?"
        poor = call.returned.shape in given or len(call.returned.shape) == 1 or "" in dark
        yield text, shape_text(call.returned.shape), near.shapes(call.returned.shape, given), _about(call), poor
    elif call.returned.kind in ("tuple", "list"):
        for at, item in enumerate(call.returned.items or ()):
            if item.is_array and item.shape:
                text = f"This call of `{function.name}` returns a {call.returned.kind}. "
                text += f"Which shape does its {_ORDINALS[at]} item have?"
                poor = item.shape in given or len(item.shape) == 1 or "" in dark
                yield text, shape_text(item.shape), near.shapes(item.shape, given), _about(call, round=at + 1), poor


def _lengths(call: TracedCall, function: Function) -> Iterator[Draft]:
    """How long the list is that a call with a loop returns."""
    loops = any(isinstance(one, ast.For | ast.While | ast.comprehension) for one in nodes.walk(function.node))
    if call.draws and not function.has_fixed_length:
        return
    if not loops or call.returned is None or call.returned.kind != "list" or call.returned.shape[0] < 3:
        return
    (length,) = call.returned.shape
    text = f"This call of `{function.name}` returns a list. How many items does it have?"
    lengths = [thing.shape[0] for thing in _told(call, function).values() if thing.kind in ("list", "tuple")]
    wrong = [str(number) for number in (length + 1, length - 1, *lengths, 2 * length, length + 2) if number != length]
    yield text, str(length), wrong, _about(call), length in lengths


def unclear(call: TracedCall, function: Function) -> set[str]:
    """The names whose values come from something that the question only names, '' for what is returned."""
    opaque = {name for name, thing in _told(call, function).items() if thing.is_opaque or thing.is_only_counted}
    return _from(opaque | unshown(call, function), function)


def _unknown(call: TracedCall, function: Function) -> set[str]:
    """The names whose values come from something that the question does not write out, '' for what is returned."""
    told = _told(call, function)
    vague = {name for name, thing in told.items() if thing.told() != thing.literal()}
    return _from(vague | function.unshown(set(list(told)[:_MOST_TOLD])), function)


def _from(names: set[str], function: Function) -> set[str]:
    """These names, and all that the function computes from them."""
    found = set(names)
    for _ in range(2):  # a loop carries names from its end to its beginning
        for one in function.statements:
            if isinstance(one, ast.For) and found & read_by(one.iter):
                found |= {node.id for node in nodes.walk(one.target) if isinstance(node, ast.Name)}
            elif not hasattr(one, "body") and found & read_by(one):
                found |= {""} if isinstance(one, ast.Return) else set(stored(one))
    return found


def _after_first(call: TracedCall, one: ast.stmt) -> Step | None:
    """The moment after a statement has run for the first time."""
    at = next((n for n, step in enumerate(call.steps) if step.line == one.lineno), None)
    return call.steps[at + 1] if at is not None and at + 1 < len(call.steps) else None


def _shapes_in(names: Mapping[str, Seen]) -> list[tuple[int, ...]]:
    return [shape for thing in names.values() for shape in thing.shapes()]


def _results(call: TracedCall, function: Function) -> Iterator[Draft]:
    right = call.returned.literal() if call.returned is not None else ""
    if call.returned is None or not _known(call, function) or not right or len(right) > _LONG or right == "None":
        return
    if _is_noise(call.returned):
        return
    others = [thing.literal() for thing in call.given.values() if thing.kind == call.returned.kind]
    wrong = itertools.chain(near.values(call.returned), others)
    text = f"What does this call of `{function.name}` return?"
    poor = len(function.steps) < 2 or bool(function.unshown(set(call.given)))
    yield text, right, (one for one in wrong if len(one) <= _LONG), _about(call), poor


def _known(call: TracedCall, function: Function) -> bool:
    """Whether all that the function gets is written out in the question."""
    told = list(_told(call, function).values())
    return len(told) <= _MOST_TOLD and all(thing.literal() and thing.told() == thing.literal() for thing in told)


def _is_noise(thing: Seen) -> bool:
    """Whether a number in it is so small that it may be rounding alone, which differs between machines."""
    items = thing.items or ()
    return any(
        _is_noise(one) if isinstance(one, Seen) else type(one) is float and 0 < abs(one) < _TINY for one in items
    )


def _values(call: TracedCall, function: Function) -> Iterator[Draft]:
    """What a name holds after its line, if that is a number, and the line does not write it out."""
    dark, told = _unknown(call, function), {thing.literal() for thing in _told(call, function).values()}
    for one in function.simple:
        after, value = _after_first(call, one), getattr(one, "value", None)
        if after is None or not isinstance(value, ast.expr) or not read_by(value):
            continue
        for name in stored(one):
            thing = after.names.get(name)
            if thing is None or thing.kind != "value" or _is_noise(thing):
                continue
            if (right := thing.literal()) and right != "None" and len(right) <= _LONG:
                text = f"What does `{name}` hold right after line {one.lineno} has run for the first time?"
                poor = name in dark or right in told
                yield text, right, near.values(thing), _about(call, one.lineno, name), poor


def _rounds(call: TracedCall, function: Function) -> Iterator[Draft]:
    dark = _unknown(call, function)
    for loop in function.statements:
        if not isinstance(loop, ast.For | ast.While) or not _headed(loop):
            continue
        ends = _ends_of_rounds(call, loop)
        again = ", run for the first time," if _is_within_another(loop, function) else ""
        names = dict.fromkeys(name for one in _within(loop, function) for name in stored(one))
        for name in names:
            held = [step.names.get(name) for step in ends]
            for round in range(1, min(len(ends), len(_ROUNDS) + 1)):
                thing = held[round]
                if thing is None:
                    continue
                when = f"when line {loop.lineno}’s loop{again} has finished its {_ROUNDS[round - 1]} round"
                others = [one for one in held if one is not None]
                about = _about(call, loop.lineno, name, round)
                if (right := thing.literal()) and len(right) <= _LONG and name not in dark and not _is_noise(thing):
                    wrong = [*(one.literal() for one in others), *near.values(thing)]
                    text = f"What does `{name}` hold {when}?"
                    unsure = bool(function.unshown(set(call.given))) or not _known(call, function)
                    yield text, right, (one for one in wrong if len(one) <= _LONG), about, unsure
                elif thing.is_array and thing.shape and len({one.shape for one in others}) > 1:
                    shapes = near.shapes(thing.shape, [one.shape for one in others if one.is_array])
                    poor = name in unclear(call, function)
                    yield f"Which shape does `{name}` have {when}?", shape_text(thing.shape), shapes, about, poor


def _headed(one: ast.For | ast.While | ast.If) -> bool:
    """Whether its head has a line to itself."""
    head = one.iter if isinstance(one, ast.For) else one.test
    return head.end_lineno == one.lineno and one.body[0].lineno > one.lineno


def _within(loop: ast.For | ast.While, function: Function) -> list[ast.stmt]:
    first, last = loop.body[0].lineno, loop.body[-1].end_lineno or 0
    return [one for one in function.statements if first <= one.lineno <= last]


def _is_within_another(loop: ast.For | ast.While, function: Function) -> bool:
    others = (one for one in function.statements if isinstance(one, ast.For | ast.While) and one is not loop)
    return any(loop in _within(one, function) for one in others)


def _ends_of_rounds(call: TracedCall, loop: ast.For | ast.While) -> list[Step]:
    """The moments at which the loop, when it runs for the first time, is at its head: before and after each round."""
    found, last = [], loop.body[-1].end_lineno or loop.lineno
    for step in call.steps:
        if step.line == loop.lineno:
            found.append(step)
        elif found and not loop.lineno <= step.line <= last:
            break
    return found


def _runs(call: TracedCall, function: Function) -> Iterator[Draft]:
    if call.returned is None or len(call.steps) >= MOST_EVENTS or function.is_recursive:
        return
    told = {thing.literal() for thing in _told(call, function).values()}
    for outer in function.statements:
        if not isinstance(outer, ast.For | ast.While) or not _headed(outer):
            continue
        if call.draws and not function.has_fixed_rounds(outer):
            continue
        for one in outer.body:
            if one not in function.simple or any(isinstance(part, _INNER) for part in nodes.walk(one)):
                continue
            times = sum(step.line == one.lineno for step in call.steps)
            wrong = [times + 1, times - 1, 2 * times, times + 2, 0]
            text = f"How many times is line {one.lineno} run in this call?"
            poor = not 2 <= times <= _COUNTED or str(times) in told or function.passes_self
            if isinstance(outer, ast.While):
                poor = poor or bool(_unknown(call, function) & read_by(outer.test))
            else:
                counted = {name for name, thing in _told(call, function).items() if thing.is_only_counted}
                poor = poor or bool(unclear(call, function) & read_by(outer.iter) - counted)
            yield text, str(times), (str(number) for number in wrong if number >= 0), _about(call, one.lineno), poor
            break


def _next(call: TracedCall, function: Function) -> Iterator[Draft]:
    if any(isinstance(one, ast.With | ast.Try) for one in function.statements):
        return  # Python comes back to the line of a `with` when it is left
    for one in function.statements:
        if not isinstance(one, ast.If) or not _headed(one):
            continue
        at = next((n for n, step in enumerate(call.steps) if step.line == one.lineno), None)
        if at is None or at + 1 >= len(call.steps) or not (then := call.steps[at + 1].line):
            continue
        plain = {each.lineno for each in function.steps if each in function.simple or _begins(each)}
        if then not in plain:
            continue  # of a statement with several lines, Python may run an inner one first
        lines, poor = near.lines(one, then, function), bool(_unknown(call, function) & read_by(one.test))
        text = f"Line {one.lineno} is reached for the first time. Which line is run next?"
        yield text, f"line {then}", (f"line {line}" for line in lines), _about(call, one.lineno), poor


def _begins(one: ast.stmt) -> bool:
    """Whether a loop or a branch has its head in one line."""
    return isinstance(one, ast.For | ast.While | ast.If) and _headed(one)
