"""The files beside a notebook: a student's own modules, data and pictures, which its cells may use."""

from __future__ import annotations

import codecs
import io
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autograder.forbidden.magics import as_imported
from autograder.results.result import Repair
from autograder.submission.choice import DOCUMENTS, Choice, Chosen
from autograder.submission.file import Unreadable
from autograder.submission.folder import Entry
from autograder.submission.rawcell import clean, file_note

_FILE_BYTES = 2 * 2**20
_ALL_BYTES = 8 * 2**20
_FILES = 100
_NAMED = 10
_COMPILED = (".pyc", ".pyo", ".pyd", ".so", ".dylib", ".dll", ".egg", ".whl", ".pth")
"""ends of files with code that nobody can read, and of those that have Python run some"""
_SLOW_CODINGS = {"punycode", "idna"}
"""codings of texts for host names: a module of 2 MB takes minutes to be decoded"""


@dataclass(frozen=True)
class Beside:
    """What is put into the work folder of one notebook."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """path, relative to the notebook's folder, and content"""
    notes: tuple[Repair, ...] = ()
    answers: tuple[str, ...] = ()
    """the paths of documents and photos, which may hold written answers"""

    @property
    def modules(self) -> dict[str, str]:
        """The source of each Python file, as Python decodes it."""
        return {path: clean(as_imported(data)) for path, data in self.files.items() if path.endswith(".py")}


def beside(choice: Choice, chosen: Chosen) -> Beside:
    """The files in the folder of the chosen notebook and below it, as many as there is room for.

    A file that lies somewhere else is put into the notebook's folder.
    """
    folder = chosen.entry.folder
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    unread: list[str] = []
    compiled: list[str] = []
    room = _ALL_BYTES
    answers = [entry.path for entry in choice.beside if entry.name.casefold().endswith(DOCUMENTS)]
    below = [(entry, _below(entry, folder)) for entry in choice.beside]
    taken = {path for _, path in below if path is not None}
    for entry, where in below:
        path = where if where is not None else entry.name
        if (where is None and path in taken) or path.casefold().endswith(".zip") or "__pycache__/" in path:
            continue  # of two modules of one name, the one in the notebook's folder
        if path.casefold().endswith(_COMPILED):
            compiled.append(path)
            continue
        taken.add(path)
        if entry.size > min(_FILE_BYTES, room) or len(files) == _FILES:
            left_out.append(path)
            continue
        try:
            data = entry.read()
        except Unreadable:
            unread.append(path)
            continue
        if len(data) > min(_FILE_BYTES, room):  # the archive states another size
            left_out.append(path)
            continue
        if path.endswith(".py") and not _is_readable(data):
            compiled.append(path)
            continue
        room -= len(data)
        files[path] = data
    notes = []
    if files:
        note = f"These files beside the notebook were there when it ran: {_named(files)}."
        notes.append(file_note("beside", note))
    if left_out:
        limits = f"{_FILE_BYTES // 2**20} MB a file, {_ALL_BYTES // 2**20} MB and {_FILES} files in all"
        note = "These files beside the notebook were not there when it ran, because they are too large: "
        notes.append(file_note("ignored", f"{note}{_named(left_out)} (at most {limits})."))
    if unread:
        note = "These files beside the notebook were not there when it ran, because they cannot be read: "
        notes.append(file_note("ignored", f"{note}{_named(unread)}."))
    if compiled:
        note = "These files beside the notebook were not there when it ran, because only source code can be graded: "
        notes.append(file_note("ignored", f"{note}{_named(compiled)}."))
    return Beside(files, tuple(notes), tuple(answers))


def _is_readable(data: bytes) -> bool:
    """Whether a module is written in a coding that is decoded in reasonable time."""
    try:
        coding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return codecs.lookup(coding).name not in _SLOW_CODINGS
    except (SyntaxError, LookupError):
        return True  # Python cannot import it either


def _below(entry: Entry, folder: str) -> str | None:
    """The path of a file relative to a folder; None if it is somewhere else."""
    if not folder:
        return entry.path
    return entry.path.removeprefix(f"{folder}/") if entry.path.startswith(f"{folder}/") else None


def _named(paths: Iterable[str]) -> str:
    names = sorted(paths)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"‘{name}’" for name in names[:_NAMED]) + more
