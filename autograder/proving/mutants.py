"""Mutants: edits of a solution by machine, as a student might slip: another sign, axis, bound, or a line left out.

Each operator below changes the text of one node of the syntax tree and leaves everything else as it is. Libraries for
mutation testing (cosmic-ray, mutmut) were looked at: they run a test command for each mutant on files, and have no
operators for tensors (axes, reductions, transposes, detach, clone, keepdim).
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from autograder.course.markers import edge_of
from autograder.course.master import Cell, syntax_error

_BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<", ">=")),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">", "<=")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
_PAIRS = (
    *(("sum", "mean"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("any", "all"), ("maximum", "minimum")),
    *(("sin", "cos"), ("floor", "ceil"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("train", "eval")),
    *(("tril", "triu"), ("exp", "expm1"), ("log", "log1p"), ("cumsum", "cumprod"), ("softmax", "log_softmax")),
    *(("rand", "randn"), ("rand_like", "randn_like"), ("append", "extend"), ("relu", "gelu"), ("ReLU", "GELU")),
)
_OTHER_NAME = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_LONGEST_WORD = 24
"""characters of the longest string that is taken for an answer and not for a message"""


@dataclass(frozen=True)
class Mutant:
    """One solution cell with one edit."""

    cell: str
    """the grade_id of the solution cell"""
    source: str
    """the source of the cell with the edit"""
    line: str
    """the lines that the edit changes, stripped"""
    instead: str
    """the same lines after the edit, stripped"""
    diff: str

    @property
    def name(self) -> str:
        return f"{self.line}  ->  {self.instead}"


@dataclass(frozen=True)
class _Edit:
    """A piece of text, from one place (line, column in bytes) to another, and what replaces it."""

    begin: tuple[int, int]
    end: tuple[int, int]
    text: str


def mutants(cell: Cell) -> list[Mutant]:
    """All mutants of a solution cell: edits inside its solution regions and of its functions' defaults."""
    tree, lines = ast.parse(cell.source), cell.source.split("\n")
    inside = _inside(lines)
    found: dict[str, Mutant] = {}
    for edit in _edits(tree, _Text(cell.source), inside):
        source = _applied(lines, edit)
        if source == cell.source or syntax_error(source) or ast.dump(ast.parse(source)) == ast.dump(tree):
            continue
        found.setdefault(source, _mutant(cell, source))
    return list(found.values())


def _mutant(cell: Cell, source: str) -> Mutant:
    before, after = cell.source.split("\n"), source.split("\n")
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    tail = 0
    while tail < min(len(before), len(after)) - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1

    def part(lines: list[str]) -> str:
        return "\n".join(_without_comment(line) for line in lines[same : len(lines) - tail])

    diff = "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=2))[2:])
    return Mutant(cell.grade_id, source, part(before), part(after), diff)


def _without_comment(line: str) -> str:
    return line.partition("  # ")[0].strip()


def _inside(lines: list[str]) -> set[int]:
    """The numbers of the lines between BEGIN SOLUTION and END SOLUTION."""
    found, open_ = set(), False
    for number, line in enumerate(lines, 1):
        if edge := edge_of(line):
            open_ = edge[0] == "BEGIN"
        elif open_:
            found.add(number)
    return found


