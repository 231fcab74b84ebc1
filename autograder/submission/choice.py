"""Chooses which submitted file is which notebook of a homework, and accounts for all other files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograder.course.release import Released
from autograder.results.result import Incident, Repair
from autograder.submission.cells import read_cells
from autograder.submission.file import Unreadable
from autograder.submission.filename import within, words
from autograder.submission.folder import Contents, Entry, Place, contents, named
from autograder.submission.kinship import Kin, Kinship
from autograder.submission.markless import parts as taken_apart
from autograder.submission.rawcell import MAX_CELLS, RawCell, RawNotebook, file_note

_NOTEBOOKS = (".ipynb.txt", ".ipynb.json", ".ipynb")
_SCRIPTS = (".py.txt", ".py", ".md", ".rmd", ".qmd")
DOCUMENTS = (".pdf", ".png", ".jpg", ".jpeg", ".heic", ".docx", ".doc", ".odt", ".rtf", ".pages", ".tex")
_PAGES = (".html", ".htm")
"""ends of a notebook that was saved as a page: beside the notebook itself, it holds nothing more"""
_NOTHING = "Nothing was submitted"
_OTHERS = "Other files that were submitted"
_MOST = 60
"""files that are read in search of notebooks"""
_MOMENT = 60.0
"""seconds: files that were saved closer together are equally new"""


@dataclass(frozen=True)
class Chosen:
    """The file that is graded as one notebook."""

    entry: Entry
    raw: RawNotebook
    notes: tuple[Repair, ...]


@dataclass(frozen=True)
class Choice:
    """What is graded as which notebook. Every notebook of the homework is in one of the two."""

    notebooks: dict[str, Chosen]
    without: dict[str, Incident]
    """for each notebook that cannot be graded: why"""
    beside: tuple[Entry, ...]
    """the other files"""

    def documents(self, notebook: str) -> tuple[str, ...]:
        """The paths of files that may hold written answers to a notebook that was not handed in itself."""
        books = (*self.notebooks, *self.without)
        there = (entry for entry in self.beside if entry.name.casefold().endswith((*DOCUMENTS, *_PAGES)))
        return tuple(entry.path for entry in there if set(_names(entry.name, books)) <= {notebook})


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    raw: RawNotebook | None
    why: str
    """why it cannot be read"""
    kin: dict[str, Kin]
    """kinship with the homework's notebooks"""
    foreign: str
    """the notebook of another homework that it contains"""

    def means(self, notebook: str) -> bool:
        """Whether this is the notebook that its cells belong to. One file may hold several notebooks."""
        if notebook not in self.kin:
            return False
        kin, most = self.kin[notebook], max(kin.cells for kin in self.kin.values())
        return 2 * kin.cells >= min(most, kin.total)


def choose(root: Path, releases: Mapping[str, Released], kinship: Kinship | None = None) -> Choice:
    """Choose for each notebook of `releases`, by name, the file in a student's folder that is graded.

    `kinship` knows these notebooks and those of the course's other homeworks. A file is judged by its cells; its name
    decides only between files of equal content. What has the student's work in it comes before what has none; after
    that come a whole file, the homework's own folder, and the newest.
    """
    homework = next(iter(releases.values())).homework
    kinship = kinship or Kinship(tuple(releases.values()))
    found = contents(root, homework, kinship.homeworks)
    candidates = [
        _candidate(entry, kinship, homework, tuple(releases))
        for entry in sorted(
            (entry for entry in found.files if _readable(entry, releases)),
            key=lambda entry: (not _promising(entry, tuple(releases)), *_by_place(entry)),
        )[:_MOST]
    ]
    chosen: dict[str, Chosen] = {}
    without: dict[str, Incident] = {}
    for notebook in releases:
        fitting = [one for one in candidates if one.raw is not None and one.means(notebook)]
        if fitting:
            best = _best(fitting, notebook)
            parts = _complements(best, fitting, releases[notebook])
            raw = _together(best, parts, releases[notebook], kinship)
            empty = [one for one in candidates if one.why and _names(one.entry.name, tuple(releases)) == [notebook]]
            others = [one for one in fitting if one not in parts]
            notes = (*_found(best, notebook), *_joined(best, parts), *_not_read(best, others, empty, notebook))
            chosen[notebook] = Chosen(best.entry, raw, notes)
        else:
            without[notebook] = _missing(notebook, releases, candidates, found)
    used = {one.entry.path for one in chosen.values()}
    taken = {one.entry.path for one in candidates if one.kin and any(kin.known for kin in one.kin.values())}
    beside = tuple(entry for entry in found.files if entry.path not in used | taken)
    return Choice(chosen, without, beside)


def _readable(entry: Entry, notebooks: Mapping[str, Released]) -> bool:
    name = entry.name.casefold()
    return (
        name.endswith((*_NOTEBOOKS, *_SCRIPTS, ".zip")) or bool(_names(entry.name, tuple(notebooks))) or "." not in name
    )


