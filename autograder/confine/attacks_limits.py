"""Attacks on a job's own limits (memory, processes, disk, time) and on the wire, which a job must not close."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from autograder.confine.attack import Target, attack, call, libc
from autograder.constants import WIRE_FD


@attack("close the wire")
def _(target: Target) -> object:
    wire = os.fstat(WIRE_FD).st_ino
    tricks: tuple[Callable[[], object], ...] = (
        lambda: os.close(WIRE_FD),
        lambda: os.dup2(0, WIRE_FD),
        lambda: os.dup2(0, WIRE_FD, inheritable=False),
        lambda: os.closerange(WIRE_FD, WIRE_FD + 1),
        lambda: libc.close(ctypes.c_long((1 << 32) + WIRE_FD)),
        lambda: socket.socket(fileno=WIRE_FD).shutdown(socket.SHUT_RDWR),
    )
    for trick in tricks:
        with contextlib.suppress(OSError):
            trick()
    try:
        os.write(WIRE_FD, b"still here")
        return os.fstat(WIRE_FD).st_ino != wire and "replaced"
    except OSError as error:
        return f"the wire is broken: {error.strerror}"


@attack("raise its limits")
def _(target: Target) -> object:
    import resource

    for kind in (resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            if hard == resource.RLIM_INFINITY:
                return f"{kind} has no limit"
            resource.setrlimit(kind, (hard + 1, hard + 1))
            return f"{kind} was raised"
    return ""


@attack("leave a core dump")
def _(target: Target) -> object:
    child = os.fork()
    if child == 0:
        os.abort()
    return os.WCOREDUMP(os.waitpid(child, 0)[1])


@attack("keep a daemon running after the job", greedy=True)
def _(target: Target) -> object:
    """The evidence is the pipe that the daemon keeps open: `canary.run` detects it."""
    for _ in range(3):
        if os.fork() > 0:
            continue
        with contextlib.suppress(OSError):
            os.setsid()
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        if os.fork() > 0:
            os._exit(0)
        time.sleep(60)
    return ""


def _repeat(one_more: Callable[[], object], most: int) -> str:
    """Call `one_more` until it fails; evidence when it succeeded more than `most` times."""
    count = 0
    with contextlib.suppress(OSError, RuntimeError):
        while count <= 2 * most:
            one_more()
            count += 1
    return f"started {count}" if count > most else ""


@attack("fork without limit", greedy=True)
def _(target: Target) -> object:
    def one_more() -> None:
        if os.fork() == 0:
            time.sleep(60)

    return _repeat(one_more, target.processes)


@attack("start threads without limit", greedy=True)
def _(target: Target) -> object:
    return _repeat(lambda: threading.Thread(target=time.sleep, args=(60,), daemon=True).start(), target.processes)


_MB = 1 << 20
_HOLD_SECONDS = 5.0
"""long enough for the limits to be checked on a busy machine; a job that is stopped does not wait for it"""


@attack("use too much memory", greedy=True)
def _(target: Target) -> object:
    held = [b"x" * _MB for _ in range(2 * target.memory_mb)]
    time.sleep(_HOLD_SECONDS)
    return f"held {len(held)} MB"


@attack("use too much memory in shared pages", greedy=True)
def _(target: Target) -> object:
    pages = mmap.mmap(-1, 2 * target.memory_mb * _MB)
    for _ in range(2 * target.memory_mb):
        pages.write(b"x" * _MB)
    time.sleep(_HOLD_SECONDS)
    return "held it"


@attack("use too much memory in several processes", greedy=True)
def _(target: Target) -> object:
    reader, writer = os.pipe()
    children = [os.fork() or _hold(target.memory_mb // 2, writer) for _ in range(4)]
    os.set_blocking(reader, False)
    holding = 0
    while holding < len(children):  # each says so once it holds its share; on a busy machine that takes a while
        time.sleep(0.02)
        if any(os.waitpid(child, os.WNOHANG) != (0, 0) for child in children):
            return False
        with contextlib.suppress(BlockingIOError):
            holding += len(os.read(reader, len(children)))
    time.sleep(_HOLD_SECONDS)
    return all(os.waitpid(child, os.WNOHANG) == (0, 0) for child in children) and "each held half the limit"


def _hold(megabytes: int, writer: int) -> int:
    held = [b"x" * _MB for _ in range(megabytes)]
    os.write(writer, b"x")
    time.sleep(60)
    return len(held)


@attack("use too much memory in a memfd", greedy=True)
def _(target: Target) -> object:
    fd = call("memfd_create", ctypes.c_char_p(b"hoard"), 0)
    for _ in range(2 * target.memory_mb):
        os.write(fd, b"x" * _MB)
    time.sleep(_HOLD_SECONDS)
    return "held it"


@attack("write one huge file", greedy=True)
def _(target: Target) -> object:
    with Path("huge").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.tell() <= 2 * target.disk_mb * _MB:
            stream.write(b"x" * _MB)
    return Path("huge").stat().st_size > target.disk_mb * _MB and "written"


@attack("fill the disk with files in every folder", greedy=True)
def _(target: Target) -> object:
    written = 0
    for number in range(2 * target.disk_mb):
        for folder in (".", "/tmp", "/dev/shm", "/var/tmp"):
            with contextlib.suppress(OSError):
                written += Path(folder, f"part{number}").write_bytes(b"x" * _MB)
    if written <= target.disk_mb * _MB:
        return False
    time.sleep(_HOLD_SECONDS)
    return f"{written // _MB} MB"


@attack("use up the inodes with empty files", greedy=True)
def _(target: Target) -> object:
    made = 0
    with contextlib.suppress(OSError):
        for number in range(20_000):
            Path(f"empty{number}").touch()
            made += 1
    if made < 20_000:
        return False
    time.sleep(_HOLD_SECONDS)
    return f"{made} files"
