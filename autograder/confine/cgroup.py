"""Control groups: each job has one, which limits its memory and processes and counts its CPU time."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MB = 1 << 20
_REMOVAL_SECONDS = 2.0
_serial = itertools.count()


class CgroupError(Exception):
    """No control group can be created here; the message lists what was tried."""


@dataclass(frozen=True)
class Parents:
    """The folders in which the groups of jobs are created; in version 2 all three are the same folder."""

    version: int
    memory: str
    pids: str
    cpu: str
    """'' where CPU time is not counted"""


@dataclass(frozen=True)
class Group:
    """The control group of one job; in version 1, one group in each hierarchy."""

    parents: Parents
    name: str

    @property
    def folders(self) -> tuple[Path, ...]:
        wanted = (self.parents.memory, self.parents.pids, self.parents.cpu)
        return tuple(Path(parent) / self.name for parent in dict.fromkeys(wanted) if parent)

    @property
    def _memory(self) -> Path:
        return Path(self.parents.memory) / self.name

    def join(self) -> None:
        """Move the calling process into the group. Its later children start in the group, too."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process in the group because the group had reached its memory limit."""
        events = "memory.events" if self.parents.version == 2 else "memory.oom_control"
        return _counters(self._memory / events).get("oom_kill", 0) > 0

    def cpu_seconds(self) -> float | None:
        """CPU time of all processes that ever ran in the group; None where it is not counted."""
        if not self.parents.cpu:
            return None
        folder = Path(self.parents.cpu) / self.name
        if self.parents.version == 2:
            return _counters(folder / "cpu.stat").get("usage_usec", 0) / 1e6
        return int((folder / "cpuacct.usage").read_text()) / 1e9

    def peak_memory_mb(self) -> float:
        """The most memory the group ever held; with version 2 before Linux 5.19, the memory that it holds now."""
        names = ("memory.peak", "memory.current") if self.parents.version == 2 else ("memory.max_usage_in_bytes",)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                return int((self._memory / name).read_text()) / _MB
        return 0.0

    def remove(self) -> None:
        """Remove the group; its processes must be dead. Retries, as the kernel may need a moment for this."""
        deadline = time.monotonic() + _REMOVAL_SECONDS
        for folder in self.folders:
            while folder.is_dir():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break  # a later `sweep` removes it
                    time.sleep(0.002)


def create(parents: Parents, memory_mb: int, processes: int) -> Group:
    """Create a group below `parents` and set its limits. Swap counts as memory where the kernel accounts for swap."""
    group = Group(parents, f"autograder-{os.getpid()}-{next(_serial)}")
    limit = str(memory_mb * _MB)
    memory, pids = Path(parents.memory) / group.name, Path(parents.pids) / group.name
    for folder in group.folders:
        folder.mkdir()
    try:
        (pids / "pids.max").write_text(str(processes))
        if parents.version == 2:
            (memory / "memory.max").write_text(limit)
            _write_if_there(memory / "memory.swap.max", "0")
        else:
            (memory / "memory.limit_in_bytes").write_text(limit)
            _write_if_there(memory / "memory.memsw.limit_in_bytes", limit)
    except OSError:
        group.remove()
        raise
    return group


def _write_if_there(file: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # the kernel does not account for swap, or is too old
        if file.exists():
            file.write_text(text)


def _counters(file: Path) -> dict[str, int]:
    """The lines `name value` of a control group's file; empty when the group has been removed."""
    try:
        return {key: int(value) for key, value in (line.split() for line in file.read_text().splitlines())}
    except FileNotFoundError:
        return {}


def find_parents() -> Parents:
    """Find where this process may create groups with memory and process limits, by creating one.

    Raises CgroupError when there is no such place.
    """
    tried: list[str] = []
    for parents in _candidates():
        try:
            sweep(parents)
            create(parents, memory_mb=64, processes=8).remove()
        except OSError as error:
            tried.append(f"{error.filename or parents.memory}: {error.strerror}")
        else:
            return parents
    raise CgroupError("; ".join(tried) or "no cgroup hierarchy with the memory and pids controllers is mounted")


def _candidates() -> Iterator[Parents]:
    own, mounts = _own_groups(), _mounts()
    # Version 1, or a hybrid machine with the controllers in version 1: try below this process's own groups.
    if "memory" in mounts and "pids" in mounts:
        memory, pids, cpu = (
            _below(mounts[name], own.get(name, "/")) if name in mounts else "" for name in ("memory", "pids", "cpuacct")
        )
        yield Parents(1, memory, pids, cpu)
    if "" in mounts:
        # Except for the root, a group that holds processes cannot pass controllers down: so its parent is tried next.
        here = Path(_below(mounts[""], own.get("", "/")))
        for folder in dict.fromkeys((here, here.parent, Path(mounts[""]))):
            if folder.is_relative_to(mounts[""]):
                with contextlib.suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text("+memory +pids")
                yield Parents(2, str(folder), str(folder), str(folder))


def _own_groups() -> dict[str, str]:
    """Controller → path of this process's group in its hierarchy; the key '' stands for version 2."""
    groups = {}
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts() -> dict[str, str]:
    """Controller → mount point; the key '' stands for version 2."""
    mounts: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, folder, kind, options, *_ = line.split()
            if kind == "cgroup2":
                mounts.setdefault("", folder)
            elif kind == "cgroup":
                for option in options.split(","):
                    mounts.setdefault(option, folder)
    return mounts


def _below(mount: str, group: str) -> str:
    """The folder of `group` below `mount`, or `mount` itself when there is no such folder.

    Inside a container the mount may start at this process's group, while `group` is a path on the host.
    """
    folder = Path(mount) / group.lstrip("/")
    return str(folder if folder.is_dir() else Path(mount))


def sweep(parents: Parents) -> None:
    """Remove the empty groups of supervisors that were killed."""
    for parent in dict.fromkeys((parents.memory, parents.pids, parents.cpu)):
        for folder in Path(parent).glob("autograder-*-*") if parent else ():
            owner = re.fullmatch(r"autograder-(\d+)-\d+", folder.name)
            if owner and not Path(f"/proc/{owner[1]}").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
