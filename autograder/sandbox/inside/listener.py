"""The listener: reports what a notebook runs that stands in none of its cells, so that the grader can read it as well.

Whatever has a text run – timeit, a library, an unpickled object – Python tells its audit hooks before it compiles it,
and a hook cannot be taken out again. Code that reaches into this process can still deceive it: it is no wall.
"""

from __future__ import annotations

import ast
import codeop
import functools
import importlib._bootstrap_external as imports
import inspect
import logging
import os
import symtable
import sys
import sysconfig
import traceback
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

from autograder.constants import MOST_RUN, UNHEARD, cell_of, digest_of
from autograder.forbidden import listed
from autograder.sandbox.inside import object_server
from autograder.sandbox.wire.channel import Channel
from autograder.sandbox.wire.messages import Ran, encode
from autograder.sandbox.wire.values import sound
from autograder.sandbox.wire.wire_error import WireError

_MOST = 1000
"""most reports of one process; the last one says so"""
_PARSES, _TABULATES, _ONLY_AST = ast.parse.__code__, symtable.symtable.__code__, ast.PyCF_ONLY_AST
"""functions that compile a text without making code of it, the first with this flag"""
_LOADS_HARNESS = object_server._loaded.__wrapped__.__code__
_LOADS_MODULE: CodeType = imports._compile_bytecode.__code__  # type: ignore[attr-defined]
_READS_MODULE: CodeType = imports.SourceLoader.source_to_code.__code__
_COMPILES_CELLS = codeop.Compile.__call__.__code__
_OWN = ("<frozen ", "<harness>")
"""what the names begin with under which Python's import system and harness code are compiled"""
_COPY, _SHELL = os.sep + "copy.py", os.path.join(os.sep, "IPython", "core", "")  # noqa: PTH118
_HEAD = 16
"""bytes of a file of bytecode before the code"""
_ATTRIBUTES = {"object.__getattr__", "object.__setattr__"}
_PICKLES, _FRAMES = "pickle.find_class", "sys._getframe"
_GIVE_FRAMES = {function.__code__ for function in (inspect.currentframe, logging.currentframe, traceback.walk_stack)}
"""functions of Python's that hand a frame to whoever calls them"""
_WATCHED = {"compile", "import", "marshal.loads", "marshal.load", _PICKLES, *listed.EVENTS}
_What = Literal["text", "object", "use"]


def listen(channel: Channel) -> Listener:
    """Report to `channel` from now on. This holds in this process alone, until a fork calls `Listener.follow`."""
    listener = Listener(channel)
    hear, watched, attributes, names = listener.hear, _WATCHED, _ATTRIBUTES, listed.WATCHED_NAMES

    def hook(event: str, args: tuple[Any, ...]) -> None:
        # each `id(x)` calls this, and so does each `frame.f_code` below, which therefore must not be watched
        if event in watched or (event in attributes and args[1] in names):
            hear(event, args)

    sys.addaudithook(hook)
    return listener


@functools.cache
def library_folders() -> tuple[str, ...]:
    """What the paths of libraries begin with, and of this package. Call it before the student's folder is on sys.path.

    A course can have libraries outside of Python's own folders: `pip install --user`, a path file.
    """
    folders = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])}
    folders |= {folder for folder in sys.path if Path(folder).is_absolute()}
    found = (folder.rstrip(os.sep) + os.sep for folder in sorted(folders))
    return (*(folder for folder in found if folder != os.sep), *_OWN)


