"""Messages between the trusted side, the zygote and the supervisors about a submission's process.

All senders are trusted. The untrusted student's process uses other messages, on the wire.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from autograder.course.course import Limits, TierName


class Load(msgspec.Struct):
    """The first message to the zygote: the modules that the notebooks import."""

    libraries: tuple[str, ...]


class Ready(msgspec.Struct):
    """The first message from the zygote: the confinement of its submissions."""

    tier: TierName
    shows: bool
    """whether submissions could read the course's folder"""


class SpawnRequest(msgspec.Struct):
    """A request to start one submission's process. The control socket and the wire are attached."""

    limits: Limits


class Began(msgspec.Struct, tag="began"):
    """A submission's process has been confined and runs."""

    pid: int


class Ended(msgspec.Struct, tag="ended"):
    """How a submission's process ended."""

    reason: Literal["exit", "signal", "memory", "disk", "time", "told", "unconfined"]
    number: int
    """the exit code or the signal's number"""
    cpu_seconds: float
    peak_memory_mb: float
    note: str = ""


_reports: msgspec.msgpack.Decoder[Began | Ended] = msgspec.msgpack.Decoder(Began | Ended)


def encode(report: Began | Ended) -> bytes:
    return msgspec.msgpack.encode(report)


def decode(message: bytes) -> Began | Ended:
    return _reports.decode(message)
