"""The jail: a child process of the supervisor, confined by every layer that works on this machine."""

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

_DISK_CHECK_SECONDS = 0.5
_serial = itertools.count()


class JailError(RuntimeError):
    """An infrastructure failure: a layer that worked in `probe` failed. The message names it. No student code ran."""


@dataclass(frozen=True)
class Usage:
    """The resources that a job has used so far."""

    cpu_seconds: float
    peak_memory_mb: float


def probe(force: Tier | None = None) -> Confinement:
    """Try each layer in a temporary child. Choose the strongest tier that works, but none stronger than `force`."""
    from autograder.confine import probing  # imported here, because `probing` imports this module

    return probing.probe(force)


def spawn(confinement: Confinement, limits: Limits, body: Callable[[], None], keep_fds: tuple[int, ...]) -> Jailed:
    """Fork a child that confines itself, calls `body` and exits. Returns once it is confined, just before `body`.

    The caller must be single-threaded. It becomes the child subreaper: the parent of orphans that the child leaves.
    The child keeps only the descriptors `keep_fds` and `WIRE_FD`, and it cannot close `WIRE_FD`. Raises JailError when
    a layer fails, and OSError when the machine cannot fork or create a control group.
    """
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    group = cgroup.create(confinement.groups, limits.memory_mb, limits.processes) if confinement.groups else None
    folder = None if confinement.private else tempfile.mkdtemp(prefix="autograder-")
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here:
        try:
            owner, already = _owner(confinement), _foreign_tasks(confinement)
            plan = confined_child.Plan(confinement, limits, group, folder, (*keep_fds, WIRE_FD), there, owner, already)
            jailed = Jailed(_fork(plan, body, here), limits, group, folder, private=confinement.private)
        except BaseException:
            _discard(group, folder)
            raise
        try:
            with contextlib.suppress(OSError):  # the child has failed: its error message is waiting to be received
                here.send(b"go")
            _receive(here, b"ready")
        except BaseException:
            jailed.close()
            raise
    return jailed


def _fork(plan: confined_child.Plan, body: Callable[[], None], here: socket.socket) -> int:
    """Fork the child and return its pid. With a private root, it is the first process of a new pid namespace."""
    confinement = plan.confinement
    through_user_namespace = confinement.private and confinement.user_ids is None
    if confinement.private and not through_user_namespace:
        kernel.unshare(kernel.CLONE_NEWPID)  # applies only to future children; undone below
    try:
        pid = os.fork()
        if pid == 0:
            here.close()
            if through_user_namespace:
                confined_child.lead_into_user_namespace(plan, body)
            confined_child.become(plan, body)
    finally:
        if confinement.private and not through_user_namespace:
            kernel.enter_namespace("/proc/self/ns/pid", kernel.CLONE_NEWPID)
        plan.channel.close()
    if not through_user_namespace:
        return pid
    try:
        return int(_receive(here, b"pid "))
    finally:
        os.waitpid(pid, 0)  # it has exited, so its child is now a child of this process


def _owner(confinement: Confinement) -> int:
    """The user id of the next job. As root, each job has its own, so that jobs cannot signal each other's processes."""
    if confinement.user_ids is None:
        return confined_child.INNER_ID if confinement.private else os.geteuid()
    return confinement.user_ids[(os.getpid() + next(_serial)) % len(confinement.user_ids)]


def _foreign_tasks(confinement: Confinement) -> int:
    """How many other processes of this user count against the job's limit; 0 where the job is counted separately."""
    own_count = confinement.user_ids is not None or (confinement.private and _linux_at_least(5, 14))
    return 0 if own_count or confinement.tier is Tier.NONE else proc.tasks_of_user(os.geteuid())


def _linux_at_least(*version: int) -> bool:
    return tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= version


def _receive(here: socket.socket, expected: bytes) -> bytes:
    message = here.recv(4096)
    if not message.startswith(expected):
        raise JailError(message.decode(errors="replace") or "the child process died while it was confining itself")
    return message.removeprefix(expected)


def _discard(group: cgroup.Group | None, folder: str | None) -> None:
    if group:
        group.remove()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


class Jailed:
    """A confined child and all its descendants, as the supervisor controls them."""

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
        self._disk_checked = 0.0
        self._closed = False

    def wait(self) -> int | None:
        """The wait status once the main process has ended, None before. The process stays a zombie until `kill`."""
        if self._status is None:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            return ended.si_status << 8 if ended.si_code == os.CLD_EXITED else ended.si_status
        return self._status

    def interrupt(self) -> None:
        """Send SIGINT to the main process, which raises KeyboardInterrupt in Python."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill and reap all processes in the jail. When this returns, none of them is running."""
        if self._status is not None:
            return
        self.usage()
        if self._private:  # the first process of a pid namespace: the kernel kills the others before it can be reaped
            self._signal(signal.SIGKILL)
            self._reap(self.pid)
            return
        # No process inside can leave the process group, and a signal to the group also reaches processes being forked.
        while True:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            if not self._reap(-self.pid):
                return

    def _signal(self, number: int) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)  # not reaped yet, so no other process can have this pid

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
        """Whether the kernel killed a process over the limit (tier A), or all processes together exceed the limit."""
        if self._group:
            self._over_memory = self._over_memory or self._group.out_of_memory()
        elif self._status is None and not self._over_memory:
            self._measure_memory()
        return self._over_memory

    def _measure_memory(self) -> None:
        # The sum of resident memory counts pages shared with the zygote once per process: too high, but cheap to read.
        # The proportional share (PSS) is exact but slow: read it only when that sum exceeds the limit or its old peak.
        pids = list(self._pids())
        kernel_mb = sum(map(proc.kernel_mb, pids))
        resident = sum(map(proc.resident_mb, pids)) + kernel_mb
        if resident < min(self._limits.memory_mb, self._peak_resident_mb + 16):
            return
        self._peak_resident_mb = max(self._peak_resident_mb, resident)
        proportional = sum(map(proc.proportional_mb, pids)) + kernel_mb
        self._peak_pages_mb = max(self._peak_pages_mb, proportional)
        self._over_memory = proportional > self._limits.memory_mb

    def over_disk(self) -> bool:
        """Whether the work folder exceeds the disk limit. False with a private root, where a tmpfs enforces it.

        Reads the folder at most every `_DISK_CHECK_SECONDS`, and returns False in between.
        """
        if not self._folder or time.monotonic() - self._disk_checked < _DISK_CHECK_SECONDS:
            return False
        self._disk_checked = time.monotonic()
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
            self._measure_memory()
        return Usage(max(self._cpu_seen, self._cpu_reaped), self._peak_pages_mb)

    def _pids(self) -> Iterator[int]:
        """The main process and its descendants. Without a pid namespace, orphans become children of the supervisor."""
        todo = [self.pid]
        if not self._private:
            todo += [pid for pid in proc.children(os.getpid()) if pid != self.pid and proc.group_of(pid) == self.pid]
        while todo:
            pid = todo.pop()
            yield pid
            todo += proc.children(pid)

    def close(self) -> None:
        """Kill all processes that still run, then release the descriptors, the control group and the work folder."""
        if self._closed:
            return
        self.kill()
        self._closed = True
        if self.pidfd >= 0:
            os.close(self.pidfd)
        _discard(self._group, self._folder)
