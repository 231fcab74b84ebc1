"""Attacks on files and the network: reading, changing and reaching what belongs to others."""

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


@attack("read another's file")
def _(target: Target) -> object:
    return Path(target.secret).read_text()


@attack("list another's folder")
def _(target: Target) -> object:
    return list(Path(target.secret).parent.iterdir())


@attack("see that another's file exists", open_in=("C",), because="Landlock does not cover stat; a private root does")
def _(target: Target) -> object:
    return Path(target.secret).stat()


@attack("watch another's folder")
def _(target: Target) -> object:
    watch = libc.inotify_init()
    return libc.inotify_add_watch(watch, str(Path(target.secret).parent).encode(), 0xFFF) > 0 and "watching"


@attack("write to another's file")
def _(target: Target) -> object:
    with Path(target.secret).open("a") as stream:
        return stream.write("x")


@attack("empty another's file")
def _(target: Target) -> object:
    os.truncate(target.secret, 0)
    return "emptied"


@attack("delete another's file")
def _(target: Target) -> object:
    Path(target.secret).unlink()
    return "deleted"


@attack("make a file in another's folder")
def _(target: Target) -> object:
    return os.open(target.secret + ".new", os.O_CREAT | os.O_WRONLY)


@attack("rename another's file into the work folder")
def _(target: Target) -> object:
    Path(target.secret).rename("mine")
    return "renamed"


@attack("link another's file into the work folder")
def _(target: Target) -> object:
    os.link(target.secret, "linked")
    return Path("linked").read_text()


@attack("follow a link out of the work folder")
def _(target: Target) -> object:
    Path("pointer").symlink_to(target.secret)
    return Path("pointer").read_text()


@attack("climb out of the work folder")
def _(target: Target) -> object:
    return Path("../../../../.." + target.secret).read_text()


@attack("go through another process's root")
def _(target: Target) -> object:
    return Path(f"/proc/{target.pid}/root{target.secret}").read_text()


@attack("change the mode of another's file")
def _(target: Target) -> object:
    Path(target.secret).chmod(0o777)
    return "changed"


@attack("change the mode of another's file by fchmodat2")
def _(target: Target) -> object:
    return not call("fchmodat2", -100, ctypes.c_char_p(target.secret.encode()), 0o777, 0) and "changed"


@attack("change the times of another's file")
def _(target: Target) -> object:
    os.utime(target.secret, (1, 1))
    return "changed"


@attack("touch another's file")
def _(target: Target) -> object:
    os.utime(target.secret)
    return "changed"


@attack("set an attribute of another's file")
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


@attack("lay a file handle aside")
def _(target: Target) -> object:
    return reaches("name_to_handle_at", -100, ctypes.c_char_p(b"/"), None, None, 0)


@attack("read the kernel's log")
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


@attack("talk through a lock on a shared file")
def _(target: Target) -> object:
    fd = os.open(target.readable, os.O_RDONLY)
    seen = []
    for name, lock in (("flock", fcntl.flock), ("fcntl", fcntl.lockf)):
        try:
            lock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            seen.append(f"{name} took it")
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                seen.append(f"{name} sees that somebody has it")
    return ", ".join(seen)


@attack("watch a library being read")
def _(target: Target) -> object:
    return libc.inotify_init() >= 0 and "inotify works"


@attack("read another's shared memory")
def _(target: Target) -> object:
    return Path(target.shared).read_text()


@attack("read another's System V shared memory")
def _(target: Target) -> object:
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(target.sysv_key, 1, 0)
    address = libc.shmat(segment, None, 0) if segment >= 0 else -1
    return address != -1 and address != ctypes.c_void_p(-1).value and ctypes.string_at(address)


@attack("connect by TCP")
def _(target: Target) -> object:
    return socket.create_connection(("127.0.0.1", target.tcp), 1)


@attack("connect by IPv6")
def _(target: Target) -> object:
    socket.socket(socket.AF_INET6)
    return "made a socket"


@attack("send by UDP")
def _(target: Target) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", target.udp))


@attack("look up a host")
def _(target: Target) -> object:
    return socket.gethostbyname("localhost")


@attack("connect to a unix socket by its path")
def _(target: Target) -> object:
    socket.socket(socket.AF_UNIX).connect(target.unix)
    return "connected"


@attack("connect to an abstract unix socket")
def _(target: Target) -> object:
    socket.socket(socket.AF_UNIX).connect("\0" + target.abstract)
    return "connected"


@attack("send a datagram to a unix socket through a socket pair")
def _(target: Target) -> object:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return pair[0].sendto(b"x", "\0" + target.abstract + ".datagram")


def _socket_of(family: int, kind: int) -> Callable[[Target], object]:
    def run(target: Target) -> object:
        try:
            socket.socket(family, kind)
        except OSError as error:
            return "" if error.errno in REFUSALS else error.strerror
        return "made a socket"

    return run


attack("use a vsock")(_socket_of(40, socket.SOCK_STREAM))
attack("use netlink")(_socket_of(16, socket.SOCK_RAW))
attack("use raw packets")(_socket_of(17, socket.SOCK_RAW))
attack("use the kernel's crypto sockets")(_socket_of(38, socket.SOCK_SEQPACKET))
attack("open a message queue")(reach("mq_open", ctypes.c_char_p(b"queue"), 0o102, 0o600, None))
