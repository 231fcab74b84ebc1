"""The zygote: a process with loaded libraries and no secrets that forks a supervisor for every submission."""

from __future__ import annotations

import array
import importlib
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

from autograder import child_process
from autograder.confine import jail
from autograder.forbidden import runtime, traps
from autograder.sandbox.inside import supervisor
from autograder.sandbox.spawning import Load, Ready, SpawnRequest
from autograder.warming import begin, settle

_MOST = 2**16
"""most bytes of a message to the zygote"""


def main(fd: int, parent: int, force: str, course: str) -> None:
    """Serve requests from file descriptor `fd` until it closes or the process `parent` ends."""
    child_process.end_with_parent(parent)
    begin()
    with suppress(OSError):
        os.setsid()  # Ctrl-C on the terminal must stop only the class run, which then ends this process
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a grading server that restarts the zygote passes on SIG_IGN
    confinement = jail.probe(jail.Tier(force) if force else None)
    import_all("numpy", "torch", "matplotlib.pyplot")  # meanwhile the client finds out which other libraries to load
    requests = socket.socket(fileno=fd)
    try:
        message = requests.recv(_MOST)
        if not message:
            os._exit(0)
        warm(*msgspec.msgpack.decode(message, type=Load).libraries)
        requests.send(msgspec.msgpack.encode(Ready(confinement.tier.value, confinement.exposes(Path(course)))))
    except ConnectionError:  # the client has closed its end: it says why
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that supervisors need not be reaped
    decoder = msgspec.msgpack.Decoder(SpawnRequest)
    while True:
        try:
            message, extra, _, _ = requests.recvmsg(_MOST, socket.CMSG_SPACE(2 * 4))
        except ConnectionError:
            message = b""
        if not message:
            os._exit(0)  # a normal exit of so large a process takes half a second
        fds = array.array("i")
        for _, _, rights in extra:
            fds.frombytes(rights)
        if os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                requests.close()
                control, wire = (socket.socket(fileno=number) for number in fds)
                supervisor.supervise(control, wire, decoder.decode(message).limits, confinement)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(0)
        for number in fds:
            os.close(number)


def import_all(*libraries: str) -> None:
    """Import those of `libraries` that are installed."""
    for library in libraries:
        with suppress(ImportError):  # the notebook's own import fails as well, and its report shows that
            importlib.import_module(library)


def warm(*libraries: str) -> None:
    """Import `libraries` and what every notebook uses, and use it once, so that forks find everything loaded.

    Import nothing else: each library makes every fork slower.
    """
    import_all(*libraries)
    import matplotlib

    matplotlib.use("module://matplotlib_inline.backend_inline")
    import matplotlib.pyplot as plt
    import numpy as np
    import torch
    import torch.nn.functional as F
    import tqdm

    from autograder.sandbox.inside.listener import library_folders
    from autograder.sandbox.inside.object_server import ObjectServer, functions_before
    from autograder.sandbox.inside.shell import new_shell
    from autograder.sandbox.seeding import seed
    from autograder.sandbox.wire.messages import Run, compiled

    torch.set_num_threads(1)
    tqdm.tqdm.monitor_interval = 0  # progress bars start no thread
    seed(0)
    shell = new_shell()
    shell.run("warm", _WARM, lambda *shown: None)
    shell.run("warm", "raise ValueError('warm')", lambda *shown: None)
    shell.reset(new_session=False)  # type: ignore[no-untyped-call]
    harness = compiled("__import__('torch').zeros(2, 2) @ __import__('torch').ones(2)")
    ObjectServer({}, tuple(runtime.TOOLS)).answer(Run(b"", harness))
    np.random.default_rng(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    F.mse_loss(net(torch.randn(4, 2)), torch.zeros(4, 1)).backward()  # type: ignore[no-untyped-call]
    net(torch.randn(4, 2)).backward(torch.ones(4, 1))  # imports many modules that `backward` of a scalar does not
    lstm = torch.nn.LSTM(2, 3)
    lstm(torch.randn(4, 1, 2))[0].sum().backward()  # the first in a process takes 35 ms more than the next
    plt.close("all")
    functions_before()
    library_folders()
    traps.traps(traps.FUNCTIONS)
    settle()


_WARM = """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(1, 2, figsize=(6, 2))
axes[0].plot([0, 1], [0, 1], label="$x$")
axes[0].set_title("warm")
axes[0].legend()
axes[1].imshow([[0, 1], [1, 0]])
plt.show()
"""
