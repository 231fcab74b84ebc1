"""Child processes of the trusted side: they import nothing from the working directory, and end with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def start(
    arguments: Sequence[str], fd: int, environment: Mapping[str, str], stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """Start Python with `arguments` in the root folder. It inherits the file descriptor `fd`.

    `-P` and the root folder keep the working directory off the module path, because that may be a student's folder.
    `-s` and the missing PYTHON variables keep other folders off it.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    given = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.Popen(
        [sys.executable, "-P", "-s", *arguments],
        pass_fds=[fd],
        env={**kept, **given},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=stdout,
    )


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent process `parent` ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)
