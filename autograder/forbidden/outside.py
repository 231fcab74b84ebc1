"""What answers take from outside, where a tool is forbidden: libraries that are known, and a few things of the shell.

Installed libraries have many functions that run a text, or that hand on the modules which they import themselves. So
their names are not listed, but those of the libraries that answers use. Nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from autograder.course.nodes import walk
from autograder.forbidden.listed import PUT_TOGETHER
from autograder.forbidden.static import is_installed

_PYTHONS = (
    "__future__ abc argparse array ast atexit base64 bisect builtins bz2 calendar cmath code codecs collections "
    "colorsys concurrent contextlib copy csv dataclasses datetime decimal difflib dis doctest enum errno "
    "faulthandler fileinput fnmatch fractions functools gc getpass glob graphlib gzip hashlib heapq html "
    "importlib inspect io ipaddress itertools json keyword linecache locale logging lzma math multiprocessing "
    "numbers operator os pathlib pdb pickle platform pprint queue random re resource sched secrets shutil signal "
    "stat statistics string struct subprocess sys sysconfig tempfile textwrap threading time timeit token "
    "tokenize traceback tracemalloc types typing unicodedata unittest urllib uuid warnings weakref zipfile zlib "
    "zoneinfo"
)
_OTHERS = (
    "IPython PIL certifi cv2 einops fastprogress google graphviz imageio ipykernel ipywidgets jaxtyping jupyter kaggle "
    "matplotlib matplotlib_inline mpl_toolkits networkx numpy opt_einsum pandas plotly psutil pytest requests rich "
    "scipy seaborn skimage sklearn tabulate tensorboard torch torchinfo torchmetrics torchsummary torchtext "
    "torchvision torchviz tqdm typing_extensions wandb"
)
_LIBRARIES = frozenset([*_PYTHONS.split(), *_OTHERS.split()])
"""what is imported by answers, or without any use in them; what is listed elsewhere is an attempt all the same"""
_ALIASES = 4
"""how often what one name has got is followed into others"""
_SHELL = {"run_line_magic", "run_cell_magic", "system", "getoutput", "__class__", "config", "kernel", "magic"}
"""what is asked of the shell: magics become such calls"""


def taken(nodes: Sequence[ast.AST], own_modules: Collection[str]) -> Iterator[tuple[ast.AST, str]]:
    """The nodes of a statement that take more from outside than answers do, and what they take.

    `own_modules` were handed in beside the notebook.
    """
    fine: set[ast.AST] = set()  # of the shell
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython") as name), attr=attr) if attr in _SHELL:
                fine.add(name)
            case (
                ast.Compare(left=ast.Call(func=ast.Name() as name))
                | ast.Expr(value=ast.Call(func=ast.Name() as name))
                | ast.Call(func=ast.Name(id="str" | "type" | "print"), args=[ast.Call(func=ast.Name() as name)])
            ):
                fine.add(name)
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                yield from ((node, what) for what in _unusual([one.name for one in aliases], own_modules))
            case ast.ImportFrom(module=str(module), level=0):
                yield from ((node, what) for what in _unusual([module], own_modules))
            case ast.Name(id="get_ipython", ctx=ast.Load()) if node not in fine:
                yield node, "get_ipython()"


def _unusual(modules: Iterable[str], own_modules: Collection[str]) -> Iterator[str]:
    for top in dict.fromkeys(module.partition(".")[0] for module in modules):
        if top not in _LIBRARIES and top not in own_modules and is_installed(top):
            yield f"import {top}"


def replaced(nodes: Iterable[ast.AST], classes: Collection[str]) -> Iterator[tuple[ast.AST, str]]:
    """The nodes that give the class of some object another method; `classes` are names of such classes."""
    for node in nodes:
        match node:
            case ast.Attribute(value=of, ctx=ast.Store()) if is_class_of(of) or _is_one(of, classes):
                yield node, f"{ast.unparse(of)[:60]}.{node.attr} = …"
            case ast.Call(func=ast.Name(id="setattr"), args=[of, *_]) if is_class_of(of) or _is_one(of, classes):
                yield node, f"setattr of {ast.unparse(of)[:60]}"


def _is_one(node: ast.expr, names: Collection[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def is_class_of(node: ast.AST) -> bool:
    """Whether this is the class of an object that is not the answer's own: type(x), x.__class__."""
    match node:
        case ast.Call(func=ast.Name(id="type"), args=[of]) | ast.Attribute(value=of, attr="__class__"):
            return not _is_one(of, ("self", "cls"))
    return False


def is_put_together(node: ast.AST) -> bool:
    """Whether this is a text that is made of pieces by `join`, `replace` and their like."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PUT_TOGETHER


def given_names(nodes: Sequence[ast.AST], is_one: Callable[[ast.AST], bool], part: bool) -> frozenset[str]:
    """The names that are given what is one, or, with `part`, something with one in it; and what gets it from these."""
    given: list[tuple[set[str], list[ast.AST]]] = []
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {one.id for target in targets for one in walk(target) if isinstance(one, ast.Name)}
            given.append((named, list(walk(node.value)) if part else [node.value]))
    found: set[str] = set()
    for _ in range(_ALIASES):
        before = len(found)
        for named, values in given:
            if any(is_one(value) or (isinstance(value, ast.Name) and value.id in found) for value in values):
                found |= named
        if len(found) == before:
            break
    return frozenset(found)
