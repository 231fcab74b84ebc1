"""Checks of a master, its hidden tests and its known mistakes: they report the author's errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from autograder.course.course import Homework
from autograder.course.markers import edge_of, misspelt
from autograder.course.master import ADDED_CELLS, AuthorError, Cell, Finding, Master, file_text, syntax_error
from autograder.course.mistakes import Mistake
from autograder.course.parameters import used, wrong_lines
from autograder.course.shared_code import offers


def check_ids(master: Master, findings: list[Finding]) -> None:
    """Report grade_ids that are used twice or reserved."""
    seen: dict[str, Cell] = {}
    for cell in master.cells:
        if cell.id in ADDED_CELLS:
            message = f"grade_id {cell.id!r} is reserved for a cell that the build adds: choose another"
            findings.append(Finding(master.path, cell.line, message))
        elif cell.id in seen:
            message = f"grade_id {cell.id!r} is already used by the cell at line {seen[cell.id].line}: choose another"
            findings.append(Finding(master.path, cell.line, message))
        seen.setdefault(cell.id, cell)


def check_marks(cell: Cell) -> Iterator[tuple[int, str]]:
    """Lines and texts of the errors in a cell's nbgrader metadata."""
    name = f"cell {cell.id}"
    if cell.task and (cell.kind == "code" or cell.grade or cell.solution):
        yield cell.line, f'{name}: a task must be a markdown cell without "grade" and "solution"'
    elif cell.autograded and cell.kind == "markdown":
        yield cell.line, f'{name}: an autograded cell must be a code cell; for a written answer add "solution": true'
    elif cell.kind == "markdown" and cell.solution and not cell.grade:
        yield cell.line, f'{name}: a written answer must be graded: add "grade": true and "points"'
    if cell.points and not cell.solution and not cell.locked:
        yield cell.line, f'{name}: points on an unlocked test cell: add "locked": true'
    if cell.solution and cell.locked:
        yield cell.line, f'{name}: a solution cell cannot be locked: remove "locked"'
    if cell.grade and cell.demo:
        yield cell.line, f'{name}: a demo cell is never run, so it cannot be graded: remove the tag "demo" or "grade"'
    if cell.kind == "code" and cell.solution and "BEGIN SOLUTION" not in cell.source:
        yield cell.line, f"{name}: a solution cell needs the markers ### BEGIN SOLUTION and ### END SOLUTION"


def check_regions(cell: Cell) -> Iterator[tuple[int, str]]:
    """Lines and texts of the errors in a cell's region markers."""
    opened: tuple[int, str] | None = None
    for number, line in enumerate(cell.source.split("\n"), cell.line):
        edge = edge_of(line)
        if edge is None:
            if meant := misspelt(line):
                yield number, f"this looks like the marker ### {meant}: write exactly that, or reword the line"
            continue
        side, name = edge
        if name == "HIDDEN TESTS":
            yield number, "the build adds this region itself: move hidden tests to the homework's hidden/ folder"
        elif name == "SOLUTION" and not cell.solution:
            yield number, 'students would see this solution: add "solution": true to its cell'
        elif name == "MARK SCHEME" and not cell.task:
            yield number, 'students would see this mark scheme: add "task": true to its cell'
        if side == "BEGIN":
            if opened:
                yield number, f"BEGIN {name} inside the region that begins at line {opened[0]}: end that region first"
            opened = (number, name)
        elif opened is None or opened[1] != name:
            yield number, f"END {name} without BEGIN {name}: add the marker or delete this one"
        else:
            opened = None
    if opened:
        yield opened[0], f"BEGIN {opened[1]} without END {opened[1]}: add the marker or delete this one"


def check_syntax(master: Master, text: str) -> Iterator[Finding]:
    """Report syntax errors in code cells, or else in the whole file."""
    found = False
    for cell in master.cells:
        if cell.kind == "code" and (error := syntax_error(cell.source)):
            found = True
            yield Finding(master.path, cell.line + (error.lineno or 1) - 1, f"cell {cell.id}: {error.msg}")
    # If every cell is valid, then markdown is neither comment nor string, or a string continues into the next cells.
    if not found and (error := syntax_error(text)):
        message = f"the file is not a Python module ({error.msg}): write markdown as comments or as a string"
        yield Finding(master.path, error.lineno or 1, message)


def check_parameters(master: Master, homework: Homework) -> Iterator[Finding]:
    """Check the lines that mark parameters, and that each declared parameter is marked somewhere."""
    standard = homework.standard(master.notebook)
    found = [
        Finding(master.path, cell.line + number, f"cell {cell.id}: {said}")
        for cell in master.cells
        for number, said in wrong_lines(cell.source, standard)
    ]
    if found or not standard:
        yield from found
        return
    path = homework.root / homework.name / "homework.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    for name in sorted(standard.keys() - {name for cell in master.cells for name in used(cell.source)}):
        declared = re.compile(rf"""\s*name\s*=\s*["']{name}["']""")
        line = next((number for number, text in enumerate(lines, 1) if declared.match(text)), 1)
        yield Finding(path, line, f"the parameter {name!r} stands nowhere in {master.path.name}: mark it or remove it")


