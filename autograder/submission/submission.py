"""Finds the submitted file in the student's folder, even under a wrong name, and reads it safely."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from autograder.submission.filename import shown

USUAL_BYTES = 32 * 2**20
"""a notebook with many figures is far smaller; a larger file nearly always consists of printed output"""

_SUFFIXES = (".ipynb.txt", ".ipynb.json", ".ipynb", ".py.txt", ".py")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link to another file or folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Missing(Exception):
    """Raised when there is no file to grade. The text is a message for the student."""


class Unreadable(Exception):
    """Raised when there is a file, but nothing in it can be graded. The text is a message for the student."""


def find(folder: Path, notebook: str, others: tuple[str, ...] = ()) -> Path:
    """The file in `folder` that was submitted for `notebook`.

    The first choice is NB.ipynb, the second NB.py. The third is the file whose name fits best: ``mlp (1).ipynb``,
    ``MLP.ipynb``, ``hw1_mlp_anna.ipynb``. The last is the only notebook in the folder. A file whose name could also
    mean one of `others`, the homework's other notebooks, is never chosen, nor is a link, pipe, device or folder.

    Raises
    ------
    Missing
        When there is no such file. The message names what is in the folder instead.
    """
    kinds = _kinds_in(folder, notebook)
    files = {name for name, kind in kinds.items() if kind == stat.S_IFREG}
    for exact in (f"{notebook}.ipynb", f"{notebook}.py"):
        if exact in files:
            return folder / exact

    known = (notebook, *others)
    meant = [name for name in files if _means(name, known) == [notebook]]
    same = [name for name in meant if _stem(name) == notebook.casefold()]
    for choice in (_books(same), _books(meant), meant):
        if choice:
            return max((folder / name for name in choice), key=_newest)

    # A single notebook whose name fits no notebook is chosen only when all the other notebooks are there.
    unclear = _books(name for name in files if not _means(name, known))
    claimed = {other for name in files for other in _means(name, known)}
    for ending in (".ipynb", ".py"):
        choice = [name for name in unclear if ending in name.casefold()]
        if len(choice) == 1 and claimed.issuperset(others):
            return folder / choice[0]

    for name, kind in kinds.items():
        if kind != stat.S_IFREG and _means(name, known) == [notebook]:
            what = _KINDS.get(kind, "not a file")
            raise Missing(f"‘{shown(name)}’ is {what}. Submit the file {notebook}.ipynb itself.")
    if not files:
        raise Missing(f"Nothing was submitted for {notebook}.")
    there = ", ".join(f"‘{shown(name)}’" for name in sorted(files)[:5]) + (" …" if len(files) > 5 else "")
    raise Missing(f"There is no {notebook}.ipynb among the submitted files ({there}). Give your notebook that name.")


def read(path: Path, limit: int = USUAL_BYTES) -> bytes:
    """The bytes of a submitted file, at most `limit`.

    A notebook may be four times as large, because its outputs are ignored.

    Raises
    ------
    Unreadable
        When it is not a regular file, is too big, or cannot be opened or read.
    """
    try:
        _refuse_unless_file(path, path.lstat())
        # The file may have been replaced since the check: O_NOFOLLOW refuses a link, and O_NONBLOCK does not wait for a
        # process that writes to a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = error.strerror or error
        raise Unreadable(f"The file ‘{shown(path.name)}’ could not be opened ({why}). Submit it again.") from None
    try:
        status = os.fstat(descriptor)
        _refuse_unless_file(path, status)
    except Unreadable:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        try:
            start = file.read(64)
            bound = 4 * limit if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else limit
            if status.st_size > bound:
                raise _too_big(path, status.st_size)
            data = bytearray(start)
            while piece := file.read(min(2**20, bound + 1 - len(data))):
                data += piece
                if len(data) > bound:
                    raise _too_big(path, len(data))
        except OSError as error:
            why = error.strerror or error
            raise Unreadable(f"The file ‘{shown(path.name)}’ could not be read ({why}). Submit it again.") from None
    return bytes(data)


def _refuse_unless_file(path: Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "not a file")
        raise Unreadable(f"‘{shown(path.name)}’ is {what}. Submit the notebook file itself.")


def _too_big(path: Path, size: int) -> Unreadable:
    return Unreadable(
        f"The file ‘{shown(path.name)}’ is too big ({size / 2**20:.0f} MB). "
        "In Jupyter choose Edit → Clear Outputs of All Cells, save, and submit it again."
    )


def _kinds_in(folder: Path, notebook: str) -> dict[str, int]:
    """The names and file types of the entries in `folder`, sorted by name, without hidden files and backups."""
    try:
        kind = stat.S_IFMT(folder.lstat().st_mode)
        if kind != stat.S_IFDIR:
            name, what = shown(folder.name), _KINDS.get(kind, "a file")
            raise Missing(f"‘{name}’ is {what}, not a folder. Submit the notebook in a folder of that name.")
        entries = sorted(folder.iterdir())
        return {
            path.name: stat.S_IFMT(path.lstat().st_mode)
            for path in entries
            if not path.name.startswith((".", "~")) and not path.name.endswith("~") and "-checkpoint." not in path.name
        }
    except OSError:
        raise Missing(f"Nothing was submitted for {notebook}.") from None


def _books(names: Iterable[str]) -> list[str]:
    """The names of the notebooks, or of the Python files when there are no notebooks."""
    known = [name for name in names if name.casefold().endswith(_SUFFIXES)]
    return [name for name in known if ".ipynb" in name.casefold()] or known


def _newest(path: Path) -> tuple[int, str]:
    try:
        return path.lstat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def _stem(name: str) -> str:
    name = name.casefold()
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name.rpartition(".")[0] or name


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+|\d+", name.casefold())


def _means(name: str, notebooks: tuple[str, ...]) -> list[str]:
    """The notebooks that a file name may mean. When ‘mlp’ and ‘mlp_advanced’ both fit, only the longer one counts."""
    words = _words(_stem(name))
    found = [book for book in notebooks if _within(_words(book), words) or "".join(_words(book)) in words]
    return [book for book in found if not any(_within(_words(book), _words(o)) for o in found if o != book)]


def _within(part: list[str], whole: list[str]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
