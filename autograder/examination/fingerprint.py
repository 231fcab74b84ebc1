"""Fingerprints: digests that show which hidden tests have changed since a submission was graded.

A fingerprint only saves work: where it differs, the test runs again on what was recorded. It covers the test's own
source, everything that it uses of its module, the cells of the master that it reads, and the grader's own judgement.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import autograder
from autograder.course.course import Homework, NotebookSpec
from autograder.course.master import Master
from autograder.course.mistakes import Mistake
from autograder.course.names import names
from autograder.course.release import Released

_PACKAGE = Path(autograder.__file__).parent
_JUDGES = ("examination", "sandbox/wire", "sandbox/object_client.py", "sandbox/error_text.py", "constants.py")
"""the package's own code that a test's verdict depends on"""
_CLOCKS = frozenset({"time", "perf_counter", "monotonic", "process_time", "thread_time", "perf_counter_ns", "time_ns"})
_ADDING = frozenset({"append", "add", "update", "setdefault", "extend", "insert", "pop", "clear", "remove", "discard"})
_LENDING = "lending"
"""the method of `Harness` that hands out right parts"""
_VERDICTS = ("forbidden", "submission/rebindings.py", "grading/causes.py", "grading/verdict.py", "examination/score.py")
"""the package's own code that points depend on beside the tests"""


class TestFingerprints:
    """The fingerprints of the tests of one file of hidden tests."""

    __test__ = False  # tells pytest that this is not a test class

    def __init__(self, path: Path, book: Master) -> None:
        source = path.read_text(encoding="utf-8")
        self._defined, self._for_all = _definitions(source)
        harness = path.parent / "harness" / f"{path.stem.removeprefix('test_')}.py"
        files = [file for file in (*_beside(path.parent), harness) if file.is_file()]
        self._beside = [part for file in files for part in (file.name.encode(), file.read_bytes())]
        mutated = {name for many in self._defined.values() for one in many for name in one.mutates}
        self._mutable = frozenset(mutated & self._defined.keys())
        self._reference = _Cells(book)
        self._numbers = repr(book.numbers).encode()

    def of(self, function: str, item: str) -> bytes:
        """The fingerprint of a test function or a class of tests; `item` is the test's name with its parameters."""
        used = self._used(function)
        parts = [item.encode(), _judges(), *self._beside, *(one.text for one in used)]
        words = frozenset[str]().union(*(one.words for one in used))
        parts += [source.encode() for source in self._reference.read_by(words)]
        if any("parameters" in one.names for one in used):
            parts.append(self._numbers)
        return digest(parts)

    def state(self, function: str) -> frozenset[str]:
        """The names of the module through which this test may hand something on to others."""
        return self._mutable & frozenset[str]().union(*(one.names for one in self._used(function)))

    def timed(self, function: str) -> bool:
        """Whether a test looks at the clock: then an answer from the record is no answer."""
        clocks = _CLOCKS - ({"time"} - self._defined.keys())  # without an import, it is a word like any other
        return any(clocks & (one.names | one.words) for one in self._used(function))

    def lends(self, function: str) -> bool:
        """Whether a test may put right parts into the student's process."""
        return any(_LENDING in one.words for one in self._used(function))

    def _used(self, function: str) -> list[_Statement]:
        """The statements of the module that a test uses, directly or through others, in the file's order."""
        reached: dict[str, Sequence[_Statement]] = {}
        waiting = [function, *(name for one in self._for_all for name in one.names)]
        while waiting:
            name = waiting.pop()
            if name not in reached and name in self._defined:
                reached[name] = self._defined[name]
                waiting += [used for one in reached[name] for used in one.names]
        found = {one.line: one for one in self._for_all}
        found |= {one.line: one for statements in reached.values() for one in statements}
        return [found[line] for line in sorted(found)]


@dataclass(frozen=True)
class _Statement:
    """A statement of a module of hidden tests."""

    line: int
    text: bytes
    """the same for the same code, however it is laid out and commented"""
    names: frozenset[str]
    """the names that it uses; arguments too, for they may be fixtures"""
    words: frozenset[str]
    """the names by which it may read something of the reference: attributes, and texts for getattr"""
    mutates: frozenset[str]
    """the names of the module to whose objects its functions add something"""


class _Cells:
    """The cells of a master that tests read through `reference`."""

    def __init__(self, book: Master) -> None:
        self._cells = [cell.source for cell in book.code() if not cell.grade]
        self._defining: dict[str, set[int]] = {}
        for number, source in enumerate(self._cells):
            for name in names(source) | _extended(ast.parse(source)):
                self._defining.setdefault(name, set()).add(number)

    def read_by(self, words: Iterable[str]) -> Iterator[str]:
        """The sources of the cells that define one of these names, and of those that they use in turn."""
        seen: set[int] = set()
        waiting = [number for word in words for number in self._defining.get(word, ())]
        while waiting:
            number = waiting.pop()
            if number not in seen:
                seen.add(number)
                waiting += [other for word in self._loaded(number) for other in self._defining.get(word, ())]
        return (self._cells[number] for number in sorted(seen))

    @functools.cache  # noqa: B019 - as long as the suite
    def _loaded(self, number: int) -> frozenset[str]:
        return frozenset(name.id for name in _names(ast.parse(self._cells[number])))


