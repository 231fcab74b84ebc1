"""The witness: runs visible checks in the notebook's names, and records what the student's functions do in them.

For the first calls of each function that is named, or for the calls that are wanted, it is written down which lines are
run, and what the local names hold. Edited copies of cells are run before. A check that calls too many functions, or
runs too many lines of the student's, is left before its end, and so is one that has made all calls that are wanted of
it: the work is bounded without a clock. What comes back is plain data, which nobody here trusts.
"""

from __future__ import annotations

import ctypes
import opcode
import random
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy
import torch

from autograder.insight.viva.inside.reach import Reach
from autograder.insight.viva.inside.sight import described, digest, members, seen, sums

_MOST_DICE = 40
"""events of a call at which it is looked whether something was drawn before"""
_MT19937_BYTES = 625 * 4
"""NumPy's usual generator: 624 words and a position"""
_LOOP_END = opcode.opmap["FOR_ITER"]
_GENERATES = 0x2A0
"""flags of the code of generators and coroutines"""


class _Enough(BaseException):
    """The check is left."""


class _Watched:
    """A call that is being recorded."""

    def __init__(self, record: dict[str, Any], frame: FrameType) -> None:
        self.record, self._dice = record, _Dice()
        self.last = {name: repr(thing) for name, thing in _state(frame, seen).items()}  # by repr, because 1 == True
        self.raising, self.line = False, 0

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.record[name] for name in ("check", "file", "first", "number"))

    def take(self, frame: FrameType, line: int) -> None:
        """Record an event: what has changed since the last one."""
        events, now = self.record["events"], _state(frame, seen)
        texts = {name: repr(thing) for name, thing in now.items()}
        changed = {name: now[name] for name, text in texts.items() if self.last.get(name) != text}
        gone = [name for name in self.last if name not in now]
        self.last = texts
        if self.record["undrawn"] == len(events) < _MOST_DICE and self._dice.lie_still():
            self.record["undrawn"] += 1
        events.append([line, changed, gone])

    def note_draws(self) -> None:
        self.record["draws"] = not self._dice.lie_still()


