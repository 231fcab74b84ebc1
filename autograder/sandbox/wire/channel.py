"""The channel: one end of a wire. It splits messages into packets and sends them over a SOCK_SEQPACKET socket.

Packets without the right header are dropped, so that a notebook that writes to every file descriptor breaks nothing.
"""

from __future__ import annotations

import array
import math
import select
import socket
import struct
import time

from autograder.sandbox.wire.values import MAX_MESSAGE
from autograder.sandbox.wire.wire_error import Closed, Late, WireError

_PACKET = 128 * 2**10
_MAGIC = b"agw1"
_HEADER = struct.Struct("<4sQII")  # magic, message number, offset, total length
_MAX_STRAY = 100_000


class Channel:
    """One end of a wire. Sends and receives whole messages, each before a deadline on the clock of time.monotonic.

    `most` is the largest message that it receives, in bytes. Between two processes of the trusted side it may be larger
    than usual, and then applies to sending as well.
    """

    def __init__(self, sock: socket.socket, most: int = MAX_MESSAGE) -> None:
        self.sock = sock
        self._most = most
        self._count = 0
        self._stray = 0
        self._partial: tuple[int, int, bytearray] | None = None  # message number, total length, data so far
        sock.setblocking(False)

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, data: bytes, deadline: float | None = None, fds: tuple[int, ...] = ()) -> None:
        """Send one message. The file descriptors `fds` are attached to its first packet."""
        if len(data) > max(self._most, MAX_MESSAGE):
            raise WireError(f"a message of {len(data) / 2**20:.0f} MiB is too large")
        self._count += 1
        for offset in range(0, max(len(data), 1), _PACKET):
            packet = _HEADER.pack(_MAGIC, self._count, offset, len(data)) + data[offset : offset + _PACKET]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds and not offset else []
            while True:
                try:
                    self.sock.sendmsg([packet], rights)
                    break
                except BlockingIOError:
                    _wait(self.sock, select.POLLOUT, deadline)
                except OSError as error:
                    raise Closed(f"the other end is closed ({error})") from None

    def receive(self, deadline: float | None = None) -> tuple[bytes, list[int]]:
        """The next whole message and the file descriptors that came with it."""
        fds: list[int] = []
        while True:
            _wait(self.sock, select.POLLIN, deadline)
            message = self.take(fds, deadline)
            if message is not None:
                return message, fds

    def take(self, fds: list[int] | None = None, deadline: float | None = None) -> bytes | None:
        """The next whole message, or None if none has arrived.

        File descriptors are appended to `fds`. Without `fds` they are not accepted. Raises Late at the deadline, even
        while packets keep coming.
        """
        while True:
            if deadline is not None and time.monotonic() > deadline:
                raise Late("no answer in time")
            try:
                if fds is None:
                    packet = self.sock.recv(_HEADER.size + _PACKET)
                else:
                    packet, extra, _, _ = self.sock.recvmsg(_HEADER.size + _PACKET, socket.CMSG_SPACE(4 * 4))
                    for level, kind, rights in extra:
                        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                            fds.extend(array.array("i", rights[: len(rights) - len(rights) % 4]))
            except BlockingIOError:
                return None
            except OSError as error:
                raise Closed(f"the other end is closed ({error})") from None
            if not packet and _peer_closed(self.sock):
                raise Closed("the other end is closed")
            message = self._join(packet)
            if message is not None:
                return message

    def _join(self, packet: bytes) -> bytes | None:
        if _is_whole(packet, self._most):  # also between the packets of another message: forks and threads send, too
            return packet[_HEADER.size :]
        if not self._fits(packet):
            self._stray += 1
            if self._stray > _MAX_STRAY:
                raise WireError("the wire is flooded with packets that have no valid header")
            return None
        assert self._partial is not None
        _, total, data = self._partial
        data += packet[_HEADER.size :]
        if len(data) < total:
            return None
        self._partial = None
        return bytes(data)

    def _fits(self, packet: bytes) -> bool:
        """Whether this packet begins a message or is the next packet of the message that has begun."""
        if len(packet) < _HEADER.size or not packet.startswith(_MAGIC):
            return False
        _, number, offset, total = _HEADER.unpack_from(packet)
        size = len(packet) - _HEADER.size
        if total > self._most or offset + size > total or (size == 0 and total > 0):
            return False
        if offset == 0:
            self._partial = (number, total, bytearray())
        if self._partial is None:
            return False
        begun, length, data = self._partial
        return bool(number == begun and total == length and offset == len(data))

    def close(self) -> None:
        self.sock.close()


def _is_whole(packet: bytes, most: int) -> bool:
    """Whether a packet is a whole message."""
    if len(packet) < _HEADER.size or not packet.startswith(_MAGIC):
        return False
    _, _, offset, total = _HEADER.unpack_from(packet)
    return bool(offset == 0 and total == len(packet) - _HEADER.size <= most)


def _wait(sock: socket.socket, event: int, deadline: float | None) -> None:
    """Wait for an event on a socket. Raises Late at the deadline."""
    if sock.fileno() < 0:
        raise Closed("this end is closed")
    timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(None if timeout is None else math.ceil(timeout * 1000)) and timeout is not None:
        raise Late("no answer in time")


def _peer_closed(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair of sockets for a wire."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def readable(sock: socket.socket) -> bool:
    """Whether a socket has data to read or is closed."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
