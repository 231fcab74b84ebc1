"""Detours: ways in which no answer comes to a name or an object, where a tool is forbidden. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence

from autograder.course.nodes import walk
from autograder.forbidden import libraries, listed, outside
from autograder.forbidden.source import path_of
from autograder.forbidden.static import is_installed

_PRIVATE = {
    *("_replace", "_asdict", "_make", "_fields", "_field_defaults", "_value_", "_name_", "_missing_"),
    *("_parameters", "_modules", "_buffers", "_version", "_get_name", "_base", "_grad", "_apply", "_forward_hooks"),
    *("_step_count", "_last_lr", "_suptitle", "_repr_html_", "_repr_latex_", "_repr_png_", "_LRScheduler", "_Loss"),
    *("_BatchNorm", "_ConvNd", "_NormBase", "_load_from_state_dict", "_is_full_backward_hook", "_index", "_data"),
    *("_iter", "_size", "_sum", "_axes", "_exit", "_meta"),
}
"""names of libraries that begin with an underscore and that answers use all the same"""
_BACKENDS = {"matplotlib.use", "matplotlib.pyplot.switch_backend"}
_WRAPPERS = {"functools.update_wrapper": 2, "functools.wraps": 1}
"""functions that copy attributes, and how many arguments answers give them"""
_MAKERS = {"types.FunctionType", "types.ModuleType", "types.CodeType", "types.LambdaType", "dataclasses.make_dataclass"}
"""what makes functions, modules or classes of texts and code"""
_SYMBOLS = {"symbols", "Symbol", "Function", "Dummy", "IndexedBase", "Idx", "MatrixSymbol", "latex", "pprint", "print"}
"""functions of SymPy that do not run the texts that they are given"""
_REPLACED = ("warnings.", "logging.", "sys.std", "pandas.options.", "torch.backends.")
"""where answers put something of their own into a library"""


def taken(
    nodes: Sequence[ast.AST], origins: Mapping[str, str], defined: Collection[str]
) -> Iterator[tuple[ast.AST, str]]:
    """The nodes of a statement that are detours, and what they are. `defined` are names that the notebook defines."""
    inner: set[ast.AST] = set()
    for node in nodes:
        match node:
            case ast.Attribute(value=of, attr=name):
                inner.add(of)
                if is_private(name) and name not in defined:
                    yield node, name
                elif node not in inner and libraries.is_limited(path := path_of(node, origins)):
                    yield from () if libraries.is_usual(path) else ((node, path[:80]),)
            case ast.ImportFrom(module=str(), names=aliases):
                private = (one.name for one in aliases if is_private(one.name) and one.name not in defined)
                yield from ((node, name) for name in private)
            case ast.Name(id=name, ctx=ast.Load()) if node not in inner and "." in origins.get(name, ""):
                if libraries.is_limited(path := origins[name]) and not libraries.is_usual(path):
                    yield node, path[:80]
            case ast.Assign(targets=[*targets], value=value) if not isinstance(value, ast.Constant):
                for target in targets:
                    if _replaces(target, origins):
                        yield target, f"{path_of(target, origins)[:80]} = …"
            case ast.Attribute(attr="__annotations__", ctx=ast.Store()):
                yield node, "__annotations__ = …"
            case ast.Subscript(value=ast.Attribute(attr="__annotations__"), ctx=ast.Store()):
                yield node, "__annotations__[…] = …"
            case ast.FunctionDef(
                decorator_list=[*_, ast.Attribute(attr="register")], args=ast.arguments(args=[one, *_])
            ):
                if any(isinstance(part, ast.Constant | ast.Call | ast.JoinedStr) for part in walk(one)):
                    yield node, "register of an annotation that is run"
            case ast.Call():
                yield from ((node, what) for what in _called(node, origins))


def _replaces(target: ast.expr, origins: Mapping[str, str]) -> bool:
    """Whether an assignment puts something into a library that answers leave as it is."""
    path = path_of(target, origins) if isinstance(target, ast.Attribute) else ""
    if not path or path.rpartition(".")[2] in listed.SHOWING or path.startswith(_REPLACED):
        return False
    return is_installed(path.partition(".")[0])


def is_private(name: str) -> bool:
    """Whether a name is one that only its own library is to use."""
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != "" and name not in _PRIVATE


def _called(node: ast.Call, origins: Mapping[str, str]) -> Iterator[str]:
    path, args = path_of(node.func, origins), node.args
    named = {pair.arg for pair in node.keywords}
    match node:
        case ast.Call(func=ast.Name(id="vars"), args=[ast.Call(func=ast.Name(id="type"), args=[ast.Name(id="self")])]):
            pass
        case ast.Call(func=ast.Name(id="vars"), args=[ast.Call()]):
            yield "vars of what a call returns"
    if path in _BACKENDS and not all(isinstance(one, ast.Constant) for one in args):
        yield f"{path} of a text that is put together"
    if path in _WRAPPERS and (len(args) > _WRAPPERS[path] or named & {"assigned", "updated"}):
        yield f"{path} of chosen attributes"
    if path in _MAKERS:
        yield path
    if path == "unittest.main" and ("module" in named or args):
        yield "unittest.main of a module"
    if path == "numpy.load" and len(args) > 2:
        yield "numpy.load of pickled objects"
    if path.startswith("sympy.") and path.rpartition(".")[2] not in _SYMBOLS and any(map(_is_text, args)):
        yield f"{path} of a text, which is run"
    if (text := spelled(node)) and text in listed.TOOL_NAMES | listed.AUTOGRAD_NAMES | listed.NAMES:
        yield text
    if text and text.partition(".")[0] == "torch" and any(map(is_private, text.split("."))):
        yield text


def _is_text(node: ast.expr) -> bool:
    is_one = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_one or isinstance(node, ast.JoinedStr) or outside.is_put_together(node)


def spelled(node: ast.Call) -> str:
    """The text that a call gets in pieces: "".join(["torch", "._C"]), words("torch", "._C"); '' if there is none."""
    parts = node.args
    match parts:
        case [ast.List(elts=inner) | ast.Tuple(elts=inner)]:
            parts = inner
    texts = [one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return "".join(texts) if len(texts) == len(parts) > 1 else ""
