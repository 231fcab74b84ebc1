"""The dialogue: questions and answers as lines that a person can read, much like the code that they stand for."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from typing import Any

from autograder.examination.recording import is_slim
from autograder.results.plain_text import one_line
from autograder.sandbox.wire import messages
from autograder.sandbox.wire.messages import Call, Get, Question, Raised, Returned
from autograder.sandbox.wire.values import Array, Bytes, Dict, Large, List, Ref, Tensor, Tuple, from_wire

_SHORT = 6
"""most entries of a tensor that is shown within a line"""
_FIRST = 6
"""how many entries of a larger one are told"""
_MOST_TEXT, _MOST_NAME = 200, 60
"""characters of a text and of a name that are shown"""
_TAKEN = {*dir(builtins), "answer", "right", "ast", "base64", "np", "torch", "_bytes", "_run"}
"""names with a meaning of their own where a dialogue is run as code"""


class Dialogue:
    """Follows an examination, and gives a name to each object and to each large value in it."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        """of the student's objects, by number"""
        self._taken: dict[str, int] = {}
        self.values: dict[str, Tensor | Array] = {}
        """the large values of the last question, by the names that they have in its text"""

    def text(self, question: Question) -> str:
        """The question as a line of code. Large values in it are in `values` afterwards."""
        self.values = {}
        match question:
            case Get(name=name):
                return _global(name)
            case Call(target=target, args=args, kwargs=kwargs):
                given = [*map(self._value, args), *self._named(kwargs.items())]
                return f"{self._name(target)}({', '.join(given)})"
            case messages.Attribute(target=target, name=name):
                return _attribute(self._name(target), name)
            case messages.SetAttribute(target=target, name=name, value=value):
                there, new = self._name(target), self._value(value)
                return f"{there}.{name} = {new}" if is_name(name) else f"setattr({there}, {name!r}, {new})"
            case messages.Item(target=target, key=key):
                return f"{self._name(target)}[{self._value(key)}]"
            case messages.SetItem(target=target, key=key, value=value):
                return f"{self._name(target)}[{self._value(key)}] = {self._value(value)}"
            case messages.Run(code=code):
                return f"run: {_first_line(messages.source_of(code))}"

    def label(self, question: Question) -> str:
        """What is asked, without its values: the same for all draws."""
        match question:
            case Call(target=target):
                return f"{_kind(self._name(target))}(…)"
            case messages.Attribute(target=target, name=name) | messages.SetAttribute(target=target, name=name):
                return _attribute(_kind(self._name(target)), name)
            case messages.Item(target=target) | messages.SetItem(target=target):
                return f"{_kind(self._name(target))}[…]"
            case _:
                return self.text(question)

    def heard(self, question: Question, answer: Returned | Raised) -> str:
        """Take note of an answer. The name that its object has from now on; '' if it is no object."""
        if not isinstance(answer, Returned):
            return ""
        match answer.value:
            case Ref(number=number, kind=kind):
                self._names[number] = self._new_name(question, kind)
                return self._names[number]
            case Dict(pairs=pairs):
                for key, value in pairs:
                    if isinstance(value, Ref) and isinstance(key, str) and _is_free(key):
                        self._names[value.number] = key
            case List(items=items) | Tuple(items=items):
                for item in items:
                    if isinstance(item, Ref):
                        self._names[item.number] = self._fresh(_base(item.kind))
            case _:
                pass
        return ""

    def _new_name(self, question: Question, kind: str) -> str:
        match question:
            case Get(name=name):
                return _global(name)
            case messages.Attribute(target=target, name=name):
                return _attribute(self._name(target), name)
            case _:
                return self._fresh(_base(kind))

    def _fresh(self, base: str) -> str:
        number = self._taken[base] = self._taken.get(base, 0) + 1
        return base if number == 1 else f"{base}{number}"

    def _name(self, number: int) -> str:
        return self._names.get(number, f"object_{number}")

    def _named(self, arguments: Iterable[tuple[str, Any]]) -> list[str]:
        """Named arguments; those whose names are not names in Python, in a dictionary."""
        plainly: list[str] = []
        odd: list[str] = []
        for name, value in arguments:
            if is_name(name):
                plainly.append(f"{name}={self._value(value)}")
            else:
                odd.append(f"{name!r}: {self._value(value)}")
        return [*plainly, f"**{{{', '.join(odd)}}}"] if odd else plainly

    def _value(self, value: Any) -> str:
        match value:
            case Ref(number=number):
                return self._name(number)
            case Tensor() | Array():
                if self._short(value):
                    return self._written(value)
                name = self._fresh("x")
                self.values[name] = value
                return name
            case List(items=items):
                return f"[{', '.join(map(self._value, items))}]"
            case Tuple(items=items):
                return f"({', '.join(map(self._value, items))}{',' if len(items) == 1 else ''})"
            case Dict(pairs=pairs):
                return f"{{{', '.join(f'{self._value(key)}: {self._value(item)}' for key, item in pairs)}}}"
            case _:
                return self._written(value)

    def _short(self, value: Tensor | Array) -> bool:
        """Whether a tensor stands within the line, without a name."""
        return _entries(value) <= _SHORT

    def _written(self, value: Any) -> str:
        """A plain value, or a short tensor, within the line."""
        return shown(value)


