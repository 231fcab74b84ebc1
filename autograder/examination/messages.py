"""Messages that tell a student what went wrong in a hidden test. They never show the expected values."""

from __future__ import annotations

import builtins
import functools
import re
import sys
from collections.abc import Collection

from autograder.examination.budget import Exhausted
from autograder.forbidden import ForbiddenTool
from autograder.sandbox.student_error import StudentError

NO_GPU = "The grader has no GPU: write `x.to(device)` in place of `x.cuda()`; the set-up cell chose `device`."
_GPU = re.compile(
    r"not compiled with CUDA|no NVIDIA driver|No CUDA GPUs|there is no GPU|linked with support for mps|CUDA error"
    r"|Cannot access accelerator"
)


def needs_gpu(text: str) -> bool:
    """Whether an error's text says that there is no GPU."""
    return _GPU.search(text) is not None


def explain(error: BaseException, trains: bool = False) -> str:
    """One line for the student about the error that a test failed with.

    `trains` says that the test takes a training run. These have the same numbers for all students, so a network could
    be trained to tell them: what such a run measured is told roughly.
    """
    text = _explained(error)
    return _MEASURED.sub(_roughly, text) if trains and isinstance(error, AssertionError) else text


def _explained(error: BaseException) -> str:
    match error:
        case Exhausted() | MemoryError():
            return "Checking your answer needs too much time or memory: it is larger, or does more, than the text asks."
        case StudentError(type="NotImplementedError", message="", withheld=False):
            return "This is not written yet: your code still raises NotImplementedError."
        case StudentError(type=ForbiddenTool.__name__):
            return f"{error.message}."
        case StudentError(type="Crash" | "TimeoutError"):
            return f"{error.message[:1].upper()}{error.message[1:]}."
        case StudentError(type="NameError", cell="", message=message) if message:
            return f"{message[:1].upper()}{message[1:]}: it is not written yet, or its cell raised an error."
        case StudentError():
            text = f": {error.message}" if error.message else ""
            if needs_gpu(error.message):
                text += f". {NO_GPU}"
            if not error.cell:  # none of the student's lines was running
                return f"This test could not use what your code gave it. {error.type}{text}"
            line = f", line {error.line}" if error.line else ""
            return f"Your code raised {error.type} (cell ‘{error.cell}’{line}){text}"
        case AssertionError():
            return _coarse(str(error).splitlines()[0]) if str(error) else "Your code does not do this yet."
        case _:
            return (
                "This test could not use what your code returned: its type or form is not what the text asks for "
                f"({type(error).__name__})."
            )


_RAISED = re.compile(
    r"^Your code raised |^This test could not use what your code gave it\. |: it is not written yet, or its"
)
"""what the messages have in common that quote the text of an exception"""
_QUOTED = re.compile(r"'[^']+'|\"[^\"]+\"|\b[\w.]+\(\)|\b(?:torch|numpy)\.[\w.]+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_MOST_QUOTED = 6
"""names that one text may quote: Python and PyTorch seldom name more than three"""


def quoting(message: str, sources: Collection[str]) -> str:
    """A message in which the text of an exception quotes no names but those in `sources`, and not many of them.

    A student's code could write what it was asked into a made-up name.
    """
    if not _RAISED.search(message):
        return message
    known, left = _known_names(tuple(sources)), _MOST_QUOTED

    def told(quoted: re.Match[str]) -> str:
        nonlocal left
        names = _WORD.findall(quoted[0])
        left -= len(names)
        return quoted[0] if left >= 0 and known.issuperset(names) else "‘…’"

    return _QUOTED.sub(told, message)


@functools.lru_cache(maxsize=1)  # asked for each failed test of a notebook
def _known_names(sources: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_WORD.findall("\n".join(sources))) | _library_names()


@functools.cache
def _library_names() -> frozenset[str]:
    """What PyTorch and NumPy define: their own texts name it. A process without them has run no student's code."""
    found = {"torch", "numpy", "NoneType", "module", "method", "forward", *dir(builtins)}
    for module in filter(None, map(sys.modules.get, ("torch", "numpy", "torch.nn", "torch.nn.functional"))):
        found.update(dir(module))
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return frozenset(found.union(dir(tensor)))


_MOST = 500
"""most characters of a message"""
_MOST_READ = 2**16
"""characters of a test's message from which it is made"""
_PRECISE = re.compile(r"[-+]?(?:[0-9]*\.[0-9]{4,}(?:e[-+]?[0-9]+)?|[0-9]{7,})")
_LONG = re.compile(r"'[^']{60,}'|\"[^\"]{60,}\"|‘[^’]{60,}’")
_UNENDED = re.compile(r"['\"‘][^'\"’]{60,}\Z")


_MEASURED = re.compile(r"(?<![\w.])(\d+\.\d+)( ?%)?")
_TOO_LARGE = 10.0
"""a loss from which on only that is told"""


def _roughly(measured: re.Match[str]) -> str:
    number, percent = float(measured[1]), measured[2]
    if percent:
        low = min(int(number / 5) * 5, 95)
        return f"{low} to {low + 5}{percent}"
    if number >= _TOO_LARGE:
        return f"more than {_TOO_LARGE:.0f}"
    return f"{number:.1f}" if number >= 1 else measured[0]


def _coarse(text: str) -> str:
    """A test's message without numbers and texts in which a student's code could hand on what it was asked."""
    begun = text[:_MOST_READ]
    if len(text) > len(begun):  # a quotation that is cut off here has no end
        begun = _UNENDED.sub("‘…’", begun)
    text = _LONG.sub("‘…’", _PRECISE.sub("…", begun))
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"
