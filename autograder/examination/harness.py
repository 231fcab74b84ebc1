"""A harness: course code that works with the student's objects in the student's process and returns plain values.

It is a file of its own (hidden/harness/mlp.py for hidden/test_mlp.py), so that it can be linted and type-checked. It
runs in a namespace of its own: it neither uses nor overwrites the student's names. The trusted side judges the values
that it returns.
"""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Iterator
from pathlib import Path

from autograder.sandbox.object_client import Student


class Harness:
    """The harness of one file of hidden tests. Write `HARNESS = Harness(__file__)` at the top of that file."""

    def __init__(self, tests: str | Path) -> None:
        """`tests` is a file of hidden tests, or the harness itself."""
        file = Path(tests)
        harness = file.parent / "harness" / f"{file.stem.removeprefix('test_')}.py"
        self._path = harness if file.stem.startswith("test_") else file
        self._source = self._path.read_text(encoding="utf-8")
        self._names = tuple(
            node.name
            for node in ast.parse(self._source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        )

    @functools.cached_property
    def ours(self) -> types.SimpleNamespace:
        """The harness's public functions and classes in this process, for values that the tests compute themselves."""
        names = {"__name__": "harness"}
        exec(compile(self._source, str(self._path), "exec"), names)
        return types.SimpleNamespace(**{name: names[name] for name in self._names})

    def beside(self, student: Student) -> types.SimpleNamespace:
        """Handles to the harness's public functions and classes in the student's process, right parts aside.

        Right parts answer exercises: they are what `right_…`, `_right_…` and `Right…` define. Here, they are empty.
        """
        named = ", ".join(f"{name!r}: {name}" for name in self._names)
        return types.SimpleNamespace(**student.run(f"{self._without_right_parts}\n{{{named}}}\n", apart=True))

    def lending(self, student: Student, *names: str) -> types.SimpleNamespace:
        """As `beside`, with the right parts `names`, for a test that lends them. Later tests get another process.

        The student's code can read all that is sent. So name the functions and classes that the test needs, and never
        one that answers what it asks for: each is sent with what it uses of the file, right parts too, into a namespace
        of its own that holds nothing else.
        """
        student.spend()
        lent: dict[str, object] = {}
        for name in names:
            lent |= student.run(f"{self._alone(name)}\n{{{name!r}: {name}}}\n", apart=True)
        return types.SimpleNamespace(**vars(self.beside(student)) | lent)

    def _alone(self, name: str) -> str:
        """The source of a function or class, and of what it uses of the file, directly or through others."""
        body = ast.parse(self._source).body
        bound = [frozenset(_bound(node)) for node in body]
        if not any(name in some for some in bound):
            raise ValueError(f"{self._path} defines no {name}, which a test wants to lend")
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                users = (node for node, some in zip(body, bound, strict=True) if one in some)
                waiting += [used.id for node in users for used in ast.walk(node) if isinstance(used, ast.Name)]
        kept = [node for node, some in zip(body, bound, strict=True) if some & seen or _is_future(node)]
        return ast.unparse(ast.Module(kept, []))

    @functools.cached_property
    def _without_right_parts(self) -> str:
        lines = self._source.split("\n")
        for node in reversed(ast.parse(self._source).body):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_right(node.name):
                lines[node.body[0].lineno - 1 : node.end_lineno] = ["    pass"]
        return "\n".join(lines)


def _is_right(name: str) -> bool:
    """Whether a function or class is called as a right part."""
    return name.lstrip("_").lower().startswith("right")


def _is_future(node: ast.stmt) -> bool:
    """Whether a statement sets how the whole file is read."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of the file defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    else:
        yield from (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        for inner in ast.walk(node):
            if inner is not node and isinstance(inner, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                yield from _bound(inner)
