"""What the trusted side, the zygote and the supervisors say to one another about a submission's process.

All of these are trusted; the messages are kept apart from the wire, on which a student's process answers.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from autograder.course.course import Limits, TierName


class Load(msgspec.Struct):
    """The first word to the zygote: modules that the notebooks import."""

    libraries: tuple[str, ...]


class Ready(msgspec.Struct):
    """The zygote's first word: the confinement that its submissions will run in."""

    tier: TierName
    shows: bool
    """submissions could read the course's folder"""


class SpawnRequest(msgspec.Struct):
    """Ask for one submission's process; the control socket and the wire come with it."""

    limits: Limits


class Ended(msgspec.Struct):
    """What became of a submission's process."""

    reason: Literal["exit", "signal", "memory", "disk", "time", "told", "unconfined"]
    number: int
    """the exit code or the signal's number"""
    cpu_seconds: float
    peak_memory_mb: float
    note: str = ""


def encode_ended(ended: Ended) -> bytes:
    return msgspec.msgpack.encode(ended)


def read_ended(message: bytes) -> Ended:
    return msgspec.msgpack.decode(message, type=Ended)
