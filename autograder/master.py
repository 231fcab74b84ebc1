"""A master: one notebook as a py:percent script with solutions, read and checked for its author's mistakes."""

from __future__ import annotations

import ast
import difflib
import re
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from autograder.course import CourseError, Homework

PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
"""How jupytext reads and writes the course's scripts: a comment stays a comment, even where it reads like a magic."""

ADDED_CELLS = ("colab", "setup")
"""grade_ids of the locked cells that the build adds to every notebook"""

DELIMITERS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
"""nbgrader's regions, each from `### BEGIN …` to `### END …`"""

# where jupytext starts a cell
_MARKER_LINE = re.compile(r"\s*#\s*(?:%%%*(?:\s.*)?|<codecell>\s*|In\[[0-9 ]*\]:?\s*)")
_REGION = re.compile(r"(?:### (BEGIN|END) ({0})|=== (BEGIN|END) ({0}) ===)".format("|".join(DELIMITERS)))
_EDGES = [f"{edge} {name}" for name in DELIMITERS for edge in ("BEGIN", "END")]
_JUPYTEXT_KEYS = {"cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Finding(msgspec.Struct, frozen=True, order=True):
    """One mistake of an author and where it stands."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class AuthorError(CourseError):
    """All the mistakes found in a homework's files; its text is one line for each."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a master, with its solution."""

    id: str
    """the grade_id, else the notebook's name and the cell's number: the id of the cell in the notebooks"""
    kind: Literal["markdown", "code"]
    source: str
    line: int
    """line of the master where the source begins, counted from 1"""
    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    points: float = 0.0
    tags: tuple[str, ...] = ()

    @property
    def demo(self) -> bool:
        """For show: the sandbox and the reference skip it."""
        return "demo" in self.tags

    @property
    def manual(self) -> bool:
        """A person marks it: an answer that carries points, or a task."""
        return self.task or (self.grade and self.solution)

    @property
    def autograded(self) -> bool:
        """Hidden tests mark it."""
        return self.grade and not self.solution


class Master(msgspec.Struct, frozen=True):
    """A master: its cells in order."""

    path: Path
    homework: str
    notebook: str
    cells: tuple[Cell, ...]

    @property
    def points(self) -> float:
        return sum(cell.points for cell in self.grade_cells())

    def cell(self, grade_id: str) -> Cell:
        for cell in self.cells:
            if grade_id and cell.grade_id == grade_id:
                return cell
        raise CourseError(f"{self.path}: no cell has the grade_id {grade_id!r}")

    def grade_cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.grade or cell.task)

    def examined(self, grade_id: str) -> tuple[Cell, ...]:
        """The solution cells that a grade cell examines; a cell marked by hand examines itself.

        They are the run of solution cells nearest above it: whatever stands between them, the grade cell before them
        ends the run. Grade cells that follow each other examine the same run.
        """
        examiner = self.cell(grade_id)
        if examiner.manual:
            return (examiner,)
        run: list[Cell] = []
        for cell in reversed(self.cells[: self.cells.index(examiner)]):
            if cell.grade or cell.task:
                if run:
                    break
            elif cell.solution:
                run.insert(0, cell)
        return tuple(run)

    def code(self) -> Iterator[Cell]:
        """The code cells that are not demo, in order: executed, they are the reference."""
        return (cell for cell in self.cells if cell.kind == "code" and not cell.demo)


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wrong solution that students really write: an edit of the master, what it fails and the hint it deserves."""

    id: str
    title: str
    cell: str
    replace: str
    instead: str = msgspec.field(name="with")
    fails: tuple[str, ...]
    hint: str

    def edit(self, source: str) -> str:
        """The cell's source with this mistake in it."""
        return source.replace(self.replace, self.instead)


class _Mistakes(msgspec.Struct, forbid_unknown_fields=True):
    mistake: tuple[Mistake, ...] = ()


class _Marks(msgspec.Struct, forbid_unknown_fields=True):
    """What an author may write behind nbgrader=."""

    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    points: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None


