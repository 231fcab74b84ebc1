"""Attacks on files and on the network: reading, changing or reaching what is outside the jail."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from autograder.confine.attack import REFUSALS, Target, attack, call, libc, reach, reaches


@attack("read /etc/shadow")
def _(target: Target) -> object:
    return Path("/etc/shadow").read_text()


@attack("read /etc/passwd")
def _(target: Target) -> object:
    return Path("/etc/passwd").read_text()


@attack("read a file outside the jail")
def _(target: Target) -> object:
    return Path(target.secret).read_text()


@attack("list a folder outside the jail")
def _(target: Target) -> object:
    return list(Path(target.secret).parent.iterdir())


@attack("check that a file outside the jail exists", open_in=("C",), because="Landlock does not restrict stat")
def _(target: Target) -> object:
    return Path(target.secret).stat()


@attack("watch a folder outside the jail")
def _(target: Target) -> object:
    watch = libc.inotify_init()
    return libc.inotify_add_watch(watch, str(Path(target.secret).parent).encode(), 0xFFF) > 0 and "watching"


@attack("write to a file outside the jail")
def _(target: Target) -> object:
    with Path(target.secret).open("a") as stream:
        return stream.write("x")


@attack("truncate a file outside the jail")
def _(target: Target) -> object:
    os.truncate(target.secret, 0)
    return "emptied"


@attack("delete a file outside the jail")
def _(target: Target) -> object:
    Path(target.secret).unlink()
    return "deleted"


@attack("create a file in a folder outside the jail")
def _(target: Target) -> object:
    return os.open(target.secret + ".new", os.O_CREAT | os.O_WRONLY)


@attack("move an outside file into the work folder")
def _(target: Target) -> object:
    Path(target.secret).rename("mine")
    return "renamed"


@attack("hard-link an outside file into the work folder")
def _(target: Target) -> object:
    os.link(target.secret, "linked")
    return Path("linked").read_text()


@attack("follow a symbolic link out of the work folder")
def _(target: Target) -> object:
    Path("pointer").symlink_to(target.secret)
    return Path("pointer").read_text()


@attack("leave the work folder through parent folders")
def _(target: Target) -> object:
    return Path("../../../../.." + target.secret).read_text()


@attack("use the root of an outside process")
def _(target: Target) -> object:
    return Path(f"/proc/{target.pid}/root{target.secret}").read_text()


@attack("change the mode of an outside file")
def _(target: Target) -> object:
    Path(target.secret).chmod(0o777)
    return "changed"


@attack("change the mode of an outside file by fchmodat2")
def _(target: Target) -> object:
    return not call("fchmodat2", -100, ctypes.c_char_p(target.secret.encode()), 0o777, 0) and "changed"


@attack("change the times of an outside file")
def _(target: Target) -> object:
    os.utime(target.secret, (1, 1))
    return "changed"


@attack("set the times of an outside file to now")
def _(target: Target) -> object:
    os.utime(target.secret)
    return "changed"


@attack("set an extended attribute of an outside file")
def _(target: Target) -> object:
    os.setxattr(target.secret, "user.note", b"x")
    return "set"


@attack("write into the virtual environment")
def _(target: Target) -> object:
    path = Path(sys.prefix, "planted.pth")
    path.write_text("")
    path.unlink()
    return "planted"


@attack("change the mode of a library")
def _(target: Target) -> object:
    Path(target.readable).chmod(Path(target.readable).stat().st_mode & 0o7777)
    return "changed"


@attack("get a file handle")
def _(target: Target) -> object:
    return reaches("name_to_handle_at", -100, ctypes.c_char_p(b"/"), None, None, 0)


@attack("read the kernel log")
def _(target: Target) -> object:
    return reaches("syslog", 3, None, 0) or Path("/dev/kmsg").open("rb").read(1)


@attack("write a kernel setting")
def _(target: Target) -> object:
    with Path("/proc/sys/kernel/hostname").open("w"):
        return "opened"


@attack("list control groups and devices")
def _(target: Target) -> object:
    return list(Path("/sys").iterdir())


@attack("open a disk or a terminal")
def _(target: Target) -> object:
    for name in ("/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/tty", "/dev/mem", "/dev/ptmx", "/dev/fuse", "/dev/kvm"):
        with contextlib.suppress(OSError):
            os.close(os.open(name, os.O_RDONLY))
            return name
    return ""


@attack("find an inherited descriptor")
def _(target: Target) -> object:
    for fd in range(3, 1024):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if target.token in os.pread(fd, 4096, 0).decode():
                return f"descriptor {fd}"
    return ""


@attack("communicate through locks on a shared file")
def _(target: Target) -> object:
    fd = os.open(target.readable, os.O_RDONLY)
    seen = []
    for name, lock in (("flock", fcntl.flock), ("fcntl", fcntl.lockf)):
        try:
            lock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            seen.append(f"{name} acquired the lock")
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                seen.append(f"{name} shows that another process holds the lock")
    return ", ".join(seen)


@attack("watch files with inotify")
def _(target: Target) -> object:
    return libc.inotify_init() >= 0 and "inotify works"


@attack("read a shared memory file of an outside process")
def _(target: Target) -> object:
    return Path(target.shared).read_text()


@attack("read System V shared memory of an outside process")
def _(target: Target) -> object:
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(target.sysv_key, 1, 0)
    address = libc.shmat(segment, None, 0) if segment >= 0 else -1
    return address != -1 and address != ctypes.c_void_p(-1).value and ctypes.string_at(address)


@attack("connect by TCP")
def _(target: Target) -> object:
    return socket.create_connection(("127.0.0.1", target.tcp), 1)


@attack("create an IPv6 socket")
def _(target: Target) -> object:
    socket.socket(socket.AF_INET6)
    return "created a socket"


@attack("send by UDP")
def _(target: Target) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", target.udp))


@attack("look up a host name")
def _(target: Target) -> object:
    return socket.gethostbyname("localhost")


@attack("connect to a Unix socket by its path")
def _(target: Target) -> object:
    socket.socket(socket.AF_UNIX).connect(target.unix)
    return "connected"


@attack("connect to an abstract Unix socket")
def _(target: Target) -> object:
    socket.socket(socket.AF_UNIX).connect("\0" + target.abstract)
    return "connected"


@attack("send a datagram to a Unix socket through a socket pair")
def _(target: Target) -> object:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return pair[0].sendto(b"x", "\0" + target.abstract + ".datagram")


def _socket_of(family: int, kind: int) -> Callable[[Target], object]:
    def run(target: Target) -> object:
        try:
            socket.socket(family, kind)
        except OSError as error:
            return "" if error.errno in REFUSALS else error.strerror
        return "created a socket"

    return run


attack("create a vsock socket")(_socket_of(40, socket.SOCK_STREAM))
attack("create a netlink socket")(_socket_of(16, socket.SOCK_RAW))
attack("create a raw packet socket")(_socket_of(17, socket.SOCK_RAW))
attack("create a kernel crypto socket")(_socket_of(38, socket.SOCK_SEQPACKET))
attack("open a message queue")(reach("mq_open", ctypes.c_char_p(b"queue"), 0o102, 0o600, None))
