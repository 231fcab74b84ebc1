"""Constants that both sides of the wire share. It imports nothing heavy, so every process can import it cheaply."""

from __future__ import annotations

import hashlib
import json

SEED = 20_240_903
"""the seed of torch, numpy and random, set before the first cell and in every fork"""

WIRE_FD = 100
"""the file descriptor of the wire in the student's process; the confinement prevents closing it"""

MOST_THREADS = 24
"""threads that a cell may leave running; with more, the process limit leaves too few processes for the tests"""

THREADS_LEFT = 86
"""exit code of a student's process that ends because a cell left more than MOST_THREADS threads running"""

TRAPPED = 87
"""exit code of a process in which a forbidden tool was used past all that refuses it"""

BEYOND = "a forbidden tool in a hidden test, past what refuses it"
"""in place of what ran, when a process has ended with TRAPPED"""

MOST_RUN = 50_000
"""most bytes of a text that a notebook runs, and that are reported; of a longer one its beginning is"""

UNHEARD = "more texts of code than are read"
"""in place of what ran, when there is more of it than is reported"""


DIGEST = 16
"""bytes of a digest"""


def digest_of(source: bytes) -> bytes:
    """A digest of a text of code, the same whatever ends its lines and stands around it."""
    lines = source.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return hashlib.blake2b(lines.strip(), digest_size=DIGEST).digest()


def cell_filename(cell: str) -> str:
    """The file name under which a cell's code is compiled, so that tracebacks name the cell."""
    return f"<cell {cell}>"


def cell_of(filename: str) -> str:
    """The cell that a name from `cell_filename` belongs to; '' for any other file name."""
    return filename[6:-1] if filename.startswith("<cell ") and filename.endswith(">") else ""


def output_cost(text: str, png: bytes) -> int:
    """About how many bytes an output takes in a results file: characters that JSON escapes take more than one."""
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - 2 + len(png) * 4 // 3


LONGEST = 3
"""the most that a notebook may take altogether, as a multiple of its limit: cells and tests have shares of their own,
and time in which a busy machine did not let it run is not counted"""
