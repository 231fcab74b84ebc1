"""An attack on the confinement: hostile code that tries one thing and returns evidence if it succeeds.

A false value or an exception means that the attack failed. An attack must leave the machine unchanged even where
nothing stops it. Otherwise it is marked `greedy` and never runs unconfined.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The canaries that attacks aim at, and the limits of the job."""

    secret: str
    """a file that every user of the machine can read and write, in a folder that every user can write to"""
    token: str
    """the text in that file"""
    shared: str
    """a file in /dev/shm that contains the token"""
    sysv_key: int
    pid: int
    tcp: int
    udp: int
    unix: str
    abstract: str
    readable: str
    """a library file that every job may read"""
    memory_mb: int
    disk_mb: int
    processes: int


@dataclass(frozen=True)
class Attack:
    """One attack: its name, its code, and the tiers in which it is known to succeed."""

    name: str
    run: Callable[[Target], object]
    greedy: bool = False
    """uses up a resource: runs only in a process with limits"""
    open_in: tuple[str, ...] = ()
    """tiers in which it is known to succeed"""
    because: str = ""
    """why it succeeds in those tiers"""


BANK: list[Attack] = []
"""all attacks, once `autograder.confine.attacks` has been imported"""


def attack(
    name: str, *, greedy: bool = False, open_in: tuple[str, ...] = (), because: str = ""
) -> Callable[[Callable[[Target], object]], Callable[[Target], object]]:
    """Register the decorated function as an attack."""

    def register(run: Callable[[Target], object]) -> Callable[[Target], object]:
        BANK.append(Attack(name, run, greedy, open_in, because))
        return run

    return register


libc = ctypes.CDLL(None, use_errno=True)
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), 0)
_NUMBERS = {
    "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91), "clone": (56, 220), "clone3": (435, 435),
    "execveat": (322, 281), "fchmodat2": (452, 452), "io_uring_setup": (425, 425), "kcmp": (312, 272),
    "keyctl": (250, 219), "memfd_create": (319, 279), "mount": (165, 40), "mq_open": (240, 180),
    "name_to_handle_at": (303, 264), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "process_madvise": (440, 440),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "rt_sigqueueinfo": (129, 138), "seccomp": (317, 277), "setns": (308, 268), "swapon": (167, 224),
    "syslog": (103, 116), "tgkill": (234, 131), "tkill": (200, 130), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip
"""system call numbers on x86_64 and on aarch64"""
REFUSALS = (errno.EPERM, errno.ENOSYS, errno.EACCES)


def call(name: str, *arguments: object) -> int:
    """Make a raw system call by name. Raises OSError when it fails."""
    number = _NUMBERS[name][_COLUMN]
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def reaches(name: str, *arguments: object) -> str:
    """Evidence that the kernel handled a call, even if it rejected the arguments; '' when the call was refused."""
    try:
        call(name, *arguments)
    except OSError as error:
        return "" if error.errno in REFUSALS else f"{name} was not refused; the kernel answered: {error.strerror}"
    return f"{name} succeeded"


def reach(name: str, *arguments: object) -> Callable[[Target], object]:
    """An attack that makes a single system call."""
    return lambda target: reaches(name, *arguments)
