"""Facts about running processes, read from /proc. For a process that has ended, the answer is 0, -1 or empty."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

_MB = 1 << 20
_USUAL_FILES = 64
_BUFFER_MB = 0.2
"""the buffer of a socket, as most systems limit it"""


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def waited_seconds(pid: int) -> float:
    """How long the main threads of a process and of its children were ready to run, but no processor was free."""
    total = 0.0
    for number in (pid, *children(pid)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{number}/schedstat").read_text().split()[1]) / 1e9
    return total


def group_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return -1


def resident_mb(pid: int) -> float:
    """Memory of a process (RSS): a page that n processes share counts in full for each."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / _MB
    return 0.0


def proportional_mb(pid: int) -> float:
    """Memory of a process (PSS): a page that n processes share counts one n-th for each."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def kernel_mb(pid: int) -> float:
    """Memory that the kernel holds for a process: its page tables, and buffers of sockets and pipes.

    Buffers are estimated by the number of open files, above what a notebook needs.
    """
    total = 0.0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmPTE:"):
                total += int(line.split()[1]) / 1024
                break
    with contextlib.suppress(OSError):
        total += max(0, len(os.listdir(f"/proc/{pid}/fd")) - _USUAL_FILES) * _BUFFER_MB  # noqa: PTH208 (faster)
    return total


def cpu_seconds(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # includes the reaped children
    return 0.0


def disk_mb(folder: str, enough: float) -> float:
    """Disk space that the files below `folder` use; stops counting once the sum is above `enough`."""
    total = 0.0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += max(os.lstat(f"{place}/{name}").st_blocks * 512, 4096) / _MB
        if total > enough:
            break
    return total


def tasks_of_user(user: int) -> int:
    """How many processes and threads `user` has."""
    total = 0
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == user:
                total += len(list((process / "task").iterdir()))
    return total
