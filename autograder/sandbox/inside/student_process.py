"""The student's process: runs the notebook's cells, then forks for hidden tests."""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from autograder.confine.privateroot import WORK
from autograder.constants import MOST_THREADS, SEED, THREADS_LEFT, WIRE_FD, output_cost
from autograder.forbidden import runtime, traps
from autograder.sandbox.inside.listener import listen
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.inside.shell import Shell
from autograder.sandbox.inside.surroundings import Surroundings
from autograder.sandbox.inside.work_files import WorkFiles
from autograder.sandbox.seeding import seed
from autograder.sandbox.wire.channel import Channel
from autograder.sandbox.wire.messages import (
    Begin,
    Execute,
    Finished,
    Forbid,
    Fork,
    ForkEnded,
    Order,
    Put,
    Reap,
    Shown,
    decode_order,
    encode,
)
from autograder.sandbox.wire.values import sound
from autograder.sandbox.wire.wire_error import Closed, WireError

_MISSING = object()
_CUT = "\n… the rest of the output was cut off: your notebook prints more than the grader keeps.\n"


def serve() -> None:
    """Carry out orders from the wire until it closes. Runs confined, in a fork of the zygote."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seed(SEED)
    folder = str(Path.cwd())
    sys.path.append(folder)  # at the end, so that no file of the student's hides a library
    sys.dont_write_bytecode = True  # what is imported from there is read as a text, and never loaded unread
    channel = Channel(socket.socket(fileno=WIRE_FD))
    listener = listen(channel)
    shell, surroundings = Shell.instance(), Surroundings()
    forks: dict[int, tuple[int, int]] = {}  # number -> pid, pidfd
    kept: dict[str, dict[str, Any]] = {}  # the notebook's names after its visible checks
    files: WorkFiles | None = None  # once the notebook has run
    shut: tuple[str, ...] = ()
    set_traps = traps.traps(shut)
    blocked, tools = False, ExitStack()  # never left
    _hide()
    while True:
        # an interrupt after the cell has ended, invalid data, or what a signal handler of the student's raises
        with suppress(KeyboardInterrupt, Exception):
            try:
                order, fds = _next(channel, forks, files)
            except Closed:
                return
            match order:
                case Forbid(forbidden) if not shut:
                    shut = tuple(forbidden)
                    set_traps = traps.traps(shut)
                case Put(beside):
                    _put(beside)
                case Execute(nonce, cell, source, room, keep):
                    listener.expect(source)
                    if _execute(channel, shell, nonce, cell, source, room) and keep:
                        kept[cell] = dict(shell.user_ns)
                case Fork(_, number) if fds:
                    if not blocked:  # also between questions and for what a signal handler of the student's does
                        tools.enter_context(runtime.blocked(shut))
                        set_traps()
                        blocked = True
                    if files is None:
                        _finish()  # what runs without traps ends, and what is begun from now on has them
                        files = WorkFiles([folder, "/tmp", "/dev/shm"] if folder == WORK else [folder])
                    try:
                        pid = os.fork()
                    except OSError:  # too many processes; the trusted side finds the connection closed
                        os.close(fds[0])
                        continue
                    if pid == 0:
                        try:
                            answers = Channel(socket.socket(fileno=fds[0]))
                            listener.follow(answers)
                            _answer(answers, shell, surroundings, files, kept, shut)
                        finally:
                            os._exit(0)
                    os.close(fds[0])
                    forks[number] = (pid, os.pidfd_open(pid))
                case Reap(number) if number in forks:
                    os.kill(forks[number][0], signal.SIGKILL)
                    _reap(channel, forks, number, files)
                case _:
                    pass


def _hide() -> None:
    """Take this package out of the table of modules: what leads to the table leads not to what runs here.

    A cell that imports the package gets another copy of it.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "autograder"]:
        del sys.modules[name]


def _put(files: dict[str, bytes]) -> None:
    """Write the student's own files into the work folder, from which cells can import modules, as in Jupyter."""
    for path, data in files.items():
        with suppress(OSError):  # no room, or a name that this file system does not take: the cell that needs it tells
            file = Path.cwd() / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    importlib.invalidate_caches()


