"""Reads JSON that may be cut off, damaged or hostile: finds members and elements without loading the whole document.

A submitted notebook may contain 20 kB of code and 100 MB of output. These functions scan the bytes and yield spans; the
caller decodes only the few spans that it needs. Nothing here recurses, backtracks, or keeps more than one span.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

import msgspec

BRACKETS = 1_500_000
"""limit on the brackets in a file; each takes 2 µs to scan, and a normal notebook has a few hundred"""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_FLAT = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,:"\[\]{}]*+')
_GAP = re.compile(rb"[\s,:]*+")
_COLON = re.compile(rb"\s*+:\s*+")
_HIGH = re.compile(rb"[\x80-\xff]+")
_TEXT = msgspec.json.Decoder(str | list[str])

Span = tuple[int, int]
"""where a value begins and ends; the end is -1 when the value is cut off"""


def members(data: bytes, at: int, stop: int) -> Iterator[tuple[str, Span]]:
    """The members of the object that begins at `at`: key and span of the value. Damaged members are skipped."""
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
    """The text in a JSON value, and whether the value is a string or a list of strings, as in a notebook."""
    try:
        value = _TEXT.decode(raw)
        return (value if isinstance(value, str) else "".join(value)), True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parts = [raw[start:end] for start, end in elements(raw, 0, len(raw))] if raw[:1] == b"[" else [raw]
        whole = all(part[:1] == b'"' for part in parts)
        return "".join(_string(token.group()) for token in _STRING.finditer(raw)), whole


def string_at(data: bytes, at: int) -> bytes:
    """The string that begins at `at`, with its quotes; b'' if it is cut off."""
    found = _STRING.match(data, at)
    return found.group() if found else b""


def decoded(raw: bytes) -> str:
    """The bytes as text: UTF-8, or Latin-1 where they are not valid UTF-8."""
    return raw.decode("utf-8", errors=_LATIN)


def is_utf8(data: bytes) -> bool:
    """Whether the data is UTF-8 (the last character may be cut off). It is decoded in pieces to save memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), 2**20):
            decoder.decode(data[at : at + 2**20])
    except UnicodeDecodeError:
        return False
    return True


def is_whole(data: bytes) -> bool:
    """Whether the data is one well-formed JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _string(token: bytes) -> str:
    try:
        return str(json.loads(decoded(token), strict=False))
    except ValueError:  # an escape sequence that JSON does not define
        return decoded(token[1:-1])


def _end(data: bytes, at: int, stop: int) -> int:
    """Where the value that begins at `at` ends, or -1 when it is cut off."""
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
