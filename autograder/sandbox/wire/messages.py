"""The messages on the wire: orders and questions to the student's process, and its reports. Encoded as MessagePack."""

from __future__ import annotations

import ast
import functools
import marshal
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from autograder.constants import DIGEST, MOST_RUN
from autograder.sandbox.wire.size import refuse_many
from autograder.sandbox.wire.values import Name, Value
from autograder.sandbox.wire.wire_error import WireError

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=2000)]

MOST_ALT = 500
"""most characters of a text alternative that are kept"""


# ---- to the student's process -----------------------------------------------------------------------------------


class Execute(msgspec.Struct, tag="execute", forbid_unknown_fields=True):
    """Run one cell."""

    nonce: bytes
    cell: str
    source: str
    room: int
    """bytes of output that the grader still accepts"""
    keep: bool = False
    """keep the names as they are after this cell, if it runs without an error: tests of this cell get them"""


class Put(msgspec.Struct, tag="put", forbid_unknown_fields=True):
    """Write files into the work folder, before the first cell."""

    files: dict[str, bytes]
    """path relative to the folder, and content"""


class Forbid(msgspec.Struct, tag="forbid", forbid_unknown_fields=True):
    """Before the first cell: guard these tools, by `Tool` name, and block them from the first fork on."""

    tools: list[str]


class Fork(msgspec.Struct, tag="fork", forbid_unknown_fields=True):
    """Fork for tests. The fork answers on the file descriptor that is attached to this message."""

    nonce: bytes
    number: int


class Reap(msgspec.Struct, tag="reap", forbid_unknown_fields=True):
    """End the fork with this number."""

    number: int


class Begin(msgspec.Struct, tag="begin", forbid_unknown_fields=True):
    """In a fork: begin the next test. Set this seed, reset the notebook's names, and drop all references."""

    seed: int
    cell: str = ""
    """reset the names to what they were after this cell, if they were kept, and not to the end of the notebook"""


class Get(msgspec.Struct, tag="get", forbid_unknown_fields=True):
    """Read a name of the notebook."""

    nonce: bytes
    name: str


class Call(msgspec.Struct, tag="call", forbid_unknown_fields=True):
    nonce: bytes
    target: int
    """the number of a `Ref`, here and in the questions below"""
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
    """Run harness code and return the value of its last expression."""

    nonce: bytes
    code: bytes
    """the result of `compiled`"""
    apart: bool = False
    """run it in a namespace of its own, not in the notebook's"""


Question: TypeAlias = Get | Call | Attribute | SetAttribute | Item | SetItem | Run
Command: TypeAlias = Forbid | Put | Execute | Fork | Reap | Begin
Order: TypeAlias = Command | Question


# ---- from the student's process ---------------------------------------------------------------------------------


class Returned(msgspec.Struct, tag="returned", forbid_unknown_fields=True):
    nonce: bytes
    value: Value


class Raised(msgspec.Struct, tag="raised", forbid_unknown_fields=True):
    """The student's code raised an exception."""

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
    alt: Annotated[str, msgspec.Meta(max_length=MOST_ALT)] = ""


class Finished(msgspec.Struct, tag="finished", forbid_unknown_fields=True):
    """The cell has run."""

    nonce: bytes
    failed: bool


class Ran(msgspec.Struct, tag="ran", frozen=True, forbid_unknown_fields=True):
    """The notebook runs code, or finds something by its name, that stands in none of its cells."""

    what: Literal["text", "object", "use"]
    """a text that is compiled; the path of an object that is unpickled; what is done in place of running a text"""
    text: Annotated[bytes, msgspec.Meta(max_length=MOST_RUN)]
    digest: Annotated[bytes, msgspec.Meta(max_length=DIGEST)] = b""
    """`digest_of` the whole text"""
    cell: Name = ""
    """where the notebook does it; '' if no cell is at work"""
    line: int = 0


class ForkEnded(msgspec.Struct, tag="fork-ended", forbid_unknown_fields=True):
    """A fork has ended. `status` is its wait status from os.waitpid."""

    number: int
    status: Annotated[int, msgspec.Meta(ge=0, lt=2**16)]


Report: TypeAlias = Returned | Raised | Shown | Finished | Ran | ForkEnded

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


@functools.lru_cache(maxsize=256)
def compiled(code: str) -> bytes:
    """Harness code for `Run`: its statements and its last expression (or None), compiled and marshalled.

    The trusted side compiles it once, so that not every fork has to. Raises SyntaxError.
    """
    tree = ast.parse(code, "<harness>")
    value = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        value = compile(ast.Expression(tree.body.pop().value), "<harness>", "eval")  # type: ignore[attr-defined]
    code_of = marshal.dumps((compile(tree, "<harness>", "exec"), value))
    _sources[code_of] = code
    return code_of


def source_of(code: bytes) -> str:
    """The harness code that `compiled` made this of, in this process."""
    return _sources[code]


_sources: dict[bytes, str] = {}


def bare(question: Question) -> bytes:
    """A question without its nonce, which is new each time, as bytes."""
    return encode(msgspec.structs.replace(question, nonce=b""))


def encode(message: msgspec.Struct) -> bytes:
    return _encoder.encode(message)


def decode_order(data: bytes) -> Order:
    return cast(Order, _decode(_orders, data))


def decode_report(data: bytes) -> Report:
    """The report in a message. Raises WireError, also for more values than an answer needs."""
    refuse_many(data)
    return cast(Report, _decode(_reports, data))


def _decode(decoder: Any, data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise WireError(f"this is not a valid message: {error}") from None
