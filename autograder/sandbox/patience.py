"""The time budget of one notebook: how long its cells and the calls of its tests may still take."""

from __future__ import annotations

import time

_SHARE = 1 / 8
"""share of the remaining time that one cell or call may use after a timeout, so that time remains for the others"""


class Patience:
    """A time budget. It starts when it is created."""

    def __init__(self, total_seconds: float) -> None:
        self.deadline = time.monotonic() + total_seconds
        """the end of the budget, on the clock of `time.monotonic`"""
        self._hung = False

    @property
    def used_up(self) -> bool:
        """Whether no time remains."""
        return time.monotonic() > self.deadline

    def seconds(self, limit: float) -> float:
        """The timeout of the next cell or call, in seconds; `limit` is the homework's limit for it."""
        left = self.deadline - time.monotonic()
        return max(0.0, min(limit, left * _SHARE if self._hung else left))

    def hang(self) -> None:
        """Record a timeout. From now on, each cell or call gets only a share of the remaining time."""
        self._hung = True
