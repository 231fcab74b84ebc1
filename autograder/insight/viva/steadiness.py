"""Steadiness: whether a function does the same whenever it is run, and whether or not somebody watches it.

A key comes from a run that is watched. Where a function can reach code that looks at the clock, at frames or at who
traces it, or that keeps something from call to call, the key may be wrong for the code as it usually runs. So all code
of the notebook that a function can reach is read, by the names that stand in it. What cannot be told counts as reached
and as unsteady. Nothing is executed.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePath

from autograder.forbidden import source
from autograder.insight.viva import nodes
from autograder.insight.viva.functions import Function


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_LIBRARIES = _set(
    "IPython PIL __future__ abc bisect cmath collections contextlib copy dataclasses enum functools heapq html "
    "itertools json math matplotlib mpl_toolkits numbers numpy pandas pathlib pprint random re scipy seaborn sklearn "
    "statistics string textwrap torch torchvision tqdm typing warnings zlib"
)
"""modules without a clock and without frames; what they draw, the seed of a run fixes"""
_MODULES = _set(
    "time datetime sys os inspect threading thread gc platform resource tracemalloc traceback faulthandler weakref "
    "ctypes builtins importlib pickle"
)
"""other modules, which stand in libraries, too: dataclasses.sys, random._os"""
_UNSTEADY = _MODULES | {"id", "hash", "input", "open", "eval", "compile", "attrgetter", "methodcaller"}
_WATCHING = _set(
    "gettrace settrace getprofile setprofile _getframe currentframe _current_frames f_trace f_back f_locals f_globals "
    "f_lineno tb_frame gi_frame cr_frame ag_frame __globals__ __dict__ __builtins__ __import__ __code__ __closure__ "
    "__subclasses__ __getattribute__ __setattr__ get_ipython globals locals vars setattr delattr exec"
)
"""names after which no name in a notebook need mean what it seems to"""
_MAKING = {"__init__", "__new__", "__post_init__"}
"""methods that run where the name of their class stands, or of what holds it"""
_COMPILED = {".so", ".pyc", ".pyd", ".zip", ".egg", ".whl"}
"""files with code that cannot be read"""
_BUILTINS = frozenset(dir(builtins))
_MOST_TREES, _MOST_NODES = 256, 8192
"""cells, and nodes of cells, of which it is kept what was found: a notebook has some hundreds of nodes to look at"""


class Steadiness:
    """The code of one notebook, by the names under which a function can reach it."""

    def __init__(self, own: Iterable[str], given: Iterable[str], files: Mapping[str, bytes]) -> None:
        """`own` are the student's cells, `given` those of the course, and `files` what lies beside the notebook."""
        self._files = {PurePath(path).parts[0].removesuffix(".py") for path in files if path.endswith(".py")}
        self._named: dict[str, list[ast.AST]] = defaultdict(list)
        """what gives a meaning to a name outside functions"""
        self._members: dict[str, list[ast.AST]] = defaultdict(list)
        """what gives a meaning to a name behind a dot"""
        self._operators: list[ast.AST] = []
        """methods that run where no name of them stands"""
        self._unsteady, self._known = set(_UNSTEADY), set(_BUILTINS)
        self._altered: set[tuple[str, str]] = set()
        """what functions alter outside themselves: a name, and the attribute of it if it is one that they alter"""
        self._answers: dict[Function, bool] = {}
        self._imported: set[str] = set()
        self._own_imports: list[tuple[str, str]] = []
        self._stars = False
        self._given = set[int]()
        """nodes of the course's own cells: what they take by a computed name is known"""
        self._hidden = any(PurePath(path).suffix in _COMPILED for path in files)
        for text in own:
            self._take(text, own=True)
        for path, data in files.items():
            if path.endswith(".py"):
                for name, part in self._take(data.decode(errors="replace"), own=True).named:
                    self._members[name].append(part)
        for text in given:
            facts = self._take(text, own=False)
            self._given.update(id(part) for _, part in (*facts.members, *facts.named))
        for name, original in self._own_imports:
            self._named[name] += [*self._named[original], *self._members[original]]
        drawing = {name for name, parts in self._named.items() if any(map(nodes.draws, parts))}
        self._unsteady |= drawing
        own = {"", *(self._named.keys() - self._imported)}
        outside = [(name, member) for name, member in self._altered if name in own]
        members = {name for name, parts in self._members.items() if any(map(nodes.draws, parts))}
        self._kept = (
            {name for name, member in outside if not member},
            {member for _, member in outside if member} | members,
        )
        self._changing = {name for name, parts in self._members.items() if any(map(nodes.changes_itself, parts))}

    def _take(self, text: str, own: bool) -> _Facts:
        facts = _facts(text, own)
        for name, part in facts.members:
            self._members[name].append(part)
        for name, part in facts.named:
            self._named[name].append(part)
        self._operators += facts.operators
        self._unsteady |= facts.outer
        self._known |= facts.known
        self._altered |= facts.altered
        self._hidden |= facts.hidden
        for aliases, module in facts.imports:
            self._import(aliases, module)
        return facts

    def _import(self, aliases: Iterable[ast.alias], module: str) -> None:
        root = module.split(".")[0]
        for one in aliases:
            name, of = one.asname or one.name.split(".")[0], root or one.name.split(".")[0]
            if of in self._files:
                self._own_imports.append((name, one.name))
            elif one.name == "*":
                self._stars, self._hidden = True, self._hidden or of not in _LIBRARIES
            elif of in _LIBRARIES and one.name.split(".")[-1].strip("_") not in _MODULES:
                self._imported.add(name)
            else:
                self._unsteady.add(name)

    def holds(self, function: Function) -> bool:
        """Whether everything that a function can reach is steady, and all of it can be told."""
        if function not in self._answers:
            self._answers[function] = not self._hidden and self._operators_hold and self._holds(function)
        return self._answers[function]

    def _holds(self, function: Function) -> bool:
        around = [part for name in function.name.split(".")[:-1] for part in self._named.get(name, ())]
        for node in self._reached([function.node, *around]):
            free, (kept, members) = nodes.free_names(node), self._kept
            strange = not self._stars and free - self._known - self._members.keys()
            if strange or free & kept or nodes.attributes_in(node) & members or not self._is_steady(node):
                return False
            if any(
                name in free & self._named.keys() and method in self._changing
                for name, method in nodes.methods_called(node)
            ):
                return False  # an object of the notebook's, which keeps something from call to call
        return True

    @cached_property
    def _operators_hold(self) -> bool:
        return all(map(self._is_steady, self._reached(self._operators)))

    def _is_steady(self, node: ast.AST) -> bool:
        """Whether a node looks at nothing that may be another thing when nobody watches."""
        far = any(name.strip("_") in _MODULES for name in nodes.attributes_in(node) - self._members.keys())
        unsteady = self._unsteady & nodes.free_names(node)
        if unsteady == {"id"} and "id" not in self._named and nodes.only_keys(node):
            unsteady = set()
        return not (far or unsteady or (nodes.is_dynamic(node) and id(node) not in self._given))

    def _reached(self, start: Iterable[ast.AST]) -> Iterator[ast.AST]:
        waiting, seen = list(start), set[int]()
        while waiting:
            node = waiting.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                free = nodes.free_names(node)
                waiting += [part for name in free for part in self._named.get(name, ())]
                members = self._members.keys() if "getattr" in free else free | nodes.attributes_in(node)
                waiting += [part for name in members for part in self._members.get(name, ())]


