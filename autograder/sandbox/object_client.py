"""The object client: what a hidden test holds in place of the student's objects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autograder.sandbox.lines import Line
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.messages import (
    Attribute,
    Call,
    Get,
    Item,
    Question,
    Raised,
    Run,
    SetAttribute,
    SetItem,
    compiled,
)
from autograder.sandbox.wire.values import Ref, from_wire, to_wire
from autograder.sandbox.wire.wire_error import WireError


def _nonce() -> bytes:
    return os.urandom(16)


class _Asker:
    def __init__(self, line: Line) -> None:
        self.line = line
        self.allowance: Allowance | None = None

    def ask(self, question: Question) -> Any:
        reply = self.line.ask(question, self.allowance)
        if isinstance(reply, Raised):
            raise StudentError(reply.error, reply.message, reply.cell, reply.line)
        try:
            return from_wire(reply.value, lambda ref: Handle(self, ref))
        except (WireError, RecursionError, ValueError, TypeError, OverflowError) as error:
            raise StudentError("ValueError", f"the answer cannot be read: {error}") from None

    def value(self, thing: Any) -> Any:
        return to_wire(thing, self._refer)

    def _refer(self, thing: Any) -> Ref:
        if isinstance(thing, Handle):
            return thing._ref
        raise TypeError(f"a {type(thing).__name__} cannot be sent to the student's process")


class Student:
    """The finished notebook of a student: `student.NAME` is a value, or a handle to what cannot cross the wire."""

    def __init__(self, line: Line) -> None:
        self._asker = _Asker(line)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # pytest and copy look for these on everything
            raise AttributeError(name)
        return self._asker.ask(Get(_nonce(), name))

    def run(self, code: str, apart: bool = False) -> Any:
        """Run harness code; its last expression comes back.

        It runs among the notebook's names, or in a namespace of its own when `apart`.
        """
        return self._asker.ask(Run(_nonce(), compiled(code), apart))

    @contextmanager
    def within(self, allowance: Allowance) -> Iterator[None]:
        """Each question that is asked in this context, of handles too, may take that long: for training runs."""
        self._asker.allowance = allowance
        try:
            yield
        finally:
            self._asker.allowance = None


class Handle:
    """An object that stays in the student's process: call it, read, set and index it like the object itself."""

    __slots__ = ("_asker", "_ref")
    _asker: _Asker
    _ref: Ref

    def __init__(self, asker: _Asker, ref: Ref) -> None:
        object.__setattr__(self, "_asker", asker)
        object.__setattr__(self, "_ref", ref)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = self._asker.value
        packed = {name: value(argument) for name, argument in kwargs.items()}
        return self._asker.ask(Call(_nonce(), self._ref.number, [value(argument) for argument in args], packed))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._asker.ask(Attribute(_nonce(), self._ref.number, name))

    def __setattr__(self, name: str, value: Any) -> None:
        self._asker.ask(SetAttribute(_nonce(), self._ref.number, name, self._asker.value(value)))

    def __getitem__(self, key: Any) -> Any:
        return self._asker.ask(Item(_nonce(), self._ref.number, self._asker.value(key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        value = self._asker.value(value)
        self._asker.ask(SetItem(_nonce(), self._ref.number, self._asker.value(key), value))

    __iter__ = None  # or it would be tried by index, for ever

    def __repr__(self) -> str:
        return f"<the student's {self._ref.kind}>"
