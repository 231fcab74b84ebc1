"""The build: every master becomes a source notebook, the release that students get, and that release as a script.

A build of the whole course also fills the tables of README.md and docs/.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autograder import atomic_file
from autograder.course import tables
from autograder.course.course import Course
from autograder.course.leaks import verify
from autograder.course.master import PERCENT, AuthorError, Finding, Master
from autograder.course.parsing import read_master
from autograder.course.source_notebook import source_notebook
from autograder.course.stripping import strip

if TYPE_CHECKING:
    from nbformat import NotebookNode

GENERATED = ("source", "release")
"""the folders below the course that the build alone writes to"""


class Difference(msgspec.Struct, frozen=True):
    """A generated file that is not what a fresh build makes."""

    path: Path
    text: str
    """a unified diff from the file to the fresh build, or what to do about a file that no master makes"""


def build(course: Course, homeworks: Sequence[str] | None = None, to: Path | None = None) -> tuple[Path, ...]:
    """Write source/, release/ and the pages with tables below `to`, or the course; return the files that changed.

    Raises AuthorError with all mistakes of all masters, BuildError when a release would give something away. In
    neither case is anything written.
    """
    root = to or course.root
    changed = []
    for relative, text in generated(course, homeworks).items():
        path = root / relative
        if read(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_file.replace(path, text.encode())
            changed.append(path)
    return tuple(changed)


def stale(course: Course, homeworks: Sequence[str] | None = None) -> tuple[Difference, ...]:
    """What `build` would change, and the files in source/ and release/ that no master makes."""
    fresh = generated(course, homeworks)
    differences = []
    for relative, text in fresh.items():
        old = read(course.root / relative) or ""
        if old != text:
            lines = difflib.unified_diff(
                old.splitlines(keepends=True), text.splitlines(keepends=True), str(relative), f"{relative} (fresh)"
            )
            differences.append(Difference(course.root / relative, "".join(lines)))
    for path in _lying_in(course, homeworks):
        if path.relative_to(course.root) not in fresh:
            said = f"{path.relative_to(course.root)}: no master makes this file, and students would get it: delete it\n"
            differences.append(Difference(path, said))
    return tuple(differences)


def generated(course: Course, homeworks: Sequence[str] | None = None) -> dict[Path, str]:
    """The text of every generated file by its path below the course, fresh from the masters."""
    masters = read_masters(course, course.homeworks if homeworks is None else homeworks)
    pages = tables.pages(course, masters) if homeworks is None else {}
    return notebooks(course, masters) | pages


def notebooks(course: Course, masters: tables.Masters) -> dict[Path, str]:
    """The text of every file in source/ and release/ that these masters make. Raises BuildError."""
    files: dict[Path, str] = {}
    for name, books in masters.items():
        sources = {book.notebook: dump(source_notebook(course, book)) for book in books}
        releases = strip(name, sources)
        for book in books:
            release = releases[book.notebook]
            below = Path(name, f"{book.notebook}.ipynb")
            script = script_of(release)
            verify(Path("release", below), book, release, script)
            files["source" / below] = sources[book.notebook]
            files["release" / below] = dump(release)
            files["release" / below.with_suffix(".py")] = script
    return files


def read_masters(course: Course, homeworks: Sequence[str]) -> dict[str, list[Master]]:
    """The masters of each homework. Raises AuthorError with all mistakes of all of them."""
    masters: dict[str, list[Master]] = {}
    findings: list[Finding] = []
    for name in homeworks:
        homework = course.homework(name)
        masters[name] = []
        for spec in homework.notebooks:
            try:
                masters[name].append(read_master(homework, spec.name))
            except AuthorError as error:
                findings += error.findings
    if findings:
        raise AuthorError(findings)
    return masters


def dump(notebook: NotebookNode) -> str:
    """The text of a notebook, the same on every machine."""
    import nbformat

    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def script_of(release: NotebookNode) -> str:
    """A release as a py:percent script for students who prefer text."""
    import jupytext

    notebook = copy.deepcopy(release)
    for cell in notebook.cells:
        for derived in ("checksum", "cell_type"):
            cell.metadata.get("nbgrader", {}).pop(derived, None)
        if cell.cell_type == "markdown" and '"""' not in cell.source:
            cell.metadata["cell_marker"] = 'r"""'
    asked = {**PERCENT, "notebook_metadata_filter": "-all", "cell_metadata_filter": "nbgrader,tags,-all"}
    return str(jupytext.writes(notebook, fmt=asked)).rstrip("\n") + "\n"


def _lying_in(course: Course, homeworks: Sequence[str] | None) -> Iterator[Path]:
    """The files in the generated folders; editors' and systems' own hidden files aside."""
    for generated_folder in GENERATED:
        folder = course.root / generated_folder
        for below in [folder] if homeworks is None else [folder / name for name in homeworks]:
            for path in sorted(below.rglob("*")):
                if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                    yield path


def read(path: Path) -> str | None:
    """The text of a generated file; None if it is not there."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
