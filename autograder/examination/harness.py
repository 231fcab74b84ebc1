"""A harness: course code that works with the student's objects in the student's process and returns plain values.

It is a file of its own (hidden/harness/mlp.py for hidden/test_mlp.py), so that it can be linted and type-checked. It
runs in a namespace of its own: it neither uses nor overwrites the student's names. The trusted side judges the values
that it returns.
"""

from __future__ import annotations

import ast
import functools
import types
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
        return self._beside(student, self._without_right_parts)

    def lending(self, student: Student) -> types.SimpleNamespace:
        """As `beside`, with right parts, for a test that lends them. Later tests get another process."""
        student.spend()
        return self._beside(student, self._source)

    def _beside(self, student: Student, source: str) -> types.SimpleNamespace:
        named = ", ".join(f"{name!r}: {name}" for name in self._names)
        return types.SimpleNamespace(**student.run(f"{source}\n{{{named}}}\n", apart=True))

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