def check_hidden(master: Master, path: Path) -> Iterator[Finding]:
    """Check that the hidden tests in `path` and the master's autograded cells match. Does not run the tests."""
    tested = {cell.grade_id: cell for cell in master.cells if cell.autograded}
    try:
        text = file_text(path, "write there the tests that earn the points of " + ", ".join(tested))
        earned = dict(_earned(ast.parse(text)))
    except AuthorError as error:
        if tested or path.exists():
            yield from error.findings
        return
    except (SyntaxError, ValueError) as problem:
        yield Finding(path, getattr(problem, "lineno", 1) or 1, f"this file is not valid Python: {problem}")
        return
    for line, name in earned.items():
        if name is None:
            yield Finding(path, line, 'write the grade_id in @earns as a plain string: @earns("…")')
        elif name not in tested:
            yield Finding(path, line, f"@earns({name!r}): {master.path.name} has no autograded cell with this grade_id")
    for cell in tested.values():
        if cell.points and cell.grade_id not in earned.values():
            yield Finding(master.path, cell.line, f"cell {cell.id}: no test in {path.name} earns its points")


def _earned(tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    """The line and the grade_id of every @earns. The grade_id is None if it is not a plain string."""
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1] == "earns":
                given = [*decorator.args[:1], *(word.value for word in decorator.keywords if word.arg == "cell")]
                name = given[0].value if given and isinstance(given[0], ast.Constant) else None
                yield decorator.lineno, name if isinstance(name, str) else None


def check_mistakes(master: Master, listed: Sequence[Mistake], path: Path, findings: list[Finding]) -> None:
    """Report known mistakes that do not fit the master."""
    lines = _id_lines(file_text(path, "")) if listed else {}
    cells = {cell.id: cell for cell in master.cells}
    seen: set[str] = set()
    for mistake in listed:
        line = lines.get(mistake.id, [1])[-1 if mistake.id in seen else 0]

        def report(text: str, line: int = line, name: str = mistake.id) -> None:
            findings.append(Finding(path, line, f"mistake {name!r}: {text}"))

        if mistake.id in seen:
            report("an earlier mistake already has this id: choose another")
        seen.add(mistake.id)
        if not mistake.fails:
            report("`fails` is empty: list the grade cells that lose points")
        for name in mistake.fails:
            if name not in cells or not cells[name].autograded:
                report(f"`fails` lists {name!r}, but {master.path.name} has no autograded cell with this grade_id")
        if mistake.cell not in cells:
            report(f"{master.path.name} has no cell {mistake.cell!r}")
            continue
        source = cells[mistake.cell].source
        times = source.count(mistake.replace) if mistake.replace else 0
        if times != 1:
            report(f"the text of `replace` occurs {times} times in cell {mistake.cell}; it must occur exactly once")
        elif error := syntax_error(mistake.edit(source)):
            report(f"after the edit, cell {mistake.cell} is not valid Python: {error.msg}")


def _id_lines(text: str) -> dict[str, list[int]]:
    """The lines of mistakes.toml that set each id."""
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*id\s*=\s*([\"'])(.*?)\1", line):
            lines.setdefault(found[2], []).append(number)
    return lines


_OPENS = {
    *("plt.figure", "plt.subplots", "plt.subplot", "plt.axes", "plt.plot", "plt.semilogy", "plt.loglog", "plt.bar"),
    *("plt.semilogx", "plt.scatter", "plt.barh", "plt.hist", "plt.imshow", "plt.contour", "plt.contourf"),
}
"""what opens a figure"""
_WAY_OUT = 'end the drawing with show_figure("what the data say, in numbers"), taken from common.py in a locked cell'


def check_figures(master: Master, root: Path) -> Iterator[Finding]:
    """Report figures that come without words, if the course in `root` has words for them: `show_figure` in common.py.

    A figure that a function opens and leaves open counts where that function is called.
    """
    if not offers(root, "show_figure"):
        return
    codes = [cell for cell in master.cells if cell.kind == "code" and not syntax_error(cell.source)]
    trees = [ast.parse(cell.source) for cell in codes]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    shows = _reaching({"show_figure", "plt.close"}, functions)
    opens = _reaching(_OPENS, [one for one in functions if one.name not in shows])
    for cell, tree in zip(codes, trees, strict=True):
        plain = [line for line, name in _called(ast.walk(tree)) if name in ("plt.show", "fig.show", "figure.show")]
        run = _called(_run(tree))
        left = [line for line, name in run if name in opens and not any(name in shows for _, name in run)]
        if lines := plain or left:
            said = f"cell {cell.id}: readers who cannot see this figure are told nothing: {_WAY_OUT}"
            yield Finding(master.path, cell.line + min(lines) - 1, said)


def _reaching(names: set[str], functions: Sequence[ast.FunctionDef]) -> set[str]:
    """These names, and those of the functions that call them, directly or through one another."""
    found, before = set(names), 0
    while before < len(found):
        before = len(found)
        found |= {one.name for one in functions if any(name in found for _, name in _called(_run(one)))}
    return found


def _run(node: ast.Module | ast.FunctionDef) -> Iterator[ast.AST]:
    """What runs with a cell, or with a function's body: not the bodies of the functions that it defines."""
    waiting: list[ast.AST] = [*node.body]
    while waiting:
        inner = waiting.pop()
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield inner
            waiting += ast.iter_child_nodes(inner)


def _called(nodes: Iterable[ast.AST]) -> list[tuple[int, str]]:
    """The line of each call, and what it calls, where that is a name or `plt.plot`; else an empty text."""
    return [(node.lineno, _name(node.func)) for node in nodes if isinstance(node, ast.Call)]


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(name):
            return name
        case ast.Attribute(ast.Name(name), attribute):
            return f"{name}.{attribute}"
    return ""
