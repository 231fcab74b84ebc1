"""Matches a submission with its release: finds the released cell that each submitted cell belongs to."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from autograder.course.names import functions, names
from autograder.course.release import Released, ReleasedCell
from autograder.submission.rawcell import RawCell

ALIKE = 0.6
"""a text that shares at least this fraction of its words with another counts as an edited copy of it"""
_COMPARED = 4000
"""number of characters, from the start of a text, that are compared"""
_LONG = 200_000
"""number of characters; released cells are shorter, so a longer text is not normalised before it is compared"""
_PAIRS = 100_000
"""maximum number of pairs of texts that are compared; each comparison takes 20 µs"""

_COMMENTED_MAGIC = re.compile(r"^# ?(?=%%?[A-Za-z]|![A-Za-z])", re.MULTILINE)

Pairs = Iterator[tuple[int, int]]
"""index of a submitted cell, index of the released cell that it matches"""


class Match(msgspec.Struct, frozen=True):
    """The submitted cells that were recognised."""

    copies: tuple[tuple[int, ...], ...]
    """for every released cell, the indices of the submitted cells that match it: none, one, or several copies"""
    guessed: frozenset[int]
    """indices of the submitted cells that have no label and were recognised by their content"""


def match(cells: Sequence[RawCell], released: Released) -> Match:
    """Match by grade_id, then by id (the cell's own, or the one that Colab keeps in its metadata), then by content.

    Matching by content looks first for a text that occurs once in the release, then for the names that the cell
    defines, then for its place: a written answer stands right below the cell that it follows in the release. What is
    left matches by a text that occurs several times there, or by most of its words.
    """
    copies: list[list[int]] = [[] for _ in released.cells]
    unknown = dict.fromkeys(range(len(cells)))
    for by in (_by_label, _by_own_text, _by_names, _by_place, _by_text, _by_words, _by_place):
        if by is _by_own_text:
            labelled = set(range(len(cells))) - unknown.keys()
        for place, at in by(cells, released, copies, tuple(unknown)):
            copies[at].append(place)
            del unknown[place]
    guessed = frozenset(range(len(cells))) - labelled - unknown.keys()
    return Match(tuple(tuple(sorted(places)) for places in copies), guessed)


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, apart from differences that `normal` removes."""
    return one == other or normal(one) == normal(other)


@functools.lru_cache(maxsize=2**10)  # asked for each cell and each notebook of the course
def normal(source: str) -> str:
    """The text without blanks at its ends and at line ends, and with magics uncommented.

    Jupytext comments magics out when it writes a script.
    """
    if len(source) > _LONG:
        return source
    return "\n".join(line.rstrip() for line in _COMMENTED_MAGIC.sub("", source).split("\n")).strip()


def likeness(one: str, other: str) -> float:
    """The fraction of words that two texts have in common, from 0 to 1."""
    return _share(_words(one), _words(other))


def _by_label(cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]) -> Pairs:
    grade_ids = {cell.grade_id: at for at, cell in enumerate(released.cells) if cell.grade_id}
    ids = {cell.id: at for at, cell in enumerate(released.cells)}
    texts = _texts(released)
    for place in unknown:
        cell = cells[place]
        at = grade_ids.get(cell.grade_id)
        if at is None:
            at = next((ids[name] for name in cell.ids if name in ids), None)
            # Numbered ids may have shifted since the student got the notebook, so an exact match of the text has
            # priority.
            equal = texts.get((cell.kind, normal(cell.source)), [])
            if equal and at not in equal:
                continue
        if at is not None:
            yield place, at


def _by_own_text(
    cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]
) -> Pairs:
    """By a text that no other cell of the release has: the places for written answers are all alike."""
    single = {text: where for text, where in _texts(released).items() if len(where) == 1}
    yield from _equal(cells, released, copies, unknown, single)


def _by_text(cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]) -> Pairs:
    yield from _equal(cells, released, copies, unknown, _texts(released))


def _equal(
    cells: Sequence[RawCell],
    released: Released,
    copies: list[list[int]],
    unknown: Iterable[int],
    texts: dict[tuple[str, str], list[int]],
) -> Pairs:
    for place in unknown:
        equal = texts.get((cells[place].kind, normal(cells[place].source)), [])
        free = [at for at in equal if not copies[at]]
        # Further copies match, too, so that repair leaves them out. A second copy of the course's text is useless, and
        # an unsolved cell below the solved one would overwrite the solution.
        spare = [at for at in equal if released.cells[at].kind == "code" and _labelled_or_demo(released.cells[at])]
        if free or spare:
            yield place, (free or spare)[0]


def _by_names(cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]) -> Pairs:
    defined = {place: names(cells[place].source) for place in unknown if cells[place].kind == "code"}
    for at, cell in enumerate(released.cells):
        if copies[at] or not cell.names or cell.fixed:
            continue
        asked = functions(cell.source)
        shared = {place: len(found & cell.names) for place, found in defined.items()}
        enough = {
            place: count
            for place, count in shared.items()
            if count and (2 * count >= len(cell.names) or defined[place] & asked)
        }
        if enough:
            place = max(enough, key=lambda place: (enough[place], -place))
            del defined[place]
            yield place, at


def _by_words(cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]) -> Pairs:
    missing = [(at, _words(cell.source)) for at, cell in enumerate(released.cells) if not copies[at]]
    left = [(place, _words(cells[place].source)) for place in unknown][: _PAIRS // max(1, len(missing))]
    found = [
        (share, place, at)
        for at, theirs in missing
        for place, own in left
        if released.cells[at].kind == cells[place].kind and (share := _share(theirs, own)) >= ALIKE
    ]
    taken: set[int] = set()
    for _, place, at in sorted(found, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if place not in taken and not copies[at]:
            taken.add(place)
            yield place, at


def _by_place(cells: Sequence[RawCell], released: Released, copies: list[list[int]], unknown: Iterable[int]) -> Pairs:
    left = set(unknown)
    for at, cell in enumerate(released.cells[1:], start=1):
        if not cell.solution or copies[at]:
            continue
        if cell.kind == "markdown":
            found = [copy + 1 for copy in reversed(copies[at - 1]) if copy + 1 in left]
            found = [place for place in found if cells[place].kind == "markdown"]
        elif cell.names:
            continue
        else:  # nothing in the code tells which cell it is, so it is the most similar one between its neighbours
            before = max((copy for places in copies[:at] for copy in places[-1:]), default=-1)
            after = min((copy for places in copies[at + 1 :] for copy in places[:1]), default=len(cells))
            between = [place for place in range(before + 1, after) if place in left and cells[place].kind == "code"]
            found = sorted(between, key=lambda place: -likeness(cells[place].source, cell.source))
        if found:
            left.remove(found[0])
            yield found[0], at


def _texts(released: Released) -> dict[tuple[str, str], list[int]]:
    texts: dict[tuple[str, str], list[int]] = {}
    for at, cell in enumerate(released.cells):
        texts.setdefault((cell.kind, normal(cell.source)), []).append(at)
    return texts


def _labelled_or_demo(cell: ReleasedCell) -> bool:
    return cell.fixed or cell.solution or cell.demo


def _words(source: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", source[:_COMPARED]))


def _share(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    if not total:
        return 0.0
    fewer, more = sorted((one, other), key=len)
    return 2 * sum(min(count, more[word]) for word, count in fewer.items() if word in more) / total
