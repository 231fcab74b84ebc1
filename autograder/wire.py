"""The wire: messages between the trusted side and a student's process. What comes back is plain data, never code.

A message is one msgspec union, MessagePack on the way, cut into packets of a SOCK_SEQPACKET socket. Packets that are
not ours (a notebook that writes to every descriptor) are dropped, so garbage cannot break the framing.
"""

from __future__ import annotations

import array
import ast
import functools
import marshal
import math
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import msgspec

if TYPE_CHECKING:  # this module is imported by processes that never need torch
    import numpy as np
    import torch

WIRE_FD = 100
"""The descriptor of the wire in the student's process; the confinement makes it impossible to close."""

MAX_MESSAGE = 64 * 2**20
_MAX_DEPTH = 40
_PACKET = 128 * 2**10
_MAGIC = b"agw1"
_HEADER = struct.Struct("<4sQII")  # magic, message number, offset, total length
_MAX_STRAY = 100_000

_DTYPES = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
_SIZES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
_Shape: TypeAlias = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=2**31)]], msgspec.Meta(max_length=12)]
_Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=2000)]


class WireError(Exception):
    """What came over the wire is not a message of ours, or nothing came in time."""


class Late(WireError):
    """The deadline of a message passed."""


class Closed(WireError):
    """The other end is gone."""


def sound(text: str) -> str:
    """`text` without halves of letters (surrogates), which cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


# ---- values -----------------------------------------------------------------------------------------------------


class List(msgspec.Struct, tag="list", forbid_unknown_fields=True):
    items: list[Value]


class Tuple(msgspec.Struct, tag="tuple", forbid_unknown_fields=True):
    items: list[Value]


class Dict(msgspec.Struct, tag="dict", forbid_unknown_fields=True):
    pairs: Annotated[list[tuple[Value, Value]], msgspec.Meta(max_length=10_000)]


class Bytes(msgspec.Struct, tag="bytes", forbid_unknown_fields=True):
    data: bytes


class Large(msgspec.Struct, tag="int", forbid_unknown_fields=True):
    """An integer beyond 64 bits, in decimal."""

    digits: Annotated[str, msgspec.Meta(max_length=1000, pattern="^-?[0-9]+$")]


class Tensor(msgspec.Struct, tag="tensor", forbid_unknown_fields=True):
    dtype: _DTYPES
    shape: _Shape
    data: bytes
    grad: bool = False
    """the tensor requires a gradient"""


class Array(msgspec.Struct, tag="array", forbid_unknown_fields=True):
    dtype: _DTYPES
    shape: _Shape
    data: bytes


class Ref(msgspec.Struct, tag="ref", forbid_unknown_fields=True):
    """Something that stays in the student's process: the examiner holds its number."""

    number: int
    kind: _Name


Value: TypeAlias = bool | int | float | str | Bytes | List | Tuple | Dict | Large | Tensor | Array | Ref | None


def to_wire(thing: Any, refer: Callable[[Any], Ref] | None = None, depth: int = 0) -> Any:
    """`thing` as a value for the wire; what is not plain data becomes a `Ref` by `refer`, or a TypeError without it."""
    if depth > _MAX_DEPTH:
        raise WireError("the value is nested too deeply")
    if thing is None or type(thing) in (bool, float):
        return thing
    if isinstance(thing, int) and not isinstance(thing, bool):
        number = int(thing)
        return number if -(2**63) <= number < 2**64 else Large(str(number))
    if isinstance(thing, float):
        return float(thing)
    if isinstance(thing, str):
        return sound(str.__str__(thing))
    if isinstance(thing, bytes | bytearray):
        return Bytes(bytes(thing))
    if isinstance(thing, list):
        return List([to_wire(item, refer, depth + 1) for item in thing])
    if isinstance(thing, tuple):
        return Tuple([to_wire(item, refer, depth + 1) for item in thing])
    if isinstance(thing, dict):
        pairs = [(to_wire(key, refer, depth + 1), to_wire(value, refer, depth + 1)) for key, value in thing.items()]
        return Dict(pairs)
    packed = _tensor_to_wire(thing)
    if packed is not None:
        return packed
    if refer is None:
        raise TypeError(f"a {type(thing).__name__} cannot cross the wire")
    return refer(thing)