class Listener:
    """Reports what runs, each thing once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._libraries = library_folders()
        self._reported: set[tuple[str, bytes]] = set()
        self._cell = b""
        self._asks = False

    def follow(self, channel: Channel) -> None:
        """In a fork for tests: report to its own channel. Other forks report where the process does that made them."""
        self._channel = channel

    def expect(self, source: str) -> None:
        """Take the source of the cell that runs next, which is not reported."""
        self._cell = _bytes(source).strip()

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take one event. What it raises stops the code that is heard: so nothing but where room is running out."""
        if event == _FRAMES and self._asks:
            return
        try:
            self._asks = True  # the next line causes an event of its own
            frame = sys._getframe(2)  # beyond `hook`
            self._asks = False
            self._heard(event, args, frame)
        except (RecursionError, MemoryError):
            raise
        except Exception:
            with suppress(Exception):
                self._report("use", UNHEARD.encode(), None)

    def _heard(self, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
        while event == _FRAMES and frame.f_code in _GIVE_FRAMES and frame.f_back is not None:
            frame = frame.f_back
        nearest = frame.f_code
        if event in _ATTRIBUTES:
            if not self._is_library(nearest):
                self._report("use", _bytes(args[1]), frame)
        elif event == "compile":
            self._compiled(args[0], args[1], frame)
        elif event == _PICKLES:
            self._report("object", _bytes(f"{args[0]}.{args[1]}"), frame)
        elif event == "import":
            if args[1] is not None and not self._is_in_library(args[1]):  # a compiled library
                self._report("use", listed.COMPILED.encode(), frame)
        elif event.startswith("marshal"):
            if not (nearest is _LOADS_MODULE and self._is_bytecode(frame)) and nearest is not _LOADS_HARNESS:
                self._report("use", listed.COMPILED.encode(), frame)
        elif not self._is_library(nearest) or nearest.co_filename.endswith(_COPY):
            self._report("use", _bytes(event), frame)

    def _compiled(self, source: object, filename: object, frame: FrameType) -> None:
        nearest, outer = frame.f_code, frame.f_back
        if isinstance(source, ast.AST):  # its text was compiled before, but for one that was made node by node
            if nearest is _COMPILES_CELLS and outer is not None:
                nearest = outer.f_code
                if _SHELL in nearest.co_filename and self._is_library(nearest):  # it has compiled the text before
                    return
            if self._is_library(nearest):
                self._report("text", _bytes(ast.unparse(source)), frame)
            else:
                self._report("use", listed.TREE.encode(), frame)
            return
        if source is None or nearest is _TABULATES:
            return
        if nearest is _PARSES and frame.f_locals.get("flags", 0) & _ONLY_AST:
            return
        text = source if isinstance(source, bytes) else _bytes(source)
        if outer is not None and outer.f_code is _READS_MODULE and self._is_file(filename, text):
            return
        if text.strip() != self._cell:
            self._report("text", text, frame)

    def _is_library(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._libraries)

    def _is_in_library(self, path: object) -> bool:
        """Whether a file is a library's, even where its path goes through `..` or a link."""
        return isinstance(path, str | bytes) and os.path.realpath(os.fsdecode(path)).startswith(self._libraries)

    def _is_file(self, path: object, text: bytes) -> bool:
        """Whether a text is that of a library's file."""
        return self._is_in_library(path) and _content(path) == text

    def _is_bytecode(self, frame: FrameType) -> bool:
        """Whether the bytecode that Python's import system is about to load is that of a library's file."""
        path, data = frame.f_locals.get("bytecode_path"), frame.f_locals.get("data")
        return self._is_in_library(path) and _content(path)[_HEAD:] == bytes(data or b"")

    def _report(self, what: _What, text: bytes, frame: FrameType | None) -> None:
        """Send a report, unless it was sent before, or a library that is being imported causes it."""
        if (what, text) in self._reported or len(self._reported) > _MOST:
            return
        imported = _imports(frame)  # then it is what is imported that is reported
        inner = None
        while frame is not None and self._is_library(frame.f_code):
            if not imported and _imports(frame) and inner is not None and inner.f_code.co_name == "<module>":
                return
            inner, frame = frame, frame.f_back
        cell, line = (cell_of(frame.f_code.co_filename), frame.f_lineno) if frame is not None else ("", 0)
        if len(self._reported) == _MOST:
            report = Ran("use", UNHEARD.encode())
        else:
            report = Ran(what, text[:MOST_RUN], digest_of(text), sound(cell[:200]), line)
        with suppress(WireError):
            self._channel.send(encode(report))
        self._reported.add((what, text))


def _imports(frame: FrameType | None) -> bool:
    """Whether a frame is one of Python's import system."""
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def _content(path: object) -> bytes:
    try:
        return Path(os.fsdecode(path)).read_bytes()  # type: ignore[arg-type]
    except OSError:
        return b""


def _bytes(text: object) -> bytes:
    return str(text).encode(errors="surrogatepass")
