"""The wire carries plain data exactly, and nothing else whatever comes."""

from __future__ import annotations

import ast
import os
import random
import socket
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch

import autograder
from autograder.course.course import Limits
from autograder.sandbox import spawning
from autograder.sandbox.lines import ForkLine
from autograder.sandbox.patience import Patience, Waiting
from autograder.sandbox.process import Process
from autograder.sandbox.spawning import Ended
from autograder.sandbox.wire import channel
from autograder.sandbox.wire.channel import Channel, pair
from autograder.sandbox.wire.messages import ForkEnded, Get, Returned, decode_report, encode
from autograder.sandbox.wire.values import List, Ref, from_wire, refuse_false, to_wire
from autograder.sandbox.wire.wire_error import Closed, Late, WireError

SOON = 2.0
NOISE = random.Random(0).randbytes(64)


def there_and_back(value):
    message = encode(Returned(b"n", to_wire(value)))
    return from_wire(decode_report(message).value, lambda ref: ref)


@pytest.fixture
def ends():
    near, far = pair()
    yield Channel(near), Channel(far)
    near.close()
    far.close()


def test_exact_numbers_cross_as_the_numbers_that_they_are():
    assert there_and_back([Fraction(1, 4), Decimal("0.1")]) == [0.25, 0.1]
    kept = []
    to_wire(Fraction(10**400), lambda thing: kept.append(thing) or Ref(0, "Fraction"))
    assert kept == [10**400]  # too large: only a reference crosses


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64,
        -(2**200),
        1.5,
        float("inf"),
        "ü",
        b"\x00\xff",
        [1, [2]],
        (1, ("a",)),
        {},
        {1: {"a": (2,)}},
    ],
)
def test_plain_values_come_back_as_they_were(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_tensors_come_back_as_they_were(dtype, shape):
    tensor = (torch.arange(6).reshape(2, 3) if shape == (2, 3) else torch.ones(shape)).to(dtype)
    back = there_and_back(tensor)
    assert back.dtype == dtype and torch.equal(back, tensor)


def test_a_view_and_a_leaf_that_requires_a_gradient_cross():
    tensor = torch.arange(12.0).reshape(3, 4).requires_grad_()
    assert torch.equal(there_and_back(tensor.T), tensor.T)
    assert there_and_back(tensor).requires_grad


@pytest.mark.parametrize("entry", [torch.rand(1, 4, 3)[:, -1, -1], torch.rand(5, 3)[::5, 1:2], torch.rand(2, 3)[1, 2]])
def test_an_entry_cut_out_of_a_tensor_crosses(entry):
    """torch calls it contiguous whatever its strides are, and yet does not view it as bytes."""
    assert torch.equal(there_and_back(entry), entry)


def test_arrays_cross_and_numpy_numbers_become_plain():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    back = there_and_back(array)
    assert back.dtype == array.dtype and (back == array).all()
    assert type(there_and_back(np.float32(0.5))) is float


def test_what_is_not_plain_data_is_refused_without_a_name_for_it():
    with pytest.raises(TypeError, match="a function cannot be sent"):
        to_wire(lambda: None)


def test_deep_nesting_is_refused_on_both_sides():
    deep = None
    for _ in range(200):
        deep = [deep]
    with pytest.raises(WireError, match="nested too deeply"):
        to_wire(deep)
    raw = List([])
    for _ in range(200):
        raw = List([raw])
    with pytest.raises(WireError):
        from_wire(decode_report(encode(Returned(b"n", raw))).value, lambda ref: ref)


@pytest.mark.parametrize(
    "lie",
    [
        {"type": "tensor", "dtype": "float32", "shape": [2, 3], "data": b"\0" * 8},
        {"type": "tensor", "dtype": "float32", "shape": [2**31, 2**31], "data": b""},
        {"type": "tensor", "dtype": "object", "shape": [1], "data": b"\0" * 8},
        {"type": "tensor", "dtype": "float32", "shape": [-1], "data": b""},
        {"type": "tensor", "dtype": "float32", "shape": [1] * 50, "data": b"\0" * 4},
        {"type": "int", "digits": "1" * 5000},
        {"type": "int", "digits": "__import__('os')"},
        {"type": "pickle", "data": b"cos\nsystem\n"},
        {"type": "tensor", "dtype": "float32", "shape": [1], "data": b"\0" * 4, "more": 1},
    ],
)
def test_lies_about_a_value_are_refused(lie):
    message = msgspec.msgpack.encode({"type": "returned", "nonce": b"n", "value": lie})
    with pytest.raises(WireError):
        from_wire(decode_report(message).value, lambda ref: ref)
    inner = {"type": "list", "items": [{"type": "dict", "pairs": [[1, lie]]}]}
    message = msgspec.msgpack.encode({"type": "returned", "nonce": b"n", "value": inner})
    with pytest.raises(WireError):  # where it comes in, before anybody keeps it
        refuse_false(decode_report(message).value)


@pytest.mark.parametrize("make", [torch.empty, lambda *shape: np.empty(shape), lambda *shape: np.empty(shape, "<f2")])
def test_an_empty_tensor_with_large_sizes_is_refused_where_it_is_sent(make):
    with pytest.raises(WireError, match="empty tensor"):
        to_wire(make(0, 5000, 5000))
    refuse_false(to_wire([make(0, 3), {"x": make(2, 0)}]))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\xdd\xff\xff\xff\xff", b"\x91" * 100_000, NOISE])
def test_garbage_is_no_message(data):
    with pytest.raises(WireError):
        decode_report(data)


def test_a_message_of_many_packets_arrives_whole(ends):
    near, far = ends
    data = os.urandom(3 * 2**20)
    sender = threading.Thread(target=far.send, args=(data, time.monotonic() + 20))
    sender.start()
    received, _ = near.receive(time.monotonic() + 20)
    sender.join()
    assert received == data


def test_garbage_between_messages_is_dropped(ends):
    near, far = ends
    far.sock.send(b"garbage")
    far.sock.send(b"")
    far.sock.send(channel._HEADER.pack(b"agw1", 9, 4, 8) + b"half")  # a piece of a message that never began
    far.send(b"whole")
    assert near.receive(time.monotonic() + SOON)[0] == b"whole"


def test_half_a_message_is_given_up_when_another_begins(ends):
    near, far = ends
    far.sock.send(channel._HEADER.pack(b"agw1", 9, 0, 8) + b"half")
    far.send(b"whole")
    assert near.receive(time.monotonic() + SOON)[0] == b"whole"


def test_silence_is_late_and_a_gone_end_is_closed(ends):
    near, far = ends
    with pytest.raises(Late):
        near.receive(time.monotonic() + 0.01)
    far.close()
    with pytest.raises(Closed):
        near.receive(time.monotonic() + SOON)


def test_an_end_that_was_closed_here_receives_nothing(ends):
    ends[0].close()
    with pytest.raises(Closed):
        ends[0].receive()


def test_a_view_of_bytes_as_truth_values_crosses_as_such():
    odd = torch.tensor([2, 0], dtype=torch.uint8).view(torch.bool)
    assert to_wire(odd) == to_wire(torch.tensor([True, False]))


@pytest.mark.parametrize("size", [2**30, 2**61])
def test_a_tensor_that_repeats_one_number_without_end_is_too_large(size):
    with pytest.raises(WireError, match="too large"):
        to_wire(torch.zeros(1, dtype=torch.float64).expand(size))


@pytest.mark.parametrize("then", ["the process died", "it sends garbage", "the fork ended"])
def test_an_answer_that_has_come_counts_whatever_happens_next(then):
    """Otherwise chance would decide: the trusted side may look a moment earlier, or later."""
    (ours, supervisors), (main, mains), (near, far) = pair(), pair(), pair()
    zygote = SimpleNamespace(request=lambda limits: (ours, Channel(main)))
    process = Process(zygote, Limits(), lambda ran: None)
    process.forks.add(1)
    question = Get(b"n" * 16, "x")
    line = ForkLine(Patience(60), Waiting(0, lambda: 0.0), process, 1, Channel(near), Limits(), {})
    Channel(far).send(encode(Returned(question.nonce, 5)))
    if then == "the process died":
        mains.close()
        supervisors.send(spawning.encode(Ended("signal", 9, 0.0, 0.0)))
    elif then == "it sends garbage":
        Channel(mains).send(b"\xff\xff")
    else:
        far.close()
        Channel(mains).send(encode(ForkEnded(1, 0)))
    assert line._wait(question, time.monotonic() + SOON) == Returned(question.nonce, 5)


def test_sending_to_an_end_that_does_not_read_is_late(ends):
    near, _ = ends
    with pytest.raises(Late):
        near.send(b"x" * 8 * 2**20, time.monotonic() + 0.05)


def test_descriptors_from_the_students_side_are_not_taken(ends):
    near, far = ends
    reader, writer = os.pipe()
    far.send(b"take this", fds=(writer,))
    os.close(writer)
    assert near.take() == b"take this"
    assert os.read(reader, 1) == b""  # nobody holds the other end: end of file
    os.close(reader)


def test_a_channel_needs_whole_messages_not_a_stream():
    near, far = pair()
    with near, far:
        assert near.type == socket.SOCK_SEQPACKET


def test_what_threads_decode_is_prepared_when_their_modules_are_imported():
    """msgspec prepares a type when it is first decoded, and crashes if two threads do so at once."""
    root = Path(autograder.__file__).parent
    late = [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in ("grading", "results", "insight")
        for path in (root / folder).rglob("*.py")
        if path.name != "server_process.py"  # it has one thread
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("msgspec.")
        if any(keyword.arg == "type" and not ast.unparse(keyword.value).startswith("dict") for keyword in node.keywords)
    ]
    assert late == []