def _tensor_to_wire(thing: Any) -> Any:
    torch_module, numpy_module = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch_module is not None and isinstance(thing, torch_module.Tensor):
        plain = thing.detach().to("cpu").to_dense().resolve_conj().resolve_neg()
        dtype = str(plain.dtype).removeprefix("torch.")
        if dtype not in _SIZES:
            raise WireError(f"a tensor of dtype {dtype} cannot cross the wire")
        _check_size(plain.numel() * _SIZES[dtype])
        # a copy: what counts as contiguous may have a stride that view does not take, where a side is 1
        flat = plain.clone(memory_format=torch_module.contiguous_format).reshape(-1)
        data = flat.view(torch_module.uint8).numpy().tobytes() if plain.numel() else b""
        return Tensor(cast(Any, dtype), list(plain.shape), data, bool(thing.requires_grad))
    if numpy_module is not None and isinstance(thing, numpy_module.bool | numpy_module.number):
        return to_wire(thing.item())
    if numpy_module is not None and isinstance(thing, numpy_module.ndarray):
        dtype = str(thing.dtype)
        if dtype not in _SIZES:
            return None
        _check_size(thing.nbytes)
        return Array(cast(Any, dtype), list(thing.shape), thing.astype(thing.dtype.newbyteorder("<")).tobytes())
    return None


def _check_size(size: int) -> None:
    if size > MAX_MESSAGE:
        raise WireError(f"a value of {size / 2**20:.0f} MiB is too large; {MAX_MESSAGE // 2**20} MiB can cross")


def from_wire(value: Any, resolve: Callable[[Ref], Any], depth: int = 0) -> Any:
    """The Python value of a decoded wire value; a `Ref` becomes `resolve(ref)`."""
    if depth > _MAX_DEPTH:
        raise WireError("the value is nested too deeply")
    match value:
        case List(items):
            return [from_wire(item, resolve, depth + 1) for item in items]
        case Tuple(items):
            return tuple(from_wire(item, resolve, depth + 1) for item in items)
        case Dict(pairs):
            try:
                return {from_wire(k, resolve, depth + 1): from_wire(v, resolve, depth + 1) for k, v in pairs}
            except TypeError:
                raise WireError("a dictionary's key is not hashable") from None
        case Bytes(data):
            return data
        case Large(digits):
            return int(digits)
        case Tensor():
            return _to_tensor(value)
        case Array():
            return _to_array(value)
        case Ref():
            return resolve(value)
        case _:
            return value


def _checked(value: Tensor | Array) -> bytes:
    if math.prod(value.shape) * _SIZES[value.dtype] != len(value.data):
        raise WireError(f"a {value.dtype} tensor of shape {tuple(value.shape)} does not have {len(value.data)} bytes")
    return value.data


def _to_tensor(value: Tensor) -> torch.Tensor:
    import torch

    data, dtype = _checked(value), getattr(torch, value.dtype)
    flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    tensor = flat.reshape(value.shape)
    if value.grad and (tensor.is_floating_point() or tensor.is_complex()):
        tensor.requires_grad_()
    return tensor


def _to_array(value: Array) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.frombuffer(_checked(value), dtype=value.dtype).reshape(value.shape).copy()


# ---- messages to the student's process --------------------------------------------------------------------------


class Execute(msgspec.Struct, tag="execute", forbid_unknown_fields=True):
    """Run one cell."""

    nonce: bytes
    cell: str
    source: str
    room: int
    """bytes of output that are still wanted"""


class Fork(msgspec.Struct, tag="fork", forbid_unknown_fields=True):
    """Fork for tests; the new process answers on the descriptor that comes along."""

    nonce: bytes
    number: int
    seed: int
    shut: list[str]
    """tools to shut in the fork, by `Tool` name"""


class Reap(msgspec.Struct, tag="reap", forbid_unknown_fields=True):
    """End the fork with this number."""

    number: int


class Begin(msgspec.Struct, tag="begin", forbid_unknown_fields=True):
    """In a fork: the next test begins, with this seed, the notebook's names, and nothing held."""

    seed: int


class Get(msgspec.Struct, tag="get", forbid_unknown_fields=True):
    nonce: bytes
    name: str


