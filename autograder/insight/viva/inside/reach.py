"""What a student's function can reach when a call of it begins, and a digest of each of these things."""

from __future__ import annotations

import functools
import itertools
import random
import re
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy
import torch

_MOST_REACHED, _MOST_BYTES, _DEEPEST = 400, 4 * 10**6, 12
_QUICK = 10_000
"""numbers of a tensor from which on a quick digest is told by their sum and by PyTorch's own count of changes"""
_IPYTHONS = re.compile("In|Out|exit|quit|get_ipython|_+|__.*|_i*[0-9]*|_[ido]h")
"""names that IPython gives, and those of Python with two underscores"""
_OF_ANY_CLASS = ("__dict__", "__weakref__", "__module__", "__doc__")
"""names in a class that say nothing of what it keeps"""


class Reach:
    """What functions of a notebook with these `names` can reach; `members` tells what an object keeps."""

    def __init__(self, names: dict[str, Any], members: Callable[[Any], dict[str, Any]]) -> None:
        self._names, self._members = names, members

    def is_fixed(self, thing: Any, depth: int = 0) -> bool:
        """Whether nothing in it is a set whose order may be another one in the next process."""
        if type(thing) in (list, tuple, dict) and depth < 3:
            items = list(thing.values()) if type(thing) is dict else list(thing)
            return all(self.is_fixed(item, depth + 1) for item in items[:200])
        if type(thing) in (set, frozenset):
            return all(type(item) in (bool, int, float) for item in list(thing)[:200])
        if self._is_notebooks(type(thing)) and depth < 3:
            return all(self.is_fixed(item, depth + 1) for item in list(self._members(thing).values())[:200])
        return True

    def reached(self, frame: FrameType) -> dict[str, Any] | None:
        """What the call in `frame` gets and can reach by names, by these names; None if that is too much."""
        found, known = dict(frame.f_locals), set[int]()
        todo: list[tuple[Any, str]] = [(frame.f_code, ""), *((type(thing), "") for thing in found.values())]
        while todo and len(known) < _MOST_REACHED:
            thing, name = todo.pop()
            if isinstance(thing, FunctionType):
                found[name + "()"] = thing
                thing = thing.__code__
            if id(thing) in known:
                continue
            known.add(id(thing))
            if hasattr(thing, "co_consts"):
                todo += [(one, "") for one in thing.co_consts if hasattr(one, "co_consts")]
                todo += [(frame.f_globals[one], one) for one in thing.co_names if one in frame.f_globals]
            elif isinstance(thing, type):
                own = vars(thing) if self._is_notebooks(thing) else {}
                for key, one in list(own.items()):
                    one = getattr(one, "__func__", one)
                    if not key.startswith("__") or isinstance(one, FunctionType):
                        todo.append((one, thing.__name__ + "." + key))
                todo += [(one, "") for one in thing.__bases__ if own]
            elif not isinstance(thing, ModuleType):
                found["global " + name] = thing
                todo.append((type(thing), ""))
        return found if not todo else None

    def digests(self, things: Mapping[str, Any], quick: bool = False) -> dict[str, int]:
        """A digest of each of these things; {} if they are too large, or if one of them cannot be looked into."""
        digest = _Digest(self._is_notebooks, quick)
        try:
            return {name: digest.of(thing) for name, thing in things.items()}
        except Exception:
            return {}

    def watch(self) -> Callable[[], bool]:
        """A function that says whether something of the notebook has been changed in place since now."""
        kept = {name: thing for name, thing in list(self._names.items()) if self._is_watched(name, thing)}

        def look() -> tuple[dict[str, Any], dict[str, int]]:
            own = {name: _kept_in(one) if isinstance(one, type) else one for name, one in kept.items()}
            return own, self.digests(own, quick=True)

        held, start = look()  # held, so that no function made later gets the identity of one of now
        return lambda: bool(held) and (not start or look()[1] != start)

    def _is_watched(self, name: str, thing: Any) -> bool:
        if isinstance(thing, type):
            return self._is_notebooks(thing)
        return not isinstance(thing, ModuleType) and not _IPYTHONS.fullmatch(name)

    def _is_notebooks(self, kind: type) -> bool:
        return kind.__module__ == self._names.get("__name__")


