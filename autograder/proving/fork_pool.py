"""A pool of forks: each work is done in a process of its own, so that what it does to its process stays there."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class ForkPool(Generic[T]):
    """Forks for works whose outcomes are of one type; at most `workers` of them at a time."""

    def __init__(self, kind: type[T], workers: int, seconds: int) -> None:
        """`seconds` is what one work may take at most: one that never ends must not stop the others."""
        self._kind, self._workers, self._seconds = kind, workers, seconds
        self._outcomes: dict[int, T | str] = {}
        self._begun = 0
        self._running = selectors.DefaultSelector()

    def begin(self, work: Callable[[], T]) -> None:
        """Fork for `work`, as soon as there is room. The fork sees this process as it is at that moment."""
        while len(self._running.get_map()) >= self._workers:
            self._hear()
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._do(work, writer)
        os.close(writer)
        self._running.register(reader, selectors.EVENT_READ, (self._begun, pid, bytearray()))
        self._begun += 1

    def outcomes(self) -> list[T | str]:
        """What became of each work, in the order in which they were begun: its outcome, or why there is none."""
        while self._running.get_map():
            self._hear()
        return [self._outcomes[number] for number in range(self._begun)]

    def _do(self, work: Callable[[], T], writer: int) -> None:
        """In the fork. It never returns."""
        try:
            signal.alarm(self._seconds)
            data = msgspec.msgpack.encode(work())
            with os.fdopen(writer, "wb") as file:
                file.write(data)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _hear(self) -> None:
        for key, _ in self._running.select():
            number, pid, data = key.data
            if piece := os.read(key.fd, 1 << 20):
                data += piece
                continue
            self._running.unregister(key.fd)
            os.close(key.fd)
            _, status = os.waitpid(pid, 0)
            ended = f"its process ended early (status {status})"
            self._outcomes[number] = ended if status else msgspec.msgpack.decode(data, type=self._kind)
