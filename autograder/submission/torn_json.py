"""JSON that may be cut, torn or hostile: where its members and elements lie, without building anything in memory.

A submitted notebook may be 100 MB of output around 20 kB of code. These functions walk over the bytes and yield spans;
only the few spans that are wanted are ever decoded. Nothing here recurses, backtracks, or keeps more than one span.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

import msgspec

BRACKETS = 1_500_000
"""More of them than this and walking over the file would take too long (2 µs each); a notebook has a few hundred."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_FLAT = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,:"\[\]{}]*+')
_GAP = re.compile(rb"[\s,:]*+")
_COLON = re.compile(rb"\s*+:\s*+")
_HIGH = re.compile(rb"[\x80-\xff]+")
_TEXT = msgspec.json.Decoder(str | list[str])

Span = tuple[int, int]
"""Where a value begins and ends; -1 as its end says that it was cut."""


def members(data: bytes, at: int, stop: int) -> Iterator[tuple[str, Span]]:
    """The members of the object that begins at `at`: key and span of the value. What is torn is passed over."""
    at += 1
    while True:
        at = _after(_GAP, data, at, stop)
        if at >= stop or data[at] in b"]}":
            return
        key = _STRING.match(data, at, stop)
        colon = key and _COLON.match(data, key.end(), stop)
        if key and not colon:
            at = key.end()
            continue
        start = colon.end() if colon else at
        end = _end(data, start, stop)
        if key:
            yield decoded(key.group()[1:-1]), (start, end)
        if end < 0:
            return
        at = end


def elements(data: bytes, at: int, stop: int) -> Iterator[Span]:
    """The spans of the elements of the array that begins at `at`."""
    at += 1
    while True:
        at = _after(_GAP, data, at, stop)
        if at >= stop or data[at] in b"]}":
            return
        end = _end(data, at, stop)
        yield at, end
        if end < 0:
            return
        at = end


def text(raw: bytes) -> tuple[str, bool]:
    """The text in a JSON value, a string or a list of strings as in notebooks; and whether it was one of these."""
    try:
        value = _TEXT.decode(raw)
        return (value if isinstance(value, str) else "".join(value)), True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parts = [raw[start:end] for start, end in elements(raw, 0, len(raw))] if raw[:1] == b"[" else [raw]
        whole = all(part[:1] == b'"' for part in parts)
        return "".join(_string(token.group()) for token in _STRING.finditer(raw)), whole


def decoded(raw: bytes) -> str:
    """UTF-8 text; bytes that are not UTF-8 are read as Latin-1."""
    return raw.decode("utf-8", errors=_LATIN)


def is_utf8(data: bytes) -> bool:
    """Whether all of it is UTF-8 (the last letter may be cut), found in pieces to spare memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), 2**20):
            decoder.decode(data[at : at + 2**20])
    except UnicodeDecodeError:
        return False
    return True


def is_whole(data: bytes) -> bool:
    """Whether it is one well-formed JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _string(token: bytes) -> str:
    try:
        return str(json.loads(decoded(token), strict=False))
    except ValueError:  # an escape that JSON does not know
        return decoded(token[1:-1])


def _end(data: bytes, at: int, stop: int) -> int:
    """Where the value that begins at `at` ends, or -1 when it is cut."""
    if at >= stop:
        return -1
    if data[at] == ord('"'):
        string = _STRING.match(data, at, stop)
        return string.end() if string else -1
    if data[at] not in b"[{":
        return _after(_SCALAR, data, at, stop)
    depth = 0
    while True:
        at = _after(_FLAT, data, at, stop)
        if at >= stop or data[at] == ord('"'):
            return -1
        depth += 1 if data[at] in b"[{" else -1
        at += 1
        if depth == 0:
            return at


def _after(pattern: re.Pattern[bytes], data: bytes, at: int, stop: int) -> int:
    found = pattern.match(data, at, stop)
    return found.end() if found else at


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    run = _HIGH.match(error.object, error.start)
    end = max(run.end() if run else 0, error.end)
    return error.object[error.start : end].decode("latin-1"), end


_LATIN = "autograder-latin-1"
codecs.register_error(_LATIN, _as_latin1)
