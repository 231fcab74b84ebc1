"""Magics: a cell as IPython runs it, with the code that its magics run in the place of these."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Sequence
from importlib.util import decode_source
from typing import Any

from autograder.course.nodes import walk

_LINES = re.compile(r"^[ \t]*+[%!?,;/]|=[ \t]*+[%!]|(?<!\?)\?++[ \t]*+$", re.MULTILINE)
MOST_WORK = 2_000_000
"""most characters times lines of IPython's own, of a cell and of all cells together: it reads the whole cell again for
each of them"""
_MOST_OPTIONS = 12
"""most words of options before a magic's code"""
_RUN = {"run_line_magic", "run_cell_magic"}
_EXTENSIONS = {"autoreload", "tensorboard", "memory_profiler", "line_profiler", "watermark", "storemagic", "autotime"}
"""what notebooks load by `%load_ext`"""
WITH_CODE = {"time", "timeit", "prun", "capture"}
"""magics whose text is code, which is read with the cell"""
HARMLESS = {
    *("matplotlib", "autoreload", "cd", "pwd", "ls", "who", "whos", "who_ls", "precision", "pip"),
    *("conda", "mkdir", "env", "html", "HTML", "latex", "markdown", "javascript", "js", "svg", "SVG", "pinfo"),
    *("pinfo2", "pdoc", "psource", "lsmagic", "quickref", "xmode", "reset", "system", "sx", "bash", "sh"),
    *("debug", "store", "tb", "notebook", "unload_ext", "set_env", "load", "save", "logstart", "logstop", "pfile"),
    *("history", "tensorboard", "pdb", "watermark", "script", "skip", "colors", "pylab", "memit", "mprun", "lprun"),
}
"""magics that run no Python code in the grader"""


@functools.lru_cache(maxsize=64)
def as_python(source: str) -> str:
    """A cell as IPython turns it into Python. Raises SyntaxError if that would take minutes, or comes to no end."""
    refuse_many(source)
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager
    try:
        return str(manager().transform_cell(source))
    except RuntimeError as error:
        raise SyntaxError(f"IPython cannot turn this cell into Python: {error}") from None


def work(source: str) -> int:
    """How much work it is to turn a cell into Python, in characters that IPython reads."""
    return len(_LINES.findall(source)) * len(source)


def refuse_many(source: str) -> None:
    """Raise SyntaxError if IPython would need minutes to turn a cell into Python."""
    if work(source) > MOST_WORK:
        raise SyntaxError("this cell has too many magics (% and !) for its length: divide it")


def tree(source: str) -> list[ast.stmt]:
    """The statements of a cell. Raises what `ast.parse` raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            body = ast.parse(source).body
        except SyntaxError:
            source = as_python(source)
            body = ast.parse(source).body
    if source.isascii() and not any(name in source for name in _RUN):  # Python reads other letters as these, too
        return body
    if not any(isinstance(node, ast.Attribute) and node.attr in _RUN for one in body for node in walk(one)):
        return body
    module = _Opened().visit(ast.Module(body, []))
    return list(module.body)


def run(node: ast.AST) -> tuple[str, ...] | None:
    """The name and the texts of the magic that a call runs, or None. What is no constant is ''."""
    match node:
        case ast.Call(func=ast.Attribute(attr=attr), args=args) if attr in _RUN:
            return tuple(str(one.value) if isinstance(one, ast.Constant) else "" for one in args) or ("",)
    return None


class _Opened(ast.NodeTransformer):
    """Puts the code of magics in their places."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        return node if (found := _code(node.value)) is None else found or ast.copy_location(ast.Pass(), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        match _code(node.value):
            case None:
                return node
            case [ast.Expr(value)]:
                node.value = value
                return node
            case found:
                node.value = ast.copy_location(ast.Constant(None), node.value)
                return [*found, node]


def _code(node: ast.AST) -> list[ast.stmt] | None:
    """The code that a magic runs, at the magic's line; None if the node is no magic that runs code."""
    match run(node):
        case ("load_ext" | "reload_ext", module, *_) if module.strip() in _EXTENSIONS:
            return []
        case ("load_ext" | "reload_ext", module, *_):
            text: Sequence[str] = (f"import {module.strip()}",)
        case ("run", file, *_):
            text = (f"from {_module(file)} import *",)
        case ("config", setting, *_):
            text = (setting,)
        case ("writefile" | "file", _, module):
            text = ("", as_imported(module))  # read where it is written: whatever imports it uses these definitions
        case (name, *text) if name in WITH_CODE:
            pass
        case _:
            return None
    found = []
    for at, one in enumerate(text):
        for statement in _after_options(one):
            ast.increment_lineno(statement, getattr(node, "lineno", 1) - 1 + at)
            found.append(statement)
    return found


def as_imported(source: str | bytes) -> str:
    """The text of a module as Python decodes it, by the coding that its first lines may name."""
    data = source if isinstance(source, bytes) else source.encode(errors="surrogatepass")
    try:
        return decode_source(data)
    except (SyntaxError, ValueError, LookupError):  # Python cannot read it either
        return data.decode(errors="replace")


def _module(file: str) -> str:
    """The module that a Python file would be, if it were imported."""
    return file.strip().strip("\"'").removesuffix(".py").replace("/", ".")


def _after_options(text: str) -> list[ast.stmt]:
    """The statements of a magic's text: the longest end of it that is Python, if it begins with options."""
    words = text.split(None, _MOST_OPTIONS)
    ends = range(len(words)) if text.lstrip().startswith("-") else range(1)
    for start in ends:
        rest = text.lstrip() if start == 0 else text.split(None, start)[start]
        try:
            return tree(rest)
        except (SyntaxError, ValueError):
            continue
    return []
