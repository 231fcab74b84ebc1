"""The jail: a confined child of the supervisor, made of every layer this machine can do, and held until it is dead."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autograder.confine import cgroup, confined_child, kernel, proc
from autograder.confine.confinement import Confinement, Finding, Tier
from autograder.constants import WIRE_FD
from autograder.course.course import Limits

__all__ = ["Confinement", "Finding", "JailError", "Jailed", "Tier", "Usage", "probe", "spawn"]

_DISK_LOOK_SECONDS = 0.5
_serial = itertools.count()


class JailError(RuntimeError):
    """A layer that `probe` found working failed; the text names it. Nothing of the student's ran."""


@dataclass(frozen=True)
class Usage:
    """What a job has used so far."""

    cpu_seconds: float
    peak_memory_mb: float


def probe(force: Tier | None = None) -> Confinement:
    """Try each layer in a throw-away child and choose the strongest tier, or the weaker one that `force` names."""
    from autograder.confine import probing  # which tries what it finds by spawning, and so needs this module

    return probing.probe(force)


def spawn(
    confinement: Confinement, limits: Limits, body: Callable[[], None], keep_fds: tuple[int, ...], wire_fd: int
) -> Jailed:
    """Fork a child that confines itself, calls `body` and ends; returns when it is confined, just before `body`.

    The caller must be single-threaded, and becomes the reaper of what the child leaves behind. Of its descriptors
    the child keeps `keep_fds`, whose `wire_fd` it cannot close. Raises JailError when a layer fails, OSError when
    the machine cannot fork or make a control group.
    """
    if wire_fd != WIRE_FD:
        raise ValueError(f"the system call filter is built for a wire at descriptor {WIRE_FD}, not {wire_fd}")
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    group = cgroup.create(confinement.groups, limits.memory_mb, limits.processes) if confinement.groups else None
    folder = None if confinement.private else tempfile.mkdtemp(prefix="autograder-")
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here:
        try:
            owner, already = _owner(confinement), _others(confinement)
            plan = confined_child.Plan(confinement, limits, group, folder, (*keep_fds, wire_fd), there, owner, already)
            jailed = Jailed(_fork(plan, body, here), limits, group, folder, private=confinement.private)
        except BaseException:
            _discard(group, folder)
            raise
        try:
            here.send(b"go")  # a child that failed already has said why
            _hear(here, b"ready")
        except BaseException:
            jailed.close()
            raise
    return jailed


def _fork(plan: confined_child.Plan, body: Callable[[], None], here: socket.socket) -> int:
    """The process number of a new child, the first process of a new pid namespace when there is to be one."""
    confinement = plan.confinement
    by_way_of_another = confinement.private and confinement.user_ids is None
    if confinement.private and not by_way_of_another:
        kernel.unshare(kernel.CLONE_NEWPID)  # for children alone; taken back below
    try:
        pid = os.fork()
        if pid == 0:
            here.close()
            if by_way_of_another:
                confined_child.lead_into_user_namespace(plan, body)
            confined_child.become(plan, body)
    finally:
        if confinement.private and not by_way_of_another:
            kernel.enter_namespace("/proc/self/ns/pid", kernel.CLONE_NEWPID)
        plan.channel.close()
    if not by_way_of_another:
        return pid
    try:
        return int(_hear(here, b"pid "))
    finally:
        os.waitpid(pid, 0)  # its child is ours now


def _owner(confinement: Confinement) -> int:
    """The user id of the next job: as root one for each, so that jobs cannot even name each other's processes."""
    if confinement.user_ids is None:
        return confined_child.INNER_ID if confinement.private else os.geteuid()
    return confinement.user_ids[(os.getpid() + next(_serial)) % len(confinement.user_ids)]


def _others(confinement: Confinement) -> int:
    """How many processes of this user count against the limit of the job's: none where it has a count of its own."""
    own_count = confinement.user_ids is not None or (confinement.private and _linux_at_least(5, 14))
    return 0 if own_count or confinement.tier is Tier.NONE else proc.tasks_of_user(os.geteuid())


def _linux_at_least(*version: int) -> bool:
    return tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= version


def _hear(here: socket.socket, expected: bytes) -> bytes:
    message = here.recv(4096)
    if not message.startswith(expected):
        raise JailError(message.decode(errors="replace") or "the confined process died while it was being confined")
    return message.removeprefix(expected)


