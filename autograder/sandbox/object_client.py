"""The object client: gives a hidden test access to the student's objects, which stay in their own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autograder.sandbox import error_text
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
    def __init__(self, line: Line, texts: bool) -> None:
        self.line, self._texts = line, texts
        self.allowance: Allowance | None = None

    def ask(self, question: Question) -> Any:
        reply = self.line.ask(question, self.allowance)
        if isinstance(reply, Raised):
            tell = error_text.text_of if self._texts else error_text.fixed_text_of
            shown, line = tell(reply.error, reply.message), reply.line if self._texts else 0
            kind, cell = error_text.kind_of(reply.error), error_text.cell_of(reply.cell)
            raise StudentError(kind, shown, cell, line, withheld=bool(reply.message and not shown))
        try:
            return from_wire(reply.value, lambda ref: Handle(self, ref))
        except (WireError, RecursionError, ValueError, TypeError, OverflowError) as error:
            raise StudentError("ValueError", f"the grader cannot read your code's answer: {error}") from None

    def value(self, thing: Any) -> Any:
        return to_wire(thing, self._refer)

    def _refer(self, thing: Any) -> Ref:
        if isinstance(thing, Handle):
            return thing._ref
        raise TypeError(f"a {type(thing).__name__} cannot be sent to the student's process")


class Student:
    """A student's finished notebook. `student.NAME` is a value, or a Handle if the object cannot cross the wire."""

    def __init__(self, line: Line, texts: bool = True) -> None:
        """Without `texts`, those of exceptions are shown only where they are the same for everybody; lines are not."""
        self._asker = _Asker(line, texts)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # pytest and copy look up such names on every object
            raise AttributeError(name)
        return self._asker.ask(Get(_nonce(), name))

    def run(self, code: str, apart: bool = False) -> Any:
        """Run harness code and return the value of its last expression.

        It runs in the notebook's namespace, or in a namespace of its own if `apart` is true.
        """
        return self._asker.ask(Run(_nonce(), compiled(code), apart))

    def spend(self) -> None:
        """Let no later test use this process: it gets what must not be kept."""
        self._asker.line.spend()

    @contextmanager
    def within(self, allowance: Allowance) -> Iterator[None]:
        """In this context, `allowance` is the timeout of each question, also through handles. For training runs."""
        self._asker.allowance = allowance
        try:
            yield
        finally:
            self._asker.allowance = None


class Handle:
    """A reference to an object in the student's process. Call it, index it, and get and set its attributes."""

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

    __iter__ = None  # otherwise Python would iterate by index, without end

    def __repr__(self) -> str:
        return f"<the student's {self._ref.kind}>"
