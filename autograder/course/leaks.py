"""Leak checks: a release must not contain solutions, hidden tests or internal metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.course.hand_in import hand_in_code
from autograder.course.markers import DELIMITERS
from autograder.course.master import BONUS, Master, parted, syntax_error
from autograder.course.source_notebook import setup_source
from autograder.course.stripping import CODE_STUB, TEXT_STUB, BuildError

if TYPE_CHECKING:
    from nbformat import NotebookNode


_RELEASE_KEYS = {"nbgrader", "tags", "deletable", "editable", "jupyter", "cellView", BONUS}
_LEAK_LENGTH = 12  # shorter lines of a solution (`return x`, `else:`) may occur anywhere


def verify(path: Path, master: Master, release: NotebookNode, script: str) -> None:
    """Raise BuildError if a release contains something that students must not see.

    The cause may be an error of the author, of the build or of nbgrader.
    """
    secrets = _secrets(master)
    wrong = [f"{path}, cell {cell.id}: {said}" for cell in release.cells for said in _leaks(cell, secrets)]
    if "jupytext" in release.metadata:
        wrong.append(f"{path}: jupytext metadata is left in it")
    if script.startswith("# ---"):
        wrong.append(f"{path.with_suffix('.py')}: jupytext's header is left in it")
    if wrong:
        raise BuildError("\n".join(wrong))


def _secrets(master: Master) -> tuple[str, ...]:
    """The lines of solutions and mark schemes that do not also occur in text that students may see."""
    shown, hidden = [setup_source(), hand_in_code(), CODE_STUB, TEXT_STUB], []
    for cell in master.cells:
        seen, unseen = parted(cell)
        shown += seen
        hidden += [line.strip() for line in unseen if len(line.strip()) >= _LEAK_LENGTH]
    visible = "\n".join(shown)
    return tuple(dict.fromkeys(line for line in hidden if line not in visible))


def _leaks(cell: NotebookNode, secrets: Sequence[str]) -> Iterator[str]:
    if foreign := set(cell.metadata) - _RELEASE_KEYS:
        yield f"metadata that does not belong in a release: {', '.join(sorted(foreign))}"
    if cell.get("outputs"):
        yield "outputs are left in it"
    for mark in (*(f"{edge} {name}" for name in DELIMITERS for edge in ("BEGIN", "END")), "hidden_tests("):
        if mark in cell.source:
            yield f"{mark!r} is left in it"
    for line in secrets:
        if line in cell.source:
            yield f"a line of a solution is left in it: {line}"
    if cell.cell_type == "code" and (error := syntax_error(cell.source)):
        yield f"without its solution it is not valid Python ({error.msg}): put the markers around whole statements"
