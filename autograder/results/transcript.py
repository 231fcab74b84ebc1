"""The transcript: what the hidden tests asked one submission and what it answered, kept beside its results file.

It is for instructors alone: it holds the inputs of hidden tests. The file has three parts: a line that names the
format, the index, and the body. The index is small and is read for a whole class; the body holds questions, answers and
the work that was graded, and is unpacked only where it is needed. All is plain data: nothing in it is executed.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograder import atomic_file

SCHEMA = 1
"""increases when a field changes its meaning or is removed"""
_MAGIC = b"autograder transcript %d\n"
_LENGTH = struct.Struct("<Q")
_MOST = 2**28
"""most bytes of an unpacked body; a submission of one homework has at most a third of that"""
_MODE = 0o600
_DIGEST = 16
"""bytes of a digest"""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """One run of a hidden test."""

    exchanges: tuple[tuple[int, int], ...] = ()
    """each question and its answer, as numbers of `Body.blobs`"""
    unanswered: tuple[tuple[int, str, str, float], ...] = ()
    """the questions after those that got no answer: number, type of the error, its text, and the seconds that the test
    allowed, or 0 if it allowed as much as for any question"""
    whole: bool = True
    """whether everything is here; a test that asked too much is not"""


class TestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One hidden test of one submission."""

    __test__ = False  # tells pytest that this is not a test class

    name: str
    """name of the test function"""
    cell: str
    """grade_id of the cell that it earns points for"""
    passed: bool
    """its outcome"""
    fingerprint: bytes
    """digest of the test, of what it uses of its module and of the reference, and of its tolerances"""
    first: Run | None
    """None if it could not begin"""
    again: Run | None = None
    """the second run, in a fork of its own, if there was one: its outcome counts"""
    common: Run | None = None
    """a run with numbers that are the same for all, if nothing explains why it fails; it earns nothing"""
    anew: Run | None = None
    """a run with new numbers, if it passed when it ran again: it has to pass this one, too"""

    @property
    def last(self) -> Run | None:
        """The run whose result counts."""
        return self.anew or self.again or self.first


class NotebookRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook of one submission."""

    notebook: str
    """name of the notebook: mlp"""
    content: str
    """digest of what was handed in; the random numbers of its tests depend on it"""
    execution: bytes
    """digest of what running it depends on: the released cells, the limits, the forbidden tools"""
    verdict: bytes
    """digest of what its points depend on, apart from its tests: points, titles, the master"""
    known: dict[str, bytes] = {}
    """for each grade cell, a digest of the known mistakes that may explain it"""
    shared: Run | None = None
    """what several tests asked a fork that they share, such as a training run"""
    tests: tuple[TestRecord, ...] = ()


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a transcript is of, and what was asked; the texts and values are in the body."""

    schema: int
    course: str
    homework: str
    student: str
    handed_in: bytes
    """digest of the files in the student's folder"""
    draws: bytes
    """digest of the course's secret, from which the random numbers come"""
    seed: int
    """the random seed that the notebooks and every test started from"""
    versions: dict[str, str]
    graded_at: str
    body: bytes
    """digest of the body"""
    notebooks: tuple[NotebookRecord, ...] = ()


class WorkCell(msgspec.Struct, frozen=True, array_like=True):
    """One cell of a notebook as it was graded."""

    id: str
    kind: str
    source: str
    attachments: dict[str, dict[str, str | list[str]]] = {}


class Work(msgspec.Struct, frozen=True, array_like=True):
    """A notebook as it was graded, with the files that lay beside it."""

    cells: tuple[WorkCell, ...]
    files: dict[str, bytes] = {}
    answers_elsewhere: bool = False
    """whether written answers may be in a document, or in another part: blank ones wait for a person"""
    ran: tuple[tuple[str, int, Literal["text", "object", "use"], bytes, bytes], ...] = ()
    """what the notebook ran that stands in no cell: cell, line, what it is, its text, and a digest of it"""


class Body(msgspec.Struct, frozen=True, array_like=True):
    blobs: tuple[bytes, ...]
    """every question and every answer once, as on the wire, without what is new each time"""
    work: dict[str, Work]
    """by notebook"""


