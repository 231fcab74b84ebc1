"""Probing: find out how well this machine can confine student code, by trying each layer in a temporary child."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autograder.confine import cgroup, confined_child, jail, kernel, landlock, privateroot, seccomp
from autograder.confine.confinement import Confinement, Finding, Tier
from autograder.course.course import Limits

_LANDLOCK_TRUNCATE = 3  # Linux 6.2: older versions cannot forbid truncating a file
_LANDLOCK_SCOPES = 6  # Linux 6.12
_TRIAL = Limits(total_seconds=20, memory_mb=512, processes=16, disk_mb=8)
_UNUSED_IDS = 0x70000000  # above every user id that systemd or a container manager assigns
_HIGHEST_PID = 1 << 22


def probe(force: Tier | None) -> Confinement:
    """See `jail.probe`."""
    if sys.platform != "linux":
        return _unconfined(f"the system is {sys.platform}, not Linux", "grade in a Linux container or virtual machine")
    strongest = force or Tier.A
    findings: list[Finding] = []
    if strongest is Tier.NONE:
        return _unconfined("no confinement was requested", "request tier A")
    base = _shared_layers(findings)
    if base is None:
        return Confinement(Tier.NONE, tuple(findings), privateroot.look())
    if strongest.at_least(Tier.B):
        found = _private(base, findings, groups=strongest is Tier.A)
        if found:
            return replace(found, findings=tuple(findings))
    found = _public(base, findings)
    return replace(found or replace(base, tier=Tier.NONE), findings=tuple(findings))


def _unconfined(detail: str, remedy: str) -> Confinement:
    return Confinement(Tier.NONE, (Finding("confinement", False, detail, remedy),), privateroot.look())


def _shared_layers(findings: list[Finding]) -> Confinement | None:
    """Try Landlock and seccomp, which every tier needs; None when one of them does not work."""
    version = landlock.abi()
    works = version >= 1
    trouble = _in_child(lambda: _try_landlock(version)) if works else "the kernel has no Landlock"
    remedy = "use Linux 5.13 or later with Landlock enabled (boot option lsm=landlock,…)"
    _note(findings, "Landlock", trouble, f"version {version}; a child process could no longer open a file", remedy)
    filters: tuple[bytes, ...] = ()
    try:
        filters = seccomp.build(private=True, signals=True)
        trouble = _in_child(lambda: _try_seccomp(filters))
    except seccomp.FilterError as error:
        trouble = str(error)
    remedy = "install libseccomp 2.5 or later (Debian, Ubuntu: libseccomp2; Fedora: libseccomp) and pyseccomp"
    _note(findings, "seccomp", trouble, "a child process could no longer create an internet socket", remedy)
    if not all(finding.works for finding in findings):
        return None
    ids = _unused_ids() if os.geteuid() == 0 else None
    return Confinement(Tier.B, (), privateroot.look(), filters, version, None, ids)


def _private(base: Confinement, findings: list[Finding], *, groups: bool) -> Confinement | None:
    trouble = _in_child(lambda: _try_namespaces(base))
    how = "created as root" if base.user_ids else "created inside a user namespace"
    remedy = (
        "allow unprivileged user namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0; "
        "Debian: sysctl kernel.unprivileged_userns_clone=1), or run as root; in Docker: --cap-add SYS_ADMIN "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    )
    _note(findings, "namespaces", trouble, f"user, pid, mount, network, IPC, UTS, cgroup: {how}", remedy)
    if trouble:
        return None
    trouble = _trial(base)
    done = "a child process saw only Python, its libraries and an empty work folder"
    remedy = "if Python's folder or the virtual environment cannot be read: chmod -R o+rX on that folder"
    _note(findings, "private root", trouble, done, remedy)
    if trouble:
        return None
    if not groups:
        findings.append(Finding("cgroup", False, "not tried: tier B was requested", "request tier A"))
        return base
    found = base
    try:
        found = replace(base, tier=Tier.A, groups=cgroup.find_parents())
        trouble = _try_groups(found)
    except (cgroup.CgroupError, OSError) as error:
        trouble = str(error)
    remedy = "run as root, or in a control group of your own: systemd-run --user --scope -p Delegate=yes autograder …"
    place = f"version {found.groups.version} below {found.groups.memory}" if found.groups else ""
    done = f"{place}; the kernel killed a child process that used too much memory, and this was detected"
    _note(findings, "cgroup", trouble, done, remedy)
    return base if trouble else found


def _public(base: Confinement, findings: list[Finding]) -> Confinement | None:
    if base.landlock_abi < _LANDLOCK_TRUNCATE:  # tiers A and B have read-only mounts instead
        trouble = f"Landlock version {base.landlock_abi} alone cannot forbid truncating files"
        _note(findings, "files", trouble, "", "use Linux 6.2 or later, or enable what tier A or B needs")
        return None
    signals = base.landlock_abi >= _LANDLOCK_SCOPES or base.user_ids is not None
    filters = seccomp.build(private=False, signals=signals)
    trouble = ""
    for read_search in (False, True) if base.user_ids else (False,):
        found = replace(base, tier=Tier.C, filters=filters, read_search=read_search)
        trouble = _trial(found)
        if not trouble:
            break
    done = "a child process could read Python's folders and its work folder, and no others"
    remedy = "if Python's folder or the virtual environment cannot be read: chmod -R o+rX on that folder"
    _note(findings, "files", trouble, done, remedy)
    return None if trouble else found


def _note(findings: list[Finding], layer: str, trouble: str, done: str, remedy: str) -> None:
    findings.append(Finding(layer, False, trouble, remedy) if trouble else Finding(layer, True, done, ""))


def _unused_ids() -> range | None:
    """User ids that no account uses; None in a user namespace that maps too few ids."""
    entries = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    first, _, count = max(entries, key=lambda entry: entry[2])
    if first + count > _UNUSED_IDS + _HIGHEST_PID:
        return range(_UNUSED_IDS, _UNUSED_IDS + _HIGHEST_PID)
    # the last two ids may be nobody and nogroup
    return range(first + count // 2, first + count - 2) if count >= 20_000 else None


def _in_child(attempt: Callable[[], None]) -> str:
    """Call `attempt` in a forked child. Returns its error as text, '' when there was none."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
        except BaseException as error:
            os.write(writer, (str(error) or type(error).__name__).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    text = _read_all(reader)
    _, status = os.waitpid(pid, 0)
    return text or (f"the child process was killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "")


def _read_all(fd: int) -> str:
    with os.fdopen(fd, "rb") as stream:
        return stream.read().decode(errors="replace")


def _must_be_refused(attempt: Callable[[], object], what: str) -> None:
    try:
        attempt()
    except PermissionError:
        return
    raise RuntimeError(f"the layer was applied, but {what}")


def _try_landlock(version: int) -> None:
    rules = landlock.ruleset(version, [], [])
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(version, rules)
    _must_be_refused(lambda: os.open(sys.executable, os.O_RDONLY), "a file could still be opened")


def _try_seccomp(filters: tuple[bytes, ...]) -> None:
    import socket

    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(filters)
    _must_be_refused(socket.socket, "an internet socket could still be created")


def _try_namespaces(base: Confinement) -> None:
    if base.user_ids is None:
        confined_child.enter_user_namespace()
    kernel.unshare(kernel.CLONE_NEWPID)
    confined_child.leave_namespaces()


def _trial(confinement: Confinement) -> str:
    """Spawn a child with `confinement` and check what it can access; '' when everything is right."""
    reader, writer = os.pipe()

    def check() -> None:
        try:
            os.write(writer, _check_access().encode())
        except OSError as error:
            os.write(writer, str(error).encode())

    try:
        jailed = jail.spawn(confinement, _TRIAL, check, (writer,))
    except (jail.JailError, OSError) as error:
        os.close(reader)
        return str(error)
    finally:
        os.close(writer)
    answer = _read_all(reader)
    jailed.close()
    return "" if answer == "fine" else answer or "the confined child process died"


def _check_access() -> str:
    library = Path(os.__file__)
    for folder in (library.parent, Path(sys.prefix)):
        list(folder.iterdir())
    library.read_bytes()  # as a later import does
    Path("proof").write_text("the work folder is writable")
    try:
        list(Path("/var").iterdir())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return "fine"
    return "the confined child process could list the machine's /var"


def _try_groups(confinement: Confinement) -> str:
    """Let a child use more memory than its control group allows; '' when the kernel stopped it."""

    def use_too_much() -> None:
        held = [b"x" * (1 << 20) for _ in range(4 * _TRIAL.memory_mb)]
        os._exit(len(held) % 2)

    jailed = jail.spawn(confinement, Limits(total_seconds=20, memory_mb=64, processes=8), use_too_much, ())
    try:
        os.waitid(os.P_PID, jailed.pid, os.WEXITED | os.WNOWAIT)
        return "" if jailed.over_memory() else "a child process could use more memory than its control group allows"
    finally:
        jailed.close()
