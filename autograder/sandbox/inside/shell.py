"""The IPython shell that runs a student's cells in the sandbox and captures their outputs in order."""

from __future__ import annotations
import __future__

import ast
import builtins
import io
import os
import sys
import traceback
import warnings
from typing import Any, NoReturn, Protocol, cast

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets import Type
from traitlets.config import Config

from autograder.constants import cell_filename, cell_of
from autograder.forbidden import magics
from autograder.sandbox.inside import missing
from autograder.sandbox.traces import describe
from autograder.sandbox.wire.messages import MOST_ALT

_PROGRAMS = {"bash", "sh", "script", "perl", "ruby", "pypy", "python", "python2", "python3", "cmd"}
"""magics that have a program run a cell"""
_FLUSH = 8192
_TEXT = 20_000
"""most characters that are kept of one displayed value"""


class Emit(Protocol):
    """Receives one output: its kind (as in result.Output), its text, its PNG, the PNG's text alternative."""

    def __call__(self, kind: str, text: str, png: bytes, alt: str = "", /) -> None: ...


def refuse_input(prompt: object = "") -> NoReturn:
    """Replaces input() while cells run."""
    raise RuntimeError("input() does not work while your notebook is graded: write the value into your code instead")


class _Compiler(CachingCompiler):
    cell = ""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return cell_filename(self.cell)


