"""The student's process: runs the notebook's cells, then forks for hidden tests."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any

from autograder.constants import MOST_THREADS, SEED, THREADS_LEFT, WIRE_FD
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.inside.shell import Shell
from autograder.sandbox.seeding import seed
from autograder.sandbox.wire.channel import Channel
from autograder.sandbox.wire.messages import (
    Begin,
    Execute,
    Finished,
    Fork,
    ForkEnded,
    Order,
    Reap,
    Shown,
    decode_order,
    encode,
)
from autograder.sandbox.wire.values import sound
from autograder.sandbox.wire.wire_error import Closed, WireError

_CUT = "\n… the rest of the output was cut off: this notebook prints more than the grader keeps.\n"


def serve() -> None:
    """Answer orders on the wire until it closes. Called once, confined, in a fork of the warm zygote."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seed(SEED)
    channel = Channel(socket.socket(fileno=WIRE_FD))
    shell = Shell.instance()
    forks: dict[int, tuple[int, int]] = {}  # number -> pid, pidfd
    finished = False
    while True:
        with suppress(KeyboardInterrupt, WireError):  # an interrupt that came late; stray data
            try:
                order, fds = _next(channel, forks)
            except Closed:
                return
            match order:
                case Execute(nonce, cell, source, room):
                    _execute(channel, shell, nonce, cell, source, room)
                case Fork(_, number, fork_seed, shut) if fds:
                    if not finished:
                        _finish()
                        finished = True
                    try:
                        pid = os.fork()
                    except OSError:  # no room for it: the examiner sees its line closed
                        os.close(fds[0])
                        continue
                    if pid == 0:
                        try:
                            _answer(socket.socket(fileno=fds[0]), shell, fork_seed, tuple(shut))
                        finally:
                            os._exit(0)
                    os.close(fds[0])
                    forks[number] = (pid, os.pidfd_open(pid))
                case Reap(number) if number in forks:
                    os.kill(forks[number][0], signal.SIGKILL)
                    _bury(channel, forks, number)
                case _:
                    pass


def _next(channel: Channel, forks: dict[int, tuple[int, int]]) -> tuple[Order | None, list[int]]:
    """The next order and its descriptors; forks that end meanwhile are buried and told of."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    for _, pidfd in forks.values():
        poll.register(pidfd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    for number in [number for number, (_, pidfd) in forks.items() if pidfd in ready]:
        _bury(channel, forks, number)
    fds: list[int] = []
    message = channel.take(fds) if channel.fileno() in ready else None
    return decode_order(message) if message is not None else None, fds


def _finish() -> None:
    """The notebook has run: end what it left running, and make forks cheap."""
    _sweep()
    with suppress(Exception):  # matplotlib empties this in every fork anew: much less to do when it is empty already
        sys.modules["matplotlib.font_manager"]._get_font.cache_clear()
    gc.collect()
    gc.freeze()


def _sweep() -> None:
    """End and bury every other process of this submission; in a namespace of its own, that is all there are."""
    alone = os.getpid() == 1
    if alone:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0 if alone else os.WNOHANG) != (0, 0):
            pass


def _bury(channel: Channel, forks: dict[int, tuple[int, int]], number: int) -> None:
    """Wait for a fork that has ended, tell how, and sweep away what it left: it would be in the way of the next."""
    pid, pidfd = forks.pop(number)
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    channel.send(encode(ForkEnded(number, status)))
    if not forks:
        _sweep()


def _execute(channel: Channel, shell: Shell, nonce: bytes, cell: str, source: str, room: int) -> None:
    left, pid = room, os.getpid()

    def emit(kind: str, text: str, png: bytes) -> None:
        nonlocal left
        if os.getpid() != pid:
            os._exit(0)  # a child that the cell forked: what it shows is not the notebook's
        if left <= 0:
            return
        text = sound(text)
        left -= len(text) + len(png)
        if left <= 0:
            kind, text, png = ("text", "", b"") if png else (kind, text[: left + len(text)], b"")
            text += _CUT
        channel.send(encode(Shown(nonce, kind, text, png)))  # type: ignore[arg-type]

    failed = shell.run(cell, source, emit)
    if threading.active_count() > MOST_THREADS:
        os._exit(THREADS_LEFT)
    channel.send(encode(Finished(nonce, failed)))


def _answer(sock: socket.socket, shell: Shell, fork_seed: int, shut: tuple[str, ...]) -> None:
    """The life of one fork: answer questions about the finished notebook until the examiner hangs up."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 (no imports after the fork)
        file.write("1000")  # when memory runs out it is this test that goes, not the notebook
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # threads do not survive a fork: more than one would hang
    seed(fork_seed)
    channel, names = Channel(sock), shell.user_ns
    finished = dict(names)
    respondent = ObjectServer(names, shut)
    with suppress(WireError):
        while True:
            message, _ = channel.receive()
            match decode_order(message):
                case Begin(seed=number):
                    _restore(names, finished)
                    seed(number)
                    respondent = ObjectServer(names, shut)
                case Execute() | Fork() | Reap():
                    pass
                case question:
                    channel.send(encode(respondent.answer(question)))


def _restore(names: dict[str, Any], finished: dict[str, Any]) -> None:
    """Give the notebook's names their values back: harness code of the test before has left names of its own."""
    for name in names.keys() - finished.keys():
        del names[name]
    for name, value in finished.items():
        if names.get(name) is not value:
            names[name] = value
