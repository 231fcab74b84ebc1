"""A table that a person or a platform saved as CSV, whatever its encoding and its separator."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError, refused

_MOST_BYTES = 16 * 2**20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""what a spreadsheet takes for the beginning of a formula"""
_SEPARATORS = ",;\t"
_ZIP = b"PK\x03\x04"
_INSIDE_WORKBOOKS = ("xl/", "content.xml", "Index/Tables/")


@dataclass(frozen=True)
class Sheet:
    """The header and the rows of a table."""

    path: Path
    header: tuple[str, ...]
    """the names of the columns in small letters, with single blanks"""
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """the line of the file, and its fields; empty lines are left out"""
    separator: str = ","
    titles: tuple[str, ...] = ()
    """the names of the columns as they stand there"""
    marked: bool = False
    """whether the file begins with a byte order mark, without which Excel does not read UTF-8"""

    def text(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
        """Another table, written as this one is. What a spreadsheet would take for a formula gets a quote in front."""
        text = io.StringIO()
        table = csv.writer(text, delimiter=self.separator, lineterminator="\n")
        table.writerow(header)
        table.writerows([f"'{field}" if field.startswith(_FORMULA) else field for field in row] for row in rows)
        return text.getvalue().encode("utf-8-sig" if self.marked else "utf-8")


def read_sheet(path: Path) -> Sheet:
    """Read a table from a CSV file: UTF-8, UTF-16 or Windows-1252; commas, semicolons or tabs.

    Raises
    ------
    CourseError
        If there is no such file, or if it is no such table.
    """
    data = table_bytes(path, "a list of students", "save")
    text, marked = _decoded(data, path)
    lines = text.splitlines(keepends=True)
    told = re.fullmatch(r"sep=(.)\s*", lines[0]) if lines else None  # a line that Excel understands
    first = next((line for line in lines[bool(told) :] if line.strip()), "")
    separator = told[1] if told else likely_separator(first)
    reader = csv.reader(io.StringIO("\n" + "".join(lines[1:]) if told else text, newline=""), delimiter=separator)
    rows: list[tuple[int, tuple[str, ...]]] = []
    try:
        for row in reader:
            if any(field.strip() for field in row):
                rows.append((reader.line_num, tuple(map(_field, row))))
    except csv.Error as error:
        raise CourseError(
            f"{path}, line {reader.line_num}: this is not a table in CSV ({error}): export it again"
        ) from None
    if not rows:
        raise CourseError(f"{path}: this file is empty: its first line has to name the columns")
    (line, names), *others = rows
    header = tuple(map(column_name, names))
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise CourseError(f"{path}, line {line}: several columns are called {', '.join(map(repr, twice))}: rename them")
    return Sheet(path, header, tuple(others), separator, names, marked)


def table_bytes(path: Path, what: str, do: str) -> bytes:
    """The bytes of a CSV file: `what` it should be, and what to `do` to make one. Raises CourseError if it is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise refused(path, "this file cannot be read", error) from None
    if len(data) > _MOST_BYTES:
        raise CourseError(f"{path}: this file is larger than {_MOST_BYTES // 2**20} MB: check that it is {what}")
    if data.startswith(b"\xd0\xcf\x11\xe0") or _is_workbook(data):
        raise CourseError(f"{path}: this is a workbook of a spreadsheet program: {do} it as CSV")
    if data.startswith(_ZIP):
        raise CourseError(f"{path}: this is a zip archive, not {what}: name a CSV file")
    return data


def _is_workbook(data: bytes) -> bool:
    """Whether it is a zip archive that Excel, LibreOffice or Numbers made: a table is inside."""
    if not data.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.startswith(_INSIDE_WORKBOOKS) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def likely_separator(line: str) -> str:
    """The sign that separates the columns of this first line."""
    return max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", line).count)


def column_name(text: str) -> str:
    """The name of a column in small letters, with single blanks."""
    return " ".join(text.casefold().split())


def _field(text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip())
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _decoded(data: bytes, path: Path) -> tuple[str, bool]:
    """The text of a file, and whether it had a byte order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings, marked = ["utf-16"], True
    else:
        encodings, marked = ["utf-8-sig", "cp1252"], data.startswith(b"\xef\xbb\xbf")
    for encoding in encodings:
        try:
            return data.decode(encoding), marked or encoding == "cp1252"
        except UnicodeDecodeError:
            continue
    raise CourseError(f"{path}: this file is neither UTF-8 nor Windows-1252: save it as “CSV UTF-8”")
