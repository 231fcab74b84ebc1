"""Time budgets: how long the cells of a notebook, and the calls of its tests, may still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHARE = 1 / 8
"""share of the remaining time that one cell or call may use after a timeout, so that time remains for the others"""


class Waiting:
    """The time that a submission waited for a processor because the machine was busy, as far as the kernel tells it.

    It is not counted against the submission, up to a limit.
    """

    def __init__(self, most: float, seconds: Callable[[], float]) -> None:
        self._left, self._seconds = most, seconds
        self._seen = 0.0

    def more(self) -> float:
        """The seconds since the last call of this."""
        seconds = self._seconds()
        fresh = min(max(0.0, seconds - self._seen), self._left)
        self._seen = seconds
        self._left -= fresh
        return fresh


class Patience:
    """A time budget. Only what happens within `spending` counts."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._hung = False

    @property
    def used_up(self) -> bool:
        """Whether no time remains."""
        return self.left <= 0

    def seconds(self, limit: float) -> float:
        """The timeout of the next cell or call, in seconds; `limit` is the homework's limit for it."""
        return max(0.0, min(limit, self.left * _SHARE if self._hung else self.left))

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time that the block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.left -= time.monotonic() - began

    def hang(self) -> None:
        """Record a timeout. From now on, each cell or call gets only a share of the remaining time."""
        self._hung = True