def read(homework: Homework, notebook: str) -> Master:
    """The master of `notebook`; an AuthorError lists every mistake in it, its hidden tests, its mistakes.toml."""
    path = homework.master(notebook)
    text = _text(path, f"homework.toml lists the notebook {notebook!r}: write it, or take it off the list")
    findings: list[Finding] = []
    cells = tuple(_cells(path, notebook, text, findings))
    complete = not findings
    master = Master(path, homework.name, notebook, cells)
    _check_ids(master, findings)
    for cell in cells:
        findings += [Finding(path, line, said) for line, said in (*_check_marks(cell), *_check_regions(cell))]
    findings += _check_syntax(master, text)
    if not findings and not master.points:
        findings.append(Finding(path, 1, "the notebook carries no points: give at least one cell grade and points"))
    if complete:  # else the other files would be blamed for naming a cell that merely could not be read
        findings += _check_hidden(master, homework.hidden(notebook))
        try:
            _check_mistakes(master, mistakes(homework, notebook), homework.mistakes(notebook), findings)
        except AuthorError as error:
            findings += error.findings
    if findings:
        raise AuthorError(sorted(findings))
    return master


def mistakes(homework: Homework, notebook: str) -> tuple[Mistake, ...]:
    """The mistakes that hwN/mistakes/ keeps for `notebook`; none where there is no such file."""
    path = homework.mistakes(notebook)
    if not path.exists():
        return ()
    text = _text(path, "")
    try:
        return msgspec.toml.decode(text, type=_Mistakes).mistake
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise AuthorError([Finding(path, _toml_line(text, str(error)), str(error))]) from None


def parted(cell: Cell) -> tuple[list[str], list[str]]:
    """The lines of a cell that students see, and those that they must not: its solution, its mark scheme."""
    seen: list[str] = []
    unseen: list[str] = []
    inside = False
    for line in cell.source.split("\n"):
        if edge := _edge(line):
            inside = edge[0] == "BEGIN"
        else:
            (unseen if inside else seen).append(line)
    return (seen, unseen) if unseen or not cell.solution else ([], seen)


def syntax_error(source: str) -> SyntaxError | None:
    """What is wrong with a cell's Python; None when it is sound."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the course's linter speaks of those
            ast.parse(source)
    except SyntaxError as error:
        return error
    except ValueError:  # a null byte, before Python 3.12
        return SyntaxError("null bytes")
    return None


def _text(path: Path, way_out: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problem = f"this file is missing; {way_out}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AuthorError([Finding(path, line, "this line is not UTF-8: save the file as UTF-8")]) from None
    except OSError as error:
        problem = f"this file cannot be read: {error.strerror}"
    raise AuthorError([Finding(path, 1, problem)])


def _cells(path: Path, notebook: str, text: str, findings: list[Finding]) -> Iterator[Cell]:
    import jupytext  # here, because it takes a second: whoever only imports this module should not pay for it

    lines = text.splitlines()
    try:
        parsed = jupytext.reads(text, fmt=PERCENT).cells
    except Exception as error:  # jupytext raises whatever its YAML and metadata parsers raise
        findings.append(Finding(path, 1, f"jupytext cannot read this file: {error}"))
        return
    markers = [number for number, line in enumerate(lines, 1) if _MARKER_LINE.fullmatch(line)]
    # A marker inside a string belongs to its cell's source, so counting there tells which lines really start a cell.
    inner = [sum(bool(_MARKER_LINE.fullmatch(line)) for line in cell.source.splitlines()) for cell in parsed]
    if len(markers) == len(parsed) - 1 + sum(inner):
        preamble = parsed.pop(0).source.splitlines()
        inner.pop(0)
        for number, line in enumerate(preamble, 1):
            if line.strip() and not line.startswith("#"):
                findings.append(Finding(path, number, "this stands before the first cell: put a `# %%` line above it"))
                break
    elif len(markers) != len(parsed) + sum(inner):
        findings.append(Finding(path, 1, "a `# %%` line stands inside a cell's text: write it differently"))
        return
    for index, cell in enumerate(parsed):
        marker = markers[index + sum(inner[:index])]
        read = _cell(f"{notebook}-{index + 1:03d}", cell, _first_line(lines, marker, cell.cell_type))
        if isinstance(read, Cell):
            yield read
        else:
            findings.append(Finding(path, marker, read))


def _cell(number: str, cell: Any, line: int) -> Cell | str:
    """The cell, or what is wrong with its marker."""
    if cell.cell_type not in ("markdown", "code"):
        return f"a {cell.cell_type} cell: a master has code and markdown cells alone"
    if "incorrectly_encoded_metadata" in cell.metadata:
        return f"cannot read {cell.metadata['incorrectly_encoded_metadata']!r}: write key=value, the value in JSON"
    if unknown := set(cell.metadata) - _JUPYTEXT_KEYS - {"tags", "nbgrader"}:
        return f"unknown cell metadata {', '.join(sorted(unknown))}: a marker takes [markdown], tags= and nbgrader="
    try:
        marks = msgspec.convert(cell.metadata.get("nbgrader", {}), _Marks)
        tags = msgspec.convert(cell.metadata.get("tags", []), tuple[str, ...])
    except msgspec.ValidationError as error:
        return f"nbgrader and tags metadata: {error} (nbgrader takes {', '.join(_Marks.__struct_fields__)})"
    if marks.grade_id and not _ID.fullmatch(marks.grade_id):
        return f"grade_id {marks.grade_id!r}: use up to 64 letters, digits, - and _"
    kinds = [kind for kind in ("grade", "solution", "locked", "task") if getattr(marks, kind)]
    if kinds and not marks.grade_id:
        return f"a {' and '.join(kinds)} cell without a grade_id"
    if "nbgrader" in cell.metadata and not kinds:
        return "nbgrader metadata without grade, solution, locked or task: say which it is, or drop it"
    if marks.points is not None and not (marks.grade or marks.task):
        return 'points on a cell without "grade": true'
    if marks.points is None and (marks.grade or marks.task):
        return "a graded cell without points"
    return Cell(
        id=marks.grade_id or number,
        kind=cell.cell_type,
        source=cell.source,
        line=line,
        tags=tags,
        **{**msgspec.structs.asdict(marks), "points": marks.points or 0.0},
    )


def _first_line(lines: list[str], marker: int, kind: str) -> int:
    """The line where the source of the cell under the marker in line `marker` begins."""
    if kind == "markdown":
        for number, line in enumerate(lines[marker:], marker + 1):
            if line.strip().lower() in ('"""', "'''", 'r"""', "r'''"):
                return number + 1
            if line.strip():
                return number
    return marker + 1


