"""Reads the cells of a notebook that was submitted as a Python script."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import PurePath

from autograder.results.result import Repair
from autograder.submission import torn_json
from autograder.submission.file import Unreadable
from autograder.submission.rawcell import MAX_CELLS, MAX_SCRIPT_BYTES, RawCell, RawNotebook, clean, file_note

_MARKER = re.compile(r"^# ?(?:%%(?:[ \t][^\n]*+)?|In ?\[[\d *]*+\]:?[^\n]*+)$", re.MULTILINE)
_MARKDOWN = re.compile(r"\[(?:markdown|md|raw)\]|^# ?%%[ \t]+md\b")
_GRADE_ID = re.compile(r"""grade_id["']?\s*+[:=]\s*+["']([^"'\s]{1,200})["']""")
_ID = re.compile(r"""(?<!\w)id\s*+=\s*+["']([^"'\s]{1,200})["']""")
_QUOTED = re.compile(r'[rR]?("""|\'\'\')\n?(.*)\1', re.DOTALL)


def read_script(data: bytes, name: str, repairs: list[Repair]) -> RawNotebook:
    """The cells of a script, split at its ``# %%`` marks (or at the ``# In [ ]:`` marks that nbconvert writes).

    Raises
    ------
    Unreadable
        When the script is larger than MAX_SCRIPT_BYTES.
    """
    repairs = list(repairs)
    if PurePath(name).suffix.casefold() == ".ipynb":
        note = f"The file ‘{name}’ contains a script, not a notebook; it was read as a script."
        repairs.append(file_note("converted", note))
    if len(data) > MAX_SCRIPT_BYTES:
        limit = MAX_SCRIPT_BYTES // 2**20
        raise Unreadable(f"The script ‘{name}’ contains more than {limit} MB of text. Submit only your own code.")
    text = clean(torn_json.decoded(data))
    marks = list(islice(_MARKER.finditer(text), MAX_CELLS))
    if not marks:
        note = (
            f"The script ‘{name}’ has no cell marks (lines that begin with # %%); "
            "its parts were recognised by the names that they define."
        )
        repairs.append(file_note("converted", note))
        return RawNotebook(cells=(RawCell(kind="code", source=text),), repairs=tuple(repairs), plain=True)

    cells = []
    head = text[: marks[0].start()]
    if any(line.strip() and not line.startswith("#") for line in head.split("\n")):
        cells.append(RawCell(kind="code", source=head))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)].strip("\n")
        header = mark.group()
        grade_id, own_id = _GRADE_ID.search(header), _ID.search(header)
        markdown = _MARKDOWN.search(header) is not None
        if markdown:
            body = _uncommented(body)
        elif "%%" not in header:  # nbconvert writes text cells as comments below the code
            body = _without_comments_below(body)
        cells.append(
            RawCell(
                kind="markdown" if markdown else "code",
                source=body,
                grade_id=grade_id[1] if grade_id else "",
                ids=(own_id[1],) if own_id else (),
            )
        )
    return RawNotebook(cells=tuple(cells), repairs=tuple(repairs))


def _uncommented(body: str) -> str:
    quoted = _QUOTED.fullmatch(body.strip())
    if quoted:
        return quoted[2].strip("\n")
    lines = body.split("\n")
    if all(line.startswith("#") or not line.strip() for line in lines):
        lines = [line[1:].removeprefix(" ") for line in lines]
    return "\n".join(lines)


def _without_comments_below(body: str) -> str:
    lines = body.split("\n")
    while lines and (lines[-1].startswith("#") or not lines[-1].strip()):
        lines.pop()
    return "\n".join(lines)
