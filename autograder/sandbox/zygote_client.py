"""The trusted side's handle to the zygote, which starts one confined process for each submission."""

from __future__ import annotations

import array
import os
import socket
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from autograder import child_process
from autograder.course.course import Limits, TierName
from autograder.sandbox.spawning import Load, Ready, SpawnRequest
from autograder.sandbox.wire.channel import Channel, pair
from autograder.warming import ENVIRONMENT

_MOST_REPORT = 16 * 2**20
"""most bytes of one report of a student's process; an output is never as large"""
_MAIN = "import sys; from autograder.sandbox.inside import zygote; zygote.main(*map(int, sys.argv[1:3]), *sys.argv[3:])"
"""code for `python -c`; not `-m`, because the shell replaces __main__ with the notebook"""


class SandboxLost(Exception):
    """The sandbox failed. An infrastructure failure: the submission is retried, never scored 0."""


class Zygote:
    """A process with loaded libraries that submissions are forked from. It starts slowly: start one and keep it."""

    def __init__(
        self, course: Path, force: TierName | None = None, libraries: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """Start it for submissions that must not see the folder `course`. `force` sets a weaker tier.

        `libraries` returns modules that the notebooks import; the zygote loads them once for all submissions. It is
        called after the process has been started, so that both work at the same time.
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
        }
        environment |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_CORETYPE")}
        arguments = ("-c", _MAIN, str(theirs.fileno()), str(os.getpid()), *self._arguments)
        self._process = child_process.start(arguments, theirs.fileno(), environment, stdout=subprocess.DEVNULL)
        theirs.close()
        self._socket = ours
        self._ready: Ready | None = None

    def _load(self) -> None:
        with suppress(OSError):  # the process has already ended, which `ready` reports
            self._socket.send(msgspec.msgpack.encode(self._libraries))

    @property
    def ready(self) -> Ready:
        """Its first message: the confinement of its submissions. Waits until the zygote has loaded all libraries.

        Raises SandboxLost if something has killed it by then, and RuntimeError if it cannot start on this machine.
        """
        if self._ready is None:
            message = b""
            with suppress(ConnectionResetError):  # it ended before it read which libraries to load
                message = self._socket.recv(4096)
            if not message:
                if (code := self._process.wait()) < 0:
                    raise SandboxLost(f"the sandbox was killed by signal {-code} while it started: try again")
                raise RuntimeError("the sandbox could not be started: `autograder doctor` shows what is missing")
            self._ready = msgspec.msgpack.decode(message, type=Ready)
        return self._ready

    @property
    def tier(self) -> TierName:
        return self.ready.tier

    def revive(self) -> None:
        """Restart the zygote if it has ended. Submissions that it forked before keep running."""
        if self._process.poll() is not None:
            self._socket.close()
            self._start()
            self._load()
            _ = self.ready  # waits until all libraries are loaded

    def request(self, limits: Limits) -> tuple[socket.socket, Channel]:
        """Start a confined process. Returns the control socket of its supervisor, and the wire to the process.

        The request is a single packet, because several forks of this process may share the socket.
        """
        control, far_control = pair()
        wire, far_wire = pair()
        rights = array.array("i", [far_control.fileno(), far_wire.fileno()])
        order = msgspec.msgpack.encode(SpawnRequest(limits))
        try:
            self._socket.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError as error:
            raise SandboxLost(f"the zygote, which forks the submissions, has ended ({error})") from None
        finally:
            far_control.close()
            far_wire.close()
        return control, Channel(wire, _MOST_REPORT)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()
