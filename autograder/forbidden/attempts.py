"""Attempts: code that no honest answer needs, because it serves to reach a forbidden tool or the grader itself.

Code in the student's own process can always get around what `runtime` blocks there. So that is a deterrent, and this
module makes attempts visible: a person looks at them. It only reads the source code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from autograder.course.course import Tool
from autograder.course.nodes import all_nodes, walk
from autograder.forbidden import (
    detours,
    harmless,
    libraries,
    listed,
    magics,
    outside,
    run_texts,
    signs,
    static,
    tool_use,
)
from autograder.forbidden.lookups import LONGEST, Lookups
from autograder.forbidden.source import inner_functions, origins_of, path_of, runs_elsewhere, too_deep
from autograder.forbidden.texts import Texts, is_code, text_of

_MOST = 5
"""most attempts of one notebook that are reported"""
_MATCHED = {"int", "float", "str", "bytes", "bool", "list", "tuple", "dict", "set", "frozenset", "bytearray"}
"""classes of which a pattern without a name is the whole object"""


@dataclass(frozen=True)
class Attempt:
    """One place in a student's code that a person should look at."""

    cell: str
    line: int
    what: str
    """the name that no answer needs"""


def attempts(
    own: static.Code, given: static.Code, tools: Iterable[Tool], ran: Iterable[run_texts.RunText] = ()
) -> tuple[Attempt, ...]:
    """The attempts in the cells `own`, which students write, and in what `ran` beside them.

    `given` are the locked cells; `tools` are forbidden.
    """
    cells = static.own_statements(own, given)
    theirs = frozenset(listed.PRIVATE.findall("\n".join(source for _, source in given)))
    search = _Search(
        frozenset(tools), static.sources_of(own, given), tuple(chain(*cells.values())), static.modules_of(own), theirs
    )
    found: dict[tuple[str, int], Attempt] = {}
    sources = dict(own)
    if cells and static.is_crowded(own, given):
        first = next(iter(cells))
        found[first, 1] = Attempt(first, 1, "more `import *` than can be read")
    for cell, statements in cells.items():
        if not statements and too_deep(sources[cell]):
            found[cell, 1] = Attempt(cell, 1, "code that is nested too deeply to be read")
        for line, what in search.places(statements):
            found.setdefault((cell, line), Attempt(cell, line, what))
    everything = [source for _, source in (*own, *given)]
    for one, what in run_texts.unusual(ran, everything, search.in_code):
        found.setdefault((one.cell, one.line), Attempt(one.cell, one.line, what))
    return tuple(found.values())[:_MOST]


