"""Hostile answers: what the hidden tests do with answers of every type and size that a student's process could send.

Each test is asked its own questions. The master's answers are replaced before the test gets them, so no test may pass,
and none may need much time or memory: the trusted side is bounded whatever it is sent.
"""

from __future__ import annotations

import functools
import math
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from autograder.course.course import Course, Homework
from autograder.examination.budget import budget, limit_memory
from autograder.examination.recording import Exchange
from autograder.examination.suite import Suite
from autograder.proving.fork_pool import ForkPool
from autograder.proving.solutions import prepared
from autograder.sandbox.lines import InProcessLine
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.messages import Question, Raised, Returned, decode_report, encode
from autograder.sandbox.wire.values import MAX_ANSWER, Array, Dict, Large, List, Ref, Tensor, Tuple, Value

MEMORY_MB = 256
"""memory that the tests of one notebook may need for hostile answers"""
SECONDS = 5.0
"""time that one test may need"""
_TIMEOUT = 600
_LARGE = 4 * 2**20 - 64


def _filled(dtype: str, shape: list[int], item: bytes) -> Tensor:
    return Tensor(dtype, shape, item * math.prod(shape))  # type: ignore[arg-type]


def _shape(value: Value) -> list[int]:
    return list(value.shape) if isinstance(value, Tensor | Array) else [3]


_NAN, _INFINITE = b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f"  # float32
_ENORMOUS = b"\x99\x5d\x2c\x7e\x1c\xd5\x4b\x7e"  # float64, about 1e300
_LAST = (2**62).to_bytes(8, "little")


def _deep() -> Value:
    value: Value = 1.0
    for _ in range(39):
        value = List([value])
    return value


ANSWERS: dict[str, Callable[[Value], Value]] = {
    "nothing": lambda value: None,
    "a large whole number": lambda value: 2**62,
    "a number of 1000 digits": lambda value: Large("9" * 1000),
    "a negative whole number": lambda value: -(2**40),
    "a number that is nan": lambda value: math.nan,
    "an infinite number": lambda value: math.inf,
    "a long text": lambda value: "x" * _LARGE,
    "a deep list": lambda value: _deep(),
    "a long list": lambda value: List([0.5] * 49_000),
    "a list of lists": lambda value: List([List([0.5]) for _ in range(12_000)]),
    "a large dictionary": lambda value: Dict([(number, 0.5) for number in range(10_000)]),
    "keys that are tensors": lambda value: Dict([("x" * 100_000, _filled("float32", [2], _NAN))]),
    "tensor of the same shape, nan": lambda value: _filled("float32", _shape(value), _NAN),
    "tensor of the same shape, infinite": lambda value: _filled("float32", _shape(value), _INFINITE),
    "tensor of the same shape, enormous": lambda value: _filled("float64", _shape(value), _ENORMOUS),
    "tensor of the same shape, complex": lambda value: _filled("complex64", _shape(value), _NAN * 2),
    "tensor of the same shape, large whole numbers": lambda value: _filled("int64", _shape(value), _LAST),
    "tensor of the same shape, half precision": lambda value: _filled("float16", _shape(value), b"\x01\x7e"),
    "array of the same shape, nan": lambda value: Array("float32", _shape(value), _NAN * math.prod(_shape(value))),
    "tensor of 4 MiB": lambda value: _filled("uint8", [_LARGE], b"\x07"),
    "matrix of 4 MiB": lambda value: _filled("float32", [1023, 1023], b"\x00\x00\x00\x41"),
    "tensor with many axes": lambda value: _filled("float32", [2] * 12, _NAN),
    "empty tensor": lambda value: _filled("float32", [0], b""),
    "empty tensor with a long axis": lambda value: _filled("float32", [0, 2**24], b""),
    "an object": lambda value: Ref(0, "Thing"),
}
"""what replaces an answer, by what it is"""


class Bounds(msgspec.Struct):
    """What the tests of one notebook did with one kind of answer."""

    passed: tuple[str, ...]
    """tests that passed although all their answers were replaced"""
    slow: tuple[str, ...]
    """tests that took longer than they may"""
    memory_mb: float
    """memory that was needed"""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one notebook's tests."""

    notebook: str
    answer: str
    """what replaced the answers"""
    text: str