class _Publisher(DisplayPublisher):
    def publish(self, data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
        cast(Shell, self.shell).show(data, metadata)


class _Hook(DisplayHook):
    _latest: tuple[Any, ...] = ()
    """the values that `_`, `__` and `___` stand for"""

    def update_user_ns(self, result: Any) -> None:
        """Give `_`, `__` and `___` the latest values shown, unless the notebook has its own `_`, as IPython does."""
        names = cast(Shell, self.shell).user_ns
        if "_" not in names or (self._latest and names["_"] is self._latest[0]):
            self._latest = (result, *self._latest[:2])
            names.update(zip(("_", "__", "___"), self._latest, strict=False))

    def write_output_prompt(self) -> None:
        """Write nothing: outputs go into a report, without prompts."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        cast(Shell, self.shell).show(format_dict, md_dict)


class _Stream(io.TextIOBase):
    """A text stream that collects text. The text is emitted when it gets long, before other outputs and at the end."""

    def __init__(self, kind: str, emit: Emit) -> None:
        self.kind, self._emit = kind, emit
        self._text: list[str] = []
        self._size = 0

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._text.append(text)
        self._size += len(text)
        if self._size > _FLUSH:
            self.flush()
        return len(text)

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def flush(self) -> None:
        text, self._text, self._size = "".join(self._text), [], 0
        if text:
            self._emit(self.kind, text, b"")


class Shell(InteractiveShell):
    """An IPython shell that emits its outputs and goes on after an error."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)
    compiler_class = Type(_Compiler)

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.cache_size = 0
        config.InteractiveShell.autoawait = True
        config.InteractiveShell.automagic = False
        self.emit: Emit = lambda *shown: None
        self.streams: tuple[_Stream, ...] = ()
        self.failed = False
        super().__init__(config=config)  # type: ignore[no-untyped-call]
        self.ast_transformers.append(missing.Placeholders())
        setattr(builtins, missing.HOOK, self._missing)
        self.db = {}  # what `%cd` and `%store` write to; the profile's own folder is read-only
        assert self.display_formatter is not None
        self.display_formatter.active_types = ["text/plain", "image/png"]

    def init_io(self) -> None:
        """Do nothing: `run` replaces the streams while a cell runs."""

    def ask_exit(self) -> None:
        """Do nothing: exit() in a cell does not end the notebook."""

    def enable_gui(self, gui: Any = None) -> None:
        """Do nothing: `%matplotlib inline` needs no GUI event loop."""

    def enable_matplotlib(self, gui: Any = None) -> Any:
        """Draw inline, whatever `%matplotlib` asks for: there is no screen."""
        return super().enable_matplotlib("inline")  # type: ignore[no-untyped-call]

    def system(self, command: Any) -> None:
        """`!command`, `%pip`: say that the grader runs none, and go on, as a notebook does after a failed command."""
        print(f"The grader runs no other programs, so this was left out: {str(command)[:200]}", file=sys.stderr)
        self.user_ns["_exit_code"] = 1

    def getoutput(self, command: Any, split: bool = True, depth: int = 0) -> Any:
        """`names = !command`: nothing."""
        self.system(command)
        return SList() if split else ""

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """`%%bash` and its like start programs."""
        if magic_name in _PROGRAMS:
            return self.system(f"%%{magic_name}")
        return super().run_cell_magic(magic_name, line, cell)  # type: ignore[no-untyped-call]

    def magic(self, arg_s: str) -> Any:
        """`get_ipython().magic("matplotlib inline")`, which IPython had before 9: only magics that run no code."""
        name, _, line = arg_s.lstrip("% ").partition(" ")
        return self.run_line_magic(name, line) if name in magics.HARMLESS else self.system(arg_s)

    def var_expand(self, cmd: str, *options: Any, **more: Any) -> str:
        """`%cd {x}`: nothing is put in, as what stands in braces would be run."""
        return cmd

    def safe_execfile(self, fname: Any, *where: Any, **options: Any) -> None:
        """`%run FILE`: only a Python file, as these are read for what a notebook forbids."""
        if not str(fname).endswith(".py"):
            print(
                f"The grader runs Python files (.py) alone, so this was left out: {str(fname)[:200]}", file=sys.stderr
            )
            return
        super().safe_execfile(fname, *where, **options)  # type: ignore[no-untyped-call]

    def safe_execfile_ipy(self, fname: Any, *where: Any, **options: Any) -> None:
        """`%run FILE.ipynb`: nothing, as other notebooks are not put beside this one."""
        self.safe_execfile(fname)

    def transform_cell(self, raw_cell: str) -> str:
        """Apply IPython's transformation, but only to cells that are not plain Python.

        The check whether a cell is plain Python takes a third of the time of the transformation.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # compiling the cell gives the same warnings
                ast.parse(raw_cell)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            magics.refuse_many(raw_cell)  # nor could the grader read it
            return super().transform_cell(raw_cell)  # type: ignore[no-any-return, no-untyped-call]
        return raw_cell

    def run(self, cell: str, source: str, emit: Emit) -> bool:
        """Run one cell and return whether it raised an exception. Outputs go to `emit` as they come."""
        pid = os.getpid()
        self.failed, self.emit = False, emit
        self.streams = (_Stream("stdout", emit), _Stream("stderr", emit))
        cast(_Compiler, self.compile).cell = cell
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self.streams
        builtins.input = refuse_input
        try:
            outcome = self.run_cell(source, store_history=False)  # type: ignore[no-untyped-call]
            self.failed |= not outcome.success
        except BaseException as error:  # the next cell must run even if this cell has changed the shell itself
            self._emit_error(error)
        finally:
            if os.getpid() != pid:
                os._exit(0)  # a child process that the cell forked: it must not go on as the notebook
            for stream in self.streams:
                stream.flush()
            sys.stdout, sys.stderr = before
            # else cells below could be written in a syntax that nobody who reads them knows
            cast(_Compiler, self.compile).flags &= ~__future__.barry_as_FLUFL.compiler_flag
        return self.failed

    def _missing(self, error: ModuleNotFoundError, module: str, line: int) -> missing.Missing:
        """Show the error of an import, and give a placeholder for what it should have imported."""
        if not missing.is_missing(error, module):
            raise error
        for stream in self.streams:
            stream.flush()
        cell = cast(_Compiler, self.compile).cell
        self.emit("error", f"ModuleNotFoundError: {describe(error)}\n  cell {cell}, line {line}: {module}", b"")
        return missing.Missing(error)

    def show(self, data: dict[str, Any], metadata: Any = None) -> None:
        """Emit one displayed value: its PNG with its text alternative if it has one, otherwise its text."""
        for stream in self.streams:
            stream.flush()
        png = data.get("image/png")
        if isinstance(png, str):
            import base64
            import binascii

            try:
                png = base64.b64decode(png)
            except binascii.Error:
                png = None
        if isinstance(png, bytes):
            self.emit("image/png", str(data.get("text/plain", ""))[:200], png, _alt(metadata))
        else:
            self.emit("text", str(data.get("text/plain", ""))[:_TEXT], b"")

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Emit the current exception with a short traceback."""
        self._emit_error(sys.exc_info()[1])

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        self._emit_error(sys.exc_info()[1])

    def _emit_error(self, error: BaseException | None) -> None:
        self.failed = True
        if error is None:
            return
        for stream in self.streams:
            stream.flush()
        self.emit("error", _trace(error), b"")


def _alt(metadata: Any) -> str:
    """The text alternative in the metadata of a displayed PNG, where nbconvert reads it; '' if there is no text."""
    about = metadata.get("image/png") if isinstance(metadata, dict) else None
    alt = about.get("alt") if isinstance(about, dict) else None
    return str(alt[:MOST_ALT]) if isinstance(alt, str) else ""


def _trace(error: BaseException) -> str:
    """A short traceback: the exception, then the lines of the cells that it passed, innermost last."""
    lines = [f"{type(error).__name__}: {describe(error)}"]
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(f"  line {error.lineno}: {(error.text or '').strip()[:200]}")
    for summary in traceback.extract_tb(error.__traceback__):
        if cell := cell_of(summary.filename):
            lines.append(f"  cell {cell}, line {summary.lineno}: {(summary.line or '').strip()[:200]}")
    return "\n".join(lines[:1] + lines[-8:] if len(lines) > 9 else lines)


def new_shell() -> Shell:
    """Make this process's shell, with inline figures."""
    from matplotlib_inline.backend_inline import configure_inline_support

    shell: Shell = Shell.instance()
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")  # type: ignore[no-untyped-call]
    return shell
