"""Attempts: code that no honest answer needs, because it serves to reach a forbidden tool or the grader itself.

Code in the student's own process can always get around what `runtime` blocks there. So that is a deterrent, and this
module makes attempts visible: a person looks at them. It only reads the source code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from autograder.course.course import Tool
from autograder.forbidden.source import path_of, starred, too_deep
from autograder.forbidden.static import Code, own_statements, sources_of

# For every notebook: ways into the grader's own code, into the frames of its functions, and around the confinement.
_MODULES = {
    *("autograder", "ctypes", "cffi", "_ctypes", "mmap", "marshal", "sys.modules"),
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
    *("pickle.loads", "pickle.Unpickler", "_pickle", "pkgutil.resolve_name", "pydoc.locate"),
}
_NAMES = {
    *("_getframe", "_current_frames", "f_back", "f_locals", "f_globals", "f_builtins", "tb_frame", "gi_frame"),
    *("cr_frame", "ag_frame", "settrace", "setprofile", "addaudithook", "set_custom_exc", "input_transformers_post"),
    *("input_transformers_cleanup", "ast_transformers", "run_cell", "run_code", "__subclasses__", "co_consts"),
    *("get_objects", "get_referrers", "get_referents", "__code__", "__globals__", "__closure__", "cell_contents"),
    *("getsource", "getsourcelines"),
}
_TEXTS = re.compile(r"\bautograder\b|/proc/(?:self|[0-9])|\bctypes\b")

# Where a tool is forbidden: ways to it below or beside the functions that are blocked.
_TOOL_MODULES = {
    *(
        "builtins",
        "signal.signal",
        "inspect",
        "importlib.import_module",
        "importlib.util",
        "importlib.machinery",
        "threading",
        "_thread",
        "runpy",
    ),
    *("multiprocessing", "concurrent", "asyncio", "code", "torch._higher_order_ops"),
    *("torch.ops", "torch._C", "torch._VF", "torch.overrides", "torch.utils._python_dispatch", "torch.library"),
    *("torch.jit", "torch.fx", "torch.compile", "torch.export", "torch.utils.checkpoint"),
    *("torch._refs", "torch._prims", "torch._decomp", "torch._dynamo", "torch._inductor", "torch.utils.cpp_extension"),
}
_TOOL_NAMES = {
    *("_C", "_VF", "__torch_function__", "__torch_dispatch__", "DisableTorchFunction", "DisableTorchFunctionSubclass"),
    *("TorchFunctionMode", "TorchDispatchMode", "__builtins__", "__import__"),
    *("start_new_thread", "import_module", "aten"),
}
_TOOL_CALLS = {"exec", "eval", "compile", "__import__"}
_SHELL_CALLS = {"ex", "ev"}
"""methods of the shell that run a text"""
_AUTOGRAD_NAMES = {
    *("enter_dual_level", "dual_level", "make_dual", "unpack_dual", "saved_tensors_hooks"),
    *("disable_saved_tensors_hooks", "register_hook", "next_functions", "run_backward", "_execution_engine"),
    *("register_full_backward_hook", "_register_hook_dict", "forward_ad", "grad_fn", "_engine_run_backward"),
    *("save_on_cpu", "allow_mutation_on_saved_tensors", "_enter_dual_level", "_exit_dual_level", "_make_dual"),
    *("_unpack_dual", "_set_fwd_grad_enabled"),
}
_WRITTEN = {"register_hook", "grad_fn", "next_functions", "dual_level"}
"""names that an explanation may contain"""
_LOOKUPS = {"getattr", "setattr", "hasattr", "delattr"}
_LISTING = "dir"
"""the function that lists the names which an object has"""
_CLOSED = ("gc", "sys", "torch.autograd", "autograder")
"""modules whose names no answer looks up by a text"""
_PATH = re.compile(r"\w+(?:[.:]\w+)+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_INNER = re.compile(r"\btorch\._[A-Za-z]\w*")
_PUT_TOGETHER = {"join", "replace", "decode", "translate"}
"""methods that make a name of what does not look like one"""
_LONGEST = 80
"""most characters of a path that are told"""
_MOST_PARTS = 50
"""most parts that a text is put together from"""
_MOST = 5
"""most attempts of one notebook that are reported"""


@dataclass(frozen=True)
class Attempt:
    """One place in a student's code that a person should look at."""

    cell: str
    line: int
    what: str
    """the name that no answer needs"""


