"""Writes and reads a graded submission on disk: a JSON file, with the feedback page beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from autograder import atomic_file
from autograder.course.course import CourseError, refused
from autograder.results import page, transcript
from autograder.results.result import SCHEMA, Result
from autograder.results.transcript import Transcript

decoder = msgspec.json.Decoder(Result)
"""of the bytes of a results file"""


def write(result: Result, out: Path, kept: Transcript | None = None, name: str = "") -> None:
    """Write <out>/<student>/<homework>.json and .html, and with `kept` also .transcript.

    Each file is replaced in one step, or stays as it was. The JSON file is written last, so the others always exist.
    `name` is the student's, for the page, if it is known.
    Raises ValueError when the name of the student or homework cannot be a file name.
    """
    html, data = page.html(result, name).encode(), json_bytes(result)
    store(out, result.student, result.homework, data, html, kept.bytes() if kept is not None else None)


def store(out: Path, student: str, homework: str, record: bytes, html: bytes, kept: bytes | None) -> None:
    """Write the files of a result, which have been made already, as `write` does."""
    for part in (student, homework):
        if part in ("", ".", "..") or any(sign in part for sign in "/\\\0"):
            raise ValueError(f"{part!r}: this cannot be the name of a results file: rename the submission's folder")
    folder = out / student
    folder.mkdir(parents=True, exist_ok=True)
    if kept is not None:
        transcript.store(kept, transcript.path_of(out, student, homework))
    atomic_file.replace(folder / f"{homework}.html", html)
    atomic_file.replace(folder / f"{homework}.json", record)


def json_bytes(result: Result) -> bytes:
    """The result as indented JSON, with pictures in base64. `read` reads it."""
    try:
        data = msgspec.json.encode(result)
    except UnicodeEncodeError:  # a file name that is not UTF-8
        data = msgspec.json.encode(_encodable(msgspec.to_builtins(result)))
    return msgspec.json.format(data, indent=2) + b"\n"


def read(path: Path) -> Result:
    """The result in a results file. Raises ValueError when it is not a results file, or has another schema."""
    data = path.read_bytes()
    try:
        schema = _heads.decode(data).schema
        if schema == SCHEMA:
            return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: this is not a results file ({error}): grade the submission again") from None
    raise ValueError(f"{path}: this is schema {schema}, but schema {SCHEMA} is needed: grade the submission again")


def read_all(out: Path, homework: str, damaged: dict[str, str] | None = None) -> dict[str, Result]:
    """The results of a homework below `out`, by student, in order; for `damaged`, see `each`."""
    return dict(each(out, homework, damaged))


def each(out: Path, homework: str, damaged: dict[str, str] | None = None) -> Iterator[tuple[str, Result]]:
    """Each student with a result of a homework below `out`, and the result, in order; one at a time is in memory.

    `damaged` takes up who has no results file of this schema, and what is wrong with it.
    """
    for path in sorted(out.glob(f"*/{homework}.json")):
        try:
            yield path.parent.name, read(path)
        except (ValueError, OSError) as error:
            if damaged is not None:
                why = refused(path, "this file cannot be read", error) if isinstance(error, OSError) else error
                damaged[path.parent.name] = str(why)


def none(out: Path, homework: str) -> CourseError:
    """The error where a command needs results of a homework, and there are none below `out`."""
    return CourseError(f"{out}: no results of {homework}: run `autograder grade {homework}` first")


def missing(out: Path, student: str, homework: str) -> CourseError:
    """The error where a command is for one student, and there is no result of theirs."""
    known = students(out, homework)
    near = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
    way_out = f"choose one of {near}" if near else f"run `autograder grade {homework}` first"
    return CourseError(f"{out / student / homework}.json: no such result: {way_out}")


def students(out: Path, homework: str) -> list[str]:
    """Who has a result of a homework below `out`, whether it can be read or not."""
    return sorted(path.parent.name for path in out.glob(f"*/{homework}.json"))


class _Head(msgspec.Struct):
    schema: int


_heads = msgspec.json.Decoder(_Head)


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value
