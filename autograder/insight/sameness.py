"""Sameness: students who handed in the same answers, but are shown as no pair.

A pair stands out from its class. What a group shares that is large for its class does not, nor does what a class shares
that is small or much alike: so what is the same there is named, and nothing is said of how rare it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from autograder.insight.own_work import Exercise, Imprint
from autograder.results.plain_text import plain

LONG = 20
"""fingerprints of their own, in answers that two students hardly write alike"""
FEW, _SHARE = 4, 0.05
"""students, or the share of the class, who may have one and the same answer: what more have may be a usual way"""
_NEARLY = 0.8
"""share of all their fingerprints that students have in common whose answers are nearly the same"""
_ANCHORS = 300
"""students with whom all others are compared: some of a large group are among them"""

Prints = Mapping[Exercise, Collection[int]]
Teams = Mapping[str, Collection[str]]
_Exercises = tuple[Exercise, ...]


@dataclass(frozen=True)
class Same:
    """Students whose answers are the same, but for names, comments and order."""

    students: tuple[str, ...]
    exercises: tuple[Exercise, ...]
    """in which they are; a notebook as a whole is (its name, ''); none if nearly all of their work is the same"""
    letter: int = 0
    """how many of them have one and the same text"""

    @property
    def large(self) -> bool:
        """Whether so many have the same that it can be a usual way."""
        return len(self.students) > FEW

    @property
    def says(self) -> str:
        """It in a sentence."""
        *first, last = map(plain, self.students)
        names = f"{', '.join(first)} and {last}"
        who = f"{len(self.students)} students" if self.large else names
        end = f": {names}." if self.large else "."
        if not self.exercises:
            return f"{who} have nearly the same answers everywhere{end}"
        where = ", ".join("/".join(filter(None, one)) for one in self.exercises)
        what = "answers" if any(not cell for _, cell in self.exercises) else "long answer"
        letter = f", {self.letter} of them to the letter" if self.letter else ""
        if self.letter == len(self.students):
            letter = ", to the letter"
        return f"{who} have the same {what} to {where}{letter}{end}"


def same(
    works: Sequence[Imprint], given: Prints, known: Prints, teams: Teams, shown: Iterable[Collection[str]], weak: bool
) -> tuple[Same, ...]:
    """What is the same among students who are not all of one team and not all in one of the groups `shown`.

    `given` are the fingerprints of each exercise that say nothing; `known` those of all known answers. Answers to a
    whole notebook are named if enough of them is not `known`, or if two have them to the letter and enough is not
    `given`. Answers to one exercise are if enough of them is not `known` and two have them to the letter, or a few have
    them in a class that is too `weak` to show a pair; those that are `known` if many have them to the letter.
    """
    seen = [frozenset(one) for one in shown]

    def told(one: Same) -> bool:
        return _apart(one.students, teams) and not any(group.issuperset(one.students) for group in seen)

    wide = [*_whole(works, given, known, teams), *filter(told, _near(works, given, teams))]
    single = _single(works, given, known, teams, weak)
    narrow = [one for one in single if not any(_covers(other, one) for other in wide)]
    found = [one for one in _merged([*wide, *narrow]) if told(one)]
    return tuple(sorted(found, key=lambda one: (-len(one.students), one.students)))


def _covers(one: Same, other: Same) -> bool:
    """Whether all of the other's students are in this one, which says the same and more."""
    where = not one.exercises or one.exercises[0][0] == other.exercises[0][0]
    return where and set(other.students) <= set(one.students)


def _merged(found: Iterable[Same]) -> Iterator[Same]:
    """What the same students have in common, together; `nearly everything` only where nothing else is known of them."""
    by_students = defaultdict[tuple[str, ...], list[Same]](list)
    for one in found:
        by_students[one.students].append(one)
    for students, some in by_students.items():
        exact = [one for one in some if one.exercises] or some
        exercises = tuple(exercise for one in exact for exercise in one.exercises)
        yield Same(students, exercises, min(one.letter for one in exact))


