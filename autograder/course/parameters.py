"""Parameters: numbers of an exercise that may differ from student to student, and the lines that hold them.

homework.toml declares them. In a master, its mistakes and its alternatives, a line that holds one has a mark above it:
`# parameter: scale` in code and in TOML, `<!-- parameter: scale -->` in Markdown. Then every number in the line below
that is the standard value of `scale` stands for it. For a number that depends on parameters, the mark says how:
`# parameter: 45.0 = 10 + 7 * scale`. A semicolon separates several of these. No notebook contains a mark.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

Number = int | float
Values = tuple[tuple[str, Number], ...]
"""the parameters of one student that are not standard: name and value, by name"""
MOST = 1e15
"""the largest value: up to here, what hw1.parameters.csv says is read back exactly"""

_MARKER = re.compile(r"[ \t]*(?:#[ \t]*parameter:(.*)|<!--[ \t]*parameter:(.*)-->)[ \t]*")
_MEANT = re.compile(r"[ \t]*(?:#|<!--)[ \t]*parameters?\b[ \t]*:?(.*)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)(?!\.\d)")
_OPERATIONS: Mapping[type[ast.operator | ast.unaryop], Callable[..., Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that an exercise gives, as homework.toml declares it."""

    notebook: str
    name: str
    """unique in the homework"""
    standard: Number
    """what the master says, and what everybody gets without a value of their own"""
    values: tuple[Number, ...]
    """what a student may get; the standard value may be among them"""


class Wrong(Exception):
    """A marker that cannot be used. The message says why."""


def errors(declared: Sequence[Parameter], notebooks: Iterable[str]) -> Iterator[str]:
    """What is wrong with the parameters that a homework declares."""
    known = list(notebooks)
    names = [one.name.casefold() for one in declared]
    for one in declared:
        if one.notebook not in known:
            yield f"parameter {one.name!r}: there is no notebook {one.notebook!r}; the file lists {', '.join(known)}"
        if not one.name.isidentifier():
            yield f"parameter {one.name!r}: write the name with letters, digits and _, as in Python"
        if names.count(one.name.casefold()) > 1:
            yield f"parameter {one.name!r}: names are unique in a homework, whatever letters are capital"
        if not one.values or len(set(one.values)) < len(one.values):
            yield f"parameter {one.name!r}: list the values that students may get, each once"
        if any(value < 0 for value in (one.standard, *one.values)):
            yield f"parameter {one.name!r}: no value may be below 0: write the minus sign into the text"
        if any(not value <= MOST for value in (one.standard, *one.values)):
            yield f"parameter {one.name!r}: each value has to be a number up to {MOST:g}: write a smaller one"


def used(text: str) -> frozenset[str]:
    """The names of parameters that a text's markers use."""
    names: set[str] = set()
    for line in text.split("\n"):
        for _, formula in _parts(line):
            names |= {node.id for node in ast.walk(formula) if isinstance(node, ast.Name)}
    return frozenset(names)


def marks(text: str) -> bool:
    """Whether a text has lines that mark parameters."""
    return "parameter:" in text and any(map(_MARKER.fullmatch, text.split("\n")))


def wrong_lines(text: str, standard: Mapping[str, Number]) -> Iterator[tuple[int, str]]:
    """Number, counted from 0, and error of each line of a text that marks no parameter as it should."""
    lines = text.split("\n") if "arameter" in text else []
    for number, line in enumerate(lines):
        if not _MARKER.fullmatch(line):
            meant = _MEANT.fullmatch(line)
            if meant and set(re.findall(r"\w+", meant[1])) & standard.keys():
                yield number, "this looks like the mark of a parameter: write `# parameter: NAME`, or reword the line"
            continue
        below = next((one for one in lines[number + 1 :] if not _MARKER.fullmatch(one)), "")
        try:
            _check(line, below, standard)
        except Wrong as why:
            yield number, str(why)


def rendered(text: str, standard: Mapping[str, Number], values: Mapping[str, Number]) -> str:
    """The text with these values of its parameters, without the lines that mark them.

    Raises Wrong where `wrong_lines` finds something.
    """
    if not marks(text):
        return text
    lines: list[str] = []
    numbers: dict[str, ast.expr] = {}
    for line in text.split("\n"):
        if _MARKER.fullmatch(line):
            numbers |= _formulas(line, standard)
        else:
            lines.append(_with(line, numbers, standard, values) if numbers else line)
            numbers = {}
    return "\n".join(lines)


