"""Workers of a cluster that sleep instead of grading: where scheduler and driver end, and not processors."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from autograder.grading.cluster.messages import Began, Failed, Graded, Ready
from autograder.grading.cluster.worker import Station

PLACES = 8
"""orders that one worker carries out at a time"""


class Sleeper(Station):
    """A station that sleeps and hands back random bytes."""

    seconds_now: ClassVar[float] = 1.0
    bytes_now: ClassVar[int] = 0

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._seconds, self._result = self.seconds_now, os.urandom(self.bytes_now)

    def _keep(self) -> None:
        self._root = Path("/nowhere")
        self._offer(PLACES)
        self._tell(Ready(self._worker.address, PLACES))
        self._ending.wait()
        self._offer(0)

    def grade(self, ticket: str, data: bytes) -> Graded | Failed:
        self._tell(Began(ticket, self._worker.address))
        time.sleep(self._seconds)
        return Graded(self._result, b"", None, {})
