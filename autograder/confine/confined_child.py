"""The confined side of a jail: the forked child confines itself, layer by layer, before it runs any student code."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from autograder.confine import kernel, landlock, privateroot, seccomp
from autograder.confine.cgroup import Group
from autograder.confine.confinement import Confinement, Tier
from autograder.course.course import Limits

_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)
INNER_ID = 1000  # user id of an ordinary user inside the user namespace: any number but 0, which is root
_CPU_SLACK = 5  # seconds of CPU time allowed above the time limit
_OPEN_FILES = 256
_ADDRESSES = 64 << 30  # bytes: PyTorch reserves far more addresses than it uses, but each page table takes memory
_OOM_SCORE = "800"  # if the machine runs out of memory, the kernel kills this process before a trusted one
_MB = 1 << 20
_FOLDER_VARIABLES = (
    "HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR", "TORCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"
)  # fmt: skip
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Plan:
    """What the child needs in order to confine itself."""

    confinement: Confinement
    limits: Limits
    group: Group | None
    folder: str | None
    """the work folder; None with a private root, which contains its own work folder"""
    keep_fds: tuple[int, ...]
    channel: socket.socket
    """connects to the supervisor: the child sends 'ready' or an error message and receives 'go'"""
    owner: int
    """user id of the job, as seen inside its namespaces"""
    already: int
    """processes that count against RLIMIT_NPROC but do not belong to the job"""


def lead_into_user_namespace(plan: Plan, body: Callable[[], None]) -> NoReturn:
    """Enter a user namespace, fork the first process of a new pid namespace, send its pid to the supervisor and exit.

    Once this process has exited, the forked process becomes a child of the supervisor.
    """
    try:
        enter_user_namespace()
        kernel.unshare(kernel.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            become(plan, body)
        plan.channel.send(b"pid %d" % pid)
    except BaseException as error:
        _send_error(plan, error)
    finally:
        os._exit(0)


def enter_user_namespace() -> None:
    """Enter a user namespace, in which an ordinary user may create the other namespaces.

    Inside, every user has the same user and group id, INNER_ID.
    """
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INNER_ID} {user} 1"),
        ("gid_map", f"{INNER_ID} {group} 1"),
    ):
        Path(f"/proc/self/{file}").write_text(text)


def leave_namespaces() -> None:
    """Enter new namespaces for mounts, network, IPC, host name and control groups."""
    kernel.unshare(_NAMESPACES)


def become(plan: Plan, body: Callable[[], None]) -> NoReturn:
    """Confine this process, send 'ready', call `body` and exit."""
    code = 1
    try:
        confine(plan)
        plan.channel.send(b"ready")
        plan.channel.close()
    except BaseException as error:
        _send_error(plan, error)
        os._exit(code)
    try:
        body()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code & 0xFF)


def _send_error(plan: Plan, error: BaseException) -> None:
    """Tell the supervisor which layer failed."""
    with contextlib.suppress(OSError):
        text = error.args[1] if isinstance(error, OSError) and len(error.args) > 1 else str(error)
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        plan.channel.send(f"{type(error).__name__}: {text}{where}".encode()[:4000])


def confine(plan: Plan) -> None:
    """Apply every layer of the plan to this process."""
    confinement = plan.confinement
    os.umask(0o022)
    _reset_signals()
    os.setsid()
    if plan.group:
        plan.group.join()
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    if confinement.private:
        leave_namespaces()
        work = privateroot.enter(confinement.view, plan.limits.disk_mb, plan.owner)
    else:
        assert plan.folder
        work = plan.folder
        os.chown(work, plan.owner, plan.owner)
        os.chdir(work)
    _close_descriptors(plan)
    _set_limits(plan)
    _scrub_environment(work)
    # The supervisor sends 'go' once it is this process's parent: PR_SET_PDEATHSIG below applies to the parent.
    if plan.channel.recv(16) != b"go":
        os._exit(1)
    if confinement.tier is Tier.NONE:
        return
    rules = _ruleset(confinement, work)
    _drop_privileges(confinement, plan.owner)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # changing the user cleared it, which closes /proc/self
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # changing the user clears this, too
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(confinement.landlock_abi, rules)
    seccomp.install(confinement.filters)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for kind in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(kind, signal.SIG_DFL)
    # The first process of a pid namespace ignores signals without a handler, so SIGINT needs one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _close_descriptors(plan: Plan) -> None:
    """Close all descriptors except the kept ones, and connect 0, 1 and 2 to /dev/null."""
    kept = sorted({*plan.keep_fds, plan.channel.fileno()})
    null = os.open("/dev/null", os.O_RDWR)
    for standard in {0, 1, 2} - set(kept):
        os.dup2(null, standard)
    low = 3
    highest = os.sysconf("SC_OPEN_MAX")
    for fd in [fd for fd in kept if fd > 2]:
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, max(highest, low))


def _set_limits(plan: Plan) -> None:
    seconds = int(plan.limits.total_seconds) + _CPU_SLACK
    wanted = {
        resource.RLIMIT_CPU: (seconds, seconds + 2),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (plan.limits.disk_mb * _MB,) * 2,
        resource.RLIMIT_NOFILE: (_OPEN_FILES,) * 2,
        resource.RLIMIT_MEMLOCK: (0, 0),
    }
    if plan.confinement.tier is not Tier.NONE:
        wanted[resource.RLIMIT_AS] = (_ADDRESSES,) * 2
        wanted[resource.RLIMIT_NPROC] = (plan.limits.processes + plan.already,) * 2
    for kind, (soft, hard) in wanted.items():
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def _scrub_environment(work: str) -> None:
    path = os.environ.get("PATH", os.defpath)
    os.environ.clear()
    os.environ.update(dict.fromkeys(_FOLDER_VARIABLES, work))
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    os.environ.update(PATH=path, LANG="C.UTF-8", USER="student", LOGNAME="student")
    tempfile.tempdir = None


def _ruleset(confinement: Confinement, work: str) -> int:
    devices = [name for name, _ in confinement.view.devices]
    if confinement.private:  # everything in the private root may be read
        return landlock.ruleset(confinement.landlock_abi, ["/"], [work, "/tmp", "/dev/shm", *devices])
    readable = [path for pair in (*confinement.view.folders, *confinement.view.files) for path in pair]
    return landlock.ruleset(confinement.landlock_abi, readable, [work, *devices])


def _drop_privileges(confinement: Confinement, owner: int) -> None:
    kept = 1 << kernel.CAP_DAC_READ_SEARCH if confinement.read_search else 0
    if confinement.user_ids:
        kernel.drop_bounding_set()
        os.setgroups([])
        if kept:
            kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
    elif confinement.private:
        kernel.drop_bounding_set()
    kernel.set_capabilities(kept)
