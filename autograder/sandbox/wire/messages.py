"""The messages on the wire: orders and questions to the student's process, reports from it. MessagePack on the way."""

from __future__ import annotations

import ast
import functools
import marshal
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from autograder.sandbox.wire.values import Name, Value
from autograder.sandbox.wire.wire_error import WireError

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=2000)]


# ---- to the student's process -----------------------------------------------------------------------------------


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
    """Run harness code; the value of its last expression comes back."""

    nonce: bytes
    code: bytes
    """as `compiled` gives it"""
    apart: bool = False
    """in a namespace of its own, not among the notebook's names"""


Question: TypeAlias = Get | Call | Attribute | SetAttribute | Item | SetItem | Run
Order: TypeAlias = Execute | Fork | Reap | Begin | Question


# ---- from the student's process ---------------------------------------------------------------------------------


class Returned(msgspec.Struct, tag="returned", forbid_unknown_fields=True):
    nonce: bytes
    value: Value


class Raised(msgspec.Struct, tag="raised", forbid_unknown_fields=True):
    """The student's code raised."""

    nonce: bytes
    error: Name
    message: _Text
    cell: Name = ""
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