def _check(line: str, below: str, standard: Mapping[str, Number]) -> None:
    """Raise Wrong if a marker does not fit the line below it."""
    there = _NUMBER.findall(below)
    for text, formula in _formulas(line, standard).items():
        now = _computed(formula, standard)
        wanted = _matching(text, there)
        if not wanted:
            raise Wrong(
                f"there is no number {text.lstrip('=')} in the line below, which this line marks as a parameter"
            )
        for found in wanted:
            if _written(now, found) != found:
                said = ast.unparse(formula)
                raise Wrong(f"{found} is not {said}, which is {_written(now, found)} by the standard values")


def _with(
    line: str, numbers: Mapping[str, ast.expr], standard: Mapping[str, Number], values: Mapping[str, Number]
) -> str:
    """A line of the master with other values of the parameters."""

    def written(found: re.Match[str]) -> str:
        for text, formula in numbers.items():
            if _matching(text, [found[0]]):
                return _written(_computed(formula, {**standard, **values}), found[0])
        return found[0]

    return _NUMBER.sub(written, line)


def _matching(text: str, there: Sequence[str]) -> list[str]:
    """Which of the numbers in a line a marker's text means: exactly this one, or all that equal `=5`."""
    if text.startswith("="):
        return [found for found in there if float(found) == float(text[1:])]
    return [found for found in there if found == text]


def _formulas(line: str, standard: Mapping[str, Number]) -> dict[str, ast.expr]:
    """For each text in the line below a marker its formula; for a parameter's own value, the text is `=value`."""
    found: dict[str, ast.expr] = {}
    for text, formula in _parts(line):
        names = {node.id for node in ast.walk(formula) if isinstance(node, ast.Name)}
        if unknown := sorted(names - standard.keys()):
            known = f"it declares {', '.join(standard)}" if standard else "it declares none for this notebook"
            raise Wrong(f"homework.toml declares no parameter {', '.join(unknown)}; {known}")
        if not text and not isinstance(formula, ast.Name):
            raise Wrong(
                f"write the number that {ast.unparse(formula)} is in the line below: 45.0 = {ast.unparse(formula)}"
            )
        if text and not _NUMBER.fullmatch(text):
            raise Wrong(
                f"{text!r} is no number: write 45.0 = 10 + 7 * scale, with a number that stands in the line below"
            )
        _computed(formula, standard)
        key = text or f"={standard[ast.unparse(formula)]}"
        if key in found:
            raise Wrong(
                f"{key.lstrip('=')} is marked twice: two numbers that are written alike need lines of their own"
            )
        found[key] = formula
    if not found:
        raise Wrong("name a parameter: `# parameter: NAME`")
    return found


def _parts(line: str) -> Iterator[tuple[str, ast.expr]]:
    """The parts of a marker: the text of a number, or '' for the parameter's own value, and the formula."""
    marker = _MARKER.fullmatch(line)
    for part in (marker[1] or marker[2] or "").split(";") if marker else ():
        text, _, formula = part.rpartition("=")
        try:
            yield text.strip(), ast.parse(formula.strip(), mode="eval").body
        except SyntaxError:
            raise Wrong(f"{part.strip()!r} is no formula of parameters") from None


def _computed(formula: ast.expr, values: Mapping[str, Number]) -> Number:
    """The value of a formula: numbers, parameters and + - * / // % **. Raises Wrong."""
    match formula:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=op, operand=inner) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_computed(inner, values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            try:
                return _OPERATIONS[type(op)](_computed(left, values), _computed(right, values))
            except (ArithmeticError, TypeError) as error:
                raise Wrong(f"{ast.unparse(formula)} cannot be computed: {error}") from None
    raise Wrong(f"{ast.unparse(formula)!r} is no formula of parameters: use numbers, parameters and + - * / // % **")


def _written(value: Number, like: str) -> str:
    """A number as text, with as many decimals as `like` has, or more if it needs them."""
    if "e" in like.lower():
        return like if float(like) == value else f"{value:.12g}"
    short = f"{value:.{len(like.partition('.')[2])}f}"
    return short if abs(float(short) - value) < 1e-12 * max(1.0, abs(value)) else f"{value:.12g}"
