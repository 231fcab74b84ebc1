"""Parsing: a py:percent script becomes a master, or a list of what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec

from autograder.course import shared_code
from autograder.course.announced import check_announced
from autograder.course.checks import (
    check_figures,
    check_hidden,
    check_ids,
    check_marks,
    check_mistakes,
    check_parameters,
    check_regions,
    check_syntax,
)
from autograder.course.course import Homework
from autograder.course.master import PERCENT, AuthorError, Cell, Finding, Master, file_text
from autograder.course.mistakes import mistakes
from autograder.course.parameters import marks
from autograder.course.scopes import check_scopes, closed

# where jupytext starts a cell
_MARKER_LINE = re.compile(r"\s*#\s*(?:%%%*(?:\s.*)?|<codecell>\s*|In\[[0-9 ]*\]:?\s*)")
_JUPYTEXT_KEYS = {"cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Marks(msgspec.Struct, forbid_unknown_fields=True):
    """What an author may write behind nbgrader=."""

    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    points: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    bonus: bool = False
    gives: tuple[str, ...] = ()


_MISSING = "homework.toml lists the notebook {!r}: write it, or take it off the list"
_kept: dict[bytes, Master] = {}
"""the masters that this process has read, by a digest of all that they were read from"""
_MOST_KEPT = 64


def read_master(homework: Homework, notebook: str) -> Master:
    """The master of `notebook`; an AuthorError lists every mistake in it, its hidden tests, its mistakes.toml.

    As long as these files do not change, a process reads them once: all checks take some 0.3 s.
    """
    key = _digest(homework, notebook)
    if key not in _kept:
        master = _read(homework, notebook)
        if len(_kept) == _MOST_KEPT:
            _kept.clear()
        _kept[key] = master
    return msgspec.structs.replace(_kept[key], path=homework.master(notebook))


def read_unchecked(homework: Homework, notebook: str) -> Master:
    """The same without the checks, which take most of the time. Raises AuthorError if it cannot be read."""
    path = homework.master(notebook)
    text = file_text(path, _MISSING.format(notebook))
    findings: list[Finding] = []
    master = Master(path, homework.name, notebook, tuple(_cells(path, notebook, text, findings)))
    findings += [*check_syntax(master, text), *check_parameters(master, homework)]
    return _completed(master, homework, findings)


def _digest(homework: Homework, notebook: str) -> bytes:
    specs = [spec for spec in homework.notebooks if spec.name == notebook]
    digest = hashlib.sha256(repr((homework.name, notebook, specs, homework.parameters, homework.values)).encode())
    files = homework.master(notebook), homework.hidden(notebook), homework.mistakes(notebook)
    for path in (*files, homework.root / shared_code.FILE):
        content = b"-"
        with suppress(OSError):
            content = hashlib.sha256(path.read_bytes()).digest()
        digest.update(content)
    return digest.digest()


def _read(homework: Homework, notebook: str) -> Master:
    path = homework.master(notebook)
    text = file_text(path, _MISSING.format(notebook))
    findings: list[Finding] = []
    cells = tuple(_cells(path, notebook, text, findings))
    complete = not findings
    master = Master(path, homework.name, notebook, cells)
    check_ids(master, findings)
    for cell in cells:
        findings += [Finding(path, line, said) for line, said in (*check_marks(cell), *check_regions(cell))]
    findings += check_syntax(master, text)
    findings += check_parameters(master, homework)
    findings += check_figures(master, homework.root)
    findings += [Finding(path, line, said) for line, said in check_scopes(cells)]
    if not findings and not master.points:
        findings.append(Finding(path, 1, "the notebook carries no points: give at least one cell grade and points"))
    if complete:  # else the other files would be blamed for naming a cell that merely could not be read
        for spec in homework.notebooks:
            if spec.name == notebook:
                findings += check_announced(master, spec)
        findings += check_hidden(master, homework.hidden(notebook))
        try:
            plain = _personal(master, homework) if not findings else master
            check_mistakes(plain, mistakes(homework, notebook), homework.mistakes(notebook), findings)
        except AuthorError as error:
            findings += error.findings
    return _completed(master, homework, findings)  # last: it moves lines


def _completed(master: Master, homework: Homework, findings: list[Finding]) -> Master:
    """The master with shared code and the homework's values. Raises AuthorError if there are findings."""
    shared = tuple(_with_shared_code(cell, homework, master.path, findings) for cell in master.cells)
    if findings:
        raise AuthorError(sorted(findings))
    return _personal(msgspec.structs.replace(master, cells=closed(shared)), homework)


def _personal(master: Master, homework: Homework) -> Master:
    """The master with the homework's values of its parameters, and without the lines that mark them."""
    cells = (msgspec.structs.replace(cell, marked=cell.source) if marks(cell.source) else cell for cell in master.cells)
    standard = tuple(homework.standard(master.notebook).items())
    marked = msgspec.structs.replace(master, cells=tuple(cells), standard=standard)
    return marked.personal(homework.numbers(master.notebook))


def _with_shared_code(cell: Cell, homework: Homework, path: Path, findings: list[Finding]) -> Cell:
    if cell.kind != "code" or not shared_code.asks(cell.source):
        return cell
    if not cell.locked:
        findings.append(Finding(path, cell.line, f"cell {cell.id}: it takes shared code, so it has to be locked"))
    try:
        return msgspec.structs.replace(cell, source=shared_code.expanded(cell.source, homework.root))
    except shared_code.SharedCodeError as error:
        findings.append(Finding(path, cell.line, f"cell {cell.id}: {error}"))
        return cell


def _cells(path: Path, notebook: str, text: str, findings: list[Finding]) -> Iterator[Cell]:
    import jupytext  # imported late: it takes a second, and most users of this module need none of it

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
    if marks.bonus and not marks.points:
        return "a bonus without points: say how many come on top"
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
