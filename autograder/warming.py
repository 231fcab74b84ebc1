"""A process warmed up for forking: what is not needed is not loaded, what is loaded is frozen and laid out well."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HUGE = 2 * 2**20
_MADV_COLLAPSE = 25
_FILL = 2**18
"""bytes of small objects of each size that fill holes in the memory of Python's own allocator: enough for all"""
_HOLES = 1000
"""the most holes of each size that are filled in malloc's memory"""


ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # one thread at fork, or forks hang
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # see `settle`: its half of the memory need not be collapsed then
}
"""what a process that warms up is started with"""


def spare() -> None:
    """Call before nbformat is imported: jsonschema then does without a grammar of IRIs that takes 1.5 s to load.

    Only the format "iri" of a JSON schema needs it, and no notebook's schema has that.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def begin() -> None:
    """Call first in a process that warms up: what is loaded stays, so looking for garbage in it is for nothing."""
    gc.disable()
    spare()


@contextmanager
def loading() -> Iterator[None]:
    """The same around imports, in a process that goes on otherwise."""
    before = gc.isenabled()
    begin()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


def settle() -> None:
    """Call once, after warming up and before the first fork. Raises RuntimeError when there is more than one thread.

    What is frozen, a child's garbage collector does not touch, and so not copy. Free memory between what is used is
    filled. Private memory is collapsed into huge pages, whose page tables a fork copies in a third of the time; a page
    written later is split off singly. Kernels before 6.1 do not know how: then forks work as well, only slower.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"this process has {threads} threads and may not fork: a library has started some")
    gc.freeze()
    gc.collect()  # empties Python's free lists; there is no garbage to look for, as all is frozen
    _fill()
    gc.enable()
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access, *_, name = (line + " .").split(maxsplit=6)[:6]
        if access == "rw-p" and name in (".", "[heap]"):
            low, high = (int(number, 16) for number in span.split("-"))
            low, high = -(-low // _HUGE) * _HUGE, high // _HUGE * _HUGE
            if high > low:
                madvise(low, high - low, _MADV_COLLAPSE)


_FILLING: list[bytes] = []


def _fill() -> None:
    """Fill the holes of this process's memory, for good.

    A child would put new things there, one into each of a thousand pages, and copy the pages. So it finds whole ones.
    """
    for size in range(48, 513, 16):  # `bytes` take 33 more than they hold
        _FILLING.extend(bytes(size - 33) for _ in range(_FILL // size))
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    highest = 0
    for size in (*(2**power for power in range(16, 10, -1)), *range(1024, 0, -16)):
        for _ in range(_HOLES):
            place = malloc(size) or 0
            if place > highest:  # not in a hole: what has no room in one goes on top
                highest = place
                break
