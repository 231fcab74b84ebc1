"""The build: every master becomes a source notebook, the release that students get, and that release as a script."""

from __future__ import annotations

import copy
import difflib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autograder.course import Course, CourseError, Homework
from autograder.master import (
    ADDED_CELLS,
    DELIMITERS,
    PERCENT,
    AuthorError,
    Cell,
    Finding,
    Master,
    parted,
    read,
    syntax_error,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

GENERATED = ("source", "release")
"""the folders below the course that the build alone writes to"""

TEXT_STUB = "*Your answer here: double-click this line and write.*"
CODE_STUB = "raise NotImplementedError"

_RELEASE_KEYS = {"nbgrader", "tags", "deletable", "editable"}
_LEAK_LENGTH = 12  # shorter lines of a solution (`return x`, `else:`) may well stand anywhere

_SETUP = """\
# Set-up, the same for everybody: run this cell first.
import random

import numpy as np
import torch

if torch.__version__ < {needed}:
    print(f"This notebook needs PyTorch {oldest} or newer, and this is {{torch.__version__}}: please upgrade it.")

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")"""

_HIDDEN_REGION = """\
### BEGIN HIDDEN TESTS
import autograder
autograder.hidden_tests("{homework}/{notebook}", "{grade_id}")
### END HIDDEN TESTS"""


class BuildError(CourseError):
    """A release that must not be published: its text names each file, cell and what would reach the students."""


class Difference(msgspec.Struct, frozen=True):
    """A generated file that is not what a fresh build makes."""

    path: Path
    text: str
    """a unified diff from the file to the fresh build, or what to do about a file that no master makes"""


def build(course: Course, homeworks: Sequence[str] | None = None, to: Path | None = None) -> tuple[Path, ...]:
    """Write source/ and release/ below `to`, or below the course; return the files that changed.

    Raises AuthorError with all mistakes of all masters, BuildError when a release would give something away. In
    neither case is anything written.
    """
    root = to or course.root
    changed = []
    for relative, text in generated(course, homeworks).items():
        path = root / relative
        if _read(path) != text:
            _write(path, text)
            changed.append(path)
    return tuple(changed)


def stale(course: Course, homeworks: Sequence[str] | None = None) -> tuple[Difference, ...]:
    """What `build` would change, and the files in source/ and release/ that no master makes."""
    fresh = generated(course, homeworks)
    differences = []
    for relative, text in fresh.items():
        old = _read(course.root / relative) or ""
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
    files: dict[Path, str] = {}
    masters: dict[str, list[Master]] = {}
    findings: list[Finding] = []
    for name in course.homeworks if homeworks is None else homeworks:
        homework = course.homework(name)
        masters[name] = []
        for spec in homework.notebooks:
            try:
                masters[name].append(read(homework, spec.name))
            except AuthorError as error:
                findings += error.findings
    if findings:
        raise AuthorError(findings)
    for name, books in masters.items():
        sources = {book.notebook: _dump(source_notebook(course, book)) for book in books}
        releases = strip(name, sources)
        for book in books:
            release = releases[book.notebook]
            below = Path(name, f"{book.notebook}.ipynb")
            script = _script(release)
            _verify(Path("release", below), book, release, script)
            files["source" / below] = sources[book.notebook]
            files["release" / below] = _dump(release)
            files["release" / below.with_suffix(".py")] = script
    return files


def released(homework: Homework, notebook: str) -> NotebookNode:
    """The notebook that students got, from release/."""
    from nbformat import ValidationError

    path = homework.release(notebook)
    try:
        return _load(path)
    except FileNotFoundError:
        raise CourseError(f"{path}: this file is missing: run `autograder build`") from None
    except (OSError, ValueError, ValidationError) as error:
        raise CourseError(f"{path}: not a notebook ({error}): run `autograder build`") from None


def strip_config() -> Any:
    """nbgrader's settings for making a release, as a traitlets Config; nbgrader_config.py merges the same."""
    from traitlets.config import Config

    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    for step in (config.ClearSolutions, config.ClearHiddenTests, config.ClearMarkScheme):
        step.enforce_metadata = True
    return config


def badge_link(course: Course, homework: str, notebook: str) -> str:
    """In Markdown, the badge that opens a released notebook in Colab."""
    below = f"release/{homework}/{notebook}.ipynb"
    address = f"https://colab.research.google.com/github/{course.repository}/blob/{course.branch}/{below}"
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open this notebook in Google Colab]({picture})]({address})"


def source_notebook(course: Course, master: Master) -> NotebookNode:
    """The notebook with solutions and hidden regions that nbgrader strips."""
    from nbformat import v4

    colab, setup = ADDED_CELLS
    badge = Cell(
        id=colab,
        grade_id=colab,
        kind="markdown",
        source=badge_link(course, master.homework, master.notebook),
        line=0,
        locked=True,
    )
    start = Cell(id=setup, grade_id=setup, kind="code", source=_setup(), line=0, locked=True)
    cells = []
    for cell in (*master.cells[:1], badge, start, *master.cells[1:]):
        source = cell.source
        if cell.autograded:
            region = _HIDDEN_REGION.format(homework=master.homework, notebook=master.notebook, grade_id=cell.grade_id)
            source = f"{region}\n{source}"  # first: a visible check that fails below must not cost partial credit
        make = v4.new_code_cell if cell.kind == "code" else v4.new_markdown_cell
        cells.append(make(source, id=cell.id, metadata=_metadata(cell)))  # type: ignore[no-untyped-call]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book: NotebookNode = v4.new_notebook(cells=cells, metadata=about)  # type: ignore[no-untyped-call]
    return book


