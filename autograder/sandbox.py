"""The sandbox as the trusted side sees it: a notebook is run in it, and forks of the finished notebook are asked."""

from __future__ import annotations

import array
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

import msgspec

from autograder import warden
from autograder.course import Limits, TierName
from autograder.hidden import Allowance, StudentError
from autograder.result import Incident, Output
from autograder.student import MOST_THREADS, SEED, THREADS_LEFT
from autograder.warm import ENVIRONMENT
from autograder.wire import (
    Begin,
    Channel,
    Closed,
    Dict,
    Execute,
    Finished,
    Fork,
    ForkEnded,
    Late,
    List,
    Question,
    Raised,
    Reap,
    Report,
    Returned,
    Shown,
    Tuple,
    Value,
    WireError,
    decode_report,
    encode,
    pair,
)
from autograder.zygote import Keep, Load, Ready

_MAIN = "import sys; from autograder import zygote; zygote.main(int(sys.argv[1]), *sys.argv[2:])"
"""not -m: the shell replaces __main__ by the notebook"""
_GRACE = 1.0
"""seconds that an interrupted cell gets to end by itself"""
_STARTS = 10
"""how often a notebook whose cells end its process is begun anew"""
_SLACK = 2**20
"""bytes of output beyond the limit before a process that ignores the limit is ended"""
_MOST_OUTPUTS = 20_000
"""outputs that are kept: empty ones cost room, too"""
_MOST_VALUES = 200_000
"""values in one answer: a message that is all small numbers would cost hundreds of megabytes and a minute to take in"""
_SHARE = 1 / 8
"""of the time left: what one cell or call gets at most once another has run too long, so that the rest has its turn"""


class SandboxLost(Exception):
    """The sandbox itself failed while a submission was in it. That is ours to mend, never a zero."""


class RunCell(Protocol):
    """A cell to run: repair.GradableCell is one."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def skip(self) -> bool: ...


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
        """A new confined process: the warden's control socket and the wire. One packet: forks may share the zygote."""
        control, far_control = pair()
        wire, far_wire = pair()
        rights = array.array("i", [far_control.fileno(), far_wire.fileno()])
        order = msgspec.msgpack.encode(Keep(limits))
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


class _Died(Exception):
    """The submission's process ended; carries the warden's word."""

    def __init__(self, ended: warden.Ended) -> None:
        self.ended = ended


