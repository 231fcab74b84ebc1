"""The fields of a CSV file with their places, so that some can be replaced and all others stay byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError

_MOST_BYTES = 16 * 2**20
_SEPARATORS = ",;\t"


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
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CourseError(f"{path}: this file cannot be read ({error.strerror})") from None
    if len(data) > _MOST_BYTES:
        raise CourseError(f"{path}: this file is larger than {_MOST_BYTES // 2**20} MB: is it a gradebook?")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise CourseError(f"{path}: this is a workbook of a spreadsheet program: export it as CSV")
    text, encoding = _decoded(data, path)
    first = next((line for line in text.lstrip("\ufeff").splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", first).count)
    records = tuple(record for record in _records(text, separator) if any(field.text.strip() for field in record))
    if not records:
        raise CourseError(f"{path}: this file is empty")
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


def _records(text: str, separator: str) -> Iterator[tuple[Field, ...]]:
    """RFC 4180: quoted fields may hold separators and line breaks, and two quotes stand for one."""
    at = 1 if text.startswith("\ufeff") else 0
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
    end = begin
    if text[begin : begin + 1] == '"':
        closing = re.compile(r'"((?:[^"]|"")*)"').match(text, begin)
        if closing:
            end = closing.end()
            if end == len(text) or text[end] in (separator, "\r", "\n"):
                return Field(closing[1].replace('""', '"'), begin, end, True)
    stop = re.compile(f"[{re.escape(separator)}\r\n]").search(text, begin)
    end = stop.start() if stop else len(text)
    return Field(text[begin:end], begin, end, False)


def column_names(record: Sequence[Field]) -> tuple[str, ...]:
    """The names of the columns in small letters, with single blanks."""
    return tuple(" ".join(field.text.casefold().split()) for field in record)