def _next(
    channel: Channel, forks: dict[int, tuple[int, int]], files: WorkFiles | None
) -> tuple[Order | None, list[int]]:
    """The next order and its file descriptors. Forks that have ended in the meantime are reaped and reported."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    for _, pidfd in forks.values():
        poll.register(pidfd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    for number in [number for number, (_, pidfd) in forks.items() if pidfd in ready]:
        _reap(channel, forks, number, files)
    fds: list[int] = []
    message = channel.take(fds) if channel.fileno() in ready else None
    return decode_order(message) if message is not None else None, fds


def _finish() -> None:
    """Prepare for forks after the notebook has run: end the processes that it left, and make forks cheap."""
    _end_other_processes()
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    with suppress(Exception):  # matplotlib clears this cache in every fork, which is much faster if it is empty already
        sys.modules["matplotlib.font_manager"]._get_font.cache_clear()
    gc.collect()
    gc.freeze()


def _end_other_processes() -> None:
    """Kill and reap all other processes of this submission, if it has a PID namespace of its own.

    Without one, only reap children that have ended.
    """
    own_namespace = os.getpid() == 1
    if own_namespace:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0 if own_namespace else os.WNOHANG) != (0, 0):
            pass


def _reap(channel: Channel, forks: dict[int, tuple[int, int]], number: int, files: WorkFiles | None) -> None:
    """Reap a fork that has ended and report its wait status.

    After the last fork, end the processes that forks have left running, and put the files back that they have changed:
    they would disturb the next fork.
    """
    pid, pidfd = forks.pop(number)
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    channel.send(encode(ForkEnded(number, status)))
    if not forks:
        _end_other_processes()
        if files is not None:
            files.restore()


def _execute(channel: Channel, shell: Shell, nonce: bytes, cell: str, source: str, room: int) -> bool:
    """Run a cell and report its outputs. Returns whether it ran without an error."""
    left, pid = room, os.getpid()

    def emit(kind: str, text: str, png: bytes, alt: str = "") -> None:
        nonlocal left
        if os.getpid() != pid:
            return  # a child process: its output is not the notebook's. A stream may be kept and flushed in a test
        if left <= 0:
            return
        text, alt = sound(text), sound(alt)
        left -= output_cost(text + alt, png)
        if left <= 0:
            kind, text, png = ("text", "", b"") if png else (kind, text[: max(0, left + len(text))], b"")
            text, alt = text + _CUT, ""
        channel.send(encode(Shown(nonce, kind, text, png, alt)))  # type: ignore[arg-type]

    failed = shell.run(cell, source, emit)
    if threading.active_count() > MOST_THREADS:
        os._exit(THREADS_LEFT)
    channel.send(encode(Finished(nonce, failed)))
    return not failed


def _answer(
    channel: Channel,
    shell: Shell,
    surroundings: Surroundings,
    files: WorkFiles,
    kept: dict[str, dict[str, Any]],
    shut: tuple[str, ...],
) -> None:
    """In a fork: answer questions about the finished notebook until the trusted side closes the connection."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 (no imports after the fork)
        file.write("1000")  # if memory runs out, the kernel kills this fork and not the notebook
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # a fork has no worker threads: waiting for them would hang
    names = shell.user_ns
    finished = dict(names)
    server = ObjectServer(names, shut)
    with suppress(WireError):
        while True:
            message, _ = channel.receive()
            match decode_order(message):
                case Begin(seed=number, cell=cell):
                    _restore(names, kept.get(cell, finished))
                    surroundings.restore()
                    files.restore()
                    seed(number)
                    server = ObjectServer(names, shut)
                case Forbid() | Put() | Execute() | Fork() | Reap():
                    pass
                case question:
                    channel.send(encode(server.answer(question)))


def _restore(names: dict[str, Any], before: dict[str, Any]) -> None:
    """Reset the notebook's namespace: later cells or the previous test's harness may have changed it."""
    for name in names.keys() - before.keys():
        del names[name]
    for name, value in before.items():
        if names.get(name, _MISSING) is not value:
            names[name] = value