@dataclass
class _Facts:
    """What one cell says about the names of its notebook."""

    members: list[tuple[str, ast.AST]] = field(default_factory=list)
    named: list[tuple[str, ast.AST]] = field(default_factory=list)
    operators: list[ast.AST] = field(default_factory=list)
    imports: list[tuple[list[ast.alias], str]] = field(default_factory=list)
    outer: set[str] = field(default_factory=set)
    """names that functions declare to be from outside"""
    known: set[str] = field(default_factory=set)
    altered: set[tuple[str, str]] = field(default_factory=set)
    hidden: bool = False


@lru_cache(_MOST_TREES)
def _facts(text: str, own: bool) -> _Facts:
    """What a cell says. Those of the course are the same for all students; only the student's `own` can hide."""
    tree, facts = ast.Module(source.parse(text), []), _Facts()
    inner = nodes.walk(tree)
    if own:
        fine = nodes.own_setters(inner)
        words = (word for node in inner if id(node) not in fine for word in nodes.words_of(node))
        facts.hidden = source.too_deep(text) or not _WATCHING.isdisjoint(words)
    for node in inner:
        match node:
            case ast.ClassDef(body=body):
                for name, part in nodes.bound_by(body):
                    facts.members.append((name, part))
                    if own and name.startswith("__") and name not in _MAKING:
                        facts.operators.append(part)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    set_there = (one for one in nodes.walk(target) if isinstance(one, ast.Attribute))
                    facts.members += [(one.attr, node) for one in set_there]
            case ast.Call() if name := nodes.attribute_set(node):
                facts.members.append((name, node))
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                facts.outer.update(names)
            case ast.Import(names=aliases):
                facts.imports.append((aliases, ""))
            case ast.ImportFrom(names=aliases, module=module):
                facts.imports.append((aliases, module or ""))
            case ast.For(target=ast.Attribute()) | ast.withitem(optional_vars=ast.Attribute()):
                facts.hidden |= own
        if own and isinstance(node, nodes.SCOPES):
            facts.altered |= nodes.altered_by(node)
        facts.known.update(source.binds_of(node))
    facts.named += nodes.bound_by(tree.body)
    return facts
