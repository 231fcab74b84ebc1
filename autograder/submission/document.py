"""Reads notebooks that were saved as Markdown documents, or as scripts in one of jupytext's other formats."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import Any

from autograder.submission.file import Unreadable
from autograder.submission.rawcell import MAX_CELLS, RawCell, clean

SUFFIXES = (".md", ".markdown", ".rmd", ".qmd")
_MOST = 2**20
"""characters: the formats have no limits of their own"""
_MOST_PARTS = 2 * MAX_CELLS
"""parts of which cells may be made: jupytext needs a quarter of a millisecond for each"""
_PART = re.compile(r"\n[ \t]*+\n|^(?:# ?[+%]|```|\"{3}|'{3}|#{5}|<!-- #|\+\+\+)", re.MULTILINE)
"""where a cell may begin in one of the formats"""
_FORMAT = re.compile(r"^#? *format_name: *['\"]?(light|nomarker|sphinx|bare)\b", re.MULTILINE)
_LIGHT = re.compile(r"^# \+(?: *$| *[\[{]| +\w+=)", re.MULTILINE)
_MYST = re.compile(r"^```\{code-cell", re.MULTILINE)
_OPTION = re.compile(r"^#\| *([\w-]+): *(.*)$")
_GRADE_ID = re.compile(r"\bgrade_id['\"]?: *['\"]?([\w.-]{1,200})")


def script_format(text: str) -> str:
    """The format of a script that is divided without ``# %%`` marks, as jupytext calls it; '' if there is none."""
    named = _FORMAT.search(text[:2000])
    if named:
        return f"py:{named[1]}"
    return "py:light" if _LIGHT.search(text) else ""


def read_document(text: str, name: str, form: str = "") -> tuple[RawCell, ...]:
    """The cells of a document. `form` is its format; without it, the document is Markdown of some kind.

    Raises
    ------
    Unreadable
        When the document is too long, has too many parts, or cannot be divided into cells.
    """
    if len(text) > _MOST:
        raise Unreadable(
            f"The file ‘{name}’ contains more than {_MOST // 2**20} MB of text. Submit the notebook itself."
        )
    if next(itertools.islice(_PART.finditer(text), _MOST_PARTS, None), None):
        raise Unreadable(f"The file ‘{name}’ has more than {_MOST_PARTS} parts. Submit the notebook itself.")
    import jupytext  # it takes a second, and few submissions need it

    if not form:
        form = "md:myst" if _MYST.search(text) else "md" if name.casefold().endswith((".md", ".markdown")) else "Rmd"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book: Any = jupytext.reads(text, form)
        return tuple(_cell(cell) for cell in book.cells[:MAX_CELLS])
    except Exception:  # whatever its parsers raise for a damaged document
        raise Unreadable(f"The file ‘{name}’ is a damaged document. Submit the .ipynb file itself.") from None


def _cell(cell: Any) -> RawCell:
    source, options = str(cell.source), ""
    if cell.cell_type == "code":
        source, options = _without_options(source)
    grade_id = cell.metadata.get("nbgrader", {})
    label = grade_id.get("grade_id", "") if isinstance(grade_id, dict) else ""
    found = _GRADE_ID.search(options)
    return RawCell(
        kind="code" if cell.cell_type == "code" else "markdown",
        source=clean(source),
        grade_id=clean(str(label)) or (found[1] if found else ""),
    )


def _without_options(source: str) -> tuple[str, str]:
    """The code without the options that Quarto writes above it, and the options."""
    lines = source.split("\n")
    end = next((at for at, line in enumerate(lines) if not _OPTION.match(line)), len(lines))
    return "\n".join(lines[end:]), "\n".join(lines[:end])
