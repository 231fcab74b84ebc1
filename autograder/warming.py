"""Prepares a process for forking: loads only what is needed, freezes it, and arranges its memory for cheap forks."""

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
"""for each size of small objects, how many bytes of them fill the holes in the memory of Python's allocator"""
_HOLES = 1000
"""for each size, how many holes in malloc's memory are filled at most"""


ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # a process with more threads would hang after a fork
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # malloc's half of the memory then needs no collapsing in `settle`
}
"""environment variables for a process that warms up"""


def spare() -> None:
    """Stop jsonschema from loading a grammar of IRIs, which takes 1.5 s. Call before nbformat is imported.

    Only the format "iri" of a JSON schema needs the grammar, and no notebook schema uses this format.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def begin() -> None:
    """Prepare for warming up: turn off garbage collection and call `spare`. Call this first in a process.

    Everything that is loaded stays in use, so a garbage collection would find nothing.
    """
    gc.disable()
    spare()


@contextmanager
def loading() -> Iterator[None]:
    """Do the same as `begin` during imports. Then freeze what was loaded, and turn garbage collection on again."""
    before = gc.isenabled()
    begin()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


def settle() -> None:
    """Freeze all objects and arrange the memory. Call once, after warming up and before the first fork.

    A child's garbage collector does not touch frozen objects, so their pages are not copied. Holes between objects are
    filled. Private memory is collapsed into huge pages, whose page tables a fork copies in a third of the time. A page
    that a child writes later is copied alone. Kernels before 6.1 cannot collapse memory: forks work, but are slower.

    Raises RuntimeError when the process has more than one thread.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(
            f"this process has {threads} threads and may not fork: an imported library started threads; "
            "configure it to use one thread"
        )
    gc.freeze()
    gc.collect()  # empties Python's free lists; it searches no objects, because all are frozen
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
    """Fill the holes in this process's memory with blocks that are never freed.

    A child would put new objects into holes that are spread over a thousand pages, and each such page would be copied.
    Without holes, it uses whole free pages.
    """
    for size in range(48, 513, 16):  # a `bytes` object takes 33 bytes more than its content
        _FILLING.extend(bytes(size - 33) for _ in range(_FILL // size))
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    highest = 0
    for size in (*(2**power for power in range(16, 10, -1)), *range(1024, 0, -16)):
        for _ in range(_HOLES):
            place = malloc(size) or 0
            if place > highest:  # above all earlier blocks, so no hole of this size is left
                highest = place
                break