def _edits(tree: ast.Module, text: _Text, inside: set[int]) -> Iterator[_Edit]:
    skipped = {id(inner) for node in ast.walk(tree) for inner in _not_edited(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for default in (*node.args.defaults, *(value for value in node.args.kw_defaults if value)):
                yield from _of(default, text)
        if id(node) not in skipped and getattr(node, "lineno", 0) in inside:
            yield from _of(node, text)


def _not_edited(node: ast.AST) -> Iterator[ast.AST]:
    """What says something to people: docstrings, messages of exceptions, annotations."""
    match node:
        case ast.Raise() | ast.JoinedStr():
            yield from ast.walk(node)
        case ast.Expr(value=ast.Constant(value=str())):
            yield from ast.walk(node)
        case ast.arg(annotation=ast.expr() as annotation):
            yield from ast.walk(annotation)
        case ast.AnnAssign(annotation=annotation):
            yield from ast.walk(annotation)
        case ast.Assert(msg=ast.expr() as message):
            yield from ast.walk(message)


class _Text:
    """The text of a cell, and edits of what stands at a node of its syntax tree."""

    def __init__(self, source: str) -> None:
        self._source, self._lines = source, source.split("\n")

    def __call__(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._source, node) or ""

    def instead(self, part: ast.expr | ast.stmt, new: str) -> _Edit:
        return _Edit((part.lineno, part.col_offset), _end(part), new)

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[_Edit]:
        """Replace an operator that stands between two expressions."""
        begin, end = _end(left), (right.lineno, right.col_offset)
        gap = _cut(self._lines, begin, end)
        if old in gap:
            yield _Edit(begin, end, gap.replace(old, new, 1))


def _end(part: ast.expr | ast.stmt) -> tuple[int, int]:
    return part.end_lineno or 0, part.end_col_offset or 0


def _of(node: ast.AST, text: _Text) -> Iterator[_Edit]:
    """The edits that the operators make at one node."""

    def instead(new: str, part: ast.expr | ast.stmt | None = None) -> _Edit:
        place = part or node
        assert isinstance(place, ast.expr | ast.stmt)
        return text.instead(place, new)

    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            yield instead(f"({text(right)}) @ ({text(left)})")
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            yield from text.between(left, right, *_BINARY[type(operator)])
        case ast.Compare(left=left, ops=[operator, *_], comparators=[right, *_]):
            old, others = _COMPARISONS[type(operator)]
            for other in others:
                yield from text.between(left, right, old, other)
        case ast.BoolOp(op=joined, values=[left, right, *_]):
            old, new = ("and", "or") if isinstance(joined, ast.And) else ("or", "and")
            yield from text.between(left, right, old, new)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield instead(f"({text(operand)})")
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield instead(f"({text(orelse)} if {text(test)} else {text(body)})")
        case ast.Constant(value=bool(value)):
            yield instead(str(not value))
        case ast.Constant(value=int(number)):
            yield instead(str(number + 1))
            if number:
                yield instead(str(number - 1))
        case ast.Constant(value=float(number)):
            yield instead(repr(2 * number) if number else "1.0")
        case ast.Constant(value=str(word)) if 0 < len(word) <= _LONGEST_WORD:
            yield instead(repr(word + "x"))
        case ast.Call():
            yield from _of_call(node, text)
        case ast.Attribute(value=value, attr="T" | "mT"):
            yield instead(text(value))
        case ast.Slice(lower=lower, upper=upper, step=step):
            for left_out in (part for part in (lower, upper, step) if part is not None):
                if not (isinstance(left_out, ast.Constant) and left_out.value in (0, None)):
                    yield instead("", left_out)
        case ast.comprehension(ifs=[condition, *_]):
            yield instead("True", condition)
        case ast.If(test=test) | ast.While(test=test):
            yield instead(f"not ({text(test)})", test)
            yield instead("True", test)
            yield instead("False", test)
        case ast.For(iter=walked):
            yield instead(f"list({text(walked)})[1:]", walked)
            yield instead(f"list({text(walked)})[:-1]", walked)
        case ast.With():
            yield _without_with(node)
        case ast.AugAssign(target=target, op=operator, value=value):
            yield instead(f"{text(target)} = {text(value)}")
            if type(operator) in _BINARY:
                sign, other_sign = _BINARY[type(operator)]
                yield from text.between(target, value, f"{sign}=", f"{other_sign}=")
            yield instead("pass")
        case ast.Return(value=ast.expr() as value):
            yield instead("return None")
            if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                first, second = map(text, value.elts)
                yield instead(f"return {second}, {first}")
        case ast.Expr() | ast.Assign() | ast.Assert() | ast.Raise() | ast.Break() | ast.Continue():
            yield instead("pass")
    if isinstance(node, ast.Attribute | ast.Name) and isinstance(getattr(node, "ctx", None), ast.Load):
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if name in _OTHER_NAME:
            yield instead(text(node).removesuffix(name) + _OTHER_NAME[name])


def _of_call(node: ast.Call, text: _Text) -> Iterator[_Edit]:
    function, positional, named = node.func, node.args, node.keywords
    for left_out in named:
        others = (text(other) for other in (*positional, *named) if other is not left_out)
        yield text.instead(node, f"{text(function)}({', '.join(others)})")
    if len(positional) >= 2 and not any(isinstance(part, ast.Starred) for part in positional):
        first, second, *rest = map(text, positional)
        yield text.instead(node, f"{text(function)}({', '.join([second, first, *rest, *map(text, named)])})")
    if isinstance(function, ast.Attribute):
        yield text.instead(node, text(function.value))  # x.detach() -> x, x.transpose(1, 2) -> x, x.sum(-1) -> x
    if len(positional) == 1 and not isinstance(positional[0], ast.Starred):
        yield text.instead(node, f"({text(positional[0])})")  # exp(x) -> x


def _without_with(node: ast.With) -> _Edit:
    """`with torch.no_grad():` becomes `if True:`."""
    last = node.items[-1].optional_vars or node.items[-1].context_expr
    return _Edit((node.lineno, node.col_offset), _end(last), "if True")


def _cut(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    rows = [line.encode() for line in lines[begin[0] - 1 : end[0]]]
    rows[-1] = rows[-1][: end[1]]
    rows[0] = rows[0][begin[1] :]
    return b"\n".join(rows).decode()


def _applied(lines: list[str], edit: _Edit) -> str:
    (row, column), (last, end) = edit.begin, edit.end
    before, after = lines[row - 1].encode()[:column].decode(), lines[last - 1].encode()[end:].decode()
    return "\n".join([*lines[: row - 1], f"{before}{edit.text}{after}", *lines[last:]])
