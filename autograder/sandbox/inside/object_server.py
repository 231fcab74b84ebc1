"""The object server: answers a hidden test's questions about the student's objects, in the student's process."""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import marshal
import sys
import types
from collections.abc import Mapping
from typing import Any

from autograder.forbidden import runtime
from autograder.sandbox.traces import describe, where
from autograder.sandbox.wire.messages import (
    Attribute,
    Call,
    Get,
    Item,
    Question,
    Raised,
    Returned,
    Run,
    SetAttribute,
    SetItem,
)
from autograder.sandbox.wire.values import Ref, from_wire, sound, to_wire
from autograder.sandbox.wire.wire_error import WireError

_BUILTINS = dict(vars(builtins))
"""Python's built-in functions as they were before the notebook ran, for harness code"""


_MEASURING = ("torch", "torch.nn.functional", "torch.linalg", "numpy")
"""modules by which harness code measures"""


@functools.cache
def functions_before() -> tuple[tuple[dict[str, Any], Mapping[str, Any]], ...]:
    """The names of the measuring modules, and the functions that they stood for when this was called first."""
    spaces = [vars(sys.modules[name]) for name in _MEASURING if name in sys.modules]
    return tuple((space, {name: one for name, one in space.items() if callable(one)}) for space in spaces)


class ObjectServer:
    """Answers one question at a time, and keeps the objects that the trusted side has references to."""

    def __init__(self, names: dict[str, Any], shut: tuple[str, ...] = ()) -> None:
        self._names = names
        self._shut = shut
        runtime.prepare(shut)
        self._held: list[Any] = []
        self._restored = bool(shut)  # what is blocked is replaced there, and putting it back would open it

    def answer(self, question: Question) -> Returned | Raised:
        """The reply to one question. An exception of the student's code becomes a Raised reply."""
        quiet = io.StringIO()
        try:
            with (
                contextlib.redirect_stdout(quiet),
                contextlib.redirect_stderr(quiet),
                runtime.blocked(self._shut),
            ):  # also while the value is packed: its class may compute it only then
                return Returned(question.nonce, to_wire(self._find(question), self._refer))
        except WireError as error:
            return Raised(question.nonce, "ValueError", str(error))
        except BaseException as error:
            cell, line = where(error.__traceback__)
            name = sound(type(error).__name__[:200])
            return Raised(question.nonce, name, sound(describe(error)), sound(cell[:200]), line)

    def _find(self, question: Question) -> Any:
        match question:
            case Get(name=name):
                if name not in self._names:
                    raise NameError(f"your notebook does not define {name!r}")
                return self._names[name]
            case Call(target=target, args=args, kwargs=kwargs):
                return self._held[target](*map(self._value, args), **{k: self._value(v) for k, v in kwargs.items()})
            case Attribute(target=target, name=name):
                return getattr(self._held[target], name)
            case SetAttribute(target=target, name=name, value=value):
                setattr(self._held[target], name, self._value(value))
            case Item(target=target, key=key):
                return self._held[target][self._value(key)]
            case SetItem(target=target, key=key, value=value):
                self._held[target][self._value(key)] = self._value(value)
            case Run(code=code, apart=apart):
                if not apart:
                    return self._run(code, self._names)
                self._restore()
                return self._run(code, {"__name__": "harness", "__builtins__": _BUILTINS})
        return None

    def _value(self, value: Any) -> Any:
        return from_wire(value, lambda ref: self._held[ref.number])

    def _refer(self, thing: Any) -> Ref:
        self._held.append(thing)
        return Ref(len(self._held) - 1, sound(type(thing).__name__[:200]))

    def _restore(self) -> None:
        """Put back the functions that the notebook has replaced in modules by which harness code measures."""
        for space, before in () if self._restored else functions_before():
            for name, function in before.items():
                if space.get(name) is not function:
                    space[name] = function
        self._restored = True

    def _run(self, code: bytes, names: dict[str, Any]) -> Any:
        statements, value = _loaded(code)
        exec(statements, names)
        return eval(value, names) if value is not None else None


@functools.lru_cache(maxsize=64)  # several tests send the same code, and the diagnosis repeats questions
def _loaded(code: bytes) -> tuple[types.CodeType, types.CodeType | None]:
    """The statements and the last expression of harness code, unpacked from the result of `messages.compiled`.

    Only the trusted side sends questions, so loading marshalled code is as safe as compiling its source.
    """
    statements, value = marshal.loads(code)
    return statements, value
