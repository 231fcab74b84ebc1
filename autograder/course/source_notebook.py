"""The source notebook of a master: with solutions and hidden regions, as nbgrader wants it."""

from __future__ import annotations

import re
from importlib.metadata import requires
from typing import TYPE_CHECKING, Any

from autograder.course.course import Course
from autograder.course.hand_in import hand_in_source
from autograder.course.master import ADDED_CELLS, BONUS, Cell, Master
from autograder.course.scopes import given, listed

if TYPE_CHECKING:
    from nbformat import NotebookNode

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


def source_notebook(course: Course, master: Master) -> NotebookNode:
    """The notebook with solutions and hidden regions that nbgrader strips."""
    from nbformat import v4

    colab, setup, hand_in = ADDED_CELLS
    badge = Cell(
        id=colab,
        grade_id=colab,
        kind="markdown",
        source=badge_link(course, master.homework, master.notebook),
        line=0,
        locked=True,
    )
    names = listed(given(master.cells))
    text = f"{setup_source()}\n\n{names}" if names else setup_source()
    start = Cell(id=setup, grade_id=setup, kind="code", source=text, line=0, locked=True)
    end = Cell(
        id=hand_in,
        grade_id=hand_in,
        kind="code",
        source=hand_in_source(master, text),
        line=0,
        locked=True,
        tags=("demo",),  # for students alone: grading does not run it
    )
    cells = []
    for cell in (*master.cells[:1], badge, start, *master.cells[1:], end):
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


def badge_link(course: Course, homework: str, notebook: str) -> str:
    """In Markdown, the badge that opens a released notebook in Colab."""
    below = f"release/{homework}/{notebook}.ipynb"
    address = f"https://colab.research.google.com/github/{course.repository}/blob/{course.branch}/{below}"
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open this notebook in Google Colab]({picture})]({address})"


def setup_source() -> str:
    """The set-up cell; the torch that it asks for is the one that our own package does."""
    [(major, minor)] = re.findall(
        r"^torch\s*[>=~]=\s*(\d+)\.(\d+)", "\n".join(requires("autograder") or ()), re.MULTILINE
    )
    return _SETUP.format(needed=f"({major}, {minor})", oldest=f"{major}.{minor}")


def _number(points: float) -> float:
    return int(points) if points.is_integer() else points


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
            metadata["nbgrader"]["points"] = _number(cell.maximum)  # nbgrader knows no bonus
        if cell.bonus:
            metadata[BONUS] = _number(cell.points)
    if cell.tags:
        metadata["tags"] = list(cell.tags)
    if cell.folded:
        metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return metadata