def attempts(own: Code, given: Code, tools: Iterable[Tool]) -> tuple[Attempt, ...]:
    """The attempts in the cells `own`, which students write. `given` are the locked cells; `tools` are forbidden."""
    cells = own_statements(own, given)
    starred_names = {name for one in chain(*cells.values()) for name in _starred(one)}
    search = _Search(frozenset(tools), sources_of(own, given), starred_names)
    found: dict[tuple[str, int], Attempt] = {}
    sources = dict(own)
    for cell, statements in cells.items():
        if not statements and too_deep(sources[cell]):
            found[cell, 1] = Attempt(cell, 1, "code that is nested too deeply to be read")
        for line, what in search.places(statements):
            found.setdefault((cell, line), Attempt(cell, line, what))
    return tuple(found.values())[:_MOST]


class _Search:
    """What to look for in one notebook."""

    def __init__(self, tools: frozenset[Tool], origins: dict[str, str], starred_names: set[str]) -> None:
        self._tools, self._origins, self._starred = tools, origins, starred_names & origins.keys()
        self._modules = _MODULES | (_TOOL_MODULES if tools else set())
        self._deepest = max(name.count(".") + 1 for name in self._modules)
        self._names = _NAMES | (_TOOL_NAMES if tools else set()) | (_AUTOGRAD_NAMES if "autograd" in tools else set())

    def places(self, statements: Iterable[ast.stmt]) -> Iterator[tuple[int, str]]:
        for statement in statements:
            parts: set[ast.AST] = set()  # of what was looked at as a whole, which comes first
            for node in ast.walk(statement):
                parts.update(_said(node))
                if not _printed(node, statement):
                    for what in self._found(node, parts):
                        yield getattr(node, "lineno", statement.lineno), what

    def _found(self, node: ast.AST, parts: set[ast.AST]) -> Iterator[str]:
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names if self._listed(alias.name))
            case ast.ImportFrom(module=str(module), names=names):
                paths = [f"{module}.{alias.name}" for alias in names]
                yield from (path for path in paths if self._listed(path))
                yield from (alias.name for alias in names if alias.name in self._names)
                if self._tools and module.partition(".")[0] == "torch":
                    yield from (alias.name for alias in names if _private(alias.name))
            case ast.Attribute(value=of, attr=name):
                if isinstance(of, ast.Attribute):
                    parts.add(of)
                if name in self._names or (name in _SHELL_CALLS and _is_shell(of)):
                    yield name
                elif node not in parts:
                    yield from self._path(path_of(node, self._origins))
            case ast.Assign(targets=targets, value=value) if self._tools and not isinstance(value, ast.Constant):
                yield from (f"{path} = …" for path in self._set(targets))
            case ast.FunctionDef(name=name) if name in self._names:
                yield name
            case ast.Name(id=name) if name in self._starred:
                path = self._origins[name]
                yield from (path,) if name in self._names else self._path(path)
            case ast.Name(id=name) if name in ("_getframe", "__builtins__") or (self._tools and name in _TOOL_CALLS):
                yield name
            case ast.Constant() | ast.BinOp() | ast.JoinedStr() if node not in parts:
                if text := _text(node):
                    parts.update(ast.walk(node))
                    yield from self._named_in(text)
            case ast.Call(func=ast.Name(id="open" | "__import__"), args=[key, *_]) if _TEXTS.search(_text(key)):
                yield _text(key)[:40]
            case ast.Call(func=ast.Name(id=name), args=[of, key, *_]) if name in _LOOKUPS:
                yield from self._looked_up(name, of, key)
            case ast.Subscript(slice=key) if "autograder" in _WORD.findall(_text(key)):
                yield _text(key)[:_LONGEST]
            case ast.Subscript(value=ast.Call(func=ast.Name(id="vars"), args=[of]), slice=key):
                yield from self._looked_up("vars", of, key)
            case ast.Subscript(value=ast.Attribute(value=of, attr="__dict__"), slice=key):
                yield from self._looked_up("__dict__", of, key)
            case _:
                pass

    def _set(self, targets: Iterable[ast.expr]) -> Iterator[str]:
        """What is replaced in PyTorch: an answer sets its settings (`torch.backends.cudnn.benchmark = True`) alone."""
        for target in targets:
            if isinstance(target, ast.Attribute) and (path := path_of(target, self._origins)).startswith("torch."):
                yield path[:_LONGEST]

    def _path(self, path: str) -> Iterator[str]:
        if self._listed(path) or (self._tools and path.startswith("torch.") and any(map(_private, path.split(".")))):
            yield path[:_LONGEST]

    def _looked_up(self, way: str, of: ast.expr, key: ast.expr) -> Iterator[str]:
        """A name that is looked up by a text: one that is listed, or any in a module that holds such names."""
        text, path = _text(key), path_of(of, self._origins)
        if text in self._names or _TEXTS.search(text) or self._listed(f"{path}.{text}"):
            yield text
        elif any(isinstance(one, ast.Name) and one.id == _LISTING for one in ast.walk(key)):
            yield f"{way} with a name from {_LISTING}()"
        elif path.startswith(_CLOSED) or (way in ("vars", "__dict__") and path and not text):
            yield f"{way} of {path}"
        elif self._tools and path.partition(".")[0] == "torch" and _private(text):
            yield f"{path}.{text}"
        elif self._tools and (
            _put_together(key) or (path and isinstance(key, ast.BinOp | ast.JoinedStr | ast.Subscript))
        ):
            yield f"{way} with a name that is put together"

    def _named_in(self, text: str) -> Iterator[str]:
        """The names in a text that could be run or looked up: in one with blanks only those that nobody writes."""
        path = _PATH.fullmatch(text) is not None
        if self._tools and (inner := _INNER.search(text)):
            yield inner[0]
        for word in _WORD.findall(text):
            if word in self._names and (path or ("_" in word.strip("_") and word not in _WRITTEN)):
                yield word

    def _listed(self, path: str) -> bool:
        """Whether a listed module is in a path, wherever it begins: `torch.sys.modules` is `sys.modules`."""
        parts = path.split(".")
        spans = ((start, start + size) for start in range(len(parts)) for size in range(1, self._deepest + 1))
        return any(".".join(parts[start:end]) in self._modules for start, end in spans)


