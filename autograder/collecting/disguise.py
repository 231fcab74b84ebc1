"""A submission without names: for collecting with pseudonyms, nothing that a file is called tells whose it is.

What a student wrote stays as it is: the cells of a notebook, a document, a picture. What programs and platforms add is
taken out: Canvas' page around a text (app/views/assignments/text_entry_page.html.erb of instructure/canvas-lms has the
student's name in it), and in a notebook's metadata the name that Colab notes at each cell that ran (`executionInfo`),
the file's name there (`colab`), and `authors`, as nbformat describes them.
"""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial

from autograder.collecting.division import HandedIn
from autograder.collecting.source import SourceFile
from autograder.course.roster import PLATFORM_IDS, Roster, Student, keys
from autograder.submission.archive import Archive, BadArchive
from autograder.submission.cells import read_cells
from autograder.submission.file import Unreadable
from autograder.submission.filename import within, words
from autograder.submission.folder import is_of_its_own
from autograder.submission.kinship import Kinship

_MOST = 256 * 2**20
"""most bytes that are unpacked of one student's archive"""
_DEPTH = 3
"""archives within archives that are looked into"""
_LONG = 4
"""signs from which on a name is also found within a word"""
_PAGES = ("text.html", "link.html", "onlinetext.html")
"""what platforms make of a text that was typed"""
_OF_BOOK, _OF_CELL = ("authors", "colab"), ("executionInfo",)
"""metadata in which programs note persons"""
_SUFFIX = re.compile(r"(?:\.(?:ipynb|py))?\.\w{1,8}$")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])")
"""where a new word begins in ‘mlpJaneDoe’"""


@dataclass
class Disguise:
    """Takes names out of the files of one student."""

    student: Student
    roster: Roster
    homework: str
    notebooks: tuple[str, ...]
    kinship: Kinship
    notes: list[str] = field(default_factory=list)
    """what a person has to know"""

    def of(self, one: HandedIn) -> HandedIn:
        """An attempt in which no file, and nothing in an archive, is called by a name."""
        return replace(one, files=tuple(self._files(one.files, _DEPTH)))

    def _files(self, files: Sequence[tuple[str, SourceFile]], depth: int) -> Iterator[tuple[str, SourceFile]]:
        taken = {path.casefold() for path, _ in files if not any(map(self._tells, path.split("/")))}
        folders: dict[str, str] = {}
        for path, file in files:
            before, _, name = path.rpartition("/")
            place = "".join(f"{self._folder(part, folders)}/" for part in before.split("/") if before)
            if path.casefold() not in taken:
                fresh = self._neutral(name, file) if self._tells(name) else name
                path = _free(f"{place}{fresh}", taken)
                taken.add(path.casefold())
            yield path, self._inside(path, file, depth)

    def _folder(self, part: str, folders: dict[str, str]) -> str:
        if not self._tells(part):
            return part
        return folders.setdefault(part, f"folder-{len(folders) + 1}")

    def _neutral(self, name: str, file: SourceFile) -> str:
        """A name for a file that is called by a person's: the notebook's own, or what kind of file it is."""
        found = _SUFFIX.search(name)
        suffix = found[0] if found and not self._tells(found[0]) else ""
        if suffix.casefold() == ".zip":
            return f"archive{suffix}"
        if book := self._book(name, file):
            return f"{book}{suffix}"
        meant = [book for book in self.notebooks if within(words(book), words(name))]
        fresh = f"{max(meant, key=len, default='file')}{suffix}"
        if not suffix.casefold().startswith(".ipynb"):
            self.notes.append(f"a file whose name tells whose it is was called {fresh}: does the notebook need it?")
        return fresh

    def _book(self, name: str, file: SourceFile) -> str:
        """The notebook of the homework whose cells a file has; '' if there is none."""
        try:
            found = self.kinship.of(read_cells(file.read(), name))
        except Unreadable:
            return ""
        ours = {book: kin.cells for (homework, book), kin in found.items() if homework == self.homework}
        return max(ours, key=ours.__getitem__, default="")

    def _inside(self, path: str, file: SourceFile, depth: int) -> SourceFile:
        """The file, with what is added to it taken out when it is read."""
        name = path.rpartition("/")[2].casefold()
        if name.endswith(".ipynb"):
            return replace(file, read=lambda: _without_metadata(file.read()))
        if name in _PAGES:
            return replace(file, read=lambda: self._without_name(file.read()))
        return self._archive(path, file, depth)

    def _archive(self, path: str, file: SourceFile, depth: int) -> SourceFile:
        """An archive with other names in it; another file as it is."""
        try:
            data = file.read()
            if data[:4] != b"PK\x03\x04" or is_of_its_own(path):
                return file
            if not depth:
                raise BadArchive("lies in too many archives")
            packed = self._packed(Archive(data), depth)
        except Unreadable:  # the desk says so
            return file
        except BadArchive as error:
            self.notes.append(f"‘{path}’ {error}: it stays as it was handed in, with the names that are in it")
            return file
        return replace(file, size=len(packed), read=lambda: packed)

    def _packed(self, archive: Archive, depth: int) -> bytes:
        files, room = [], _MOST
        for member, modified, _ in archive.members():
            data = archive.read(member, room + 1)
            room -= len(data)
            if room < 0:
                raise BadArchive(f"holds more than {_MOST // 2**20} MB")
            files.append((member, SourceFile(member, len(data), modified, partial(bytes, data))))
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
            for path, file in self._files(files, depth - 1):
                made.writestr(zipfile.ZipInfo(path, _moment(file.modified)), file.read(), zipfile.ZIP_DEFLATED)
        return held.getvalue()

    def _without_name(self, page: bytes) -> bytes:
        """A page of a platform's, with the pseudonym in place of the student's name."""
        text = page.decode("utf-8", errors="surrogateescape")
        for one in self._near:
            for name in (one.name, f"{one.last_name}, {one.first_name}"):
                for written in (name, html.escape(name), html.escape(name).replace("&#x27;", "&#39;")):
                    text = text.replace(written, self.student.pseudonym) if len(written) > 2 else text
        return text.encode("utf-8", errors="surrogateescape")

    def _tells(self, text: str) -> bool:
        """Whether a name or an id of the student's or the team's stands in a text, or a whole one of anybody's."""
        squeezed = set(keys([text]))
        if any(sign in one for one in squeezed for sign in self._signs):
            return True
        apart = {key for word in _WORD.findall(_HUMP.sub(" ", text)) for key in keys([word])}
        return bool(apart & self._short)

    @cached_property
    def _near(self) -> tuple[Student, ...]:
        return tuple({one.id: one for one in (self.student, *self.roster.in_group(self.student.group))}.values())

    @cached_property
    def _signs(self) -> frozenset[str]:
        own = {sign for one in self._near for sign in (*_whole(one), *_parts(one))}
        others = {sign for one in self.roster.students for sign in _whole(one)}
        return frozenset(sign for sign in own | others if len(sign) >= _LONG)

    @cached_property
    def _short(self) -> frozenset[str]:
        own = {sign for one in self._near for sign in (*_whole(one), *_parts(one))}
        return frozenset(sign for sign in own if 1 < len(sign) < _LONG)


