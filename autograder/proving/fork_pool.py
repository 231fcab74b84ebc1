"""A pool of forks: runs each task in a process of its own, so that a task cannot affect other tasks."""

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

_PATIENCE = 10
"""times the limit of processor time: what a work may take by the clock, in case it sleeps for ever"""


class ForkPool(Generic[T]):
    """Runs tasks in forks, at most `workers` at a time. All tasks return values of one type."""

    def __init__(self, kind: type[T], workers: int, seconds: int) -> None:
        """`seconds` of processor time is the limit of one task, so that an endless task does not block the others."""
        self._kind, self._workers, self._seconds = kind, workers, seconds
        self._outcomes: dict[int, T | str] = {}
        self._begun = 0
        self._running = selectors.DefaultSelector()

    def begin(self, task: Callable[[], T]) -> None:
        """Run `task` in a fork as soon as a worker is free. The fork is a copy of this process at that moment."""
        while len(self._running.get_map()) >= self._workers:
            self._collect()
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._run_task(task, writer)
        os.close(writer)
        self._running.register(reader, selectors.EVENT_READ, (self._begun, pid, bytearray()))
        self._begun += 1

    def outcomes(self) -> list[T | str]:
        """Wait for all tasks. For each task, in the order of `begin`: its value, or a text why there is none."""
        while self._running.get_map():
            self._collect()
        return [self._outcomes[number] for number in range(self._begun)]

    def _run_task(self, task: Callable[[], T], writer: int) -> None:
        """In a fork: run the task, send its value and exit. Never returns."""
        try:
            signal.setitimer(signal.ITIMER_PROF, self._seconds)  # processor time: a busy machine is nobody's fault
            signal.alarm(_PATIENCE * self._seconds)
            data = msgspec.msgpack.encode(task())
            with os.fdopen(writer, "wb") as file:
                file.write(data)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _collect(self) -> None:
        """Wait until forks have sent data or ended, and store the outcomes of those that have ended."""
        for key, _ in self._running.select():
            number, pid, data = key.data
            if piece := os.read(key.fd, 1 << 20):
                data += piece
                continue
            self._running.unregister(key.fd)
            os.close(key.fd)
            _, status = os.waitpid(pid, 0)
            ended = f"its process ended early (wait status {status})"
            self._outcomes[number] = ended if status else msgspec.msgpack.decode(data, type=self._kind)