def _whole(works: Sequence[Imprint], given: Prints, known: Prints, teams: Teams) -> Iterator[Same]:
    """Who answered a whole notebook the same."""
    for notebook in sorted({notebook for work in works for notebook, _ in work.marks}):
        answered = [(work, tuple(one for one in sorted(work.marks) if one[0] == notebook)) for work in works]
        for group, exercises in _equal((work, some) for work, some in answered if len(some) > 1):
            letter = _to_the_letter(group, exercises, teams)
            if _long(group[0], exercises, given if letter else known):
                yield Same(tuple(one.student for one in group), ((notebook, ""),), len(letter))


def _single(works: Sequence[Imprint], given: Prints, known: Prints, teams: Teams, weak: bool) -> Iterator[Same]:
    """Who answered one exercise the same, at length."""
    usual = max(FEW, _SHARE * len(works))
    for exercise in sorted({exercise for work in works for exercise in work.marks}):
        for group, only in _equal((work, (exercise,)) for work in works if exercise in work.marks):
            letter = _to_the_letter(group, only, teams)
            if _long(group[0], only, known):
                if letter or (weak and len(group) <= usual):
                    yield Same(tuple(one.student for one in group), only, len(letter))
            elif len(letter) > usual and _long(group[0], only, given):
                yield Same(letter, only, len(letter))


def _equal(answered: Iterable[tuple[Imprint, _Exercises]]) -> Iterator[tuple[list[Imprint], _Exercises]]:
    """The students who answered the same exercises, with the same fingerprints."""
    holders = defaultdict[tuple[tuple[Exercise, bytes], ...], list[Imprint]](list)
    for work, exercises in answered:
        holders[tuple((one, work.marks[one]) for one in exercises)].append(work)
    for key, group in holders.items():
        if len(group) > 1:
            yield group, tuple(exercise for exercise, _ in key)


def _to_the_letter(group: Iterable[Imprint], exercises: _Exercises, teams: Teams) -> tuple[str, ...]:
    """Those of them, most of all and not all of one team, who have one and the same text."""
    texts = defaultdict[tuple[bytes, ...], list[str]](list)
    for work in group:
        if all(one in work.texts for one in exercises):
            texts[tuple(work.texts[one] for one in exercises)].append(work.student)
    found = (tuple(some) for some in texts.values() if len(some) > 1 and _apart(some, teams))
    return max(found, key=len, default=())


def _long(work: Imprint, exercises: Iterable[Exercise], without: Prints) -> bool:
    return sum(len(_marks(work, one, without)) for one in exercises) >= LONG


def _marks(work: Imprint, exercise: Exercise, without: Prints) -> set[int]:
    return set(np.frombuffer(work.marks.get(exercise, b""), dtype=np.int64).tolist()).difference(
        without.get(exercise, ())
    )


def _apart(students: Iterable[str], teams: Teams) -> bool:
    return not frozenset.intersection(*(frozenset(teams.get(one, ())) for one in students))


def _near(works: Sequence[Imprint], given: Prints, teams: Teams) -> Iterator[Same]:
    """More than a few students who are connected by nearly the same answers everywhere."""
    column: dict[tuple[Exercise, int], int] = {}
    ends, held = [0], []
    for work in works:
        for exercise in work.marks:
            held += [column.setdefault((exercise, mark), len(column)) for mark in _marks(work, exercise, given)]
        ends.append(len(held))
    if not held:
        return
    holds = sparse.csr_array((np.ones(len(held)), held, ends), shape=(len(works), len(column)))
    sizes, anchors = np.diff(ends), np.arange(len(works))
    if len(works) > _ANCHORS:
        anchors = np.random.default_rng(0).choice(len(works), _ANCHORS, replace=False)
    larger = np.maximum.outer(sizes[anchors], sizes)
    nearly = (holds[anchors] @ holds.T).toarray() >= _NEARLY * np.maximum(larger, LONG)
    links = [
        (anchors[one], other)
        for one, other in np.argwhere(nearly).tolist()
        if _apart((works[anchors[one]].student, works[other].student), teams)
    ]
    graph = sparse.csr_array((len(works), len(works)))
    if links:
        graph = sparse.csr_array((np.ones(len(links)), tuple(zip(*links, strict=True))), graph.shape)
    _, labels = csgraph.connected_components(graph, directed=False)
    for label, size in Counter(labels.tolist()).items():
        if size > FEW:
            yield Same(tuple(works[at].student for at in np.flatnonzero(labels == label).tolist()), ())