class Witness:
    """Runs checks; `calls` are the records of the calls that it has seen."""

    def __init__(
        self,
        names: dict[str, Any],
        reach: Reach,
        functions: Sequence[Sequence[Any]],
        most: Sequence[int],
        wanted: Sequence[Sequence[Any]],
    ) -> None:
        """`functions` are the file name and first line of each that is recorded, `most` calls, events and work.

        `wanted` are calls, as `_Watched.key`: if there are any, only they are recorded.
        """
        self._names, self._reach, self._functions = names, reach, {(file, first) for file, first in functions}
        self._cells = {file for file, _ in self._functions}
        self._most_calls, self._most_events, self._most_work = most
        self._wanted = {tuple(one) for one in wanted}
        self._missing = set(self._wanted)
        self._counts: dict[tuple[str, str, int], int] = {}
        self._active: list[_Watched] = []
        self._edited: dict[str, set[CodeType]] = {}
        self._check, self._work = "", 0
        self.calls: list[dict[str, Any]] = []

    def edit(self, filename: str, source: str) -> None:
        code = compile(source, filename, "exec", dont_inherit=True)
        self._edited[filename] = _codes_in(code)
        exec(code, self._names)

    def run(self, name: str, source: str) -> list[Any]:
        """How a check ends: its name, the word for it, the line, the kind of error, and the work."""
        self._check, self._work, self._active = name, 0, []
        code = compile(source, f"<check {name}>", "exec", dont_inherit=True)
        end: list[Any] = ["passed", 0, ""]
        sys.settrace(self._trace if self._cells else self._count)
        try:
            exec(code, self._names)
        except _Enough:
            end = ["enough", 0, ""]
        except BaseException as error:
            trace, line = error.__traceback__, 0
            while trace is not None:
                line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == code.co_filename else line
                trace = trace.tb_next
            end = ["failed", line, type(error).__name__[:60]]
        finally:
            sys.settrace(None)
            for one in self._active:  # left before they ended
                one.note_draws()
        return [name, *end, self._work]

    def _spend(self) -> None:
        self._work += 1
        if self._work > self._most_work:
            raise _Enough

    def _lines(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self._spend()
        return self._lines

    def _count(self, frame: FrameType, event: str, _: Any) -> Any:
        self._begin(frame.f_code)
        return self._lines if frame.f_code.co_filename.startswith(("<check ", "<cell ")) else None

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        self._begin(code)
        if code.co_filename not in self._cells:
            return None
        is_one = (code.co_filename, code.co_firstlineno) in self._functions and not code.co_name.startswith("<")
        if not is_one or code.co_flags & _GENERATES:
            return self._lines
        return self._recorded(frame) or self._lines

    def _begin(self, code: CodeType) -> None:
        self._spend()
        if self._edited and code not in self._edited.get(code.co_filename, (code,)):
            raise _Enough  # an edit has not reached it: what was made before keeps it

    def _recorded(self, frame: FrameType) -> Callable[[FrameType, str, Any], Any] | None:
        """The trace function of a call of the student's; None if it is one too many."""
        code = frame.f_code
        key = self._check, code.co_filename, code.co_firstlineno
        number = self._counts[key] = self._counts.get(key, 0) + 1
        for other in self._active:
            other.record["within"] = other.record["within"] or other.key[:3] == key
        if (*key, number) not in self._wanted if self._wanted else number > self._most_calls:
            return None
        things = self._reach.reached(frame)
        fixed = things is not None and all(map(self._reach.is_fixed, things.values()))
        start = self._reach.digests(things or {}) if number == 1 else {}
        record = {"check": key[0], "place": _place(frame), "file": key[1], "first": key[2], "number": number}
        record |= {"given": _state(frame, described), "events": [], "returned": None, "how": "left", "sums": None}
        record |= {"digest": "", "draws": False, "undrawn": 0, "within": False, "before": start, "fixed": fixed}
        call = _Watched(record, frame)
        self.calls.append(record)
        self._active.append(call)

        def local(frame: FrameType, event: str, value: Any) -> Any:
            self._happen(call, frame, event, value)
            return local

        return local

    def _happen(self, call: _Watched, frame: FrameType, event: str, value: Any) -> None:
        record = call.record
        if event == "exception":
            call.raising = value[0] is not StopIteration or frame.f_code.co_code[frame.f_lasti] != _LOOP_END
            if value[0] is _Enough:
                record["how"] = "cut"
            return
        if event == "line":
            self._spend()
            if frame.f_lineno == call.line:  # since Python 3.12, comprehensions come back to their line
                return
            call.line = frame.f_lineno
            if call.raising:
                call.raising, record["how"] = False, "caught"
        if len(record["events"]) < self._most_events:
            call.take(frame, frame.f_lineno if event == "line" else 0)
        elif call is self._active[0] and not self._awaits_another(call):  # the check will not come to other calls soon
            raise _Enough
        if event == "return":
            self._returned(call, value)

    def _returned(self, call: _Watched, value: Any) -> None:
        if call.record["how"] == "left":
            call.record["how"] = "raised" if call.raising else "whole"
            call.record.update(returned=seen(value), sums=sums(value), digest=digest(value))
        call.note_draws()
        self._active = [other for other in self._active if other is not call]
        if call.key in self._missing:
            self._missing.remove(call.key)
            if not self._awaits_another(call):
                raise _Enough

    def _awaits_another(self, call: _Watched) -> bool:
        """Whether this check has yet to make another call that is wanted."""
        return any(one[0] == self._check and one != call.key for one in self._missing)

    def has_seen(self, long: int) -> bool:
        """Whether of each function a call has returned, or has run so many lines."""
        told = {(one["file"], one["first"]) for one in self.calls if one["how"] == "whole" or len(one["events"]) > long}
        return self._functions <= told


def watch(
    notebook: Callable[[], dict[str, Any]],
    edited: Sequence[Sequence[str]],
    checks: Sequence[Sequence[str]],
    functions: Sequence[Sequence[Any]],
    most: Sequence[int],
    wanted: Sequence[Sequence[Any]],
    enough: int = 0,
) -> list[Any]:
    """How the checks end, the calls, and whether the checks have changed something of the notebook in place.

    `notebook` gives the notebook's names, `edited` are cells by file name with their new source, `checks` names with
    sources; the others are as in `Witness`. With edits, a check that fails is the last. Unless `enough` is 0, so is one
    after which a call of each function has returned or has run so many lines.
    """
    names = notebook()
    reach = Reach(names, members)
    witness, has_changed = Witness(names, reach, functions, most, wanted), reach.watch()
    for filename, source in edited:
        witness.edit(filename, source)
    ends = []
    for name, source in checks:
        ends.append(witness.run(name, source))
        if (edited and ends[-1][1] != "passed") or (enough and witness.has_seen(enough)):
            break
    return [ends, witness.calls, has_changed()]


class _Dice:
    """The state of all that draws random numbers, when this was made."""

    def __init__(self) -> None:
        self._state, self._held = _dice(), _held()

    def lie_still(self) -> bool:
        """Whether nothing has been drawn since, and no seed has been set."""
        return _dice() == self._state and (not self._held[0] or _held() == self._held)


def _dice() -> list[Any]:
    """What a draw or a seed changes: of Python, of PyTorch, and of NumPy all but `_held`."""
    _, words, held = random.getstate()
    generator = numpy.random.mtrand.get_bit_generator()
    if type(generator) is numpy.random.MT19937:
        drawn: Any = ctypes.string_at(generator.ctypes.state_address, _MT19937_BYTES)
    else:
        drawn = repr(generator.state)
    # of the 625 words of Python's state, those that come first and the position in them: a new seed changes all words
    return [words[:4], words[-1], held, torch.get_rng_state().numpy().tobytes(), drawn]


def _held() -> tuple[bool, float]:
    """NumPy draws two normal numbers at once: whether it holds the second one, and which. Takes as long as all else."""
    state = numpy.random.get_state(legacy=False)
    return bool(state["has_gauss"]), state["gauss"]


def _state(frame: FrameType, look: Callable[[Any], Any]) -> dict[str, Any]:
    """What the local names and the attributes of `self` hold."""
    own = frame.f_locals  # made anew each time that it is read
    found = {name: look(thing) for name, thing in list(own.items())[:40]}
    for name, thing in list(members(own.get("self")).items())[:24]:
        found["self." + str(name)] = look(thing)
    return found


def _place(frame: FrameType | None) -> int:
    """The line of the check that a call came from."""
    while frame is not None and not frame.f_code.co_filename.startswith("<check "):
        frame = frame.f_back
    return frame.f_lineno if frame is not None else 0


def _codes_in(code: CodeType) -> set[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return {code}.union(*map(_codes_in, inner))
