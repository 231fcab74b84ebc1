"""Checks of a master: the author's mistakes in it, in its hidden tests and in its bank of mistakes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder.course.markers import edge_of, misspelt
from autograder.course.master import ADDED_CELLS, AuthorError, Cell, Finding, Master, file_text, syntax_error
from autograder.course.mistakes import Mistake


def check_ids(master: Master, findings: list[Finding]) -> None:
    seen: dict[str, Cell] = {}
    for cell in master.cells:
        if cell.id in ADDED_CELLS:
            said = f"grade_id {cell.id!r} belongs to a cell that the build adds: choose another"
            findings.append(Finding(master.path, cell.line, said))
        elif cell.id in seen:
            said = f"grade_id {cell.id!r} is taken by the cell of line {seen[cell.id].line}"
            findings.append(Finding(master.path, cell.line, said))
        seen.setdefault(cell.id, cell)


def check_marks(cell: Cell) -> Iterator[tuple[int, str]]:
    name = f"cell {cell.id}"
    if cell.task and (cell.kind == "code" or cell.grade or cell.solution):
        yield cell.line, f"{name}: a task is a markdown cell that is neither grade nor solution"
    elif cell.autograded and cell.kind == "markdown":
        yield cell.line, f"{name}: an autograded cell holds code; a written answer is grade and solution"
    elif cell.kind == "markdown" and cell.solution and not cell.grade:
        yield cell.line, f"{name}: a written answer is graded: give it grade and points"
    if cell.points and not cell.solution and not cell.locked:
        yield cell.line, f'{name}: points on an unlocked test cell: add "locked": true'
    if cell.solution and cell.locked:
        yield cell.line, f"{name}: a solution cell cannot be locked"
    if cell.grade and cell.demo:
        yield cell.line, f"{name}: a demo cell is never executed, so it cannot be graded"
    if cell.kind == "code" and cell.solution and "BEGIN SOLUTION" not in cell.source:
        yield cell.line, f"{name}: a solution cell without ### BEGIN SOLUTION … ### END SOLUTION"


def check_regions(cell: Cell) -> Iterator[tuple[int, str]]:
    opened: tuple[int, str] | None = None
    for number, line in enumerate(cell.source.split("\n"), cell.line):
        edge = edge_of(line)
        if edge is None:
            if meant := misspelt(line):
                yield number, f"this reads like the marker ### {meant}: write exactly that, or reword the line"
            continue
        side, name = edge
        if name == "HIDDEN TESTS":
            yield number, "the build adds this region: hidden tests belong in the homework's hidden/ folder"
        elif name == "SOLUTION" and not cell.solution:
            yield number, 'a solution in a cell without "solution": true would reach the students'
        elif name == "MARK SCHEME" and not cell.task:
            yield number, 'a mark scheme in a cell without "task": true would reach the students'
        if side == "BEGIN":
            if opened:
                yield number, f"BEGIN {name} inside the region that line {opened[0]} began"
            opened = (number, name)
        elif opened is None or opened[1] != name:
            yield number, f"END {name} without its BEGIN {name}"
        else:
            opened = None
    if opened:
        yield opened[0], f"BEGIN {opened[1]} without its END {opened[1]}"


def check_syntax(master: Master, text: str) -> Iterator[Finding]:
    found = False
    for cell in master.cells:
        if cell.kind == "code" and (error := syntax_error(cell.source)):
            found = True
            yield Finding(master.path, cell.line + (error.lineno or 1) - 1, f"cell {cell.id}: {error.msg}")
    # What is left is markdown that is neither comment nor string, or a string that swallows the next cells.
    if not found and (error := syntax_error(text)):
        yield Finding(master.path, error.lineno or 1, f"the file is not a Python module: {error.msg}")


def check_hidden(master: Master, path: Path) -> Iterator[Finding]:
    tested = {cell.grade_id: cell for cell in master.cells if cell.autograded}
    try:
        text = file_text(path, "it holds the tests that earn the points of " + ", ".join(tested))
        earned = dict(_earned(ast.parse(text)))
    except AuthorError as error:
        if tested or path.exists():
            yield from error.findings
        return
    except (SyntaxError, ValueError) as problem:
        yield Finding(path, getattr(problem, "lineno", 1) or 1, f"not Python: {problem}")
        return
    for line, name in earned.items():
        if name is None:
            yield Finding(path, line, '@earns takes the grade_id as a plain string: @earns("…")')
        elif name not in tested:
            yield Finding(path, line, f"@earns({name!r}): {master.path.name} has no autograded cell of this name")
    for cell in tested.values():
        if cell.points and cell.grade_id not in earned.values():
            yield Finding(master.path, cell.line, f"cell {cell.id}: no test in {path.name} earns its points")


def _earned(tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    """Line and grade_id of every @earns; None in place of anything but a plain string."""
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1] == "earns":
                given = [*decorator.args[:1], *(word.value for word in decorator.keywords if word.arg == "cell")]
                name = given[0].value if given and isinstance(given[0], ast.Constant) else None
                yield decorator.lineno, name if isinstance(name, str) else None


def check_mistakes(master: Master, listed: Sequence[Mistake], path: Path, findings: list[Finding]) -> None:
    text = file_text(path, "") if listed else ""
    cells = {cell.id: cell for cell in master.cells}
    seen: set[str] = set()
    for mistake in listed:
        line = _id_line(text, mistake.id, repeated=mistake.id in seen)

        def say(said: str, line: int = line, name: str = mistake.id) -> None:
            findings.append(Finding(path, line, f"mistake {name!r}: {said}"))

        if mistake.id in seen:
            say("this id is taken by an earlier mistake")
        seen.add(mistake.id)
        if not mistake.fails:
            say("it fails nothing: name the grade cells that it loses")
        for name in mistake.fails:
            if name not in cells or not cells[name].autograded:
                say(f"fails {name!r}, and {master.path.name} has no autograded cell of this name")
        if mistake.cell not in cells:
            say(f"{master.path.name} has no cell {mistake.cell!r}")
            continue
        source = cells[mistake.cell].source
        times = source.count(mistake.replace) if mistake.replace else 0
        if times != 1:
            say(f"its replace stands {times} times in cell {mistake.cell}; it must stand there exactly once")
        elif error := syntax_error(mistake.edit(source)):
            say(f"cell {mistake.cell} is not Python any more after the edit: {error.msg}")


def _id_line(text: str, name: str, *, repeated: bool) -> int:
    found = [
        number for number, line in enumerate(text.splitlines(), 1)
        if re.match(rf"\s*id\s*=\s*[\"']{re.escape(name)}[\"']", line)
    ]  # fmt: skip
    return (found[-1] if repeated else found[0]) if found else 1
