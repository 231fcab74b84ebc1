"""Canaries: harmless targets outside the jail for attacks, and the check of whether an attack succeeded."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.confine import jail, proc
from autograder.confine.attack import Attack, Target
from autograder.confine.confinement import Confinement
from autograder.constants import WIRE_FD
from autograder.course.course import Limits

_ATTACK_SECONDS = 10.0
"""seconds until an attack that reports nothing is killed; no attack needs that long"""
_EXIT_SECONDS = 2.0
"""seconds in which the killed processes must close their pipe"""
_SHM = Path("/dev/shm")


@dataclass
class Canary:
    """The targets outside the jail, and their state before any attack."""

    target: Target
    before: tuple[object, ...]

    def harm(self) -> str:
        """Evidence that a target outside the jail has changed; '' when none has."""
        now = _state(self.target)
        return "" if now == self.before else "a target outside the jail was changed"


@dataclass(frozen=True)
class Outcome:
    """One attack and its result."""

    attack: Attack
    evidence: str
    """what the attack obtained; '' when it was stopped"""
    expected: bool
    """whether the attack is known to succeed in this tier"""

    @property
    def stopped(self) -> bool:
        return not self.evidence


def _state(target: Target) -> tuple[object, ...]:
    secret = Path(target.secret)
    status = secret.stat()
    return (
        secret.read_text(),
        sorted(secret.parent.iterdir()),
        stat.S_IMODE(status.st_mode),
        status.st_mtime_ns,
        os.listxattr(secret),
        os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT),
        os.getpriority(os.PRIO_PROCESS, target.pid),
        [line for line in Path(f"/proc/{target.pid}/status").read_text().splitlines() if line.startswith("ShdPnd")],
    )


@contextlib.contextmanager
def exposed() -> Iterator[Canary]:
    """Set up the canaries with loose permissions, so that every user of the machine can reach them."""
    token = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="canary-")
        stack.callback(shutil.rmtree, folder)
        Path(folder).chmod(0o777)
        secret = _public_file(Path(folder, "test_hidden.py"), token)
        shared = _public_file(_SHM / f"canary-{token}", token) if _SHM.is_dir() else secret
        stack.callback(shared.unlink, missing_ok=True)
        stack.enter_context(secret.open())  # an open descriptor, which a faulty jail would inherit
        victim = _fork_sleeper()
        stack.callback(_kill, victim)
        sockets = [socket.socket(*kind) for kind in _SOCKETS]
        for listener, address in zip(sockets, _addresses(folder, token), strict=True):
            stack.enter_context(listener)
            listener.bind(address)
            if listener.type == socket.SOCK_STREAM:
                listener.listen(64)
        Path(folder, "socket").chmod(0o777)
        readable = Path(os.__file__)
        key = secrets.randbits(30)
        stack.callback(_shared_segment(key, token))
        target = Target(
            secret=str(secret),
            token=token,
            shared=str(shared),
            sysv_key=key,
            pid=victim,
            tcp=sockets[0].getsockname()[1],
            udp=sockets[1].getsockname()[1],
            unix=f"{folder}/socket",
            abstract=token,
            readable=str(readable),
            memory_mb=int(proc.resident_mb(os.getpid())) + 96,
            disk_mb=8,
            processes=24,
        )
        yield Canary(target, _state(target))


_SOCKETS = (
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
)


def _addresses(folder: str, token: str) -> tuple[tuple[str, int] | str, ...]:
    return ("127.0.0.1", 0), ("127.0.0.1", 0), f"{folder}/socket", f"\0{token}", f"\0{token}.datagram"


def _public_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o666)
    return path


def _fork_sleeper() -> int:
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
            time.sleep(3600)
        os._exit(0)
    return pid


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _shared_segment(key: int, token: str) -> Callable[[], object]:
    """Create a System V shared memory segment that holds the token. Returns a function that removes it."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(key, 4096, 0o1666)  # IPC_CREAT, and every user may read and write
    address = libc.shmat(segment, None, 0) if segment >= 0 else None
    if address not in (None, ctypes.c_void_p(-1).value):
        ctypes.memmove(address, token.encode(), len(token))
        libc.shmdt(ctypes.c_void_p(address))
    return lambda: libc.shmctl(segment, 0, None)


def run(confinement: Confinement, attack: Attack, canary: Canary) -> Outcome:
    """Run one attack in its own jail and judge the result."""
    target = canary.target
    limits = Limits(
        total_seconds=20, memory_mb=target.memory_mb, processes=target.processes, disk_mb=target.disk_mb
    )  # fmt: skip
    reader, writer = os.pipe()
    wire, far_end = socket.socketpair()
    os.dup2(wire.fileno(), WIRE_FD)

    def body() -> None:
        try:
            evidence = attack.run(target)
        except (OSError, ValueError, MemoryError, subprocess.SubprocessError):  # the attack was stopped
            evidence = ""
        except BaseException as error:
            evidence = f"the attack's own code failed: {error!r}"
        os.write(writer, (str(evidence)[:500] if evidence else "").encode() + b"\n")

    with wire, far_end, os.fdopen(reader, "rb"):
        try:
            jailed = jail.spawn(confinement, limits, body, (writer,))
        finally:
            os.close(writer)
            os.close(WIRE_FD)
        try:
            evidence = _read_evidence(jailed, reader)
            jailed.kill()
            evidence = evidence or _surviving_process(reader) or canary.harm()
        finally:
            jailed.close()
    return Outcome(attack, evidence, confinement.tier.value in attack.open_in)


def _read_evidence(jailed: jail.Jailed, reader: int) -> str:
    """Read the evidence that the attack reports, and check the limits meanwhile, as a supervisor does."""
    received = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    end = time.monotonic() + _ATTACK_SECONDS
    over = False
    while time.monotonic() < end:
        if poll.poll(0 if over else 50):
            chunk = os.read(reader, 4096)
            received += chunk
            if not chunk or received.endswith(b"\n"):
                break
        elif over:  # only after one more poll: the attack may have reported and ended during the slow limit checks
            break
        over = jailed.over_memory() or jailed.over_disk() or jailed.wait() is not None
    return received.decode(errors="replace").strip()


def _surviving_process(reader: int) -> str:
    """Evidence that a process still holds the pipe after the whole jail was killed; '' when none does."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    end = time.monotonic() + _EXIT_SECONDS
    while time.monotonic() < end:
        if poll.poll(50) and not os.read(reader, 4096):
            return ""
    return "a process kept running after the job was killed"
