"""What a notebook runs that stands in none of its cells, as its process reports it, read as its cells are.

What is told of it are words of a fixed list: a text that a test makes run can hold what the test asked.
"""

from __future__ import annotations

import ast
import builtins
import functools
import io
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from autograder.constants import BEYOND, MOST_RUN, UNHEARD, digest_of
from autograder.forbidden import listed, magics, signs

_LEADING = {
    *("operator", "sys", "importlib", "gc", "inspect", "ctypes", "_ctypes", "marshal", "autograder", "types", "runpy"),
    *("pkgutil", "pydoc", "code", "codeop", "imp", "unittest", "IPython", "pickle", "_pickle", "copyreg", "threading"),
    *("_thread", "subprocess", "os", "posix", "timeit", "profile", "cProfile", "pdb", "bdb", "doctest", "zipimport"),
    *("builtins", "__builtin__", "dill", "cloudpickle", "joblib", "multiprocessing", "asyncio", "signal", "shelve"),
}
"""libraries whose functions lead on to others, or run something: no saved data is made of them"""
_MAKERS = {
    *("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__", "types.SimpleNamespace"),
    *("types.MappingProxyType", "multiprocessing.resource_sharer.DupFd", "operator.itemgetter"),
}
"""of these libraries, what makes saved data"""


class RunText(NamedTuple):
    """One report of the student's process."""

    cell: str
    """where the notebook did it; '' if no cell was at work"""
    line: int
    what: Literal["text", "object", "use"]
    """a text that was compiled; the path of an object that was unpickled; what was done in place of running a text"""
    text: bytes
    digest: bytes = b""
    """`digest_of` the whole text"""


def unusual(
    ran: Iterable[RunText], sources: Sequence[str], read: Callable[[str], Iterable[str]]
) -> Iterator[tuple[RunText, str]]:
    """What no answer needs among these reports. `sources` are the cells, and `read` finds it in a text of code."""
    known: frozenset[bytes] | None = None
    for one in ran:
        text = one.text.decode(errors="replace")
        if one.what == "use":
            if text in (BEYOND, UNHEARD, listed.COMPILED, listed.TREE):
                yield one, text
            elif text in listed.EVENTS | listed.WATCHED_NAMES:
                yield one, f"{text}, in code that stands in no cell or under another name"
        elif one.what == "object":
            if not is_data(text):
                yield one, f"an object{_told(text)} from a file or bytes"
        elif not _is_decoded(one.text):
            yield one, "a text in a coding that Python does not bring along"
        else:
            known = _known(sources) if known is None else known
            if one.digest in known:
                continue
            if len(one.text) >= MOST_RUN:
                yield one, "a long text of code"
                continue
            for reading in {text, magics.as_imported(one.text)}:
                yield from ((one, f"a text{_told(what)}") for what in read(reading) if not _is_inner(what))


def is_data(path: str) -> bool:
    """Whether a class or function is one that saved data may be made of."""
    top, _, name = path.partition(".")
    if top in ("builtins", "__builtin__"):
        return isinstance(getattr(builtins, name, None), type) and name not in ("type", "super", "classmethod")
    if top == "torch" and not listed.WRITTEN.isdisjoint(name.split(".")):
        return False
    # torch.sys.modules is as good as sys.modules
    return path in _MAKERS or (top not in _LEADING and (_LEADING - {"multiprocessing"}).isdisjoint(name.split(".")))


@functools.cache
def _words() -> frozenset[str]:
    """The words that are told."""
    modules = (part for module in listed.MODULES | listed.TOOL_MODULES for part in module.split("."))
    return frozenset((*listed.WATCHED_NAMES, *listed.TOOL_CALLS, *listed.DOORS, *modules, *_LEADING, *vars(builtins)))


def _told(what: str) -> str:
    """The first listed word in what was found, to be told: " with exec"."""
    return next((f" with {word}" for word in listed.WORD.findall(what) if word in _words()), "")


def _is_decoded(text: bytes) -> bool:
    """Whether the grader knows the coding that the first lines of a text may name."""
    try:
        tokenize.detect_encoding(io.BytesIO(text).readline)
    except SyntaxError:
        return False
    return True


def _is_inner(what: str) -> bool:
    """Whether this is but a name with an underscore, as libraries have many in the texts that they run themselves."""
    path = what.removesuffix(" in a text")
    parts = path.split(".")
    if not all(map(str.isidentifier, parts)) or not any(map(signs.is_private, parts)):
        return False
    if listed.WATCHED_NAMES & set(parts):
        return False
    return not any(f"{path}.".startswith(f"{module}.") for module in listed.MODULES | listed.TOOL_MODULES)


def _known(sources: Iterable[str]) -> frozenset[bytes]:
    """The digests of cells and of modules, as they are and as IPython turns them into Python."""
    found = set[bytes]()
    for source in sources:
        for text in (source, *_transformed(source)):
            found.add(digest_of(text.encode(errors="surrogatepass")))
    return frozenset(found)


def _transformed(source: str) -> Iterator[str]:
    """What IPython makes of a cell that is not plain Python, and of what stands below a magic such as %%time.

    What stands below another magic is not read with the cell: if it runs, it is read then.
    """
    with warnings.catch_warnings(), suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        warnings.simplefilter("ignore")
        ast.parse(source)
        return
    bodies = [source]
    first, _, body = source.lstrip().partition("\n")
    if first.startswith("%%") and first[2:].split(None, 1)[:1] in ([name] for name in magics.WITH_CODE):
        bodies.append(body)
        yield body
    for text in bodies:
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            yield magics.as_python(text)
