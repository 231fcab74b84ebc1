"""The zygote as the trusted side sees it: started once, asked for one confined process a submission."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from autograder.course.course import Limits, TierName
from autograder.sandbox.spawning import Load, Ready, SpawnRequest
from autograder.sandbox.wire.channel import Channel, pair
from autograder.warming import ENVIRONMENT

_MAIN = "import sys; from autograder.sandbox.inside import zygote; zygote.main(int(sys.argv[1]), *sys.argv[2:])"
"""not -m: the shell replaces __main__ by the notebook"""


class SandboxLost(Exception):
    """The sandbox itself failed while a submission was in it. That is ours to mend, never a zero."""


class Zygote:
    """The warm process that submissions are forked from. Heavy: start one and keep it."""

    def __init__(
        self, course: Path, force: TierName | None = None, libraries: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """Start it for submissions that must not see the folder `course`; `force` asks for a weaker tier.

        `libraries` gives modules that the notebooks import: a submission finds them loaded. It is called once the
        process is on its way.
        """
        self._arguments = (force or "", str(course))
        self._start()
        self._libraries = Load(tuple(libraries()))
        self._load()

    def _start(self) -> None:
        ours, theirs = pair()
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            **ENVIRONMENT,
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(Path.home() / ".cache" / "autograder-matplotlib")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
        environment |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_CORETYPE")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, str(theirs.fileno()), *self._arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        self._socket = ours
        self._ready: Ready | None = None

    def _load(self) -> None:
        with suppress(OSError):  # it has died already: `ready` says so
            self._socket.send(msgspec.msgpack.encode(self._libraries))

    @property
    def ready(self) -> Ready:
        """Its first word: the confinement of what it forks. Waits until it is warm."""
        if self._ready is None:
            message = b""
            with suppress(ConnectionResetError):  # it died before it read what it should load
                message = self._socket.recv(4096)
            if not message:
                raise RuntimeError("the sandbox could not be started; `autograder doctor` says what is missing")
            self._ready = msgspec.msgpack.decode(message, type=Ready)
        return self._ready

    @property
    def tier(self) -> TierName:
        return self.ready.tier

    def revive(self) -> None:
        """Start it anew if it has died. Submissions that it forked before are not touched by that."""
        if self._process.poll() is not None:
            self._socket.close()
            self._start()
            self._load()
            _ = self.ready  # waits until it is warm

    def request(self, limits: Limits) -> tuple[socket.socket, Channel]:
        """A new confined process: its supervisor's control socket, and the wire. One packet, as forks may share us."""
        control, far_control = pair()
        wire, far_wire = pair()
        rights = array.array("i", [far_control.fileno(), far_wire.fileno()])
        order = msgspec.msgpack.encode(SpawnRequest(limits))
        try:
            self._socket.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError as error:
            raise SandboxLost(f"the process that submissions are forked from is gone ({error})") from None
        finally:
            far_control.close()
            far_wire.close()
        return control, Channel(wire)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()
