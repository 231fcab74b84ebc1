"""The fields of a CSV file with their places, so that some can be replaced and all others stay byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError
from autograder.course.sheet import column_name, likely_separator, table_bytes

_TOLD = re.compile(r"\ufeff?sep=([^\w\s\"]|\t)\r?\n")
"""a first line that Excel understands"""
_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')


@dataclass(frozen=True)
class Field:
    """One field: its text, and where it stands in the file's text, with its quotes."""

    text: str
    begin: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class Fields:
    """All fields of a file, record by record; the first record names the columns."""

    path: Path
    text: str
    encoding: str
    separator: str
    records: tuple[tuple[Field, ...], ...]

    def replaced(self, new: Mapping[tuple[int, int], str]) -> bytes:
        """The file with other texts in these fields, by record and column; the others are as they were."""
        parts, at = [], 0
        for (record, column), text in sorted(new.items()):
            field = self.records[record][column]
            quote = field.quoted or any(sign in text for sign in (self.separator, '"', "\n", "\r"))
            parts += [self.text[at : field.begin], '"' + text.replace('"', '""') + '"' if quote else text]
            at = field.end
        return "".join([*parts, self.text[at:]]).encode(self.encoding)


def read_fields(path: Path) -> Fields:
    """Read a CSV file as a platform wrote it. Raises CourseError if it is none."""
    text, encoding = _decoded(table_bytes(path, "a gradebook", "export"), path)
    told = _TOLD.match(text)
    begin = told.end() if told else 0
    first = next((line for line in text[begin:].lstrip("\ufeff").splitlines() if line.strip()), "")
    separator = told[1] if told else likely_separator(first)
    try:
        records = tuple(one for one in _records(text, separator, begin) if any(field.text.strip() for field in one))
    except ValueError as error:
        raise CourseError(f"{path}, line {error}: a quote is opened here and never closed: export it again") from None
    if not records:
        raise CourseError(f"{path}: this file is empty: export it again")
    return Fields(path, text, encoding, separator, records)


def _decoded(data: bytes, path: Path) -> tuple[str, str]:
    """The text, with its byte order mark, and the encoding that gives the same bytes again."""
    encodings = ["utf-8", "cp1252"]
    if data.startswith(b"\xff\xfe"):
        encodings = ["utf-16-le"]
    elif data.startswith(b"\xfe\xff"):
        encodings = ["utf-16-be"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.encode(encoding) == data:
            return text, encoding
    raise CourseError(f"{path}: this file is neither UTF-8 nor Windows-1252: export it again")


def _records(text: str, separator: str, begin: int) -> Iterator[tuple[Field, ...]]:
    """RFC 4180: quoted fields may hold separators and line breaks, and two quotes stand for one.

    Raises ValueError with the line of a quote that is never closed.
    """
    at = begin or (1 if text.startswith("\ufeff") else 0)
    record: list[Field] = []
    while at <= len(text):
        field = _field(text, at, separator)
        record.append(field)
        at = field.end
        if text[at : at + 1] == separator:
            at += 1
            continue
        yield tuple(record)
        record = []
        at += 2 if text.startswith("\r\n", at) else 1


def _field(text: str, begin: int, separator: str) -> Field:
    inside, at = "", begin
    quoted = text.startswith('"', begin)
    if quoted:
        closed = _QUOTED.match(text, begin)
        if closed is None:
            raise ValueError(text.count("\n", 0, begin) + 1)
        inside, at = closed[1].replace('""', '"'), closed.end()
    stop = re.compile(f"[{re.escape(separator)}\r\n]").search(text, at)
    end = stop.start() if stop else len(text)
    return Field(inside + text[at:end], begin, end, quoted)


def column_names(record: Sequence[Field]) -> tuple[str, ...]:
    """The names of the columns in small letters, with single blanks."""
    return tuple(column_name(field.text) for field in record)
