"""The canary: harmless things outside a jail for attacks to be aimed at, and the judge of whether one got through."""

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

_PATIENCE = 10.0
"""seconds until an attack that says nothing is ended; none of ours needs as many"""
_LAST_GASP = 2.0
_SHM = Path("/dev/shm")


@dataclass
class Canary:
    """What is out there, and how it looked before any attack."""

    target: Target
    before: tuple[object, ...]

    def harm(self) -> str:
        """What has changed out there; '' when nothing has."""
        now = _look(self.target)
        return "" if now == self.before else "something outside was changed"


@dataclass(frozen=True)
class Outcome:
    """One attack and how it ended."""

    attack: Attack
    evidence: str
    """'' when it was stopped"""
    expected: bool
    """whether it is known to succeed in this tier"""

    @property
    def stopped(self) -> bool:
        return not self.evidence


def _look(target: Target) -> tuple[object, ...]:
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
    """Put the canaries out, in the most careless way: anybody on the machine could reach them."""
    token = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="canary-")
        stack.callback(shutil.rmtree, folder)
        Path(folder).chmod(0o777)
        secret = _careless_file(Path(folder, "test_hidden.py"), token)
        shared = _careless_file(_SHM / f"canary-{token}", token) if _SHM.is_dir() else secret
        stack.callback(shared.unlink, missing_ok=True)
        stack.enter_context(secret.open())  # a descriptor for jails to inherit, if they do
        victim = _fork_sleeper()
        stack.callback(_end, victim)
        sockets = [socket.socket(*kind) for kind in _SOCKETS]
        for one, address in zip(sockets, _addresses(folder, token), strict=True):
            stack.enter_context(one)
            one.bind(address)
            if one.type == socket.SOCK_STREAM:
                one.listen(64)
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
        yield Canary(target, _look(target))


_SOCKETS = (
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
)


def _addresses(folder: str, token: str) -> tuple[tuple[str, int] | str, ...]:
    return ("127.0.0.1", 0), ("127.0.0.1", 0), f"{folder}/socket", f"\0{token}", f"\0{token}.datagram"


def _careless_file(path: Path, text: str) -> Path:
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


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _shared_segment(key: int, token: str) -> Callable[[], object]:
    """Make a System V segment with the token in it; gives what removes it."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(key, 4096, 0o1666)  # IPC_CREAT, for everybody
    address = libc.shmat(segment, None, 0) if segment >= 0 else None
    if address not in (None, ctypes.c_void_p(-1).value):
        ctypes.memmove(address, token.encode(), len(token))
        libc.shmdt(ctypes.c_void_p(address))
    return lambda: libc.shmctl(segment, 0, None)


def run(confinement: Confinement, attack: Attack, canary: Canary) -> Outcome:
    """Run one attack in a jail of its own and judge it."""
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
        except (OSError, ValueError, MemoryError, subprocess.SubprocessError):  # refused, one way or another
            evidence = ""
        except BaseException as error:
            evidence = f"the attack itself is wrong: {error!r}"
        os.write(writer, (str(evidence)[:500] if evidence else "").encode() + b"\n")

    with wire, far_end, os.fdopen(reader, "rb"):
        try:
            jailed = jail.spawn(confinement, limits, body, (writer,), WIRE_FD)
        finally:
            os.close(writer)
            os.close(WIRE_FD)
        try:
            evidence = _listen(jailed, reader)
            jailed.kill()
            evidence = evidence or _survivor(reader) or canary.harm()
        finally:
            jailed.close()
    return Outcome(attack, evidence, confinement.tier.value in attack.open_in)


def _listen(jailed: jail.Jailed, reader: int) -> str:
    """What the attack says it got, while it is watched as a supervisor would."""
    said = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    end = time.monotonic() + _PATIENCE
    over = False
    while time.monotonic() < end:
        if poll.poll(0 if over else 50):
            heard = os.read(reader, 4096)
            said += heard
            if not heard or said.endswith(b"\n"):
                break
        elif over:  # only now: looking takes a while, in which it may have said its word and gone
            break
        over = jailed.over_memory() or jailed.over_disk() or jailed.wait() is not None
    return said.decode(errors="replace").strip()


def _survivor(reader: int) -> str:
    """Whether something still holds the pipe although all of the jail was killed."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    end = time.monotonic() + _LAST_GASP
    while time.monotonic() < end:
        if poll.poll(50) and not os.read(reader, 4096):
            return ""
    return "a process outlived the job"