def _discard(group: cgroup.Group | None, folder: str | None) -> None:
    if group:
        group.remove()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


class Jailed:
    """A confined child and all that it starts, held by the supervisor."""

    def __init__(self, pid: int, limits: Limits, group: cgroup.Group | None, folder: str | None, *, private: bool):
        self.pid = pid
        self.pidfd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        self._limits = limits
        self._group = group
        self._folder = folder
        self._private = private
        self._status: int | None = None
        self._cpu_reaped = 0.0
        self._cpu_seen = 0.0
        self._peak_pages_mb = 0.0
        self._peak_resident_mb = 0.0
        self._over_memory = False
        self._disk_looked = 0.0
        self._closed = False

    def wait(self) -> int | None:
        """The wait status once the main process has ended, None before. It stays a zombie until `kill`."""
        if self._status is None:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            return ended.si_status << 8 if ended.si_code == os.CLD_EXITED else ended.si_status
        return self._status

    def interrupt(self) -> None:
        """Send SIGINT, a KeyboardInterrupt in Python, to the main process."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill everything in the jail and reap it; when this returns, nothing of it runs."""
        if self._status is not None:
            return
        self.usage()
        if self._private:  # the first process of its pid namespace: the others die with it, before it is reaped
            self._signal(signal.SIGKILL)
            self._reap(self.pid)
            return
        # Nothing inside may leave its process group, and a fork cannot slip through a signal to a group.
        while True:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            if not self._reap(-self.pid):
                return

    def _signal(self, number: int) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)  # not reaped, so the number is still its own

    def _reap(self, which: int) -> bool:
        try:
            pid, status, used = os.wait4(which, 0)
        except ChildProcessError:
            return False
        self._cpu_reaped += used.ru_utime + used.ru_stime
        if pid == self.pid:
            self._status = status
        return True

    def over_memory(self) -> bool:
        """Whether the kernel had to kill for memory (tier A), or all processes together hold more than the limit."""
        if self._group:
            self._over_memory = self._over_memory or self._group.out_of_memory()
        elif self._status is None and not self._over_memory:
            self._look_at_memory()
        return self._over_memory

    def _look_at_memory(self) -> None:
        # Resident pages count what is shared with the zygote once for each process: too much, but cheap to read.
        # The fair share of each page (PSS) is read when that sum sets a record, or is above the limit.
        pids = list(self._pids())
        resident = sum(map(proc.resident_mb, pids))
        if resident < min(self._limits.memory_mb, self._peak_resident_mb + 16):
            return
        self._peak_resident_mb = max(self._peak_resident_mb, resident)
        fair = sum(map(proc.proportional_mb, pids))
        self._peak_pages_mb = max(self._peak_pages_mb, fair)
        self._over_memory = fair > self._limits.memory_mb

    def over_disk(self) -> bool:
        """Without a private root, whether the work folder holds more than the limit; a private one cannot."""
        if not self._folder or time.monotonic() - self._disk_looked < _DISK_LOOK_SECONDS:
            return False
        self._disk_looked = time.monotonic()
        return proc.disk_mb(self._folder, self._limits.disk_mb) > self._limits.disk_mb

    def usage(self) -> Usage:
        """CPU time and peak memory of all processes so far."""
        if self._group:
            seconds = self._group.cpu_seconds()
            if seconds is not None:
                self._cpu_seen = max(self._cpu_seen, seconds)
            self._peak_pages_mb = max(self._peak_pages_mb, self._group.peak_memory_mb())
        elif self._status is None:
            self._cpu_seen = max(self._cpu_seen, sum(map(proc.cpu_seconds, self._pids())))
            self._look_at_memory()
        return Usage(max(self._cpu_seen, self._cpu_reaped), self._peak_pages_mb)

    def _pids(self) -> Iterator[int]:
        """The main process and its descendants; without a pid namespace, orphans are the supervisor's children."""
        todo = [self.pid]
        if not self._private:
            todo += [pid for pid in proc.children(os.getpid()) if pid != self.pid and proc.group_of(pid) == self.pid]
        while todo:
            pid = todo.pop()
            yield pid
            todo += proc.children(pid)

    def close(self) -> None:
        """Give back descriptors, control group and work folder; kills what still runs."""
        if self._closed:
            return
        self.kill()
        self._closed = True
        if self.pidfd >= 0:
            os.close(self.pidfd)
        _discard(self._group, self._folder)
