"""What a notebook runs that stands in none of its cells, as its process reports it, read as its cells are."""

from __future__ import annotations

import builtins
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from autograder.forbidden import listed, magics, signs

_MOST = 49_000
"""bytes of a text that is read: a longer one may not have come as a whole"""
_DATA = ("torch._utils.", "torch.storage.", "torch.serialization.", "numpy.", "collections.", "datetime.", "decimal.")
_OBJECTS = ("__main__.", "torch.nn.modules.", "torch.nn.parameter.", "sklearn.", "pandas.", "pathlib.", "scipy.sparse.")
"""where the classes and functions are defined that saved tensors, arrays and objects of answers are made of"""
_MAKERS = {
    *("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__", "_codecs.encode", "fractions.Fraction"),
    *(f"torch.{name}" for name in ("Tensor", "Size", "Generator", "device", "_tensor._rebuild_from_type_v2")),
}
_LISTED = listed.NAMES | listed.TOOL_NAMES | listed.AUTOGRAD_NAMES
_NO_DATA = ("numpy.testing.", "numpy.f2py.", "numpy.ctypeslib.", "numpy.distutils.", "pandas.core.computation.")


@dataclass(frozen=True)
class RunText:
    """One report of the student's process."""

    cell: str
    """where the notebook did it; '' if no cell was at work"""
    line: int
    what: Literal["text", "object", "use"]
    """a text that was compiled; the path of an object that was unpickled; what was done in place of running a text"""
    text: bytes


def unusual(
    ran: Iterable[RunText], sources: Sequence[str], read: Callable[[str], Iterable[str]]
) -> Iterator[tuple[RunText, str]]:
    """What no answer needs among these reports. `sources` are the cells, and `read` finds it in a text of code."""
    known = {source.strip() for source in sources}
    for one in ran:
        match one.what:
            case "use":
                yield from ((one, use) for use in _uses(one.text.decode(errors="replace")))
            case "object" if not is_data(path := one.text.decode(errors="replace")):
                yield one, f"{path} from a file or bytes"
            case "text" if len(one.text) > _MOST:
                yield one, "a long text of code"
            case "text" if not _is_decoded(one.text):
                yield one, "a text in a coding that Python does not bring along"
            case "text":
                for text in {one.text.decode(errors="replace"), magics.as_imported(one.text)}:
                    if text.strip() not in known and not _is_transformed(text, sources):
                        yield from ((one, what) for what in read(text) if not _is_inner(what))


def _is_decoded(text: bytes) -> bool:
    """Whether the grader knows the coding that the first lines of a text may name."""
    try:
        tokenize.detect_encoding(io.BytesIO(text).readline)
    except SyntaxError:
        return False
    return True


def is_data(path: str) -> bool:
    """Whether a class or function is one that saved data is made of."""
    top, _, name = path.partition(".")
    if top in ("builtins", "__builtin__"):
        return isinstance(getattr(builtins, name, None), type) and name not in ("type", "super", "classmethod")
    if top == "torch" and path.endswith(("Storage", "Tensor")) and path.count(".") <= 2:
        return True
    return path in _MAKERS or (path.startswith((*_DATA, *_OBJECTS)) and not path.startswith(_NO_DATA))


def _is_inner(what: str) -> bool:
    """Whether this is but a name with an underscore, as libraries have many in the texts that they run themselves."""
    path = what.removesuffix(" in a text")
    parts = path.split(".")
    if not all(map(str.isidentifier, parts)) or not any(map(signs.is_private, parts)) or _LISTED & set(parts):
        return False
    return not any(f"{path}.".startswith(f"{module}.") for module in listed.MODULES | listed.TOOL_MODULES)


def _uses(what: str) -> Iterator[str]:
    """What was used, if no answer needs it: of attributes that Python watches, those that are listed."""
    if "." in what or " " in what or what in _LISTED:
        yield f"{what}, in code that stands in no cell or under another name"


def _is_transformed(text: str, sources: Iterable[str]) -> bool:
    """Whether a text is what IPython makes of a cell with magics."""
    return "get_ipython()" in text and any(text.strip() == _transformed(source) for source in sources)


def _transformed(source: str) -> str:
    try:
        return magics.as_python(source).strip()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
