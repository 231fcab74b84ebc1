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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from autograder.insight.candidates import candidates
from autograder.insight.own_work import Exercise, Imprint
from autograder.insight.sameness import Prints, Same, Teams, same
from autograder.insight.scale import Floats, Ints, Scale, bins, scales_of
from autograder.results.plain_text import counted, plain

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
    """what is the same among students who are connected by no pairs; that alone says less than a pair does"""
    fewest: int = FEWEST
    """students of which a class must consist"""

    @property
    def weak(self) -> str:
        """Why no pair could be listed, whatever the students did; '' if one could."""
        if self.students < self.fewest:
            hold = "holds" if self.students == 1 else "hold"
            return (
                f"Only {counted(self.students, 'submission')} {hold} work of a student's own. A class of fewer than "
                f"{self.fewest} does not show how alike honest answers are, so no pairs are listed."
            )
        if not self.exercises:
            return f"No answer tells some of these {self.students} submissions from others, so no pairs are listed."
        if self.best < self.threshold:
            return ""
        many = counted(self.exercises, "exercise")
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

    @property
    def hidden(self) -> str:
        """What to think of large groups who have the same; '' if there are none."""
        if not any(one.large for one in self.same):
            return ""
        return (
            "A group that is large for its class can hide itself: what many have is usual in their class. Whether they "
            "copied, used one source, or work in the usual way cannot be told from this class."
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
    works: Sequence[Imprint], given: Prints, teams: Teams, threshold: float = EXPECTED, known: Prints | None = None
) -> Findings:
    """The pairs of a class that are more alike than by chance: fewer than `threshold` of them are expected.

    `given` are the fingerprints of each exercise that say nothing; `teams` those of each student, who do not pair;
    `known` the fingerprints of all known answers, by default those that say nothing.
    """
    known = given if known is None else known
    works = sorted((work for work in works if work.marks), key=lambda work: work.student)
    size = len(works)
    scales = list(scales_of(works, given))
    if size < FEWEST:
        few = Findings((), size, threshold, 1.0, len(scales))
        return replace(few, same=same(works, given, known, teams, (), True))
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
    findings = Findings(tuple(found), size, threshold, spread, len(scales), best)
    weak = not found and bool(findings.weak)
    return replace(findings, same=same(works, given, known, teams, findings.groups, weak))


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
