"""The supervisor: a trusted process beside a submission that confines, watches and ends it, and says how it ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Literal

from autograder.confine import jail
from autograder.constants import WIRE_FD
from autograder.course.course import Limits
from autograder.sandbox.inside import student_process
from autograder.sandbox.spawning import Ended, encode_ended

_TICK = 0.05
"""seconds between two looks at the memory"""


def supervise(control: socket.socket, wire: socket.socket, limits: Limits, confinement: jail.Confinement) -> None:
    """SpawnRequest one submission until it ends or the other end of `control` says 'kill' or goes away."""
    os.dup2(wire.fileno(), WIRE_FD)
    wire.close()
    deadline = time.monotonic() + limits.total_seconds + 10  # the examiner has its own; this is for when it is gone
    try:
        jailed = jail.spawn(confinement, limits, student_process.serve, keep_fds=(WIRE_FD,), wire_fd=WIRE_FD)
    except (OSError, RuntimeError) as error:
        control.send(encode_ended(Ended("unconfined", 0, 0.0, 0.0, str(error))))
        return
    os.close(WIRE_FD)
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
    with suppress(OSError):  # nobody may be left to hear it
        control.send(encode_ended(ended))


def _watch(
    jailed: jail.Jailed, control: socket.socket, deadline: float, kernel_kills: bool
) -> tuple[Literal["exit", "signal", "memory", "disk", "time", "told"], int]:
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
        if not kernel_kills and jailed.over_memory():  # a cgroup takes the fork that went too far, not all
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