def _promising(entry: Entry, notebooks: tuple[str, ...]) -> bool:
    """Whether the name is that of a notebook: these are read before the student's own modules."""
    return entry.name.casefold().endswith(_NOTEBOOKS) or bool(_names(entry.name, notebooks))


def _by_place(entry: Entry) -> tuple[Place, int, str]:
    return entry.place, entry.depth, entry.path


def _candidate(entry: Entry, kinship: Kinship, homework: str, notebooks: tuple[str, ...]) -> _Candidate:
    try:
        raw = read_cells(entry.read(), entry.name)
    except Unreadable as unreadable:
        return _Candidate(entry, None, str(unreadable), {}, "")
    found = kinship.of(raw)
    ours = {book: kin for (where, book), kin in found.items() if where == homework}
    theirs = {place: kin for place, kin in found.items() if place[0] != homework}
    most = max((kin.cells for kin in ours.values()), default=0)
    where, kin = max(theirs.items(), key=lambda item: item[1].cells, default=(("", ""), None))
    if kin is not None and kin.cells > most:
        return _Candidate(entry, raw, "", {}, f"{where[1]} of {where[0]}")
    named_so = _names(entry.name, notebooks)
    if len(named_so) == 1 and named_so[0] in ours:
        # few cells in common with several notebooks: its name decides
        best = ours[named_so[0]].cells
        ours = {book: kin for book, kin in ours.items() if book == named_so[0] or kin.cells > best}
    return _Candidate(entry, raw, "", ours, "")


def _best(fitting: Sequence[_Candidate], notebook: str) -> _Candidate:
    def sound(one: _Candidate) -> tuple[bool, bool, bool, bool, int, int, int]:
        kin, torn = one.kin[notebook], one.raw is not None and one.raw.torn
        labelled = 2 * kin.known >= kin.defined
        current = one.entry.place is not Place.CHECKPOINT
        return bool(kin.work), not torn, labelled, current, kin.answered, -one.entry.place, -one.entry.depth

    top = max(map(sound, fitting))
    equal = [one for one in fitting if sound(one) == top]
    newest = max(one.entry.modified for one in equal)
    equal = [one for one in equal if one.entry.modified > newest - _MOMENT]

    def name(one: _Candidate) -> tuple[bool, bool, bool, list[tuple[int, str]]]:
        file = one.entry.name
        exact = file in (f"{notebook}.ipynb", f"{notebook}.py")
        meant = _names(file, (notebook,)) == [notebook]
        book = ".ipynb" in file.casefold()
        return exact and book, exact, meant and book, _versions(one.entry.path)  # of v1 and v2, the second

    return max(equal, key=name)


def _found(best: _Candidate, notebook: str) -> list[Repair]:
    """What the student is told about the place and the name of the file that is graded."""
    name, notes = best.entry.name, []
    if best.entry.place is Place.CHECKPOINT:
        note = f"This notebook was read from ‘{best.entry.path}’, a copy that Jupyter keeps while you work."
        notes.append(file_note("found", note))
    elif best.entry.place is Place.ELSEWHERE or best.entry.depth > 1 or ".zip/" in best.entry.path:
        notes.append(file_note("found", f"This notebook was read from ‘{best.entry.path}’."))
    if name not in (f"{notebook}.ipynb", f"{notebook}.py") and best.entry.place is not Place.CHECKPOINT:
        note = f"The file was named ‘{name}’ instead of ‘{notebook}.ipynb’; it was graded anyway."
        notes.append(file_note("renamed", note))
    return notes


def _complements(best: _Candidate, fitting: Sequence[_Candidate], release: Released) -> list[_Candidate]:
    """Other files that answer exercises which the best one leaves blank: a notebook may be handed in in parts."""
    have: set[int | str] = set(best.kin[release.notebook].work)
    found: list[_Candidate] = []
    asked = any(cell.kind == "markdown" and cell.solution for cell in release.cells)
    for one in fitting:
        kin = one.kin[release.notebook]
        unwritten = asked and all(isinstance(place, int) for place in have)
        more = {place for place in kin.work - have if isinstance(place, int) or unwritten}
        recognised = kin.known or (one.raw is not None and one.raw.plain)
        if one is not best and recognised and more and one.entry.place is not Place.CHECKPOINT:
            found.append(one)
            have |= more
    return found


def _together(best: _Candidate, parts: Sequence[_Candidate], release: Released, kinship: Kinship) -> RawNotebook:
    """The cells of the best file, and the student's own of the others above them, so that the best one counts."""
    assert best.raw is not None
    if not parts:
        return best.raw

    def cells_of(raw: RawNotebook) -> tuple[RawCell, ...]:
        return taken_apart(raw.cells[0].source, release) if raw.plain else raw.cells

    theirs = cells_of(best.raw)
    more: list[RawCell] = []
    have: set[int | str] = set(best.kin[release.notebook].work)
    for one in parts:
        if one.raw is not None:
            more += kinship.own(cells_of(one.raw), release, have)
            have |= one.kin[release.notebook].work
    return msgspec.structs.replace(best.raw, cells=(*more[: max(0, MAX_CELLS - len(theirs))], *theirs), plain=False)


