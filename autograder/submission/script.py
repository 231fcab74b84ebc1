"""Reads the cells of a notebook that was submitted as a Python script."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import PurePath

from autograder.results.result import Repair
from autograder.submission import torn_json
from autograder.submission.document import read_document, script_format
from autograder.submission.file import Unreadable
from autograder.submission.marimo import is_marimo, read_marimo
from autograder.submission.rawcell import MAX_CELLS, MAX_SCRIPT_BYTES, RawCell, RawNotebook, clean, file_note

_MARKER = re.compile(r"^# ?(?:%%(?:[ \t][^\n]*+)?|In ?\[[\d *]*+\]:?[^\n]*+)$", re.MULTILINE)
_MARKDOWN = re.compile(r"\[(?:markdown|md|raw)\]|^# ?%%[ \t]+(?:md|markdown)\b")
_CODECELL = re.compile(r"^# <codecell>$", re.MULTILINE)
_MARKDOWNCELL = re.compile(r"^# <markdowncell>$", re.MULTILINE)
_DATABRICKS = "# Databricks notebook source\n"
_COMMAND = re.compile(r"^# COMMAND -+$", re.MULTILINE)
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
    text = _CODECELL.sub("# %%", _MARKDOWNCELL.sub("# %% [markdown]", text))
    cells = _otherwise_divided(text, name)
    if cells:
        return RawNotebook(cells=cells, repairs=tuple(repairs))
    marks = list(islice(_MARKER.finditer(text), MAX_CELLS))
    if not marks:
        note = (
            f"The script ‘{name}’ has no cell marks (lines that begin with # %%); "
            "its parts were recognised by the names that they define."
        )
        repairs.append(file_note("converted", note))
        return RawNotebook(cells=(RawCell(kind="code", source=text),), repairs=tuple(repairs), plain=True)

    found: list[RawCell] = []
    head = text[: marks[0].start()]
    if any(line.strip() and not line.startswith("#") for line in head.split("\n")):
        found.append(RawCell(kind="code", source=head))
    elif "%%" not in marks[0].group():
        found += _texts(head)
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)].strip("\n")
        header = mark.group()
        grade_id, own_id = _GRADE_ID.search(header), _ID.search(header)
        markdown = _MARKDOWN.search(header) is not None or (not grade_id and _is_text(body))
        if markdown:
            body = _uncommented(body)
        below = ""
        if not markdown and "%%" not in header:  # nbconvert writes text cells as comments below the code
            body, below = _parted(body)
        found.append(
            RawCell(
                kind="markdown" if markdown else "code",
                source=body,
                grade_id=grade_id[1] if grade_id else "",
                ids=(own_id[1],) if own_id else (),
            )
        )
        found += _texts(below)
    return RawNotebook(cells=tuple(found), repairs=tuple(repairs))


def _otherwise_divided(text: str, name: str) -> tuple[RawCell, ...]:
    """The cells of a script that marks them in another way: Databricks, marimo, jupytext's other formats."""
    if text.startswith(_DATABRICKS):
        return tuple(_command(part) for part in _COMMAND.split(text.removeprefix(_DATABRICKS))[:MAX_CELLS])
    if is_marimo(text):
        return read_marimo(text)
    form = script_format(text)
    return read_document(text, name, form) if form else ()


def _command(part: str) -> RawCell:
    lines = part.strip("\n").split("\n")
    magic = [line.removeprefix("# MAGIC").removeprefix(" ") for line in lines if line.startswith("# MAGIC")]
    if magic and magic[0].startswith("%md"):
        return RawCell(
            kind="markdown", source="\n".join([magic[0].removeprefix("%md").strip(), *magic[1:]]).strip("\n")
        )
    return RawCell(kind="code", source="\n".join(line for line in lines if not line.startswith("# DBTITLE")))


def _is_text(body: str) -> bool:
    """Whether a cell consists of comments, or of one string: some editors have no other mark for text."""
    body = body.strip()
    return bool(body) and (
        _QUOTED.fullmatch(body) is not None or all(line.startswith("#") for line in body.split("\n"))
    )


def _uncommented(body: str) -> str:
    quoted = _QUOTED.fullmatch(body.strip())
    if quoted:
        return quoted[2].strip("\n")
    lines = body.split("\n")
    if all(line.startswith("#") or not line.strip() for line in lines):
        lines = [line[1:].removeprefix(" ") for line in lines]
    return "\n".join(lines)


def _parted(body: str) -> tuple[str, str]:
    """The code, and the comments below it."""
    lines = body.split("\n")
    end = len(lines)
    while end and (lines[end - 1].startswith("#") or not lines[end - 1].strip()):
        end -= 1
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def _texts(comments: str) -> list[RawCell]:
    """The text cells in comments: a line without a comment sign parts them."""
    parts = re.split(r"\n\s*\n", comments.strip("\n"))
    return [
        RawCell(kind="markdown", source=_uncommented(part))
        for part in parts
        if part.startswith("#") and not part.startswith(("#!", "# coding"))
    ]
