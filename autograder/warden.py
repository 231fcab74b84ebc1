"""The warden: a trusted process beside each submission that confines it, watches it, ends it and says how it ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Literal

import msgspec

from autograder import student
from autograder.confine import jail
from autograder.course import Limits
from autograder.wire import WIRE_FD

_TICK = 0.05
"""seconds between two looks at the memory"""


class Ended(msgspec.Struct):
    """What became of a submission's process."""

    reason: Literal["exit", "signal", "memory", "disk", "time", "told", "unconfined"]
    number: int
    """the exit code or the signal's number"""
    cpu_seconds: float
    peak_memory_mb: float
    note: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ended)


def read(message: bytes) -> Ended:
    """The warden's last word."""
    return _decoder.decode(message)


def keep(control: socket.socket, wire: socket.socket, limits: Limits, confinement: jail.Confinement) -> None:
    """Keep one submission until it ends or the other end of `control` says 'kill' or goes away."""
    os.dup2(wire.fileno(), WIRE_FD)
    wire.close()
    deadline = time.monotonic() + limits.total_seconds + 10  # the examiner has its own; this is for when it is gone
    try:
        jailed = jail.spawn(confinement, limits, student.serve, keep_fds=(WIRE_FD,), wire_fd=WIRE_FD)
    except (OSError, RuntimeError) as error:
        control.send(_encoder.encode(Ended("unconfined", 0, 0.0, 0.0, str(error))))
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
        control.send(_encoder.encode(ended))


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
