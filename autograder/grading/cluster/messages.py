"""What the driver and the workers tell each other. Both are trusted; what is written and where, the driver decides."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autograder.grading.orders import About
from autograder.submission.parcel import Parcel


class Order(msgspec.Struct, frozen=True):
    """Grade one submission."""

    student: str
    key: str
    """of its result; see Result"""
    about: About
    parcel: Parcel
    notebooks: bool
    """whether autograded notebooks are wanted"""


class Graded(msgspec.Struct, tag="graded", frozen=True):
    """A graded submission: the files of its result."""

    record: bytes
    """the results file"""
    page: bytes
    transcript: bytes | None
    notebooks: Mapping[str, bytes]
    """the autograded ones, by the notebook's name"""


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The infrastructure failed."""

    why: str
    worker: str
    refused: bool = False
    """whether the worker did not begin, because it is not ready"""


class Began(msgspec.Struct, tag="began", frozen=True):
    """A worker begins with a submission."""

    ticket: str
    worker: str


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """A worker can grade, so many submissions at a time."""

    worker: str
    slots: int


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """A worker gets no work, or no more."""

    worker: str
    why: str


class Joined(msgspec.Struct, tag="joined", frozen=True):
    """A worker gets ready: it is new, or starts its grading server anew."""

    worker: str


class Left(msgspec.Struct, tag="left", frozen=True):
    worker: str


class Restarted(msgspec.Struct, tag="restarted", frozen=True):
    """The scheduler was lost and found again; everything in flight is gone."""


class Done(msgspec.Struct, tag="done", frozen=True):
    """What came out of an order."""

    ticket: str
    outcome: Graded | Failed


class Killed(msgspec.Struct, tag="killed", frozen=True):
    """The scheduler gave an order up: too many workers ended while they had it."""

    ticket: str


Event = Began | Ready | Refused | Joined | Left | Restarted | Done | Killed
"""what the driver is told"""