_indexes = msgspec.msgpack.Decoder(Index)
_bodies = msgspec.msgpack.Decoder(Body)


class Unusable(Exception):
    """There is no transcript that can stand for the submission; the text says why."""


class Blobs:
    """Collects what goes into `Body.blobs`, each text or value once."""

    def __init__(self, blobs: Sequence[bytes] = ()) -> None:
        self._numbers = {blob: number for number, blob in enumerate(blobs)}

    def number(self, blob: bytes) -> int:
        return self._numbers.setdefault(blob, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._numbers)


class Transcript:
    """A transcript that was made or read. The body is unpacked when it is first asked for."""

    def __init__(self, index: Index, packed: bytes) -> None:
        self.index, self._packed = index, packed

    @functools.cached_property
    def body(self) -> Body:
        """The body. Raises Unusable if it is damaged."""
        if _digest(self._packed) != self.index.body:
            raise Unusable("its transcript is damaged")
        try:
            unpacking = zlib.decompressobj()
            data = unpacking.decompress(self._packed, _MOST)
            if unpacking.unconsumed_tail or not unpacking.eof:
                raise Unusable("its transcript is damaged, or far too large")
            return _bodies.decode(data)
        except (zlib.error, ValueError, RecursionError) as error:
            raise Unusable(f"its transcript is damaged ({error})") from None

    def check(self, digest: str) -> None:
        """Raise Unusable unless this is the transcript that a results file names by this digest."""
        if digest != self.index.body.hex():
            raise Unusable("its transcript does not belong to its results file")

    def notebook(self, name: str) -> NotebookRecord | None:
        return next((one for one in self.index.notebooks if one.notebook == name), None)

    def with_notebooks(self, notebooks: Sequence[NotebookRecord]) -> Transcript:
        """The same body with other records: the tests have changed, and their questions have not."""
        return Transcript(msgspec.structs.replace(self.index, notebooks=tuple(notebooks)), self._packed)

    def bytes(self) -> bytes:
        """The whole file."""
        index = msgspec.msgpack.encode(self.index)
        return b"".join((_MAGIC % SCHEMA, _LENGTH.pack(len(index)), _digest(index), index, self._packed))


def made(index: Index, blobs: Blobs, work: Mapping[str, Work]) -> Transcript:
    """A new transcript; `index` is completed with the digest of the body."""
    packed = zlib.compress(msgspec.msgpack.encode(Body(tuple(blobs), dict(work))), 1)
    return Transcript(msgspec.structs.replace(index, body=_digest(packed)), packed)


def path_of(out: Path, student: str, homework: str) -> Path:
    """Where the transcript of a student's homework is kept: <out>/<student>/<homework>.transcript."""
    return out / student / f"{homework}.transcript"


def write(transcript: Transcript, path: Path) -> None:
    """Write the file in one step, for its owner's eyes only. On any error the old file stays."""
    store(transcript.bytes(), path)


def store(data: bytes, path: Path) -> None:
    """Write the bytes of a transcript as `write` does."""
    atomic_file.replace(path, data, _MODE)


def read(path: Path) -> Transcript:
    """The transcript in a file. Raises Unusable when there is none, or it is cut off or of another schema."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Unusable("it has no transcript") from None
    except OSError as error:
        raise Unusable(f"its transcript cannot be read ({error.strerror})") from None
    return parsed(data)


def parsed(data: bytes) -> Transcript:
    """The transcript in the bytes of a file. Raises Unusable as `read` does."""
    head = _MAGIC % SCHEMA
    if not data.startswith(head):
        other = data.startswith(_MAGIC.partition(b"%d")[0])
        raise Unusable("its transcript is of another schema" if other else "the file in its place is not a transcript")
    try:
        (length,) = _LENGTH.unpack_from(data, len(head))
        begin = len(head) + _LENGTH.size + _DIGEST
        if length > len(data) - begin:
            raise Unusable("its transcript is cut off")
        packed = data[begin : begin + length]
        if _digest(packed) != data[begin - _DIGEST : begin]:
            raise Unusable("its transcript is damaged")
        index = _indexes.decode(packed)
    except (struct.error, ValueError, RecursionError):
        raise Unusable("its transcript is damaged") from None
    return Transcript(index, data[begin + length :])


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
