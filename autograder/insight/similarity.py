"""Similarity: pairs of students whose own work is more alike than honest answers to the same exercises are.

How alike honest answers are is read from the class itself, exercise by exercise. A fingerprint weighs as much as it is
rare (the logarithm of the class's size over its number of holders), and nothing if the release has it, two known
answers have it, or half of the class has it. What both students of a pair write into more than two exercises is a
habit, and says nothing of that pair: otherwise one line would count once for each exercise. The likeness of two answers
is the weight that they share over the weight of the lighter one. What a likeness speaks for is how much more often
disguised copies are that alike (`scale.py`) than two students of this class are. The evidence of all exercises is
multiplied, for a copy of all of them or of a share.

Were honest answers to the exercises independent of each other, at most m·exp(-score) of the m pairs of an honest class
would reach a score. Because a person's style makes them dependent, the scores are divided by what the scores of the
class's own pairs show (`_spread`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from autograder.insight.candidates import candidates
from autograder.insight.own_work import Exercise, Imprint
from autograder.insight.scale import Floats, Ints, Scale, bins, scales_of
from autograder.results.plain_text import plain

EXPECTED = 0.1
"""how many pairs of an honest class may look as alike by chance as those that are listed"""
FEWEST = 10
"""students; a smaller class does not show how alike honest answers are"""
WIDE = 2.0
"""a spread above which the most alike pairs are too many to be told from how this class usually works"""
_SAMPLE = 30_000
"""pairs whose likeness shows how alike honest answers are"""
_COPIED = (1.0, 0.6, 0.3, 0.1)
"""shares of the exercises that may be copied"""
_QUANTILES = (0.1, 0.05, 0.02)
_LONG = 20
"""fingerprints that say something, in an answer that two students hardly write alike"""
_FEW, _SHARE = 4, 0.05
"""students, or the share of the class, who may have one and the same answer: what more have is a usual way"""


@dataclass(frozen=True)
class Alike:
    """How alike two answers to one exercise are."""

    exercise: Exercise
    likeness: float
    """from 0 to 1"""
    evidence: float
    """natural logarithm of how much more usual that is between copies than in this class"""
    usual: float
    """share of the class's pairs that are at least about as alike"""
    shared: frozenset[int]
    """the fingerprints that both have and that say something"""