def strip(homework: str, sources: Mapping[str, str]) -> dict[str, NotebookNode]:
    """The releases that nbgrader's generate_assignment makes of the source notebooks of one homework."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.utils import capture_log

    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        root = Path(folder).resolve()
        (root / "source" / homework).mkdir(parents=True)
        for notebook, text in sources.items():
            (root / "source" / homework / f"{notebook}.ipynb").write_text(text, encoding="utf-8")
        config = strip_config()
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.assignment_id = homework
        # As `nbgrader generate_assignment --no-db`: the gradebook is the business of whoever grades.
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
        outcome = capture_log(GenerateAssignment(coursedir=CourseDirectory(config=config), config=config))
        if not outcome["success"]:
            raise BuildError(f"source/{homework}: nbgrader cannot strip it:\n{outcome.get('log') or outcome['error']}")
        return {notebook: _load(root / "release" / homework / f"{notebook}.ipynb") for notebook in sources}


def _setup() -> str:
    """The set-up cell; the torch that it asks for is the one that our own package does."""
    [(major, minor)] = re.findall(
        r"^torch\s*[>=~]=\s*(\d+)\.(\d+)", "\n".join(requires("autograder") or ()), re.MULTILINE
    )
    return _SETUP.format(needed=f"({major}, {minor})", oldest=f"{major}.{minor}")


def _metadata(cell: Cell) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if cell.grade_id:
        metadata["nbgrader"] = {
            "grade": cell.grade,
            "grade_id": cell.grade_id,
            "locked": cell.locked,
            "schema_version": 3,
            "solution": cell.solution,
            "task": cell.task,
            "cell_type": cell.kind,
        }
        if cell.grade or cell.task:
            metadata["nbgrader"]["points"] = int(cell.points) if cell.points.is_integer() else cell.points
    if cell.tags:
        metadata["tags"] = list(cell.tags)
    return metadata


def _load(path: Path) -> NotebookNode:
    import nbformat

    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def _dump(notebook: NotebookNode) -> str:
    """The text of a notebook, the same on every machine."""
    import nbformat

    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def _script(release: NotebookNode) -> str:
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


def _verify(path: Path, master: Master, release: NotebookNode, script: str) -> None:
    """Refuse a release that gives something away, whoever made the mistake: author, build or nbgrader."""
    secrets = _secrets(master)
    wrong = [f"{path}, cell {cell.id}: {said}" for cell in release.cells for said in _leaks(cell, secrets)]
    if "jupytext" in release.metadata:
        wrong.append(f"{path}: jupytext metadata is left in it")
    if script.startswith("# ---"):
        wrong.append(f"{path.with_suffix('.py')}: jupytext's header is left in it")
    if wrong:
        raise BuildError("\n".join(wrong))


def _secrets(master: Master) -> tuple[str, ...]:
    """The lines of solutions and mark schemes that stand nowhere in what students may see."""
    shown, hidden = [_setup(), CODE_STUB, TEXT_STUB], []
    for cell in master.cells:
        seen, unseen = parted(cell)
        shown += seen
        hidden += [line.strip() for line in unseen if len(line.strip()) >= _LEAK_LENGTH]
    visible = "\n".join(shown)
    return tuple(dict.fromkeys(line for line in hidden if line not in visible))


def _leaks(cell: NotebookNode, secrets: Sequence[str]) -> Iterator[str]:
    if foreign := set(cell.metadata) - _RELEASE_KEYS:
        yield f"metadata that students have no use for: {', '.join(sorted(foreign))}"
    if cell.get("outputs"):
        yield "outputs are left in it"
    for mark in (*(f"{edge} {name}" for name in DELIMITERS for edge in ("BEGIN", "END")), "hidden_tests("):
        if mark in cell.source:
            yield f"{mark!r} is left in it"
    for line in secrets:
        if line in cell.source:
            yield f"a line of a solution is left in it: {line}"
    if cell.cell_type == "code" and (error := syntax_error(cell.source)):
        yield f"without its solution it is not Python ({error.msg}): put the markers around whole statements"


def _lying_in(course: Course, homeworks: Sequence[str] | None) -> Iterator[Path]:
    """The files in the generated folders; editors' and systems' own hidden files aside."""
    for generated_folder in GENERATED:
        folder = course.root / generated_folder
        for below in [folder] if homeworks is None else [folder / name for name in homeworks]:
            for path in sorted(below.rglob("*")):
                if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                    yield path


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Write all or nothing: nobody ever reads half a notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(text.encode())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
