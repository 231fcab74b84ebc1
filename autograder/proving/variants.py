"""Variants: edits of a right solution by machine that keep what it means. Each must earn all points.

They stand for the habits of other people: helpers with names of their own, classes, other types of results, layers with
biases or another initialisation.
"""

from __future__ import annotations

import ast
import builtins
import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence

from autograder.course.master import Cell, Master

_RETURNS = {
    "numpy": "value.detach().numpy() if isinstance(value, torch.Tensor) else value",
    "list": "value.tolist() if isinstance(value, torch.Tensor) else value",
    "number": "value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value",
    "double": "value.double() if isinstance(value, torch.Tensor) and value.dtype == torch.float32 else value",
    "view": "torch.stack([value, value], -1)[..., 0] if isinstance(value, torch.Tensor) else value",
}
"""what becomes of each value that a function returns; tuples are taken apart"""
_NEW_LAYERS = {
    "kaiming": """
        for _part in self.modules():
            if isinstance(_part, torch.nn.Linear | torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(_part.weight)
        """,
    "zero-norm": """
        _norms = [_part for _part in self.modules() if isinstance(_part, torch.nn.BatchNorm2d | torch.nn.LayerNorm)]
        if len(_norms) > 1:
            torch.nn.init.zeros_(_norms[-1].weight)
        """,
}
"""what the last lines of a module's __init__ do"""


def variants(book: Master) -> Iterator[tuple[str, dict[str, str]]]:
    """Each variant's name, and the source of the cells that it changes, by cell id."""
    cells = [cell for cell in book.code() if cell.solution]
    pool, signatures, helpers = _names_of_locked_cells(book), _signatures(cells), set[str]()
    edits: dict[str, Callable[[ast.Module], bool]] = {
        "renamed": lambda tree: _renamed(tree, pool),
        "helpers": lambda tree: _with_helpers(tree, pool, helpers),
        "static": _in_class,
        "keywords": lambda tree: _by_keyword(tree, signatures),
        "biases": _with_biases,
    }
    edits |= {name: functools.partial(_initialised, lines=lines) for name, lines in _NEW_LAYERS.items()}
    for name, edit in edits.items():
        changed = {}
        for cell in cells:
            tree = ast.parse(cell.source)
            if edit(tree):
                changed[cell.id] = ast.unparse(ast.fix_missing_locations(tree))
        if changed:
            yield name, changed
    for name, how in _RETURNS.items():
        for cell in cells:
            if functions := [node.name for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]:
                yield f"{name}:{cell.id}", _returning(cells, cell, functions, how)


def _names_of_locked_cells(book: Master) -> list[str]:
    """Names that locked cells use for themselves: a student may use them too."""
    given = {name for cell in book.code() for name in _top_level(ast.parse(cell.source))}
    inner: dict[str, None] = {}
    for cell in book.cells:
        if cell.kind == "code" and cell.locked:
            stored = (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name))
            inner |= dict.fromkeys(node.id for node in stored if isinstance(node.ctx, ast.Store))
    return [name for name in inner if name not in given and len(name) > 2 and not name.startswith("_")]


def _top_level(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        else:
            yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)


# ---- names