def _starred(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement imports by a star, which only stands outside of functions."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        match waiting.pop():
            case ast.ImportFrom() as node:
                yield from starred(node)
            case ast.stmt() | ast.ExceptHandler() | ast.match_case() as node:
                waiting += ast.iter_child_nodes(node)


def _put_together(key: ast.expr) -> bool:
    """Whether a name is made of pieces: no answer looks anything up by such a name."""
    return isinstance(key, ast.Call) and isinstance(key.func, ast.Attribute) and key.func.attr in _PUT_TOGETHER


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _text(node: ast.AST) -> str:
    """The text that an expression stands for, if it is put together from constants; '' otherwise."""
    ends: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and len(ends) < _MOST_PARTS:
        ends.append(_text(node.right))
        node = node.left if ends[-1] else ast.Pass()
    match node:
        case ast.Constant(value=str(start)):
            pass
        case ast.Constant(value=bytes(data)):
            start = data.decode("latin-1")
        case ast.JoinedStr(values=values) if all(isinstance(value, ast.Constant) for value in values):
            start = "".join(map(_text, values))
        case _:
            return ""
    return start + "".join(reversed(ends))


def _is_shell(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _said(node: ast.AST) -> Iterator[ast.AST]:
    """The texts that a docstring or a print only says."""
    match node:
        case ast.Expr(value=ast.Constant() as text):
            yield text
        case ast.Call(func=ast.Name(id="print"), args=texts):
            for said in texts:
                yield from (said, *(said.values if isinstance(said, ast.JoinedStr) else ()))


def _printed(node: ast.AST, statement: ast.stmt) -> bool:
    """Whether a statement only prints the function that made a tensor, which is no use of it."""
    if not (isinstance(node, ast.Attribute) and node.attr == "grad_fn" and isinstance(statement, ast.Expr)):
        return False
    call = statement.value
    return not isinstance(call, ast.Call) or (isinstance(call.func, ast.Name) and call.func.id == "print")
