"""The patience with one notebook: how long its cells and the calls of its tests may still take."""

from __future__ import annotations

import time

_SHARE = 1 / 8
"""of the time left: what one cell or call gets at most once another has run too long, so that the rest has its turn"""


class Patience:
    """Counts down from the moment at which it is made."""

    def __init__(self, total_seconds: float) -> None:
        self.deadline = time.monotonic() + total_seconds
        """when it ends, as `time.monotonic` counts"""
        self._hung = False

    @property
    def used_up(self) -> bool:
        """Whether no time is left at all."""
        return time.monotonic() > self.deadline

    def seconds(self, limit: float) -> float:
        """Seconds that one cell or call may take, where `limit` is what the homework allows."""
        left = self.deadline - time.monotonic()
        return max(0.0, min(limit, left * _SHARE if self._hung else left))

    def hang(self) -> None:
        """Something ran too long: the time that is left is shared out from now on."""
        self._hung = True