class Call(msgspec.Struct, tag="call", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    args: list[Value]
    kwargs: dict[str, Value]


class Attribute(msgspec.Struct, tag="attribute", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    name: str


class SetAttribute(msgspec.Struct, tag="set-attribute", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    name: str
    value: Value


class Item(msgspec.Struct, tag="item", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    key: Value


class SetItem(msgspec.Struct, tag="set-item", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    key: Value
    value: Value


class Run(msgspec.Struct, tag="run", forbid_unknown_fields=True):
    """Run harness code among the notebook's names; the value of its last expression comes back."""

    nonce: bytes
    code: bytes
    """as `compiled` gives it"""


Question: TypeAlias = Get | Call | Attribute | SetAttribute | Item | SetItem | Run
Order: TypeAlias = Execute | Fork | Reap | Begin | Question


# ---- messages from the student's process ------------------------------------------------------------------------


class Returned(msgspec.Struct, tag="returned", forbid_unknown_fields=True):
    nonce: bytes
    value: Value


class Raised(msgspec.Struct, tag="raised", forbid_unknown_fields=True):
    """The student's code raised."""

    nonce: bytes
    error: _Name
    message: _Text
    cell: _Name = ""
    line: int = 0


class Shown(msgspec.Struct, tag="shown", forbid_unknown_fields=True):
    """One output of the cell that is running."""

    nonce: bytes
    kind: Literal["stdout", "stderr", "text", "error", "image/png"]
    text: str = ""
    png: bytes = b""


class Finished(msgspec.Struct, tag="finished", forbid_unknown_fields=True):
    """The cell has run."""

    nonce: bytes
    failed: bool


class ForkEnded(msgspec.Struct, tag="fork-ended", forbid_unknown_fields=True):
    """A fork is gone; `status` is as os.waitpid gives it."""

    number: int
    status: int


Report: TypeAlias = Returned | Raised | Shown | Finished | ForkEnded

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


@functools.lru_cache(maxsize=256)
def compiled(code: str) -> bytes:
    """What `Run` carries of harness code: its statements and its last expression, or None, compiled and marshalled.

    Compiled here, and so once, as each fork that answers would have to do it anew. Raises SyntaxError.
    """
    tree = ast.parse(code, "<harness>")
    value = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        value = compile(ast.Expression(tree.body.pop().value), "<harness>", "eval")  # type: ignore[attr-defined]
    return marshal.dumps((compile(tree, "<harness>", "exec"), value))


def encode(message: msgspec.Struct) -> bytes:
    return _encoder.encode(message)


def decode_order(data: bytes) -> Order:
    return cast(Order, _decode(_orders, data))


def decode_report(data: bytes) -> Report:
    return cast(Report, _decode(_reports, data))


def _decode(decoder: Any, data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise WireError(f"not a message: {error}") from None


# ---- the channel ------------------------------------------------------------------------------------------------


class Channel:
    """One end of a wire: whole messages in, whole messages out, each within a deadline (time.monotonic)."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._count = 0
        self._stray = 0
        self._partial: tuple[int, int, bytearray] | None = None  # message number, total, what has come
        sock.setblocking(False)

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, data: bytes, deadline: float | None = None, fds: tuple[int, ...] = ()) -> None:
        """Send one message, with `fds` on its first packet."""
        if len(data) > MAX_MESSAGE:
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
                except (BrokenPipeError, ConnectionError, OSError) as error:
                    raise Closed(f"the other end is gone ({error})") from None

    def receive(self, deadline: float | None = None) -> tuple[bytes, list[int]]:
        """The next whole message and the descriptors that came with it."""
        fds: list[int] = []
        while True:
            message = self.take(fds)
            if message is not None:
                return message, fds
            _wait(self.sock, select.POLLIN, deadline)

    def take(self, fds: list[int] | None = None) -> bytes | None:
        """The next whole message if one has come; descriptors are appended to `fds`, or refused without it."""
        while True:
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
                raise Closed(f"the other end is gone ({error})") from None
            if not packet and _hung_up(self.sock):
                raise Closed("the other end is gone")
            message = self._join(packet)
            if message is not None:
                return message

    def _join(self, packet: bytes) -> bytes | None:
        if not self._fits(packet):
            self._stray += 1
            if self._stray > _MAX_STRAY:
                raise WireError("the wire is flooded with data that is not ours")
            return None
        assert self._partial is not None
        _, total, data = self._partial
        data += packet[_HEADER.size :]
        if len(data) < total:
            return None
        self._partial = None
        return bytes(data)

    def _fits(self, packet: bytes) -> bool:
        """Whether this packet begins a message or is the very next piece of the one that has begun."""
        if len(packet) < _HEADER.size or not packet.startswith(_MAGIC):
            return False
        _, number, offset, total = _HEADER.unpack_from(packet)
        size = len(packet) - _HEADER.size
        if total > MAX_MESSAGE or offset + size > total or (size == 0 and total > 0):
            return False
        if offset == 0:
            self._partial = (number, total, bytearray())
        if self._partial is None:
            return False
        begun, length, data = self._partial
        return bool(number == begun and total == length and offset == len(data))

    def close(self) -> None:
        self.sock.close()


def _wait(sock: socket.socket, event: int, deadline: float | None) -> None:
    timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(None if timeout is None else math.ceil(timeout * 1000)) and timeout is not None:
        raise Late("no answer in time")


def _hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair of sockets for a wire."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
