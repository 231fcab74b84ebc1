"""The supervisor: a trusted process that confines one submission, enforces its limits and reports how it ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Literal

from autograder.confine import jail
from autograder.constants import LONGEST, WIRE_FD
from autograder.course.course import Limits
from autograder.sandbox.inside import student_process
from autograder.sandbox.spawning import Began, Ended, encode

_TICK = 0.05
"""seconds between two checks of memory and disk use"""


def supervise(control: socket.socket, wire: socket.socket, limits: Limits, confinement: jail.Confinement) -> None:
    """Run one submission until it ends, or until 'kill' arrives on `control`, or until `control` is closed."""
    os.dup2(wire.fileno(), WIRE_FD)
    wire.close()
    deadline = (
        time.monotonic() + LONGEST * limits.total_seconds + 10
    )  # the trusted side ends it earlier, unless it has died
    try:
        jailed = jail.spawn(confinement, limits, student_process.serve, keep_fds=())
    except (OSError, RuntimeError) as error:
        with suppress(OSError):  # the trusted side may have ended
            control.send(encode(Ended("unconfined", 0, 0.0, 0.0, str(error))))
        return
    os.close(WIRE_FD)
    with suppress(OSError):  # the trusted side may have ended
        control.send(encode(Began(jailed.pid)))
    try:
        reason, number = _watch(jailed, control, deadline, kernel_kills=confinement.tier is jail.Tier.A)
        jailed.kill()
        usage = jailed.usage()
        if reason == "signal" and number == signal.SIGKILL and jailed.over_memory():
            reason = "memory"
        if reason == "signal" and number == signal.SIGXCPU:
            reason = "time"
        ended = Ended(reason, number, usage.cpu_seconds, usage.peak_memory_mb)
    finally:
        jailed.close()
    with suppress(OSError):  # the trusted side may have ended
        control.send(encode(ended))


def _watch(
    jailed: jail.Jailed, control: socket.socket, deadline: float, kernel_kills: bool
) -> tuple[Literal["exit", "signal", "memory", "disk", "time", "told"], int]:
    """Wait until the submission ends or must be ended. Returns the reason, and the exit code or signal."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(jailed.pidfd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
        status = jailed.wait()
        if status is not None:
            if os.WIFSIGNALED(status):
                return "signal", os.WTERMSIG(status)
            return "exit", os.WEXITSTATUS(status)
        if not kernel_kills and jailed.over_memory():  # with a cgroup, the kernel kills only the fork at fault
            return "memory", 0
        if jailed.over_disk():
            return "disk", 0
        if control.fileno() in ready:
            message = control.recv(64)
            if message != b"interrupt":
                return "told", 0
            jailed.interrupt()
        if time.monotonic() > deadline:
            return "time", 0
