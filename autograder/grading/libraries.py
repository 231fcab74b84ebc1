"""The libraries that a homework's notebooks import. The zygote loads them once for all submissions."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path

from autograder.course.course import CourseError, open_course
from autograder.course.release import released


def libraries_of(root: Path, name: str) -> set[str]:
    """The modules that the released notebooks of homework `name` import, as far as their source shows."""
    found: set[str] = set()
    with suppress(CourseError, SyntaxError):  # GradingContext reports the same error
        homework = open_course(root).homework(name)
        for spec in homework.notebooks:
            for cell in released(homework, spec.name).cells:
                if cell.kind == "code" and not cell.demo:
                    if "torch.optim" in cell.source:
                        found.add("torch._dynamo")  # the first optimizer imports it, which takes a second
                    for statement in ast.parse(cell.source).body:
                        if isinstance(statement, ast.Import):
                            found.update(alias.name for alias in statement.names)
                        elif isinstance(statement, ast.ImportFrom) and statement.module:
                            found.add(statement.module)
    return found
