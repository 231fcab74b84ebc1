"""The budget of one hidden test: how much the trusted process may spend on a student's answers."""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

SECONDS = 30.0
"""processor time of the trusted process for one test, or for one search for known mistakes; usual tests take 0.1 s"""
BESIDE = 60
"""processor time of the trusted process for everything else about one submission; usual ones take 0.2 s"""
_MEMORY_MB = 384
"""memory that the process of one submission may use in addition to what it has when it begins"""

_SLACK = 5.0
"""seconds of processor time between the two limits of a test, however short its budget"""


class Exhausted(BaseException):
    """Raised in a test that spends its budget. It is no Exception, so a test cannot suppress it by mistake."""


@contextlib.contextmanager
def budget(seconds: float | None = SECONDS) -> Iterator[None]:
    """In this context, raise Exhausted after so many seconds of processor time; None is no limit.

    Python cannot stop a library's function that runs for long. So the kernel ends the process after twice the seconds
    and some more: the kernel looks at its clocks rarely on a busy machine, and must not see both limits at once.
    """
    if seconds is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    begun = time.process_time()
    before = signal.signal(signal.SIGVTALRM, _stop)
    _lower(resource.RLIMIT_CPU, int(begun + 2 * seconds + _SLACK))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if soft != resource.RLIM_INFINITY:  # what was spent in here is not to count outside
            soft += math.ceil(time.process_time() - begun)
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def limit_time() -> None:
    """From now on, let the kernel end this process when it has spent BESIDE seconds of processor time without a budget.

    Call it again for each submission.
    """
    _lower(resource.RLIMIT_CPU, int(time.process_time()) + BESIDE)


def limit_memory() -> None:
    """Limit the memory of this process, for good. What needs more raises MemoryError or RuntimeError."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    _lower(resource.RLIMIT_DATA, pages * resource.getpagesize() + _MEMORY_MB * 2**20)


def _lower(kind: int, most: int) -> None:
    """Set the soft limit to `most`, or to the hard limit where that is lower."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _stop(number: int, frame: object) -> NoReturn:
    raise Exhausted