def shown(value: Any) -> str:
    """A value in short: a tensor's type, shape and first entries; anything else as Python writes it."""
    match value:
        case Tensor() | Array() if is_slim(value):
            return f"{value.dtype} {tuple(value.shape)}, of which only a digest was kept"
        case Tensor() | Array():
            numbers = from_wire(value, lambda ref: ref)
            numbers = numbers.detach() if isinstance(value, Tensor) else numbers
            first = numbers.flatten()[:_FIRST].tolist()
            more = ", …" if _entries(value) > _FIRST else ""
            kind = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else f"array {tuple(value.shape)}"
            return f"{kind}: {', '.join(map(_number, first))}{more}"
        case Ref(kind=kind):
            return f"<{one_line(kind, _MOST_NAME)}>"
        case List(items=items):
            return f"[{', '.join(map(shown, items[:_FIRST]))}{', …' if len(items) > _FIRST else ''}]"
        case Tuple(items=items):
            return f"({', '.join(map(shown, items[:_FIRST]))}{', …' if len(items) > _FIRST else ''})"
        case Dict(pairs=pairs):
            inside = ", ".join(f"{shown(key)}: {shown(item)}" for key, item in pairs[:_FIRST])
            return f"{{{inside}{', …' if len(pairs) > _FIRST else ''}}}"
        case Large(digits=digits):
            return digits
        case Bytes(data=data):
            return f"{len(data)} bytes"
        case float():
            return _number(value)
        case _:
            text = repr(value)
            return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} …"


def answer_text(answer: Returned | Raised) -> str:
    """An answer in short."""
    if isinstance(answer, Returned):
        return shown(answer.value)
    line = f", line {answer.line}" if answer.line else ""
    where = f" (cell ‘{one_line(answer.cell, _MOST_NAME)}’{line})" if answer.cell else ""
    return f"{one_line(answer.error, _MOST_NAME)}: {one_line(answer.message, _MOST_TEXT)}{where}"


def is_name(text: str) -> bool:
    """Whether a text can stand in code as a name: students choose names of classes, attributes and keys, too."""
    return text.isidentifier() and not keyword.iskeyword(text) and len(text) <= _MOST_NAME


def _global(text: str) -> str:
    return text if is_name(text) else f"globals()[{text!r}]"


def _attribute(target: str, name: str) -> str:
    return f"{target}.{name}" if is_name(name) else f"getattr({target}, {name!r})"


def _base(kind: str) -> str:
    """The name of an object of this class, without a number."""
    name = kind.lower()
    return name if _is_free(name) else "thing"


def _is_free(text: str) -> bool:
    """Whether a text that a student chose can name an object, and hides nothing that code around it uses."""
    return is_name(text) and text not in _TAKEN


def _number(number: Any) -> str:
    return f"{number:.6g}" if isinstance(number, float) else repr(number)


def _entries(value: Tensor | Array) -> int:
    found = 1
    for size in value.shape:
        found *= size
    return found


def _kind(name: str) -> str:
    """A name without the number that tells several of a kind apart."""
    return re.sub(r"(?<=[a-z])\d+$", "", name)


def _first_line(source: str) -> str:
    lines = [line for line in source.strip().split("\n") if line.strip()]
    return f"{lines[0].strip()[:80]} …" if len(lines) > 1 else lines[0][:120] if lines else ""
