"""Fingerprints of a student's code or text: hashes that stay the same when it is renamed, reordered or commented.

Code becomes streams of tokens, one for each statement, read from its syntax tree without names that the student chose,
docstrings, type hints and notation. Of each stream, and of each paragraph of a text, the hashes of short runs are
winnowed (Schleimer, Wilkerson and Aiken: Winnowing, SIGMOD 2003). Nothing is executed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from autograder.insight.naming import NUMBER, Naming

RUN, WINDOW, WORDS = 5, 3, 4
"""tokens of a run of code, runs of which at least one is kept, and words of a run of text"""
_SHORTEST = 3
"""tokens; a shorter statement says nothing"""
_MOST = 2**16
"""fingerprints of one exercise that are kept: all that its code can have. Of more, those with the smallest hash are
kept, which are the same in a copy, whatever stands before it"""
_REPEATS = 8
"""how often one fingerprint is kept: a page shows the lines of each"""
_PARAGRAPH = 5_000
"""words of a text that are read at once"""
_PICTURE = re.compile(r"data:\w+/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
"""a picture that was pasted into a text"""
_WORD = re.compile(r"\w+|[^\w\s]")
_OPERATORS: dict[str, type[ast.operator]] = {
    "torch.add": ast.Add,
    "torch.div": ast.Div,
    "torch.matmul": ast.MatMult,
    "torch.mul": ast.Mult,
    "torch.pow": ast.Pow,
    "torch.sub": ast.Sub,
}
_TURNED: dict[type[ast.cmpop], str] = {ast.Gt: "Lt", ast.GtE: "LtE"}

Token = tuple[str, int]
"""its sign, and the line that it stands in, counted from 1"""
Print = tuple[int, int, int]
"""a fingerprint: hash, first and last line"""


@dataclass
class _Streams:
    """The streams of one source. `line` is added to the line numbers of the tree that is read."""

    naming: Naming
    line: int = 0
    above: int = 0
    """the lines above the statement that is read, as its tree counts them"""
    found: list[list[Token]] = field(default_factory=list)

    def read(self, body: Iterable[ast.stmt], local: frozenset[str]) -> None:
        for node in body:
            self._statement(node, local)

    def _add(self, tokens: Iterable[Token]) -> None:
        self.found.append(list(tokens))

    def _statement(self, node: ast.stmt, local: frozenset[str]) -> None:
        at, of = node.lineno + self.line, functools.partial(self._tokens, local=local)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                inside = local | self.naming.bound(node)
                defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                self._add([("def", at), *(token for value in defaults for token in of(value))])
                self.read(node.body, inside)
                return
            case ast.ClassDef():
                self._add([("class", at), *(token for base in node.bases for token in of(base))])
                self.read(node.body, local)
                return
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Global() | ast.Nonlocal():
                return
            case ast.Expr(value=ast.Constant()):
                return
            case ast.AnnAssign(value=None):
                return
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=same)) if name == same:
                return
            case ast.Assign(targets=[ast.Name()], value=ast.Attribute(value=ast.Name(id=owner))) if (
                owner in self.naming.own - local and not local
            ):
                return  # a method, or a part of an own object, gets another name
            case ast.Assign(targets=[target]) if path := self.naming.path(target, local):
                if path != self.naming.path(node.value, local):  # otherwise, a module gets another name
                    self._add([("=", at), *of(target), *of(node.value)])
            case ast.Assign() | ast.AnnAssign():
                assert node.value is not None
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self._add([("=", at), *(token for target in targets for token in of(target)), *of(node.value)])
            case ast.AugAssign():
                self._add([("=", at), *of(node.target), *of(ast.BinOp(node.target, node.op, node.value))])
            case ast.For() | ast.AsyncFor():
                self._loop(node.target, node.iter, at, local)
            case _:
                parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.withitem)]
                self._add([(type(node).__name__, at), *(token for part in parts for token in of(part))])
        for name in ("body", "orelse", "finalbody"):
            self.read(getattr(node, name, ()), local)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            self.read(part.body, local)

    def _loop(self, target: ast.expr, over: ast.expr, at: int, local: frozenset[str]) -> None:
        """A loop, or what a comprehension goes through: both are the same."""
        self._add([("for", at), *self._tokens(target, local), *self._tokens(over, local)])

    def _tokens(self, node: ast.AST, local: frozenset[str]) -> list[Token]:
        at, of = getattr(node, "lineno", self.above) + self.line, functools.partial(self._tokens, local=local)
        match node:
            case ast.Name() | ast.Attribute() if path := self.naming.path(node, local):
                module, _, name = path.rpartition(".")
                return [(module, at), (f".{name}", at)] if module else [(name, at)]
            case ast.Name(id=name):
                return [(self.naming.name(name, local), at)]
            case ast.Attribute():
                return [*of(node.value), (self.naming.attribute(node.attr), at)]
            case ast.Constant():
                sign = repr(node.value)[:200]
                return [(NUMBER if sign.removesuffix(".0") in self.naming.given.numbers else sign, at)]
            case ast.BinOp(op=ast.Add(), left=one, right=ast.UnaryOp(op=ast.USub(), operand=other)):
                return [("Sub", at), *of(one), *of(other)]
            case ast.BinOp(op=ast.Add(), left=ast.UnaryOp(op=ast.USub(), operand=other), right=one):
                return [("Sub", at), *of(one), *of(other)]
            case ast.BinOp(op=ast.Add() | ast.Mult()):
                sides = sorted((of(node.left), of(node.right)), key=_signs)
                return [(type(node.op).__name__, at), *sides[0], *sides[1]]
            case ast.BinOp():
                return [(type(node.op).__name__, at), *of(node.left), *of(node.right)]
            case ast.UnaryOp():
                return [(type(node.op).__name__, at), *of(node.operand)]
            case ast.Compare(ops=[ast.Gt() | ast.GtE()]):
                return [(_TURNED[type(node.ops[0])], at), *of(node.comparators[0]), *of(node.left)]
            case ast.Compare():
                sides = [of(node.left), *map(of, node.comparators)]
                return [*((type(op).__name__, at) for op in node.ops), *(token for side in sides for token in side)]
            case ast.Call(args=[one, other], keywords=[]) if operator := _OPERATORS.get(
                self.naming.path(node.func, local)
            ):
                return of(ast.copy_location(ast.BinOp(one, operator(), other), node))
            case ast.Call():
                words = sorted(node.keywords, key=lambda word: word.arg or "")
                own = isinstance(node.func, ast.Name) and not self.naming.foreign(node.func.id, local)
                named = [((f"{'' if own else word.arg}:", at), *of(word.value)) for word in words]
                parts = [*self._called(node, local), *(token for one in node.args for token in of(one))]
                return [("()", at), *parts, *(token for word in named for token in word)]
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                inside = local | self.naming.bound(node)
                for each in node.generators:
                    self._loop(each.target, each.iter, at, inside)
                    for condition in each.ifs:
                        self._add([("If", at), *self._tokens(condition, inside)])
                made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                self._add(token for part in made for token in self._tokens(part, inside))
                return [("each", at)]
            case ast.Lambda():
                return [("lambda", at), *self._tokens(node.body, local | self.naming.bound(node))]
            case ast.expr_context():
                return []
            case _:
                inner = [token for child in ast.iter_child_nodes(node) for token in of(child)]
                return [(type(node).__name__, at), *inner]

    def _called(self, call: ast.Call, local: frozenset[str]) -> list[Token]:
        """What is called: torch.sum(x) is the same as x.sum()."""
        called, path = self._tokens(call.func, local), self.naming.path(call.func, local)
        if isinstance(call.func, ast.Attribute) and not path:
            return [called[-1], *called[:-1]]
        return called[1:] if path.rpartition(".")[0] == "torch" and call.args else called


def _signs(tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(sign for sign, _ in tokens)


def of_code(pieces: Iterable[tuple[str, ast.Module | None, int]], naming: Naming) -> tuple[Print, ...]:
    """The fingerprints of code, given as statements: text, tree, and lines above the text that the tree counts, too.

    Of a statement without a tree, those of its plain tokens.
    """
    streams, at = _Streams(naming), 0
    for text, tree, above in pieces:
        streams.line, streams.above = at - above, above
        before = len(streams.found)
        try:
            if tree is not None:
                streams.read(tree.body, frozenset())
        except RecursionError:
            del streams.found[before:]
            tree = None
        if tree is None:
            streams.found.append(list(_plain_tokens(text, at, naming)))
        at += text.count("\n")
    return tuple(_of_streams(streams.found, RUN, WINDOW))


def of_text(source: str, numbers: Collection[str] = ()) -> tuple[Print, ...]:
    """The fingerprints of written text, by its words: capital letters, marks and the paragraphs' order say nothing.

    All `numbers`, the values of parameters, are the same.
    """
    return tuple(_of_streams(_paragraphs(source, numbers), WORDS, WINDOW))


def _paragraphs(source: str, numbers: Collection[str]) -> Iterator[list[Token]]:
    found: list[Token] = []
    for number, line in enumerate(_PICTURE.sub("", source).split("\n"), 1):
        words = [(NUMBER if word in numbers else word, number) for word in re.findall(r"\w+", line.casefold())]
        if found and (not words or len(found) > _PARAGRAPH):
            yield found
            found = []
        found += words
    yield found


def _plain_tokens(text: str, line: int, naming: Naming) -> Iterator[Token]:
    before = ""
    for number, row in enumerate(text.split("\n"), line + 1):
        for sign in _WORD.findall(row.partition("#")[0]):
            if sign.isidentifier():
                name = naming.attribute(sign) if before == "." else naming.name(sign, frozenset())
                yield name, number
            elif sign != ".":
                yield sign, number
            before = sign


def _of_streams(streams: Iterable[Sequence[Token]], run: int, window: int) -> list[Print]:
    found: list[Print] = []
    times = Counter[int]()
    for tokens in streams:
        if len(tokens) < _SHORTEST:
            continue
        signs, size = _signs(tokens), min(run, len(tokens))
        hashes = [_hash(signs[at : at + size]) for at in range(len(tokens) - size + 1)]
        for at in _winnowed(hashes, window):
            times[hashes[at]] += 1
            if times[hashes[at]] <= _REPEATS:
                lines = [line for _, line in tokens[at : at + size]]
                found.append((hashes[at], min(lines), max(lines)))
        if len(found) > 2 * _MOST:
            found = _smallest(found)
    return found if len(found) <= _MOST else _smallest(found)


def _smallest(found: Iterable[Print]) -> list[Print]:
    """The fingerprints with the smallest hashes, each once."""
    return heapq.nsmallest(_MOST, {one[0]: one for one in found}.values())


def _winnowed(hashes: Sequence[int], window: int) -> list[int]:
    """The places of the smallest hash of each window, the last one where several are equal."""
    kept: dict[int, None] = {}
    for start in range(max(1, len(hashes) - window + 1)):
        places = range(start, min(start + window, len(hashes)))
        kept[min(places, key=lambda at: (hashes[at], -at))] = None
    return list(kept)


@functools.lru_cache(2**18)
def _hash(signs: tuple[str, ...]) -> int:
    digest = hashlib.blake2b("\0".join(signs).encode(errors="replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "little", signed=True)
