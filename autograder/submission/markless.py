"""Takes a script without cell marks apart, so that each part belongs to one released cell."""

from __future__ import annotations

from collections.abc import Iterable

from autograder.course.names import is_python, statements
from autograder.course.release import Released
from autograder.submission.rawcell import MAX_CELLS, RawCell

_BROKEN = -2
"""in place of a cell's index, for text that is not Python: it must not take sound code with it"""


def parts(script: str, released: Released) -> tuple[RawCell, ...]:
    """The parts of a script, in order. Each part defines the names of one released cell.

    The course's own code (set-up, checks, demos) is left out, because the released text is put back anyway.
    """
    owners: dict[str, int] = {}
    ours: set[str] = set()
    for at, cell in enumerate(released.cells):
        if cell.kind == "code" and (cell.fixed or cell.demo):
            ours.update(bare(text) for text, _ in statements(cell.source))
        elif cell.kind == "code":
            for name in cell.names:
                owners.setdefault(name, at)
    found: list[list[str]] = []
    before: int | None = -1
    sound = is_python(script)
    for text, defined in statements(script):
        if bare(text) in ours:
            continue
        owner = min((owners[name] for name in defined if name in owners), default=None)
        if not (sound or is_python(text)):
            owner = _BROKEN if owner is None else owner
        if owner != before and len(found) < MAX_CELLS:
            found.append([])
        found[-1].append(text)
        before = owner
    return tuple(RawCell(kind="code", source="".join(part).strip("\n")) for part in found)


def bare(statement: str) -> str:
    """The statement without blank lines, comment lines and trailing blanks."""
    lines: Iterable[str] = (line.rstrip() for line in statement.split("\n"))
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