def _renamed(tree: ast.Module, pool: list[str]) -> bool:
    """Give every local variable of every function a name that locked cells use."""
    outermost = [
        function
        for node in tree.body
        for function in (node.body if isinstance(node, ast.ClassDef) else [node])
        if isinstance(function, ast.FunctionDef)
    ]
    for function in outermost:
        inner = list(ast.walk(function))
        arguments = {node.arg for node in inner if isinstance(node, ast.arg)}
        stored = [node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        stored += [node.name for node in inner if isinstance(node, ast.FunctionDef) and node is not function]
        kept = arguments | {name for node in inner if isinstance(node, ast.Global) for name in node.names}
        used = {node.id for node in inner if isinstance(node, ast.Name)} | arguments | set(dir(builtins))
        fresh = (name for name in pool if name not in used)
        names = {name: next(fresh, f"{name}_") for name in dict.fromkeys(stored) if name not in kept}
        for node in inner:
            if isinstance(node, ast.Name):
                node.id = names.get(node.id, node.id)
            elif isinstance(node, ast.FunctionDef) and node is not function:
                node.name = names.get(node.name, node.name)
            elif isinstance(node, ast.Nonlocal):
                node.names = [names.get(name, name) for name in node.names]
    return bool(outermost)


def _with_helpers(tree: ast.Module, pool: list[str], helpers: set[str]) -> bool:
    """Move the body of every function into a helper with a name that locked cells use, and add it to `helpers`."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | set(dir(builtins)) | helpers
    fresh = (name for name in pool if name not in used)
    found = False
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and (name := next(fresh, "")):
            call = ast.Return(ast.Call(ast.Name(name), _passed_on(node.args), []))
            body += [_function(name, node.args, node.body), _function(node.name, node.args, [call])]
            helpers.add(name)
            found = True
        else:
            body.append(node)
    tree.body = body
    return found


def _function(name: str, arguments: ast.arguments, body: list[ast.stmt]) -> ast.FunctionDef:
    made = ast.parse(f"def {name}(): pass").body[0]
    assert isinstance(made, ast.FunctionDef)
    made.args, made.body = arguments, body
    return made


def _passed_on(arguments: ast.arguments) -> list[ast.expr]:
    return [ast.Name(argument.arg) for argument in (*arguments.posonlyargs, *arguments.args)]


def _in_class(tree: ast.Module) -> bool:
    """Make functions static methods of a class."""
    body: list[ast.stmt] = []
    for node in tree.body:
        body.append(node)
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            node.decorator_list = [ast.Name("staticmethod")]
            holder = f"_Solution_of_{node.name}"
            name = ast.Name(node.name, ast.Store())
            holding = ast.parse(f"class {holder}: pass").body[0]
            assert isinstance(holding, ast.ClassDef)
            holding.body, body[-1] = [node], holding
            body.append(ast.Assign([name], ast.Attribute(ast.Name(holder), node.name)))
    tree.body = body
    return any(isinstance(node, ast.ClassDef) for node in body)


# ---- calls


def _signatures(cells: list[Cell]) -> dict[str, list[str]]:
    """The parameters of the functions that solution cells define."""
    return {
        node.name: [argument.arg for argument in node.args.args]
        for cell in cells
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef) and not node.args.posonlyargs and not node.args.vararg
    }


def _by_keyword(tree: ast.Module, signatures: dict[str, list[str]]) -> bool:
    """Pass arguments to the notebook's own functions by keyword."""
    found = False
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in signatures):
            continue
        if node.args and not any(isinstance(argument, ast.Starred) for argument in node.args):
            named = zip(signatures[node.func.id], node.args, strict=False)
            node.keywords = [*(ast.keyword(name, value) for name, value in named), *node.keywords]
            node.args, found = [], True
    return found


# ---- layers


def _with_biases(tree: ast.Module) -> bool:
    """Leave `bias=False` out."""
    found = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            kept = [word for word in node.keywords if word.arg != "bias"]
            found, node.keywords = found or len(kept) < len(node.keywords), kept
    return found


def _initialised(tree: ast.Module, lines: str) -> bool:
    """Let the last lines of each module's __init__ initialise its layers in another way."""
    found = False
    for node in tree.body:
        module = isinstance(node, ast.ClassDef) and any("Module" in ast.unparse(base) for base in node.bases)
        for function in node.body if isinstance(node, ast.ClassDef) and module else ():
            if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                function.body += ast.parse(textwrap.dedent(lines)).body
                found = True
    return found


# ---- results


def _returning(cells: Sequence[Cell], changed: Cell, functions: Sequence[str], how: str) -> dict[str, str]:
    """Let the functions of one cell return their values in another form, except to the other solutions."""
    sources = {}
    for cell in cells:
        tree = ast.parse(cell.source)
        inner = {name: f"_inner_{name}" for name in functions}
        found = cell is changed
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in inner:
                node.id, found = inner[node.id], True
            elif isinstance(node, ast.FunctionDef) and node.name in inner and cell is changed:
                node.name = inner[node.name]
        if found:
            sources[cell.id] = ast.unparse(tree)
    sources[changed.id] += f"""

def _returning(function):
    def converted(value):
        if isinstance(value, tuple):
            return tuple(converted(part) for part in value)
        return {how}
    def wrapper(*args, **kwargs):
        return converted(function(*args, **kwargs))
    return wrapper

""" + "\n".join(f"{name} = _returning(_inner_{name})" for name in functions)
    return sources