def _whole(student: Student) -> Iterator[str]:
    """What tells by itself who it is, in the letters of `keys`."""
    first, last = student.first_name, student.last_name
    names = [f"{first} {last}", f"{last} {first}"] if first and last else []
    ids = [id for column in ("id", "email", *PLATFORM_IDS) for id in student.ids(column)]
    return keys([*names, *ids, *(id.partition("@")[0] for id in ids if "@" in id)])


def _parts(student: Student) -> Iterator[str]:
    return keys(re.findall(r"[^\W\d_]+", student.name))


def _free(path: str, taken: Iterable[str]) -> str:
    """The path, with a number behind it if it is taken."""
    stem, dot, suffix = path.rpartition(".") if "." in path.rpartition("/")[2] else (path, "", "")
    number = 1
    while path.casefold() in taken:
        number += 1
        path = f"{stem}-{number}{dot}{suffix}"
    return path


def _without_metadata(data: bytes) -> bytes:
    """A notebook without what programs note about persons; the same bytes if there is nothing, or if it is damaged."""
    try:
        book = json.loads(data)
        cells = [cell["metadata"] for cell in book["cells"] if isinstance(cell.get("metadata"), dict)]
        metadata = book.get("metadata", {})
        found = [metadata.pop(key) for key in _OF_BOOK if key in metadata]
        found += [cell.pop(key) for cell in cells for key in _OF_CELL if key in cell]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return data
    return json.dumps(book, ensure_ascii=False, indent=1).encode("utf-8", errors="surrogatepass") if found else data


def _moment(modified: float) -> tuple[int, int, int, int, int, int]:
    """A time as a zip archive has it."""
    time = datetime.fromtimestamp(modified) if modified else datetime(1980, 1, 1)
    return max(time, datetime(1980, 1, 1)).timetuple()[:6]
