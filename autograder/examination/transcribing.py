"""Transcribing: turns recordings into the plain data of a transcript, and back."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from autograder.examination.recording import Recording, slim
from autograder.results.transcript import Blobs, Run, Unusable
from autograder.sandbox.student_error import StudentError
from autograder.sandbox.wire import messages
from autograder.sandbox.wire.messages import Question, Raised, Returned
from autograder.sandbox.wire.wire_error import WireError

_MOST = 48 * 2**20
"""most bytes of the questions and answers of one submission; a right one has at most a tenth of that"""


class Transcriber:
    """Collects the questions and answers of one submission, each once."""

    def __init__(self, blobs: Sequence[bytes] = ()) -> None:
        """Begins with `blobs`, which keep their numbers."""
        self.blobs = Blobs(blobs)
        self._size = 0

    def run(self, recording: Recording | None) -> Run | None:
        """One run of a test as it is kept; without its questions when there are far too many."""
        if recording is None:
            return None
        if not recording.whole or self._size > _MOST:
            return Run(whole=False)
        exchanges = [
            (self._kept(_asked(question)), self._kept(_plain(reply))) for question, reply in recording.exchanges
        ]
        unanswered = [
            (self._kept(_asked(question)), error.type, error.message, seconds)
            for question, error, seconds in recording.unanswered
        ]
        return Run(tuple(exchanges), tuple(unanswered))

    def _kept(self, blob: bytes) -> int:
        before = len(self.blobs)
        number = self.blobs.number(blob)
        self._size += len(blob) if len(self.blobs) > before else 0
        return number


def recording_of(run: Run, blobs: Sequence[bytes]) -> Recording:
    """The recording of a run that was kept. Raises Unusable if it is damaged."""
    try:
        exchanges = [(_question(blobs[asked]), _answer(blobs[given])) for asked, given in run.exchanges]
        unanswered = [
            (_question(blobs[asked]), StudentError(kind, text), seconds)
            for asked, kind, text, seconds in run.unanswered
        ]
    except (WireError, IndexError, SyntaxError, ValueError) as error:
        raise Unusable(f"its transcript is damaged ({error})") from None
    return Recording(exchanges, unanswered, run.whole)


def _asked(question: Question) -> bytes:
    """A question as it is kept: harness code as text, because compiled code may differ from one Python to the next."""
    if isinstance(question, messages.Run):
        return _harness(question.code, question.apart)
    return messages.bare(slim(question))


@functools.lru_cache(maxsize=256)  # the same harness is sent for most tests
def _harness(code: bytes, apart: bool) -> bytes:
    return messages.bare(messages.Run(b"", messages.source_of(code).encode(), apart))


def _plain(reply: Returned | Raised) -> bytes:
    return messages.encode(msgspec.structs.replace(reply, nonce=b""))


def _question(blob: bytes) -> Question:
    order = messages.decode_order(blob)
    if isinstance(order, messages.Run):
        return msgspec.structs.replace(order, code=messages.compiled(order.code.decode()))
    if isinstance(order, messages.Command):
        raise WireError("this is no question")
    return order


def _answer(blob: bytes) -> Returned | Raised:
    report = messages.decode_report(blob)
    if not isinstance(report, Returned | Raised):
        raise WireError("this is no answer")
    return report
