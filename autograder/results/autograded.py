"""The autograded notebook: what was handed in, repaired, with the points, the outputs and the mark schemes in it.

nbgrader scores it, formgrader shows it to the person who marks.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode, from_dict

from autograder import atomic_file
from autograder.course.master import Master, parted
from autograder.results.picture import png_size
from autograder.results.plain_text import plain
from autograder.results.result import CellResult, NotebookResult, Output

NOTES_ID = "grading-notes"
"""id of the cell that tells what had to be mended and what disturbed the run"""
SCHEME_TAG = "mark-scheme"
"""tag of the cells that are for the person who marks, and not for feedback"""


def write(repaired: dict[str, Any], found: NotebookResult, book: Master, folder: Path) -> None:
    """Write <folder>/<notebook>.ipynb from the repaired submission, all or nothing."""
    notebook = from_dict(repaired)  # type: ignore[no-untyped-call]
    show(found, notebook, book)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{book.notebook}.ipynb"
    atomic_file.replace(path, msgspec.json.format(msgspec.json.encode(notebook), indent=1) + b"\n")


def show(found: NotebookResult, notebook: Any, book: Master) -> None:
    """Write points, outputs, notes, and the master's mark schemes into the notebook that nbgrader marks.

    nbgrader scores a grade cell by the first of its outputs that it understands, and takes much for full marks: so
    such a cell has one output, the number. A cell that a person marks keeps what the student's code shows.

    Raises
    ------
    LookupError
        When a grade cell has no score: better no result than nbgrader's guess.
    """
    results = {cell.grade_id: cell for cell in found.cells}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        own = [output for output in found.outputs if output.cell == cell.id]
        nbgrader = cell.metadata.get("nbgrader", {})
        cell.execution_count = None
        if nbgrader.get("grade") and not nbgrader.get("solution"):
            cell.outputs = [_points(results[nbgrader["grade_id"]], own)]
        else:
            cell.outputs = [shown for output in own if (shown := _shown(output))]
    for cell in book.cells:
        if cell.manual:
            _add_scheme(notebook, cell.id, "\n".join(parted(cell)[1]))
    notes = [*(incident.note for incident in found.incidents), *(repair.note for repair in found.repairs)]
    if notes:
        text = _list("What the grader noticed", notes)
        notebook.cells.insert(0, _node(cell_type="markdown", id=NOTES_ID, metadata={}, source=text))


def _add_scheme(notebook: Any, cell_id: str, scheme: str) -> None:
    """Put a mark scheme below the answer that it belongs to."""
    for number, cell in enumerate(notebook.cells):
        if cell.get("id") == cell_id:
            metadata = {"tags": [SCHEME_TAG], "deletable": False, "editable": False}
            text = f"---\n**For the marker: model answer and mark scheme**\n\n{scheme}\n\n---"
            fresh = _node(cell_type="markdown", id=f"{cell_id[:50]}-scheme", metadata=metadata, source=text)
            notebook.cells.insert(number + 1, fresh)
            return


def _points(cell: CellResult, outputs: Sequence[Output]) -> NotebookNode:
    """The points as the one output of a grade cell; people see below the number what was tested and printed."""
    if cell.earned is None:
        raise LookupError(f"{cell.grade_id}: hidden tests mark this cell, but it has no score")
    lines = [f"{'✓' if test.passed else '✗'} {test.says} {test.message}" for test in cell.tests]
    html = _list(f"{cell.earned:g} of {cell.points:g} points", [cell.note, *lines] if cell.note else lines)
    if printed := "".join(output.text for output in outputs):
        html += f"\n<pre>{escape(plain(printed))}</pre>"
    data = {"text/plain": repr(float(cell.earned)), "text/html": html}
    return _node(output_type="execute_result", execution_count=None, metadata={}, data=data)


def _shown(output: Output) -> NotebookNode | None:
    match output.kind:
        case "stdout" | "stderr":
            return _node(output_type="stream", name=output.kind, text=output.text)
        case "error":
            name, _, message = output.text.partition("\n")[0].partition(": ")
            return _node(output_type="error", ename=name, evalue=message, traceback=output.text.split("\n"))
        case "text":
            return _node(output_type="display_data", metadata={}, data={"text/plain": output.text})
        case "image/png" if png_size(output.png):
            picture = base64.b64encode(output.png).decode()
            return _node(output_type="display_data", metadata={}, data={"image/png": picture})
    return None


def _node(**parts: Any) -> NotebookNode:
    return NotebookNode(parts)  # type: ignore[no-untyped-call]


def _list(title: str, lines: Sequence[str]) -> str:
    """A list in HTML whose items are text and nothing else: no markup, no markdown, no formulas."""
    items = "\n".join(f"<li>{escape(' '.join(plain(line).split()))}</li>" for line in lines)
    return f'<div class="tex2jax_ignore mathjax_ignore"><b>{escape(title)}</b>\n<ul>\n{items}\n</ul></div>'