@dataclass(frozen=True)
class Pair:
    """Two students whose work is alike."""

    one: str
    other: str
    score: float
    expected: float
    """how many pairs at least as alike a class of this size has by chance"""
    exercises: tuple[Alike, ...]
    """all that both have answered with something of their own, the strongest evidence first"""
    notes: tuple[str, ...] = ()
    """what else is known about the pair"""

    @property
    def striking(self) -> tuple[Alike, ...]:
        """The exercises that speak for a copy."""
        return tuple(one for one in self.exercises if one.evidence > 0.5)

    def as_dict(self) -> dict[str, object]:
        """The pair for a program that reads JSON."""
        return {
            "students": [plain(self.one), plain(self.other)],
            "score": round(self.score, 3),
            "expected": self.expected,
            "exercises": [
                {"notebook": one.exercise[0], "cell": one.exercise[1], "likeness": round(one.likeness, 3)}
                for one in self.striking
            ],
            "answered": len(self.exercises),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Same:
    """Students whose long answers to some exercises are the same, but for names, comments and order."""

    students: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    @property
    def says(self) -> str:
        """It in a sentence."""
        *first, last = map(plain, self.students)
        where = ", ".join("/".join(filter(None, one)) for one in self.exercises)
        return f"{', '.join(first)} and {last} have the same long answer to {where}."


@dataclass(frozen=True)
class Findings:
    """The pairs and groups of a class."""

    pairs: tuple[Pair, ...]
    """the most alike come first"""
    students: int
    threshold: float
    spread: float
    """what the class's own pairs show of how far exercises depend on each other: 1 if not at all"""

    exercises: int = 0
    """in which students differ"""
    best: float = 0.0
    """how many pairs with the same answers everywhere would be expected by chance, by the same measure"""
    same: tuple[Same, ...] = ()
    """what is the same where no pair is listed; that alone says less than a pair does"""
    fewest: int = FEWEST
    """students of which a class must consist"""

    @property
    def weak(self) -> str:
        """Why no pair could be listed, whatever the students did; '' if one could."""
        if self.students < self.fewest:
            return (
                f"Only {self.students} submissions hold work of a student's own. A class of fewer than {self.fewest} "
                "does not show how alike honest answers are, so no pairs are listed."
            )
        if not self.exercises:
            return f"No answer tells some of these {self.students} submissions from others, so no pairs are listed."
        if self.best < self.threshold:
            return ""
        many = f"{self.exercises} exercise{'s' if self.exercises > 1 else ''}"
        return (
            f"{self.students} submissions and {many} are too few, or too much alike, to show a pair: even two students "
            "with the same answers everywhere would not stand out from chance, so no pairs are listed."
        )

    @property
    def crowded(self) -> str:
        """What to do where so many pairs are alike that they may hide each other; '' if there are not."""
        if self.spread <= WIDE:
            return ""
        return (
            "Many pairs of this class are alike: it may be a usual way, or a group of copies so large for its class "
            "that it hides itself. Run `autograder similar` with --threshold 100, and look at the first pairs."
        )

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The students who are connected by pairs, the largest group first."""
        group: dict[str, set[str]] = {}
        for pair in self.pairs:
            joined = group.get(pair.one, {pair.one}) | group.get(pair.other, {pair.other})
            group |= dict.fromkeys(joined, joined)
        distinct = {min(members): members for members in group.values()}.values()
        return tuple(sorted((tuple(sorted(members)) for members in distinct), key=lambda one: (-len(one), one)))


def similar(
    works: Sequence[Imprint],
    given: Mapping[Exercise, Collection[int]],
    teams: Mapping[str, Collection[str]],
    threshold: float = EXPECTED,
) -> Findings:
    """The pairs of a class that are more alike than by chance: fewer than `threshold` of them are expected.

    `given` are the fingerprints of each exercise that say nothing; `teams` those of each student, who do not pair.
    """
    works = sorted((work for work in works if work.marks), key=lambda work: work.student)
    size = len(works)
    scales = list(scales_of(works, given))
    if size < FEWEST:
        return Findings((), size, threshold, 1.0, len(scales), same=_same(scales, works, teams))
    one, other = _sampled(size)
    apart = _apart([frozenset(teams.get(work.student, ())) for work in works], one, other)
    one, other = one[apart], other[apart]
    for scale in scales:
        scale.calibrate(one, other)
    spread = _spread(_scores(scales, one, other))
    one, other = candidates(scales, size)
    scores = _scores(scales, one, other) / spread
    pairs = size * (size - 1) / 2
    expected = pairs * np.exp(-np.maximum(scores, 0))
    most = _together([scale.evidence[-1:] for scale in scales], 1)[0] / spread
    found = []
    for at in np.flatnonzero(expected < threshold):
        first, second = works[one[at]].student, works[other[at]].student
        if set(teams.get(first, ())) & set(teams.get(second, ())):
            continue
        alike = _alike(scales, one[at : at + 1], other[at : at + 1])
        found.append(Pair(first, second, float(scores[at]), float(expected[at]), tuple(alike)))
    found.sort(key=lambda pair: (-pair.score, pair.one, pair.other))
    best = float(pairs * np.exp(-max(most, 0.0)))
    same = () if found else _same(scales, works, teams)
    return Findings(tuple(found), size, threshold, spread, len(scales), best, same)


def _same(scales: Iterable[Scale], works: Sequence[Imprint], teams: Mapping[str, Collection[str]]) -> tuple[Same, ...]:
    """The long answers that a few students have, not all of one team."""
    found: dict[tuple[str, ...], list[Exercise]] = {}
    for scale in scales:
        holders: dict[bytes, list[str]] = {}
        for work, start, end in zip(works, *(scale.holds.indptr[at:] for at in (0, 1)), strict=False):
            if end - start >= _LONG:
                holders.setdefault(scale.holds.indices[start:end].tobytes(), []).append(work.student)
        for students in holders.values():
            team = frozenset.intersection(*(frozenset(teams.get(one, ())) for one in students))
            if 1 < len(students) <= max(_FEW, _SHARE * len(works)) and not team:
                found.setdefault(tuple(students), []).append(scale.exercise)
    return tuple(Same(students, tuple(exercises)) for students, exercises in sorted(found.items()))


def _sampled(size: int) -> tuple[Ints, Ints]:
    """Pairs of students: all of them, or many by chance."""
    if size * (size - 1) // 2 <= _SAMPLE:
        one, other = np.triu_indices(size, 1)
        return one.astype(np.int64), other.astype(np.int64)
    chance = np.random.default_rng(0)
    one = chance.integers(0, size, _SAMPLE)
    return one, (one + chance.integers(1, size, _SAMPLE)) % size


def _apart(teams: Sequence[frozenset[str]], one: Ints, other: Ints) -> npt.NDArray[np.bool_]:
    """Which of these pairs are not of one team: those who work together show nothing of how alike others are."""
    return np.array([not teams[a] & teams[b] for a, b in zip(one.tolist(), other.tolist(), strict=True)], dtype=bool)


def _scores(scales: Iterable[Scale], one: Ints, other: Ints) -> Floats:
    return _together((scale.speaks(one, other)[1] for scale in scales), len(one))


def _together(evidence: Iterable[Floats], pairs: int) -> Floats:
    """The logarithm of the evidence of all exercises together, on average over the shares that may be copied."""
    shares = np.array(_COPIED)[:, None]
    total = np.zeros((len(_COPIED), pairs))
    for each in evidence:
        total += np.log1p(shares * np.expm1(each))
    most = total.max(axis=0)
    return np.asarray(most + np.log(np.exp(total - most).mean(axis=0)))


def _spread(scores: Floats) -> float:
    """By what scores are divided so that no more than exp(-score) of the class's pairs reach one.

    Read from the pairs that are more alike than most, but not from the few most alike, which may be copies.
    """
    if not len(scores):
        return 1.0
    return max(1.0, *(float(np.quantile(scores, 1 - share)) / -math.log(share) for share in _QUANTILES))


def _alike(scales: Iterable[Scale], one: Ints, other: Ints) -> list[Alike]:
    """The exercises of one pair."""
    found = []
    for scale in scales:
        likeness, evidence = scale.speaks(one, other)
        if not np.isnan(likeness[0]):
            shared = scale.marks[scale.shared(one, other).nonzero()[1]]
            usual = float(scale.usual[bins(likeness)[0]])
            found.append(
                Alike(scale.exercise, float(likeness[0]), float(evidence[0]), usual, frozenset(shared.tolist()))
            )
    return sorted(found, key=lambda one: (-one.evidence, -one.likeness, one.exercise))
