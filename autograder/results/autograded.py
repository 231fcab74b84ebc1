"""The autograded notebook: the repaired submission with its points, its outputs and the mark schemes.

nbgrader reads the scores from it, and formgrader shows it to the person who marks.
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
"""id of the cell that lists the repairs to the file and the incidents of the run"""
SCHEME_TAG = "mark-scheme"
"""tag of the cells that only the person who marks may see; feedback leaves them out"""


def write(repaired: dict[str, Any], found: NotebookResult, book: Master, folder: Path) -> None:
    """Write <folder>/<notebook>.ipynb from the repaired submission. The file is replaced in one step."""
    notebook = from_dict(repaired)  # type: ignore[no-untyped-call]
    show(found, notebook, book)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{book.notebook}.ipynb"
    atomic_file.replace(path, msgspec.json.format(msgspec.json.encode(notebook), indent=1) + b"\n")


def show(found: NotebookResult, notebook: Any, book: Master) -> None:
    """Write points, outputs, notes, and the master's mark schemes into the notebook that nbgrader marks.

    nbgrader takes the score of a grade cell from the first output that it understands, and gives full marks for many
    kinds of output. So the first output of such a cell is the number of points, and only its pictures follow. A cell
    that a person marks keeps the outputs of the student's code.

    Raises
    ------
    LookupError
        When a grade cell has no result. Without this error, nbgrader would guess a score.
    """
    results = {cell.grade_id: cell for cell in found.cells}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        own = [output for output in found.outputs if output.cell == cell.id]
        nbgrader = cell.metadata.get("nbgrader", {})
        cell.execution_count = None
        if nbgrader.get("grade") and not nbgrader.get("solution"):
            pictures = [shown for output in own if output.png and (shown := _shown(output))]
            cell.outputs = [_points(results[nbgrader["grade_id"]], own), *pictures]
        else:
            cell.outputs = [shown for output in own if (shown := _shown(output))]
    for cell in book.cells:
        if cell.manual:
            _add_scheme(notebook, cell.id, "\n".join(parted(cell)[1]))
    notes = [*(incident.note for incident in found.incidents), *(repair.note for repair in found.repairs)]
    if notes:
        text = _list("What the autograder found", notes)
        notebook.cells.insert(0, _node(cell_type="markdown", id=NOTES_ID, metadata={}, source=text))


def _add_scheme(notebook: Any, cell_id: str, scheme: str) -> None:
    """Insert a mark scheme below the answer that it belongs to."""
    for number, cell in enumerate(notebook.cells):
        if cell.get("id") == cell_id:
            metadata = {"tags": [SCHEME_TAG], "deletable": False, "editable": False}
            text = f"---\n**For the marker: model answer and mark scheme**\n\n{scheme}\n\n---"
            fresh = _node(cell_type="markdown", id=f"{cell_id[:50]}-scheme", metadata=metadata, source=text)
            notebook.cells.insert(number + 1, fresh)
            return


def _points(cell: CellResult, outputs: Sequence[Output]) -> NotebookNode:
    """The points, as the first output of a grade cell. Its HTML also shows the tests and what the cell printed."""
    lines = [f"{'✓' if test.passed else '✗'} {test.says} {test.message}" for test in cell.tests]
    lines += cell.causes
    if cell.follows:
        lines.append(
            f"This exercise uses code of {', '.join(cell.follows)}, which lost points as well. Look there first."
        )
    got = "waits for a person" if cell.earned is None else f"{cell.earned:g} of {cell.points:g} points"
    if cell.bonus:
        got += " on top"
    if cell.tests and not cell.points:
        got = f"optional: {sum(test.passed for test in cell.tests)} of {len(cell.tests)} tests passed"
    html = _list(got, [cell.note, *lines] if cell.note else lines)
    if printed := "".join(output.text for output in outputs if not output.png):  # a picture's text says nothing
        html += f"\n<pre>{escape(plain(printed))}</pre>"
    # nbgrader needs a number here, and no more than its maximum: `nbgrading.SaveGrades` adds a bonus
    data = {"text/plain": repr(0.0 if cell.bonus else float(cell.earned or 0)), "text/html": html}
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
            about = {"image/png": {"alt": alt}} if (alt := plain(output.alt).strip()) else {}
            return _node(output_type="display_data", metadata=about, data={"image/png": picture})
    return None


def _node(**parts: Any) -> NotebookNode:
    return NotebookNode(parts)  # type: ignore[no-untyped-call]


def _list(title: str, lines: Sequence[str]) -> str:
    """An HTML list whose items are shown as plain text: markup, markdown and formulas have no effect."""
    items = "\n".join(f"<li>{escape(' '.join(plain(line).split()))}</li>" for line in lines)
    return f'<div class="tex2jax_ignore mathjax_ignore"><b>{escape(title)}</b>\n<ul>\n{items}\n</ul></div>'