class _Search:
    """What to look for in one notebook."""

    def __init__(
        self,
        tools: frozenset[Tool],
        origins: dict[str, str],
        own: Sequence[ast.stmt],
        modules: frozenset[str],
        theirs: frozenset[str],
    ) -> None:
        """`own` are the student's statements, `modules` files beside the notebook, `theirs` names of locked cells."""
        self._tools, self._origins, self._own_modules = tools, origins, modules
        self._starred = {name for one in own for name in signs.starred_names(one)} & origins.keys()
        self._texts = Texts(own)
        nodes = [node for one in own for node in all_nodes(one)]
        bound = harmless.bindings(nodes)
        made = outside.given_names(nodes, outside.is_put_together, part=True)
        self._classes = outside.given_names(nodes, outside.is_class_of, part=False)
        self._fine = {part for node in nodes for part in harmless.fine(node, origins)}
        targets = {part for one in own for part in signs.local_targets(one)}
        self._fine |= {part for part in targets if getattr(part, "attr", "") != "__annotations__"}
        self._fine |= set(harmless.own_registries(nodes)) | set(harmless.kept_shells(nodes, bound))
        if not any(map(harmless.takes_print, nodes)):
            self._fine |= set(harmless.only_printed(nodes, bound))
        self._defined = {name for node in nodes for name in signs.defines(node)}
        self._known = theirs | self._defined | {text for node in nodes for text in signs.texts_in(node)}
        self._plain = {node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.keywords}
        objects = harmless.own_objects(nodes, self._plain, bound)
        self._calls = listed.TOOL_CALLS - (harmless.own_functions(own, bound) if not modules else set())
        self._writes = any(map(signs.writes_module, nodes))
        self._searches = signs.searches_elsewhere(nodes, origins)
        self._read = modules - signs.written_modules(nodes)
        self._leading = leading = any(signs.leads(node) for node in nodes if node not in self._fine)
        paths = listed.MODULES | (listed.TOOL_MODULES if tools else set())
        names = listed.NAMES | (listed.TOOL_NAMES if tools else set())
        names -= listed.METHODS & self._defined
        self._names = names if leading else names - listed.OWN
        self._lookups = Lookups(*(tools, origins, self._texts, self._names, paths, modules, made, objects))

    def places(self, statements: Iterable[ast.stmt]) -> Iterator[tuple[int, str]]:
        """The lines of attempts in statements, and what they are."""
        for statement in statements:
            parts: set[ast.AST] = set()  # of what was looked at as a whole, which comes first
            inner = all_nodes(statement)
            for node, what in self._as_a_whole(inner):
                yield getattr(node, "lineno", statement.lineno), what
            for node in inner:
                parts.update(harmless.said(node, self._origins))
                if node not in self._fine:
                    for what in self._found(node, parts):
                        yield getattr(node, "lineno", statement.lineno), what

    def _as_a_whole(self, nodes: Sequence[ast.AST]) -> Iterator[tuple[ast.AST, str]]:
        """What the nodes of a statement do together."""
        yield from outside.replaced(nodes, self._classes)
        if self._tools:
            taken = chain(
                outside.taken(nodes, self._own_modules),
                detours.taken(nodes, self._origins, self._known, self._plain),
            )
            yield from ((node, what) for node, what in taken if node not in self._fine)

    def _found(self, node: ast.AST, parts: set[ast.AST]) -> Iterator[str]:
        match node:
            case ast.Import(names):
                paths = [alias.name for alias in names]
                yield from (path for path in paths if self._lookups.is_listed(path) and path not in listed.BY_USE)
                yield from self._unknown(paths)
            case ast.ImportFrom(module=str(module), names=names):
                paths = [f"{module}.{alias.name}" for alias in names]
                allowed = listed.USED | listed.BY_USE | listed.GETTERS.keys()
                yield from (path for path in paths if self._lookups.is_listed(path) and path not in allowed)
                yield from (alias.name for alias in names if alias.name in self._names)
                yield from self._unknown([module])
                if self._tools and module.partition(".")[0] == "torch":
                    yield from filter(signs.is_private, (p.rpartition(".")[2] for p in paths if p not in listed.USED))
            case ast.Attribute(value=of, attr=name):
                parts.add(of)
                if not isinstance(node.ctx, ast.Load):
                    yield from self._set(node)
                ours = harmless.is_super(of) or self._lookups.is_own(of)
                leaves = name == "__exit__" and self._tools and not ours  # a mode that shuts tools, perhaps
                runs = name in listed.SHELL_CALLS and (harmless.is_shell(of) or (self._leading and not ours))
                if leaves or runs or name in self._names or self._is_inner(name):
                    yield name
                elif name == "__annotations__" and not isinstance(node.ctx, ast.Load):
                    yield "__annotations__ = …"
                elif node not in parts:
                    yield from self._lookups.on_path(path_of(node, self._origins))
            case ast.Subscript(value=ast.Attribute(attr="__annotations__"), ctx=ast.Store()):
                yield "__annotations__[…] = …"
            case ast.FunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()) if name in listed.GIVEN:
                yield name
            case ast.ClassDef(bases=bases) if any(path_of(of, self._origins) in listed.TENSORS for of in bases):
                yield "a class made from Tensor"
            case ast.FunctionDef(name="__class__") | ast.Name(id="__class__", ctx=ast.Store()):
                yield "__class__ of one's own"
            case ast.FunctionDef(name=name) if name in self._names and name.startswith("__"):
                yield name
            case ast.MatchClass(cls=cls, patterns=unnamed, kwd_attrs=names) if not self._is_plain(cls):
                closed = self._names | (listed.DOORS if self._tools else set())
                yield from (f"a pattern with {name}" for name in names if name in closed)
                if self._tools and unnamed and not (isinstance(cls, ast.Name) and cls.id in _MATCHED):
                    yield "a pattern whose parts have no names"
            case ast.Assign(targets=[ast.Name(id="__match_args__")], value=value) if self._tools:
                known = (text_of(one) for one in getattr(value, "elts", ()))
                if not all(name and name not in listed.DOORS | self._names for name in known):
                    yield "__match_args__"
            case ast.Name(id=name, ctx=ast.Store()) if name.startswith("__") and name in self._names - {
                "__match_args__"
            }:
                yield name
            case ast.Name(id=name) if self._origins.get(name) in listed.BY_USE and node not in parts:
                yield self._origins[name]
            case ast.Name(id=name) if self._tools and self._origins.get(name) in listed.GETTERS and node not in parts:
                if isinstance(node.ctx, ast.Load):
                    yield f"{self._origins[name]} that is not called"
            case ast.Name(id=name) if name in self._starred:
                path = self._origins[name]
                yield from (path,) if name in self._names else self._lookups.on_path(path)
            case ast.Call(func=ast.Name(id="eval") as called, args=[code, *_]) if self._tools and self._is_read(code):
                parts.add(called)
                yield from chain.from_iterable(map(self.in_code, self._texts.values(code) or ()))
            case ast.Name(id=name) if name in ("_getframe", "__builtins__") or (self._tools and name in self._calls):
                if node not in parts and not self._origins.get(name, "").startswith(listed.COMPILING):
                    yield name
            case ast.Constant() | ast.BinOp() | ast.JoinedStr() if node not in parts:
                if text := text_of(node):
                    parts.update(walk(node))
                    yield from self._named_in(text)
            case ast.Call(func=ast.Name(id="open" | "__import__"), args=[key, *_]) if self._lookups.is_closed(
                text_of(key)
            ):
                yield text_of(key)[:40]
            case ast.keyword(arg="eval_str", value=value) if self._tools:
                safe = isinstance(value, ast.Constant) and not value.value
                yield from () if safe else ("eval_str, by which texts are run",)
            case ast.Call(func=ast.Attribute(value=of, attr="__setattr__" | "__delattr__"), args=[key, *_]) if path_of(
                of, self._origins
            ):
                yield from self._lookups.by_text("setattr", of, key)
            case ast.Call(func=ast.Attribute(value=of, attr="__getattr__"), args=[key]) if not harmless.is_super(of):
                yield from self._lookups.by_text("getattr", of, key)
            case ast.Call() if self._tools and (magic := magics.run(node)) and magic[0] not in magics.HARMLESS:
                yield f"%{magic[0]}"
            case ast.Call(func=called, args=args) if self._tools and (path := path_of(called, self._origins)):
                if path in listed.GETTERS:
                    parts.add(called)
                texts = [pair.value for pair in node.keywords if pair.arg in listed.CODE_ARGUMENTS]
                yield from self._called(path, [*args[:2], *texts] if path in listed.TEXT_RUNNERS else args)
            case ast.Call(func=called, args=args) if path_of(called, self._origins) in listed.GETTERS:
                words = {word for one in args for text in self._texts.values(one) or () for word in text.split(".")}
                yield from sorted(words & self._names)
            case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in listed.RUNNERS and not self._tools:
                yield from self.in_code(text_of(text))
                yield from (
                    f"{name} of a text that is put together" for made in [self._lookups.is_made(text, "")] if made
                )
            case ast.Call(func=ast.Name(id=name), args=[of, key, *_]) if name in listed.LOOKUPS:
                yield from self._lookups.by_text(name, of, key)
            case ast.Subscript(slice=key) if "autograder" in listed.WORD.findall(text_of(key)):
                yield text_of(key)[:LONGEST]
            case ast.Subscript(value=ast.Call(func=ast.Name(id="vars"), args=[of]), slice=key):
                yield from self._lookups.by_text("vars", of, key)
            case ast.Subscript(value=ast.Attribute(value=of, attr="__dict__"), slice=key):
                yield from self._lookups.by_text("__dict__", of, key)
            case _:
                pass

    def _is_read(self, text: ast.expr) -> bool:
        """Whether all values of an expression that is run are known, and none of them takes a gradient."""
        known = self._texts.values(text)
        return known is not None and all(listed.GRADIENTS.isdisjoint(listed.WORD.findall(one)) for one in known)

    def _called(self, path: str, args: Sequence[ast.expr]) -> Iterator[str]:
        """What a function does that is given texts: it runs them, or looks them up."""
        for one in args if path in listed.TEXT_RUNNERS else ():
            yield from chain.from_iterable(map(self.in_code, self._texts.values(one) or ()))
            if isinstance(one, ast.Call | ast.Attribute | ast.Subscript) or self._lookups.is_made(one, ""):
                yield f"{path} of a text that is found elsewhere"
        if path.startswith("sympy.") and any(self._lookups.is_made(one, "") for one in args):
            yield f"{path} of a text that is put together, which is run"
        if path in listed.GETTERS:
            for one in args[: listed.GETTERS[path]]:
                words = None if (known := self._texts.values(one)) is None else set(".".join(known).split("."))
                if words is None or words & (listed.DOORS | self._names):
                    yield f"{path} of {text_of(one)[:LONGEST] or 'a name that is put together'}"

    def _unknown(self, modules: Sequence[str]) -> Iterator[str]:
        """Modules that are not installed, and perhaps not as handed in, because the notebook writes files."""
        if self._tools and (self._writes or self._searches):
            strange = (one for one in modules if self._writes or not libraries.is_usual(one))
            tops = (module.partition(".")[0] for module in strange)
            yield from (f"import {top}" for top in tops if top not in self._read and not static.is_installed(top))

    def in_code(self, text: str) -> Iterator[str]:
        """What is in a text that is code, or runs as such."""
        if len(text) > listed.MOST_CODE:
            yield from ("a long text of code" for _ in [1] if listed.IMPORT.search(text))
            return
        try:
            statements = magics.tree(text)
        except MemoryError:
            yield "a text of code that is too large to be read"
            return
        except RecursionError:
            yield "a text of code that is nested too deeply to be read"
            return
        except (SyntaxError, ValueError) as error:
            yield from ("a text of code that cannot be read" for _ in [1] if runs_elsewhere(error))
            return
        # what the text imports itself, no name of the notebook tells
        origins = origins_of(statements, self._origins)
        search = _Search(self._tools, origins, statements, self._own_modules, self._known)
        found = (what for _, what in search.places(statements))
        used = tool_use.tool_in(statements, self._tools)
        yield from (f"{what} in a text" for what in (*found, *(used or ())[:1]))

    def _set(self, target: ast.Attribute) -> Iterator[str]:
        """What is replaced in PyTorch: an answer sets its settings (`torch.backends.cudnn.benchmark = True`) alone."""
        path = path_of(target, self._origins)
        setting = path.startswith("torch.backends.") and target.attr in listed.SETTINGS
        closed = path.startswith("torch.") or listed.OTHERS.match(path)
        if closed and not setting and target.attr not in listed.SHOWING:
            yield f"{path[:LONGEST]} = …"

    def _is_plain(self, cls: ast.expr) -> bool:
        """Whether a pattern names a class of the student's own that is made in the usual way."""
        return isinstance(cls, ast.Name) and cls.id in self._plain

    def _is_inner(self, name: str) -> bool:
        return bool(self._tools) and name in inner_functions() and name not in self._defined

    def _named_in(self, text: str) -> Iterator[str]:
        """The names in a text that could be run or looked up: in one with blanks only those that nobody writes."""
        path = listed.PATH.fullmatch(text) is not None
        if (path and text.startswith("autograder.")) or text.startswith("module://"):  # a backend of matplotlib's
            yield text[:LONGEST]
        if self._tools and is_code(text):
            yield from self.in_code(text)
        if self._tools and (inner := listed.INNER.search(text)):
            yield inner[0]
        for word in listed.WORD.findall(text):
            if word in self._names and (path or "_" in word.strip("_") or (word == text and signs.is_private(word))):
                yield word
