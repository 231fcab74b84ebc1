"""Wrong answers that lie near: what a mistake, or a glance, would say in place of the right one."""

from __future__ import annotations

import ast
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence

from autograder.insight.viva.functions import Function
from autograder.insight.viva.seen import Seen, shape_text

_BESIDE = (1, -1), (1, 2), (-1, -2)
"""how far beside a number its neighbours are: it is not always the one in the middle"""


def shapes(shape: tuple[int, ...], others: Iterable[tuple[int, ...]]) -> Iterator[str]:
    """Shapes that a mistake would give: transposed, a dimension summed away or kept, that of another tensor."""
    yield shape_text(shape[::-1])
    yield from map(shape_text, dict.fromkeys(one for one in others if one != shape))
    if len(shape) > 2:
        yield shape_text((*shape[:-2], shape[-1], shape[-2]))
    yield shape_text(shape[:-1])
    yield shape_text(shape[1:])
    yield shape_text((1, *shape[1:]))
    yield shape_text((*shape[:-1], 1))
    yield shape_text((*shape, 1))
    yield shape_text((1, *shape))
    yield shape_text((*shape[:-1], shape[-1] + 1))


def values(thing: Seen) -> Iterator[str]:
    """The same thing with other numbers: negative, turned around, one more."""
    if not thing.items:  # unknown, or empty: there is nothing to change
        return
    if thing.kind == "value":
        value = thing.items[0]
        if isinstance(value, bool):
            yield from ("True", "False", "None", "it raises an exception")
        elif isinstance(value, int | float):
            beside = _BESIDE[zlib.crc32(repr(value).encode()) % len(_BESIDE)]
            for number in (*(value + far for far in beside), -value, 2 * value, value / 2):
                yield Seen("value", (), (number,)).literal()
    elif thing.is_array:
        numbers = thing.items
        changed = [tuple(-one for one in numbers)] if not any(isinstance(one, bool) for one in numbers) else []
        changed.append(numbers[::-1])
        if changed[:-1]:
            changed += [tuple(2 * one for one in numbers), tuple(one + 1 for one in numbers)]
            changed += [tuple(max(one, type(one)(0)) for one in numbers), (*numbers[1:], numbers[0])]
        else:
            changed += [tuple(not one for one in numbers), (not numbers[0], *numbers[1:])]
        for other in changed:
            yield Seen(thing.kind, thing.shape, other).literal()
    elif all(isinstance(item, Seen) for item in thing.items):
        yield Seen(thing.kind, thing.shape, thing.items[::-1]).literal()
        for at, item in enumerate(thing.items):
            for text in itertools.islice(values(item), 2):
                texts = [one.literal() for one in thing.items]
                texts[at] = text
                inner = ", ".join(texts) if all(texts) else ""
                yield (f"[{inner}]" if thing.kind == "list" else f"({inner})") if inner and len(texts) > 1 else ""


def lines(one: ast.If, then: int, function: Function) -> Sequence[int]:
    """Lines that could be thought to come next: the other branch, the line behind it, the end of the function."""
    branch = [one.body[0].lineno, *(each.lineno for each in one.orelse[:1])]
    behind = [each.lineno for each in function.statements if each.lineno > one.lineno]
    before = [each.lineno for each in reversed(function.statements) if each.lineno < one.lineno]
    return [line for line in dict.fromkeys([*branch, *behind, *before]) if line != then]
