"""Landlock: limits which files, TCP ports and outside processes a process can reach."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from autograder.confine import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_LOG_SAME_EXEC_OFF = 1  # ABI 7: keeps a student's denied accesses out of the machine's audit log

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
"""read files and list folders; EXECUTE is not included, as mapping a shared library does not need it"""
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
"""everything that a job may do in its own folder; creating device files and running programs are not included"""
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_BOTH_TCP = 0b11  # bind, connect
_BOTH_SCOPES = 0b11  # abstract Unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def abi() -> int:
    """The Landlock version of the running kernel; 0 when it has no Landlock."""
    try:
        return kernel.syscall(_CREATE_RULESET, 0, 0, _VERSION_FLAG, what="landlock")
    except OSError:
        return 0


def _handled(version: int) -> int:
    rights = (1 << 13) - 1
    if version >= 2:
        rights |= REFER
    if version >= 3:
        rights |= TRUNCATE
    if version >= 5:
        rights |= IOCTL_DEV
    return rights


def ruleset(version: int, readable: Iterable[str], writable: Iterable[str]) -> int:
    """Create a ruleset and return its descriptor: read below `readable`, read and write below `writable`, nothing else.

    Paths that do not exist are skipped. From ABI 4 on, the ruleset also blocks TCP. From ABI 6 on, it blocks signals to
    outside processes and connections to their abstract Unix sockets.
    """
    handled = _handled(version)
    attr = _Ruleset(handled, _BOTH_TCP if version >= 4 else 0, _BOTH_SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8  # older kernels reject fields that they do not know
    rules = kernel.syscall(_CREATE_RULESET, ctypes.byref(attr), size, 0, what="landlock_create_ruleset")
    for paths, rights in ((readable, READ), (writable, WRITE | REFER | TRUNCATE)):
        for path in paths:
            _allow(rules, path, rights & handled)
    return rules


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        allowed = rights if Path(path).is_dir() else rights & _FILE_RIGHTS
        beneath = struct.pack("=Qi", allowed, folder)
        kernel.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, beneath, 0, what=f"landlock rule for {path}")
    finally:
        os.close(folder)


def restrict(version: int, rules: int) -> None:
    """Apply `rules` to this process and all its future children, permanently. Needs no_new_privs."""
    flags = _LOG_SAME_EXEC_OFF if version >= 7 else 0
    kernel.syscall(_RESTRICT_SELF, rules, flags, what="landlock_restrict_self")
    os.close(rules)
