"""What is harmless: code that names what attempts name, and that only asks, shows or says it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from autograder.forbidden import listed, magics
from autograder.forbidden.source import path_of


def fine(node: ast.AST, origins: Mapping[str, str]) -> Iterator[ast.AST]:
    """The parts of a node that only ask or show: a loaded module, whether a tensor has a past; and our own calls."""
    match node:
        case ast.Compare(left=ast.Constant(), ops=[ast.In() | ast.NotIn()], comparators=[ast.Attribute() as loaded]):
            if path_of(loaded, origins) == "sys.modules":
                yield loaded
        case ast.Compare(
            left=ast.Attribute(attr="grad_fn") as past,
            ops=[ast.Is() | ast.IsNot()],
            comparators=[ast.Constant(value=None)],
        ):
            yield past
        case ast.Call(func=ast.Attribute(attr="get", value=loaded) as asks, args=[ast.Constant(value=name), *_]):
            if path_of(loaded, origins) == "sys.modules" and name in listed.PLACES:
                yield from (asks, loaded)
        case ast.Call(func=ast.Name(id="print"), args=printed):
            shown = (part for one in printed for part in (one.values if isinstance(one, ast.JoinedStr) else [one]))
            values = (part.value if isinstance(part, ast.FormattedValue) else part for part in shown)
            yield from (one for one in values if isinstance(one, ast.Attribute) and one.attr == "grad_fn")
        case ast.Assign(targets=targets, value=ast.Constant()):
            yield from targets
        case ast.Call(func=ast.Attribute() as loads, args=[ast.Call(func=ast.Attribute() as dumps)]):
            if (path_of(loads, origins), path_of(dumps, origins)) == ("pickle.loads", "pickle.dumps"):
                yield loads
        case ast.Call(func=ast.Attribute(value=ast.Call(func=shell), attr="system" | "getoutput")):
            yield shell
        case ast.Call(func=ast.Attribute(value=ast.Call(func=shell))) if magics.run(node):
            yield shell


def takes_print(node: ast.AST) -> bool:
    """Whether a node gives the name `print` a meaning of its own, so that it may keep what it is given."""
    match node:
        case ast.FunctionDef(name="print") | ast.ClassDef(name="print") | ast.arg(arg="print"):
            return True
        case ast.Name(id="print", ctx=ast.Store()) | ast.alias(asname="print") | ast.alias(name="print"):
            return True
    return False


def said(node: ast.AST, origins: Mapping[str, str]) -> Iterator[ast.AST]:
    """The texts that a docstring or a print only says, or that name whose warnings and logs are meant."""
    match node:
        case ast.Expr(value=ast.Constant() as text):
            yield text
        case ast.Call(func=ast.Name(id="print"), args=texts):
            for said in texts:
                yield from (said, *(said.values if isinstance(said, ast.JoinedStr) else ()))
        case ast.Call(func=called, args=texts, keywords=more) if path_of(called, origins) in listed.NAMING:
            yield from (*texts, *(one.value for one in more))


def printed(node: ast.AST, statement: ast.stmt) -> bool:
    """Whether a statement only prints the function that made a tensor, which is no use of it."""
    if not (isinstance(node, ast.Attribute) and node.attr == "grad_fn" and isinstance(statement, ast.Expr)):
        return False
    call = statement.value
    return not isinstance(call, ast.Call) or (isinstance(call.func, ast.Name) and call.func.id == "print")