class _Digest:
    """The digests of several things, which share a limit of bytes. What cannot be looked into raises ValueError.

    Those that are `quick` are compared within one process only: what has an identity is told by it.
    """

    def __init__(self, is_notebooks: Callable[[type], bool], quick: bool) -> None:
        self._is_notebooks, self._quick, self._left = is_notebooks, quick, _MOST_BYTES
        self._known: dict[int, tuple[int, Any]] = {}
        self._value = 0

    def of(self, thing: Any) -> int:
        self._known, self._value = {}, 0
        self._take(thing, 0)
        return self._value

    def _add(self, part: object) -> None:
        data = part if isinstance(part, bytes) else str(part).encode(errors="replace")
        self._left -= len(data) + 16
        if self._left < 0:
            raise ValueError
        self._value = zlib.crc32(data + b";", self._value)

    def _take(self, thing: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError
        kind, deeper = type(thing), depth + 1
        if thing is None or kind in (bool, int, float, complex, str, bytes):
            self._add(repr(thing))
            return
        self._add(kind.__name__)
        if id(thing) in self._known:
            self._add(("known", self._known[id(thing)][0]))
            return
        self._known[id(thing)] = len(self._known), thing  # kept, so that nothing else gets its id
        if isinstance(thing, torch.Tensor):
            if self._quick and thing.numel() > _QUICK:
                self._add((thing._version, thing.data_ptr(), tuple(thing.shape), thing.requires_grad))
                self._add(thing.detach().sum().item())  # what goes through `data` or NumPy changes no version
                self._take(thing.grad if thing.is_leaf else None, deeper)
                return
            if thing.numel() > self._left:
                raise ValueError
            self._add((str(thing.dtype), tuple(thing.shape), thing.requires_grad))
            self._take(thing.grad if thing.is_leaf else None, deeper)
            thing = thing.detach().resolve_conj().numpy()
        if isinstance(thing, numpy.ndarray):
            self._add((thing.dtype, thing.shape))
            self._add(thing.tobytes() if thing.dtype != object else repr(thing))
        elif isinstance(thing, dict):
            for key, item in list(thing.items()):
                self._take(key, deeper)
                self._take(item, deeper)
            self._take_more(thing, deeper)
        elif isinstance(thing, list | tuple | deque):
            for item in list(thing):
                self._take(item, deeper)
            self._take_more(thing, deeper)
        elif isinstance(thing, set | frozenset):
            self._add(sorted(map(repr, thing)))
        elif isinstance(thing, FunctionType):
            kept = [cell.cell_contents for cell in thing.__closure__ or ()]
            if self._quick:
                self._add((id(thing.__code__), thing.__code__.co_code))
            self._take([thing.__qualname__, thing.__defaults__, thing.__kwdefaults__, kept, vars(thing)], deeper)
        elif isinstance(thing, MethodType):
            self._take([thing.__self__, thing.__func__], deeper)
        elif isinstance(thing, BuiltinFunctionType):
            self._take([thing.__name__, thing.__self__], deeper)
        elif self._quick and kind is property:
            self._take([thing.fget, thing.fset, thing.fdel], deeper)
        elif self._quick and kind is functools.cached_property:
            self._take([thing.attrname, thing.func], deeper)
        elif self._quick and kind in (classmethod, staticmethod):
            self._take(thing.__func__, deeper)
        elif kind is weakref.ref:  # as an LSTM keeps its weights once more
            self._take(thing(), deeper)
        elif isinstance(thing, functools.partial):
            self._take([thing.func, thing.args, thing.keywords], deeper)
        elif isinstance(thing, random.Random):
            self._add(thing.getstate())
        elif isinstance(thing, torch.Generator):
            self._take(thing.get_state(), deeper)
        elif isinstance(thing, numpy.random.Generator):
            self._take(thing.bit_generator.state, deeper)
        elif isinstance(thing, numpy.random.RandomState):
            self._take(thing.get_state(legacy=False), deeper)
        elif self._quick and kind is itertools.count:
            self._add(repr(thing))
        elif hasattr(kind, "__next__") or hasattr(kind, "cache_info"):
            raise ValueError  # how far it has come, or what it remembers, is not to be seen
        elif isinstance(thing, type):
            self._add((thing.__module__, thing.__qualname__, id(thing) if self._quick else 0))
            if self._quick and self._is_notebooks(thing):
                self._take(_kept_in(thing), deeper)
        elif not isinstance(thing, ModuleType):
            self._take_object(thing, deeper)

    def _take_more(self, thing: Any, depth: int) -> None:
        """What an object of a class that extends a container keeps beside its items."""
        if type(thing) not in (dict, list, tuple, deque):
            self._take(getattr(thing, "__dict__", None), depth)

    def _take_object(self, thing: Any, depth: int) -> None:
        slots = [one for owner in type(thing).__mro__ for one in _slots_of(owner)]
        if hasattr(thing, "__dict__") or slots or self._is_notebooks(type(thing)):
            self._take(getattr(thing, "__dict__", None), depth)
            for one in slots:
                self._take(getattr(thing, one, None), depth)
        elif " at 0x" in repr(thing):
            raise ValueError  # what is in it is not to be seen
        else:
            self._add(repr(thing))


def _kept_in(owner: type) -> list[tuple[str, int, Any]]:
    """What a class of the notebook keeps: the name, the identity and the thing."""
    return [(key, id(one), one) for key, one in vars(owner).items() if key not in _OF_ANY_CLASS]


def _slots_of(owner: type) -> list[str]:
    slots, kind = vars(owner).get("__slots__", ()), "_" + owner.__name__.lstrip("_")
    names = [slots] if isinstance(slots, str) else list(slots)
    return [kind + one if one[:2] == "__" != one[-2:] else one for one in names if one != "__weakref__"]
