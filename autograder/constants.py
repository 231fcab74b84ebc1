"""What both sides of the wire have to agree on. It imports nothing, so that every process can afford it."""

from __future__ import annotations

SEED = 20_240_903
"""what torch, numpy and random are seeded with before the first cell and in every fork"""

WIRE_FD = 100
"""the descriptor of the wire in the student's process; the confinement makes it impossible to close"""

MOST_THREADS = 24
"""threads that a cell may leave running; with more there would be no room for the processes of the tests"""

THREADS_LEFT = 86
"""exit code of a process that ends because a cell left more"""


def cell_filename(cell: str) -> str:
    """The file name under which a cell's code is compiled, so that tracebacks name the cell."""
    return f"<cell {cell}>"


def cell_of(filename: str) -> str:
    """The cell that a `cell_filename` belongs to; '' for any other file name."""
    return filename[6:-1] if filename.startswith("<cell ") and filename.endswith(">") else ""
