"""The libraries that a homework's notebooks import. The zygote loads them once for all submissions."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from autograder.course.course import CourseError, Homework, open_course
from autograder.course.release import released


def check_packages(homework: Homework) -> None:
    """Raise CourseError if a package that homework.toml promises to students is not installed."""
    for package in homework.packages:
        try:
            there = find_spec(package) is not None
        except (ImportError, ValueError):
            there = False
        if not there:
            path = homework.root / homework.name / "homework.toml"
            raise CourseError(f"{path}: package {package!r} is not installed here: install it, or take it off the list")


_LAZY = re.compile(r"torch\.optim|DispatchMode")
"""what imports torch._dynamo when it is first used, which takes more than a second: in each test's fork, if it must

So do forks in which a tool is forbidden, before they block it.
"""


def libraries_of(root: Path, name: str) -> set[str]:
    """The modules that the released notebooks of homework `name` import, as far as their source shows."""
    found: set[str] = set()
    with suppress(CourseError, SyntaxError):  # GradingContext reports the same error
        homework = open_course(root).homework(name)
        found.update(homework.packages)
        for spec in homework.notebooks:
            if spec.forbidden or _LAZY.search(_texts(homework, spec.name)):
                found.add("torch._dynamo")
            for cell in released(homework, spec.name).cells:
                if cell.kind == "code" and not cell.demo:
                    for statement in ast.parse(cell.source).body:
                        if isinstance(statement, ast.Import):
                            found.update(alias.name for alias in statement.names)
                        elif isinstance(statement, ast.ImportFrom) and statement.module:
                            found.add(statement.module)
    return found


def _texts(homework: Homework, notebook: str) -> str:
    """The master, its hidden tests and their harness: what runs in a student's process, or what students do alike."""
    hidden = homework.hidden(notebook)
    paths = (homework.master(notebook), hidden, hidden.parent / "harness" / f"{notebook}.py")
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file())
