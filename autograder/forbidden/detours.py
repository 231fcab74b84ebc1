"""Detours: ways in which no answer comes to a name or an object, where a tool is forbidden. Nothing is executed."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator, Mapping, Sequence

from autograder.course.nodes import walk
from autograder.forbidden import libraries, listed, outside, signs
from autograder.forbidden.source import path_of
from autograder.forbidden.static import is_installed

_PRIVATE = {
    *("_replace", "_asdict", "_make", "_fields", "_field_defaults", "_value_", "_name_", "_missing_"),
    *("_parameters", "_modules", "_buffers", "_version", "_get_name", "_base", "_grad", "_apply", "_forward_hooks"),
    *("_step_count", "_last_lr", "_suptitle", "_repr_html_", "_repr_latex_", "_repr_png_", "_LRScheduler", "_Loss"),
    *("_BatchNorm", "_ConvNd", "_NormBase", "_load_from_state_dict", "_is_full_backward_hook", "_index", "_data"),
    *("_iter", "_size", "_sum", "_axes", "_exit", "_meta", "_forward_pre_hooks", "_backward_hooks", "_children"),
    *("_get_lines", "_legend", "_legend_box", "_axinfo", "_cells", "_instances", "_append", "_value2member_map_"),
    *("_facecolors2d", "_edgecolors2d", "_facecolor3d", "_edgecolor3d", "_member_map_", "_member_names_"),
    *("_calculate_fan_in_and_fan_out", "_create_default_https_context", "_create_unverified_context"),
}
"""names of libraries that begin with an underscore and that answers use all the same"""
_BACKENDS = {"matplotlib.use", "matplotlib.pyplot.switch_backend"}
_WRAPPERS = {"functools.update_wrapper": 2, "functools.wraps": 1}
"""functions that copy attributes, and how many arguments answers give them"""
_MAKERS = {"types.FunctionType", "types.ModuleType", "types.CodeType", "types.LambdaType", "dataclasses.make_dataclass"}
"""what makes functions, modules or classes of texts and code"""
_REPLACED = (
    *("warnings.", "logging.", "sys.std", "sys.excepthook", "locale.", "ssl."),
    *("pandas.options.", "torch.backends."),
)
"""where answers put something of their own into a library"""


def taken(
    nodes: Sequence[ast.AST], origins: Mapping[str, str], defined: Collection[str], classes: Collection[str]
) -> Iterator[tuple[ast.AST, str]]:
    """The nodes of a statement that are detours, and what they are.

    `defined` are names that the notebook defines or says, and `classes` those of its own classes.
    """
    inner: set[ast.AST] = set()
    caught = {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="obj") if name in caught:
                yield node, "the object of an exception"
            case ast.Attribute(value=of, attr=name):
                inner.add(of)
                if _is_foreign(name) and name not in defined and _owner(name) not in classes:
                    yield node, name
                elif node not in inner and libraries.is_limited(path := path_of(node, origins)):
                    yield from () if libraries.is_usual(path) else ((node, path[:80]),)
            case ast.ImportFrom(module=str(), names=aliases):
                private = (one.name for one in aliases if _is_foreign(one.name) and one.name not in defined)
                yield from ((node, name) for name in private)
            case ast.Name(id=name, ctx=ast.Load()) if node not in inner and "." in origins.get(name, ""):
                if libraries.is_limited(path := origins[name]) and not libraries.is_usual(path):
                    yield node, path[:80]
            case ast.Assign(targets=[*targets], value=value) if not isinstance(value, ast.Constant):
                for target in targets:
                    if _replaces(target, origins) and not _is_plain(value, path_of(target, origins), origins):
                        yield target, f"{path_of(target, origins)[:80]} = …"
            case ast.FunctionDef(
                decorator_list=[*_, ast.Attribute(attr="register")], args=ast.arguments(args=[one, *_])
            ):
                if any(isinstance(part, ast.Constant | ast.Call | ast.JoinedStr) for part in walk(one)):
                    yield node, "register of an annotation that is run"
            case ast.Call():
                yield from ((node, what) for what in _called(node, origins, classes))


def _replaces(target: ast.expr, origins: Mapping[str, str]) -> bool:
    """Whether an assignment puts something into a library that answers leave as it is."""
    path = path_of(target, origins) if isinstance(target, ast.Attribute) else ""
    if not path or path.rpartition(".")[2] in listed.SHOWING or path.startswith(_REPLACED):
        return False
    return is_installed(path.partition(".")[0])


def _is_plain(value: ast.expr, path: str, origins: Mapping[str, str]) -> bool:
    """Whether what is put into a library is no function of the notebook's: np.float = float."""
    match value:
        case ast.Lambda(body=ast.Constant()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, right=right):
            return any(isinstance(one, ast.Constant) for one in (left, right))
        case ast.Name(id=name):
            return name in vars(builtins) and name not in origins
        case ast.Attribute():
            return bool(theirs := path_of(value, origins)) and not theirs.startswith("torch")
        case ast.Call(func=func, args=[of, *_]) if path_of(func, origins).startswith("functools.partial"):
            return path_of(of, origins) == path
        case ast.Call(func=func):
            return path_of(func, origins).startswith(("numpy.random.", "random."))
    return False


def _owner(name: str) -> str:
    """The class whose name Python puts before `__x`: _Layer__x."""
    return name[1:].partition("__")[0]


def _is_foreign(name: str) -> bool:
    """Whether a name is one that only its own library is to use."""
    return signs.is_private(name) and name.strip("_") != "" and name not in _PRIVATE


def _called(node: ast.Call, origins: Mapping[str, str], classes: Collection[str]) -> Iterator[str]:
    path, args = path_of(node.func, origins), node.args
    named = {pair.arg for pair in node.keywords}
    match node:
        case ast.Call(func=ast.Name(id="vars"), args=[ast.Call(func=ast.Name(id="type"), args=[ast.Name(id="self")])]):
            pass
        case ast.Call(func=ast.Name(id="vars"), args=[ast.Call(func=ast.Attribute(attr="parse_args"))]):
            pass
        case ast.Call(func=ast.Name(id="vars"), args=[ast.Call(func=made)]):
            if not (isinstance(made, ast.Name) and made.id in classes):
                yield "vars of what a call returns"
    if path in _BACKENDS and not all(isinstance(one, ast.Constant) for one in args):
        yield f"{path} of a text that is put together"
    if path in _WRAPPERS and (len(args) > _WRAPPERS[path] or named & {"assigned", "updated"}):
        yield f"{path} of chosen attributes"
    if path in _MAKERS:
        yield path
    if path == "unittest.main" and ("module" in named or args):
        yield "unittest.main of a module"
    if path.startswith("sympy.") and any(map(_is_text, args)):
        yield f"{path} of a text, which is run"
    if (text := spelled(node)) and text in listed.TOOL_NAMES | listed.NAMES:
        yield text
    if text and text.partition(".")[0] == "torch" and any(map(_is_foreign, text.split("."))):
        yield text


def _is_text(node: ast.expr) -> bool:
    """Whether SymPy would run this as a text that does more than to name numbers and symbols."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return any(word in node.value for word in ("__", "import", "getattr", "eval", "exec"))
    return isinstance(node, ast.JoinedStr) or outside.is_put_together(node)


def spelled(node: ast.Call) -> str:
    """The text that a call gets in pieces: "".join(["torch", "._C"]), words("torch", "._C"); '' if there is none."""
    parts = node.args
    match parts:
        case [ast.List(elts=inner) | ast.Tuple(elts=inner)]:
            parts = inner
    texts = [one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return "".join(texts) if len(texts) == len(parts) > 1 else ""