def _check_ids(master: Master, findings: list[Finding]) -> None:
    seen: dict[str, Cell] = {}
    for cell in master.cells:
        if cell.id in ADDED_CELLS:
            said = f"grade_id {cell.id!r} belongs to a cell that the build adds: choose another"
            findings.append(Finding(master.path, cell.line, said))
        elif cell.id in seen:
            said = f"grade_id {cell.id!r} is taken by the cell of line {seen[cell.id].line}"
            findings.append(Finding(master.path, cell.line, said))
        seen.setdefault(cell.id, cell)


def _check_marks(cell: Cell) -> Iterator[tuple[int, str]]:
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


def _edge(line: str) -> tuple[str, str] | None:
    found = _REGION.fullmatch(line.strip())
    return (found[1] or found[3], found[2] or found[4]) if found else None


def _check_regions(cell: Cell) -> Iterator[tuple[int, str]]:
    opened: tuple[int, str] | None = None
    for number, line in enumerate(cell.source.split("\n"), cell.line):
        edge = _edge(line)
        if edge is None:
            if meant := _misspelt(line):
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


def _misspelt(line: str) -> str | None:
    """The edge that a line contains or resembles: nbgrader looks for the words anywhere in a line."""
    for edge in _EDGES:
        if edge in line:
            return edge
    if not line.lstrip().startswith(("#", "===")):
        return None
    words = " ".join(re.findall(r"[A-Z]+", line.upper()))
    close = difflib.get_close_matches(words, _EDGES, 1, cutoff=0.85)
    return close[0] if close else None


def _check_syntax(master: Master, text: str) -> Iterator[Finding]:
    found = False
    for cell in master.cells:
        if cell.kind == "code" and (error := syntax_error(cell.source)):
            found = True
            yield Finding(master.path, cell.line + (error.lineno or 1) - 1, f"cell {cell.id}: {error.msg}")
    # What is left is markdown that is neither comment nor string, or a string that swallows the next cells.
    if not found and (error := syntax_error(text)):
        yield Finding(master.path, error.lineno or 1, f"the file is not a Python module: {error.msg}")


def _check_hidden(master: Master, path: Path) -> Iterator[Finding]:
    tested = {cell.grade_id: cell for cell in master.cells if cell.autograded}
    try:
        text = _text(path, "it holds the tests that earn the points of " + ", ".join(tested))
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


def _check_mistakes(master: Master, listed: Sequence[Mistake], path: Path, findings: list[Finding]) -> None:
    text = _text(path, "") if listed else ""
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


def _toml_line(text: str, problem: str) -> int:
    """The line that a TOML or type error speaks of, as far as its text tells."""
    if at := re.search(r"line (\d+)", problem):
        return int(at[1])
    tables = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[mistake]]"]
    at = re.search(r"mistake\[(\d+)\]", problem)
    return tables[int(at[1])] if at and int(at[1]) < len(tables) else 1
