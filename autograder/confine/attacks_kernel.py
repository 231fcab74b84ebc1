"""Attacks on outside processes, and on kernel features by which a process could leave its confinement."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
import signal
import socket
import subprocess
from pathlib import Path

from autograder.confine.attack import REFUSALS, Target, attack, call, libc, reach, reaches


@attack("kill an outside process")
def _(target: Target) -> object:
    os.kill(target.pid, signal.SIGKILL)
    return "killed"


@attack("signal every process")
def _(target: Target) -> object:
    """Harmless: processes ignore SIGWINCH by default. The canary process blocks it, so that it shows as pending."""
    os.kill(-1, signal.SIGWINCH)
    return ""


@attack("kill by tkill, tgkill, sigqueue and pidfd")
def _(target: Target) -> object:
    info = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(info, 8).value = -1  # si_code: SI_QUEUE
    for name, arguments in (
        ("tkill", (target.pid, 9)),
        ("tgkill", (target.pid, target.pid, 9)),
        ("rt_sigqueueinfo", (target.pid, 9, info)),
    ):
        with contextlib.suppress(OSError):
            call(name, *arguments)
            return name
    signal.pidfd_send_signal(os.pidfd_open(target.pid), signal.SIGKILL)
    return "pidfd"


@attack("make the kernel signal an outside process")
def _(target: Target) -> object:
    ends = socket.socketpair()
    fcntl.fcntl(ends[0], fcntl.F_SETOWN, target.pid)
    return "owner set"


@attack("trace an outside process")
def _(target: Target) -> object:
    return reaches("ptrace", 0x4206, target.pid, 0, 0)


@attack("read and write the memory of an outside process")
def _(target: Target) -> object:
    return reaches("process_vm_readv", target.pid, None, 0, None, 0, 0) or reaches(
        "process_vm_writev", target.pid, None, 0, None, 0, 0
    )


@attack("copy a file descriptor of an outside process")
def _(target: Target) -> object:
    return reaches("pidfd_getfd", -1, 0, 0) or reaches("kcmp", target.pid, target.pid, 0, 0, 0)


@attack("read the /proc folder of an outside process")
def _(target: Target) -> object:
    return Path(f"/proc/{target.pid}/environ").read_bytes() or list(Path(f"/proc/{target.pid}/fd").iterdir())


@attack("list the machine's processes")
def _(target: Target) -> object:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) > 20]


@attack("access the limits of an outside process")
def _(target: Target) -> object:
    import resource

    return resource.prlimit(target.pid, resource.RLIMIT_NOFILE)


@attack("change the priority of an outside process")
def _(target: Target) -> object:
    os.setpriority(os.PRIO_PROCESS, target.pid, 19)
    return "reniced"


@attack("set the CPU affinity of an outside process")
def _(target: Target) -> object:
    os.sched_setaffinity(target.pid, os.sched_getaffinity(target.pid))
    return "pinned"


@attack("reclaim the memory of an outside process")
def _(target: Target) -> object:
    return reaches("process_madvise", -1, None, 0, 0, 0)


_CLONE_NEWUSER, _SIGCHLD = 0x10000000, 17
attack("use io_uring")(reach("io_uring_setup", 0, None))
attack("load a BPF program")(reach("bpf", 99, None, 0))
attack("count processor events")(reach("perf_event_open", None, 0, -1, -1, 0))
attack("handle page faults with userfaultfd")(reach("userfaultfd", -1))
attack("add a key")(reach("add_key", ctypes.c_char_p(b"user"), ctypes.c_char_p(b"k"), ctypes.c_char_p(b"v"), 1, -2))
attack("use a keyring")(reach("keyctl", 0, -4, 0, 0, 0))
attack("change its execution domain (personality)")(reach("personality", 0xFFFFFFFF))
attack("create a user namespace")(reach("unshare", _CLONE_NEWUSER))
attack("create a mount namespace")(reach("unshare", 0x00020000))
attack("enter a namespace")(reach("setns", -1, 0))
attack("mount a file system")(reach("mount", ctypes.c_char_p(b"none"), ctypes.c_char_p(b"/nowhere"), None, 0, None))
attack("open a mount tree")(reach("open_tree", -1, ctypes.c_char_p(b"nowhere"), 0))
attack("set disk quotas")(reach("quotactl", 0, None, 0, None))
attack("turn on swap")(reach("swapon", ctypes.c_char_p(b"/nowhere"), 0))
attack("load its own system call filter")(reach("seccomp", 9, 0, None))


@attack("clone into a user namespace")
def _(target: Target) -> object:
    child = call("clone", _CLONE_NEWUSER | _SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return "cloned"


@attack("clone3 into a user namespace")
def _(target: Target) -> object:
    arguments = (ctypes.c_uint64 * 8)(_CLONE_NEWUSER, 0, 0, 0, _SIGCHLD)
    child = call("clone3", arguments, 64)
    if child == 0:
        os._exit(0)
    return "cloned"


@attack("create a child of the supervisor")
def _(target: Target) -> object:
    if os.fork() == 0:  # the first process of a pid namespace may not use CLONE_PARENT; its children might
        with contextlib.suppress(OSError):
            call("clone", 0x8000 | _SIGCHLD, 0, 0, 0, 0)
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.wait()[1]) == 0 and "cloned"


@attack("change the root folder")
def _(target: Target) -> object:
    os.chroot("/")
    return "changed"


@attack("create a device file")
def _(target: Target) -> object:
    os.mknod("disk", 0o60600, os.makedev(254, 0))
    return "made"


@attack("become root")
def _(target: Target) -> object:
    os.setresuid(0, 0, 0)
    return "uid 0"


@attack("hold capabilities")
def _(target: Target) -> object:
    held = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line)
    return int(held, 16) and held


@attack("run a program")
def _(target: Target) -> object:
    return subprocess.run(["/usr/bin/id"], capture_output=True, check=True).stdout


@attack("run a program from memory")
def _(target: Target) -> object:
    fd = call("memfd_create", ctypes.c_char_p(b"program"), 0)
    os.write(fd, Path("/usr/bin/true").read_bytes())
    if os.fork() == 0:
        with contextlib.suppress(OSError):
            call("execveat", fd, ctypes.c_char_p(b""), (ctypes.c_char_p * 2)(b"true"), None, 0x1000)
        os._exit(9)
    return os.waitstatus_to_exitcode(os.wait()[1]) == 0 and "ran"


def _run_machine_code(code: bytes) -> int:
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())


@attack("make 32-bit system calls")
def _(target: Target) -> object:
    if platform.machine() != "x86_64":
        return ""
    return _run_machine_code(bytes.fromhex("b814000000 cd80 c3")) > 0 and "int 0x80 (getpid) returned a pid"


@attack("make x32 system calls")
def _(target: Target) -> object:
    if platform.machine() != "x86_64":
        return ""
    result = libc.syscall(ctypes.c_long(0x40000000 + 39))
    return result > 0 or ctypes.get_errno() not in REFUSALS


@attack("make a system call newer than the filter")
def _(target: Target) -> object:
    """Tries the numbers from cachestat (Linux 6.5) on, except the few that the filter allows.

    These numbers are the same on every architecture.
    """
    reached = []
    for number in set(range(451, 500)) - {452, 454, 455, 456, 462}:
        result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
        if result >= 0 or ctypes.get_errno() not in REFUSALS:
            reached.append(number)
    return reached


@attack("insert input into the terminal")
def _(target: Target) -> object:
    try:
        fcntl.ioctl(0, 0x5412, b"x")
    except OSError as error:
        return "" if error.errno in REFUSALS else f"TIOCSTI was not refused; the kernel answered: {error.strerror}"
    return "inserted"


@attack("protect itself from the out-of-memory killer")
def _(target: Target) -> object:
    Path("/proc/self/oom_score_adj").write_text("0")
    return "protected"