def _joined(best: _Candidate, parts: Sequence[_Candidate]) -> list[Repair]:
    paths = ", ".join(f"‘{one.entry.path}’" for one in parts)
    note = f"‘{best.entry.path}’ was graded, and what it leaves blank was taken from {paths}."
    return [file_note("joined", note)] if parts else []


def _not_read(
    best: _Candidate, fitting: Sequence[_Candidate], unreadable: Sequence[_Candidate], notebook: str
) -> list[Repair]:
    """What the student is told about other files with cells, or with the name, of the same notebook."""
    notes = [file_note("not-graded", f"‘{best.entry.path}’ was graded. {one.why}") for one in unreadable]
    for one in fitting:
        kin = one.kin[notebook]
        plain = one.entry.folder == best.entry.folder and one.entry.name == f"{notebook}.py"
        if one is best or not kin.known or one.entry.place is Place.CHECKPOINT or (plain and not kin.work):
            continue
        why = "the two are equally new and have as much of your work in them"
        if not kin.work:
            why = "nothing in it was changed"
        elif one.raw is not None and one.raw.torn and not (best.raw and best.raw.torn):
            why = "it is damaged"
        elif kin.answered < best.kin[notebook].answered:
            why = "it has less of your work in it"
        elif one.entry.place is not best.entry.place or one.entry.depth != best.entry.depth:
            why = "it is in another folder"
        elif one.entry.modified < best.entry.modified - _MOMENT:
            why = "it is older"
        note = f"‘{best.entry.path}’ was graded. ‘{one.entry.path}’ was not, because {why}."
        notes.append(file_note("not-graded", note))
    return notes[:5]


def _missing(
    notebook: str, releases: Mapping[str, Released], candidates: Sequence[_Candidate], found: Contents
) -> Incident:
    """Why a notebook cannot be graded: nothing was handed in, or not this."""
    mean = [one for one in candidates if _names(one.entry.name, tuple(releases)) == [notebook]]
    for one in mean:
        if one.why:
            return Incident(kind="unreadable", cell="", note=one.why)
    for one in mean:
        other = next((book for book in one.kin if one.means(book)), "") or one.foreign
        if other:
            note = f"‘{one.entry.path}’ contains the notebook {other}, not {notebook}. It was not run as {notebook}."
            return Incident(kind="missing", cell="", note=note)
        note = f"‘{one.entry.path}’ contains nothing of the notebook {notebook}, so it was not run. Is it another file?"
        return Incident(kind="missing", cell="", note=note)
    for path, what in found.passed_over:
        if _names(path.rpartition("/")[2], tuple(releases)) == [notebook] or not found.files:
            return Incident(
                kind="missing", cell="", note=f"‘{path}’ is {what}. Submit the file {notebook}.ipynb itself."
            )
    unclear = [one for one in candidates if not any(one.means(book) for book in releases)]
    unnamed = [one for one in unclear if one.why and not _names(one.entry.name, tuple(releases))]
    broken = [one for one in unnamed if one.entry.name.casefold().endswith((*_NOTEBOOKS, ".zip"))]
    if len(broken) == 1:
        return Incident(kind="unreadable", cell="", note=broken[0].why)
    others = [entry for entry in found.files if not any(one.entry is entry and one.kin for one in candidates)]
    if not others:
        return Incident(kind="missing", cell="", note=nothing(notebook))
    there = ", ".join([*named(others[:5])]) + (" …" if len(others) > 5 else "")
    note = f"Nothing was found for {notebook}. {_OTHERS}: {there}."
    return Incident(kind="missing", cell="", note=note)


def most_telling(incidents: Iterable[Incident]) -> str:
    """Of what is said about notebooks that were not run: what helps most to find out what was handed in instead."""
    said = {
        one.note: (one.kind != "unreadable", _OTHERS in one.note, one.note.startswith(_NOTHING)) for one in incidents
    }
    return min(said, key=lambda note: said[note], default="")


def nothing(notebook: str) -> str:
    """The note about a notebook in whose place there is nothing: no damage."""
    return f"{_NOTHING} for {notebook}."


def _versions(path: str) -> list[tuple[int, str]]:
    """A path in the order that people see: 2 comes before 10."""
    return [(int(part), "") if part.isdigit() and len(part) < 18 else (0, part) for part in re.split(r"(\d+)", path)]


def _stem(name: str) -> str:
    name = name.casefold()
    for suffix in (*_NOTEBOOKS, *_SCRIPTS):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name.rpartition(".")[0] or name


def _names(name: str, notebooks: tuple[str, ...]) -> list[str]:
    """The notebooks that a file name may mean. When ‘mlp’ and ‘mlp_advanced’ both fit, only the longer one counts."""
    there = words(_stem(name))
    found = [book for book in notebooks if within(words(book), there) or "".join(words(book)) in there]
    return [book for book in found if not any(within(words(book), words(o)) for o in found if o != book)]
