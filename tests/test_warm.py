"""A process warmed up for forking: its children find whole free pages, and it does not fork with threads."""

import os
import platform
import subprocess
import sys

import pytest

from autograder.warming import ENVIRONMENT

_HOLES = """
import ctypes, os, sys
from autograder.warming import settle

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_size_t,), (ctypes.c_void_p,)
places = [libc.malloc(2000) for _ in range(800)]
holes = set(places[::2])
for place in holes:
    libc.free(place)
if sys.argv[1] == "settled":
    settle()
if os.fork() == 0:
    new = [libc.malloc(2000) for _ in range(400)]
    print(sum(place in holes for place in new), flush=True)
    os._exit(0)
os.wait()
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators reuse memory in other ways")
def test_children_put_nothing_into_holes_of_the_warm_process() -> None:
    assert int(_run(_HOLES, "as it is").stdout) > 300, "without it they would, so that the next line means something"
    assert int(_run(_HOLES, "settled").stdout) < 10


def test_a_process_with_threads_is_not_forked_from() -> None:
    thread = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    found = _run(f"import threading; {thread}; from autograder import warming; warming.settle()")
    assert "has 2 threads and may not fork" in found.stderr