class _Process:
    """One confined process, from its start to the warden's last word."""

    def __init__(self, zygote: Zygote, limits: Limits) -> None:
        self.control, self.channel = zygote.request(limits)
        self.ended: warden.Ended | None = None
        self.forks: set[int] = set()
        self.gone: dict[int, int] = {}  # fork number -> wait status

    def tell(self, message: bytes) -> None:
        with suppress(OSError):  # it has ended; its last word is waiting to be read
            self.control.send(message)

    def send(self, data: bytes, deadline: float, fds: tuple[int, ...] = ()) -> None:
        """Send to the main process. Raises Late, _Died, SandboxLost."""
        try:
            self.channel.send(data, deadline, fds)
        except Closed:
            self._hear()

    def _hear(self) -> NoReturn:
        """The wire is closed, so the process has ended: wait for the warden to say how."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if not poll.poll(_WORD):
            self.ended = _LOST
        self.check()
        raise AssertionError("unreachable")

    def check(self) -> None:
        """Raise _Died when the warden has said its last word, SandboxLost when it could not do its work."""
        if self.ended is None and _readable(self.control):
            message = self.control.recv(4096)
            self.ended = warden.read(message) if message else _LOST
        if self.lost:
            raise SandboxLost(self.lost)
        if self.ended is not None:
            raise _Died(self.ended)

    @property
    def lost(self) -> str:
        """Why the sandbox could not do its work; '' while it does."""
        return self.ended.note if self.ended is not None and self.ended.reason == "unconfined" else ""

    def receive(self, deadline: float, other: Channel | None = None) -> Report | None:
        """The next report from the main process, or None when `other` has something to read.

        Raises Late (however much the process has to say), _Died, SandboxLost.
        """
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late("no answer in time")
            try:
                message = self.channel.take()
            except Closed:
                self._hear()
            if message is not None:
                report = decode_report(message)
                if isinstance(report, ForkEnded) and report.number in self.forks:
                    self.gone[report.number] = report.status
                return report
            poll = select.poll()
            poll.register(self.control, select.POLLIN)
            poll.register(self.channel, select.POLLIN)
            if other is not None:
                poll.register(other, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(math.ceil(left * 1000))}
            if self.control.fileno() in ready and self.channel.fileno() not in ready:
                self.check()
            elif other is not None and other.fileno() in ready:
                return None

    def close(self) -> warden.Ended:
        """End it and hear how it ended."""
        if self.ended is None:
            self.tell(b"kill")
            with suppress(_Died, SandboxLost):  # all that was asked has been answered
                self._hear()
        assert self.ended is not None
        self.control.close()
        self.channel.close()
        return self.ended


_LOST = warden.Ended("unconfined", 0, 0.0, 0.0, "the process that watches this submission was lost")
_WORD = 15_000
"""milliseconds that a warden gets to end everything and say so"""


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class Session:
    """One submission in the sandbox.

    `run` executes the cells. A cell that ends the process (a crash, `os._exit`, too much memory) is left out and the
    notebook begun anew, so that the other cells keep what they earn. `fork` then gives a line to a fresh fork of the
    finished notebook, `turn` one to a fork that tests share. Leaving raises SandboxLost when the sandbox failed in
    between: such a result is worth nothing.
    """

    def __init__(self, zygote: Zygote, limits: Limits, cells: Sequence[RunCell], shut: Sequence[str] = ()) -> None:
        self.incidents: list[Incident] = []
        self.outputs: list[Output] = []
        self.cpu_seconds = 0.0
        self.peak_memory_mb = 0.0
        self._zygote, self._limits, self._shut = zygote, limits, list(shut)
        self._cells = [cell for cell in cells if not cell.skip]
        self._left_out: set[str] = set()
        self._last_ended = ""
        self._starts = 0
        self._forks = 0
        self._process: _Process | None = None
        self._shared: ForkLine | None = None
        self._deadline = time.monotonic() + limits.total_seconds
        self._hung = False
        self._lost = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *why: object) -> None:
        lost = self._lost or (self._process.lost if self._process is not None else "")
        self._end()
        if lost:
            raise SandboxLost(lost)

    def patience(self, limit: float) -> float:
        """Seconds that one cell or call may take, where `limit` is what the homework allows."""
        left = self._deadline - time.monotonic()
        return max(0.0, min(limit, left * _SHARE if self._hung else left))

    def hang(self) -> None:
        """Something ran too long: the time that is left is shared out from now on."""
        self._hung = True

    # ---- the notebook

    def run(self) -> None:
        """Run the cells, beginning anew without the cell that ended the process, until the notebook has run."""
        while self._starts < _STARTS and self._process is None:
            self._starts += 1
            self._process = _Process(self._zygote, self._limits)
            self.outputs.clear()
            for cell in self._cells:
                if self._starts == _STARTS and cell.id == self._last_ended:
                    text = f"It ended {_STARTS - 1} times, so what comes after cell ‘{cell.id}’ was not run."
                    self._happened("crash", "", text)
                    break  # what comes before is known to survive
                if cell.id not in self._left_out and not self._survives(cell):
                    break

    def _survives(self, cell: RunCell) -> bool:
        assert self._process is not None
        try:
            self._execute(self._process, cell)
            return True
        except _Died as died:
            self._happened(*_sentence(died.ended, cell.id, self._limits))
        except Late:
            self.hang()
            self._happened("timeout", cell.id, self._too_long(cell) + "could not be stopped, so it was left out.")
        except WireError as error:
            self._happened("protocol", cell.id, f"Cell ‘{cell.id}’ disturbed the line to the grader ({error}).")
        self._left_out.add(cell.id)
        self._last_ended = cell.id
        self._end()
        return False

    def _execute(self, process: _Process, cell: RunCell) -> None:
        """Run one cell and collect what it shows. Raises Late when it cannot be stopped, _Died when it ends it all."""
        self._patience = self.patience(self._limits.cell_seconds)
        if self._patience <= 0:
            self._out_of_time(cell)
            return
        room = self._limits.output_mb * 2**20 - sum(len(output.text) + len(output.png) for output in self.outputs)
        nonce, stop = os.urandom(16), time.monotonic() + self._patience
        process.send(encode(Execute(nonce, cell.id, cell.source, max(room, 0))), stop)
        interrupts = 0
        while True:
            try:
                report = process.receive(stop)
            except Late:
                interrupts += 1
                if interrupts > 2:
                    raise
                process.tell(b"interrupt")
                stop = time.monotonic() + _GRACE
                continue
            match report:
                case Shown(nonce=echo, kind=kind, text=text, png=png) if echo == nonce:
                    room -= len(text) + len(png)
                    if room < -_SLACK:
                        raise WireError("it prints far more than the grader keeps")
                    if len(self.outputs) < _MOST_OUTPUTS:
                        self.outputs.append(Output(cell=cell.id, kind=kind, text=text, png=png))
                case Finished(nonce=echo) if echo == nonce:
                    break
                case _:
                    continue
        if interrupts:
            self.hang()
            self._happened("timeout", cell.id, self._too_long(cell) + "was stopped.")
        full = room <= 0 or len(self.outputs) >= _MOST_OUTPUTS
        if full and not any(incident.kind == "output" for incident in self.incidents):
            most = f"{self._limits.output_mb} MB or {_MOST_OUTPUTS} outputs"
            self._happened("output", cell.id, f"Cell ‘{cell.id}’ printed more than {most}; the rest was not kept.")

    def _too_long(self, cell: RunCell) -> str:
        return f"Cell ‘{cell.id}’ ran for more than {self._patience:.3g} seconds (an endless loop?) and "

    def _out_of_time(self, cell: RunCell) -> None:
        text = f"The notebook used up its {self._limits.total_seconds:g} seconds before cell ‘{cell.id}’."
        if not any(incident.cell == "" and incident.kind == "timeout" for incident in self.incidents):
            self._happened("timeout", "", text)

    def _happened(self, kind: str, cell: str, note: str) -> None:
        incident = Incident(kind=kind, cell=cell, note=note)  # type: ignore[arg-type]
        if incident not in self.incidents:
            self.incidents.append(incident)

    # ---- its forks

    def turn(self, seed: int = SEED) -> Turn:
        """A line, for one test, to a fork that tests share as long as none ends it. Raises as `fork` does."""
        shared = self._shared
        if shared is None or not shared.begin(seed):
            shared = self._shared = self.fork(seed)
        return Turn(shared)

    def fork(self, seed: int = SEED) -> ForkLine:
        """A line to a fresh fork of the finished notebook, begun anew if a test has ended its process.

        Raises StudentError when there can be none, SandboxLost when that is not the student's doing.
        """
        self._end_turns()  # whatever they left running would be in the way
        try:
            self._keep_running()
        except SandboxLost as lost:
            self._lost = str(lost)  # the test that asks for this fork cannot tell whose fault it is
            raise
        if self._process is None:
            raise StudentError("Crash", "the notebook's process could not be kept running")
        if time.monotonic() > self._deadline:
            raise StudentError("TimeoutError", "the time for this notebook was used up before this test")
        self._forks += 1
        self._process.forks.add(self._forks)
        near, far = pair()
        order = Fork(os.urandom(16), self._forks, seed, self._shut)
        try:
            self._process.send(encode(order), self._deadline, (far.fileno(),))
        except (WireError, _Died) as error:
            raise StudentError("Crash", f"the notebook's process does not answer ({error})") from None
        finally:
            far.close()
        return ForkLine(self, self._process, self._forks, Channel(near), self._limits)

    def _keep_running(self) -> None:
        if self._process is not None:
            try:
                self._process.check()
            except _Died as died:
                self._happened(*_sentence(died.ended, "", self._limits))
                self._end()
                self.run()

    def _end_turns(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _end(self) -> None:
        self._end_turns()
        if self._process is not None:
            ended = self._process.close()
            self.cpu_seconds += ended.cpu_seconds
            self.peak_memory_mb = max(self.peak_memory_mb, ended.peak_memory_mb)
            self._process = None


class Turn:
    """A line (see proxy.Line) to a fork that tests take in turns; closing it leaves the fork to the next one."""

    def __init__(self, shared: ForkLine) -> None:
        self._shared = shared

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """As `ForkLine.ask`."""
        return self._shared.ask(question, allowance)

    def close(self) -> None:
        """Nothing to end."""


class ForkLine:
    """A line (see proxy.Line) to one fork. Close it when the test has ended."""

    def __init__(self, session: Session, process: _Process, number: int, channel: Channel, limits: Limits) -> None:
        self._session, self._process, self._number = session, process, number
        self._channel, self._limits = channel, limits
        self._over = ""

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        """The answer of the student's code within `call_seconds`, or within the allowance when there is one.

        Raises StudentError when none comes, SandboxLost.
        """
        if self._over:
            raise StudentError("Crash", self._over)
        limit = allowance.seconds if allowance is not None else self._limits.call_seconds
        patience = self._session.patience(limit)
        stop = time.monotonic() + patience
        try:
            self._channel.send(encode(question), stop)
            return self._wait(question, stop)
        except Late:
            self._session.hang()
            self._over = f"no answer within {patience:.3g} seconds: is there an endless loop?"
            if allowance is not None and patience == limit:
                self._over = allowance.beyond
            raise StudentError("TimeoutError", self._over) from None
        except Closed:
            self._over = self._how_it_went()
        except _Died as died:
            self._over = _sentence(died.ended, "", self._limits)[2]
        except WireError as error:
            self._over = f"the answer cannot be read: {error}"
        raise StudentError("Crash", self._over)

    def begin(self, seed: int) -> bool:
        """Let another test begin in this fork; False when the fork has ended."""
        if self._over:
            return False
        try:
            self._channel.send(encode(Begin(seed)), time.monotonic() + 1)
        except WireError:
            return False
        return True

    def _wait(self, question: Question, stop: float) -> Returned | Raised:
        while True:
            message = self._channel.take()
            if message is None:
                self._process.receive(stop, self._channel)
                if self._number in self._process.gone and not _readable(self._channel.sock):
                    raise Closed("the fork is gone")
                continue
            report = decode_report(message)
            if isinstance(report, Returned | Raised) and report.nonce == question.nonce:
                if isinstance(report, Returned) and _count(report.value) > _MOST_VALUES:
                    raise WireError(f"it holds more than {_MOST_VALUES} values")
                return report
            if time.monotonic() > stop:  # anything else is late, early, or not for us
                raise Late("no answer in time")

    def _how_it_went(self) -> str:
        """Why the fork hung up, as far as it can be known."""
        stop = time.monotonic() + 0.5
        try:
            while self._number not in self._process.gone:
                self._process.receive(stop)
        except (WireError, _Died):
            return "the process ended during this test"
        return _how(self._process.gone[self._number], self._limits)

    def close(self) -> None:
        """End the fork."""
        self._channel.close()
        if self._number not in self._process.gone:
            with suppress(WireError, _Died):  # the whole process has ended
                self._process.send(encode(Reap(self._number)), time.monotonic() + 1)


def _count(value: Value) -> int:
    """How many values there are in `value`; it stops counting when they are too many."""
    found, waiting = 0, [value]
    while waiting and found <= _MOST_VALUES:
        found += 1
        match waiting.pop():
            case List(items) | Tuple(items):
                found += len(items)
                waiting += items[: _MOST_VALUES + 1]
            case Dict(pairs):
                waiting += [thing for pair in pairs for thing in pair]
            case _:
                pass
    return found


def _how(status: int, limits: Limits) -> str:
    if os.WIFSIGNALED(status):
        return _signal_sentence(os.WTERMSIG(status), limits)
    return f"your code ended the Python process (exit code {os.WEXITSTATUS(status)})"


def _signal_sentence(number: int, limits: Limits) -> str:
    match number:
        case signal.SIGSEGV | signal.SIGBUS | signal.SIGILL | signal.SIGFPE | signal.SIGABRT:
            return f"your code crashed the Python process ({signal.Signals(number).name})"
        case signal.SIGKILL:
            return f"the process was killed, most likely for using more than {limits.memory_mb} MB of memory"
        case signal.SIGXCPU:
            return f"your code used more than {limits.total_seconds:g} seconds of processor time"
        case signal.SIGXFSZ:
            return f"your code wrote more than {limits.disk_mb} MB to a file"
        case _:
            return f"your code ended the Python process by a signal ({number})"


def _sentence(ended: warden.Ended, cell: str, limits: Limits) -> tuple[str, str, str]:
    """Incident kind, cell and sentence for the way a whole submission ended."""
    place = f"In cell ‘{cell}’ " if cell else "During a test "
    match ended.reason:
        case "exit" if ended.number == THREADS_LEFT:
            return "exit", cell, f"{place}your code left more than {MOST_THREADS} threads running."
        case "exit":
            text = f"{place}your code ended the Python process (exit code {ended.number})."
            return "exit", cell, text
        case "signal":
            return "crash", cell, f"{place}{_signal_sentence(ended.number, limits)}."
        case "memory":
            return "memory", cell, f"{place}your code used more than {limits.memory_mb} MB of memory."
        case "disk":
            return "disk", cell, f"{place}your code wrote more than {limits.disk_mb} MB to its folder."
        case "time":
            return "timeout", cell, f"{place}your code used more than {limits.total_seconds:g} seconds."
        case _:
            return "internal", cell, f"The sandbox had to give up ({ended.note or ended.reason}); tell your instructor."
