"""Traps: PyTorch's machine code for a forbidden tool ends the process, whatever Python object leads to it.

`runtime` refuses a forbidden tool with a sentence that helps. It works in Python, where code that looks far enough can
get past it. Below, the first instructions of the functions that every use of the tool ends in are overwritten, in the
student's process alone: it then ends with an exit code that nothing else has.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import platform
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from autograder.constants import TRAPPED

_IN = "_ZN2at6native"
_LOSS = "ERKNS_6TensorES3_RKSt8optionalIS1_E"
_ATTENDS = "ERKNS_6TensorES3_S3_RKSt8optionalIS1_EdbS"
FUNCTIONS = {
    "autograd": (
        # the engine works on a node of a graph
        "_ZN5torch8autograd6Engine17evaluate_functionERSt10shared_ptrINS0_9GraphTaskEEPNS0_4NodeERNS0_11InputBufferE"
        "RKS2_INS0_10ReadyQueueEE",
        # a tensor gets a tangent, in forward mode
        "_ZN5torch8autograd12AutogradMeta11set_fw_gradERKN2at10TensorBaseES5_mb",
    ),
    "attention": (
        f"{_IN}28scaled_dot_product_attention{_ATTENDS}4_IdEb",
        f"{_IN}34_scaled_dot_product_attention_math{_ATTENDS}7_S4_IdEb",
        f"{_IN}39_scaled_dot_product_flash_attention_cpuERKNS_6TensorES3_S3_dbRKSt8optionalIS1_ES4_IdE",
        f"{_IN}31native_multi_head_attention_cpuERKNS_6TensorES3_S3_llS3_S3_S3_S3_RKSt8optionalIS1_EbbS4_IlE",
        f"{_IN}33transformer_encoder_layer_forwardERKNS_6TensorEllS3_S3_S3_S3_bbdS3_S3_S3_S3_S3_S3_S3_S3_RKSt8optional"
        "IS1_ES4_IlE",
    ),
    # what no function outside of torch.nn uses
    "nn": (
        f"{_IN}6linear{_LOSS}",
        f"{_IN}23structured_mse_loss_out4implERKNS_6TensorES4_lS4_",
        f"{_IN}24binary_cross_entropy_cpu{_LOSS}l",
        f"{_IN}28binary_cross_entropy_out_cpu{_LOSS}lRS1_",
        f"{_IN}32binary_cross_entropy_with_logits{_LOSS}S7_l",
    ),
}
"""for each tool, functions of libtorch_cpu in which its uses end, by the names that the linker knows"""
SCRIPTS = "_ZN5torch3jit16InterpreterState3runERSt6vectorIN3c106IValueESaIS4_EE"
"""what runs programs of TorchScript, which may use any tool"""

_DERIVATIVES = re.compile(rb"_ZN2at6native\w*(?:backward|_jvp)\w*")
"""functions that compute a derivative which PyTorch brings along; all that libtorch_cpu has are trapped"""

_EXITS = {  # exit_group(TRAPPED)
    "x86_64": b"\xbf" + TRAPPED.to_bytes(4, "little") + b"\xb8\xe7\x00\x00\x00\x0f\x05",
    "aarch64": b"".join(word.to_bytes(4, "little") for word in (0x52800000 | TRAPPED << 5, 0xD2800BC8, 0xD4000001)),
}
MISSING = "on this machine, forbidden tools are refused in Python alone, where code can get past what refuses them"
_DYNAMIC_SYMBOLS, _FUNCTION = 11, 2
"""SHT_DYNSYM and STT_FUNC"""
_SHORTEST = max(map(len, _EXITS.values()))
"""bytes: a shorter function has no room for a trap, only for a jump to another one"""
_CALL_SLOT = 50
"""Py_tp_call of Python's stable interface"""


def traps(tools: Iterable[str]) -> Callable[[], None]:
    """What sets the traps of these tools. It is made before a cell runs, and uses no name that a cell could replace.

    Where the processor is another one, PyTorch has no such function, or the system forbids to write into code, there is
    no trap. Where a trap could be set before and no longer can, cells have prevented it: the process ends.
    """
    machine = _EXITS.get(platform.machine())
    named = [tool for tool in tools if tool in FUNCTIONS]
    if sys.platform != "linux" or machine is None or not named:
        return lambda: None
    places = sorted({place for tool in named for place in addresses(tool).values()})
    length, pages = len(machine), [place & -mmap.PAGESIZE for place in places]
    plan = [(page, place + length - page, place) for page, place in zip(pages, places, strict=True)]
    protect, write = ctypes.CDLL(None, use_errno=True).mprotect, ctypes.memmove
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    closed = mmap.PROT_READ | mmap.PROT_EXEC
    opened = closed | mmap.PROT_WRITE
    if protect(*plan[0][:2], opened) or protect(*plan[0][:2], closed):
        return lambda: None
    read, leave = ctypes.string_at, os._exit

    def overwrite() -> None:
        for page, size, place in plan:
            if protect(page, size, opened) == 0:
                write(place, machine, length)
                protect(page, size, closed)
            if read(place, length) != machine:
                leave(TRAPPED)

    return overwrite


def hold() -> bool:
    """Whether a process ends when it differentiates after the traps were set. A child process tries it."""
    import torch

    if not (child := os.fork()):
        try:
            traps(["autograd"])()
            x = torch.ones(1, requires_grad=True)
            torch.autograd.grad(2 * x, x)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == TRAPPED


@functools.cache
def addresses(tool: str) -> dict[str, int]:
    """Where the tool's functions are in memory, by their names; those that PyTorch has. The zygote finds them once."""
    import torch

    file = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    library = ctypes.CDLL(str(file))
    found = dict(_found(library, (*FUNCTIONS[tool], SCRIPTS)))
    if tool == "autograd":
        found |= {"a node is called": _node_call(), **dict(_found(library, _derivatives(file)))}
    return found


def _found(library: Any, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        function = getattr(library, name, None)
        if function is not None and (place := ctypes.cast(function, ctypes.c_void_p).value):
            yield name, place


def _derivatives(file: Path) -> Iterator[str]:
    """The names of a library's functions that compute derivatives, from its table of symbols.

    Source: System V ABI, chapters 4 and 5 (ELF with 64 bits, little-endian).
    """
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as data:
        (sections,) = struct.unpack_from("<Q", data, 40)
        size, count = struct.unpack_from("<HH", data, 58)
        table = [struct.unpack_from("<4xI16xQQI", data, sections + size * number) for number in range(count)]
        _, start, length, link = next(section for section in table if section[0] == _DYNAMIC_SYMBOLS)
        symbols, (_, names, room, _) = data[start : start + length], table[link]
        texts = data[names : names + room]
    for name, info, section, size in struct.iter_unpack("<IBxH8xQ", symbols):
        if info & 15 == _FUNCTION and section and size >= _SHORTEST and (found := _DERIVATIVES.match(texts, name)):
            yield found[0].decode()


def _node_call() -> int:
    """What runs where a node of a graph is called by itself. All of PyTorch's nodes have it in common."""
    import torch

    get = ctypes.pythonapi.PyType_GetSlot
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_int)
    with torch.enable_grad():
        node = (torch.ones(1, requires_grad=True) + 1).grad_fn
    place = get(type(node), _CALL_SLOT)
    assert isinstance(place, int)
    return place