class _HostileLine:
    """A line to the master whose answers are replaced. Objects are kept as they are, so that tests ask on."""

    def __init__(self, names: dict[str, Any], suite: Suite, replace: Callable[[Value], Value], whole: bool) -> None:
        self._line = InProcessLine(names, suite.spec)
        self._replace, self._whole = replace, whole

    def ask(self, question: Question, allowance: Allowance | None = None) -> Returned | Raised:
        reply = self._line.ask(question, allowance)
        if isinstance(reply, Raised) or _holds_object(reply.value):
            return reply
        self._size = 0
        value = self._replace(reply.value) if self._whole else self._leaves(reply.value)
        hostile = decode_report(encode(Returned(question.nonce, value)))
        assert isinstance(hostile, Returned)
        return hostile

    def _leaves(self, value: Value) -> Value:
        """The same lists, tuples and dictionaries, with other things in them."""
        match value:
            case List(items):
                return List([self._leaves(item) for item in items])
            case Tuple(items):
                return Tuple([self._leaves(item) for item in items])
            case Dict(pairs) if not all(isinstance(item, bool | None) for _, item in pairs):  # otherwise it is a set
                return Dict([(key, self._leaves(item)) for key, item in pairs])
            case _:
                other = self._replace(value)
                self._size += len(encode(Returned(b"", other)))
                if self._size > MAX_ANSWER:  # the student's process cannot send it
                    raise StudentError("Crash", "your code's process ended during this test")
                return other

    def spend(self) -> None:
        """Do nothing: there is no process to end."""

    def close(self) -> None:
        self._line.close()


def _holds_object(value: Value) -> bool:
    match value:
        case Ref():
            return True
        case List(items) | Tuple(items):
            return any(map(_holds_object, items))
        case Dict(pairs):
            return any(_holds_object(item) for _, item in pairs)
        case _:
            return False


def hostile(
    course: Course, homework: Homework, notebooks: Sequence[str] | None = None, answers: Sequence[str] = tuple(ANSWERS)
) -> Iterator[Finding]:
    """Test the master of each notebook with hostile answers, and yield what is wrong. Tests that train are left out."""
    for suite in prepared(course, homework, notebooks):
        pool = ForkPool(Bounds, 1, _TIMEOUT)
        kinds = [(answer, whole) for answer in answers for whole in (True, False)]
        for answer, whole in kinds:
            pool.begin(functools.partial(_bounds, suite, ANSWERS[answer], whole))
        for (answer, whole), found in zip(kinds, pool.outcomes(), strict=True):
            name = answer if whole else f"{answer}, within the same lists"
            if isinstance(found, str):
                yield Finding(suite.name, name, found)
                continue
            yield from (Finding(suite.name, name, f"{test} passes") for test in found.passed)
            yield from (Finding(suite.name, name, f"{test} takes more than {SECONDS:g} s") for test in found.slow)
            if found.memory_mb > MEMORY_MB:
                yield Finding(suite.name, name, f"{found.memory_mb:.0f} MB of memory are needed")


def _bounds(suite: Suite, replace: Callable[[Value], Value], whole: bool) -> Bounds:
    """In a fork: run the tests that do not train with answers that are replaced."""
    limit_memory()
    names = dict(vars(suite.reference))
    exchanges: dict[str, list[Exchange]] = {}
    passed, slow = [], []
    before = _peak_mb()
    with budget(_TIMEOUT / 4):
        results = suite.run(
            lambda _: _HostileLine(dict(names), suite, replace, whole), exchanges=exchanges, training=()
        )
    for test in results:
        replies = [reply for _, reply in exchanges.get(test.name, ())]
        if test.passed and any(isinstance(reply, Returned) and not _holds_object(reply.value) for reply in replies):
            passed.append(test.name)
        if test.seconds > SECONDS:
            slow.append(test.name)
    return Bounds(tuple(passed), tuple(slow), _peak_mb() - before)


def _peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