def execution_of(released: Released, homework: Homework, spec: NotebookSpec) -> bytes:
    """A digest of what running a submission depends on: where it differs, the notebook has to run again."""
    cells = [
        (cell.id, cell.source if cell.kind == "code" else "", cell.grade_id, cell.fixed, cell.demo)
        for cell in released.cells
    ]
    return digest([repr((cells, homework.limits, spec.forbidden, homework.packages)).encode()])


def verdict_of(released: Released, book: Master, spec: NotebookSpec) -> bytes:
    """A digest of what points depend on beside the tests."""
    cells = [(cell.id, cell.points, cell.bonus, cell.title, cell.task) for cell in released.cells]
    return digest([repr((cells, spec)).encode(), *(cell.source.encode() for cell in book.cells), _code(_VERDICTS)])


def known_of(book: Master, mistakes: Sequence[Mistake]) -> Mapping[str, bytes]:
    """For each autograded cell, a digest of the known mistakes that may explain it and of what they edit."""
    solutions = [cell.source for cell in book.code() if not cell.grade]
    return {
        cell.grade_id: digest([repr((solutions, [one for one in mistakes if cell.grade_id in one.fails])).encode()])
        for cell in book.grade_cells()
        if cell.autograded
    }


def digest(parts: Iterable[bytes]) -> bytes:
    """One digest of several texts, in order."""
    found = hashlib.blake2b(digest_size=12)
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.digest()


@functools.cache
def _judges() -> bytes:
    import numpy
    import torch

    return digest([repr((sys.version_info, torch.__version__, numpy.__version__)).encode(), _code(_JUDGES)])


@functools.cache
def _code(places: tuple[str, ...]) -> bytes:
    files = [file for place in places for file in _files(_PACKAGE / place)]
    return digest([part for file in files for part in (file.name.encode(), file.read_bytes())])


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


@functools.lru_cache(maxsize=8)  # students with other parameters have the same tests
def _definitions(source: str) -> tuple[Mapping[str, Sequence[_Statement]], Sequence[_Statement]]:
    """For each name that a module defines at its top level, the statements that do; and those that all tests depend on.

    These are statements that define nothing, fixtures that pytest uses by itself, and marks for the whole module.
    """
    found: dict[str, list[_Statement]] = {}
    for_all = []
    for node in ast.parse(source).body:
        inside = list(ast.walk(node))
        constants = (one.value for one in inside if isinstance(one, ast.Constant))
        texts = {text for text in constants if isinstance(text, str) and text.isidentifier()}
        names = {one.id for one in inside if isinstance(one, ast.Name)}
        names |= {one.arg for one in inside if isinstance(one, ast.arg)}
        statement = _Statement(
            node.lineno,
            ast.dump(node).encode(),
            frozenset(names | texts),  # a text may name a fixture
            frozenset(one.attr for one in inside if isinstance(one, ast.Attribute)) | texts,
            frozenset(_mutated(inside)) if isinstance(node, ast.FunctionDef | ast.ClassDef) else frozenset(),
        )
        bound = _bound(node)
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (bound or docstring) or any(map(_by_itself, bound)) or _registered(node):
            for_all.append(statement)
        for name in bound:
            found.setdefault(name, []).append(statement)
    return found, for_all


def _by_itself(name: str) -> bool:
    """Whether pytest uses what has this name by itself."""
    return name == "pytestmark" or name.startswith(("pytest_", "setup_", "teardown_"))


def _registered(node: ast.stmt) -> bool:
    """Whether a decorator may make a definition known under another name, as fixtures do."""
    tests = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.casefold().startswith("test")
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and bool(node.decorator_list) and not tests


def _mutated(inside: Sequence[ast.AST]) -> Iterator[str]:
    """The names whose objects get an item, an attribute or an element, or that are declared global."""
    for node in inside:
        if isinstance(node, ast.Global):
            yield from node.names
        target = getattr(node, "value", None)
        stored = isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store)
        added = isinstance(node, ast.Attribute) and node.attr in _ADDING
        if (stored or added) and isinstance(target, ast.Name):
            yield target.id


def _beside(hidden: Path) -> list[Path]:
    """The files that tests may read, beside those that are tests or harnesses."""
    files = (file for file in sorted(hidden.rglob("*")) if "__pycache__" not in file.parts)
    return [file for file in files if not file.name.startswith("test_") and file.parent.name != "harness"]


def _extended(tree: ast.Module) -> set[str]:
    """The names of objects that get attributes: `Linear.backward = …`."""
    targets = (
        node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {name.id for name in _names(node) if isinstance(name.ctx, ast.Store)}


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))
