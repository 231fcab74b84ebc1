"""The scale of one exercise: who holds which fingerprints, how alike two answers are, and what that speaks for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from autograder.insight.own_work import Exercise, Imprint

_COMMON = 0.5
"""share of the class; what more students have says nothing"""
_NOTHING = 1e-9
"""weight of an answer that says nothing, but for rounding"""
_HABIT = 2
"""exercises; a fingerprint that stands in more of a student's is a habit"""
_COPIES = (0.04, 0.03, 0.04, 0.06, 0.09, 0.12, 0.15, 0.17, 0.16, 0.14)
"""share of the exercises of disguised copies by likeness: below 0.1, below 0.2 … up to 1"""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class Scale:
    """One exercise: who has which fingerprints, and how alike the class's answers are."""

    exercise: Exercise
    marks: Ints
    """the fingerprints that say something"""
    holds: sparse.csr_array
    """students × fingerprints, 1 where held"""
    habits: sparse.csr_array
    """the same, 1 where held and a habit: two students who share a habit share it in all exercises, and copied none"""
    weights: Floats
    own: Floats = field(init=False)
    """the weight of each student's answer"""
    evidence: Floats = field(default_factory=lambda: np.zeros(len(_COPIES)))
    """by likeness, as in `_COPIES`"""
    usual: Floats = field(default_factory=lambda: np.ones(len(_COPIES)))
    """share of the class's pairs that are at least that alike"""

    def __post_init__(self) -> None:
        self.own = self.holds @ self.weights

    def shared(self, one: Ints, other: Ints) -> sparse.csr_array:
        """Pairs × fingerprints, 1 where both hold one that is not a habit of both."""
        return self.holds[one].multiply(self.holds[other]) - self._both_do(one, other)

    def likeness(self, one: Ints, other: Ints) -> Floats:
        """From 0 to 1 for each pair; nan where one of the two has nothing of its own, or just habits of both."""
        shared = np.asarray(self.shared(one, other) @ self.weights)
        lighter = np.minimum(self.own[one], self.own[other]) - self._both_do(one, other) @ self.weights
        unit = math.log(max(2, self.holds.shape[0]))
        return np.where(lighter > _NOTHING, shared / (np.maximum(lighter, 0) + unit), np.nan)

    def _both_do(self, one: Ints, other: Ints) -> sparse.csr_array:
        return self.habits[one].multiply(self.habits[other])

    def calibrate(self, one: Ints, other: Ints) -> None:
        """Find what each likeness speaks for, from that of these pairs."""
        likeness = self.likeness(one, other)
        counts = np.bincount(bins(likeness[~np.isnan(likeness)]), minlength=len(_COPIES))
        honest = (counts + 1) / (counts.sum() + len(counts))
        self.evidence = np.log(_rising(np.array(_COPIES), honest))
        self.usual = np.cumsum(honest[::-1])[::-1]

    def speaks(self, one: Ints, other: Ints) -> tuple[Floats, Floats]:
        """Likeness and evidence of each pair; evidence 0 where one of the two has nothing of its own."""
        likeness = self.likeness(one, other)
        known = ~np.isnan(likeness)
        evidence = np.zeros(len(one))
        evidence[known] = self.evidence[bins(likeness[known])]
        return likeness, evidence


def bins(likeness: Floats) -> Ints:
    return np.minimum((likeness * len(_COPIES)).astype(np.int64), len(_COPIES) - 1)


def _rising(copies: Floats, honest: Floats) -> Floats:
    """How much more often each likeness occurs among copies; neighbours are pooled so that it rises with likeness."""
    pools: list[tuple[float, float, int]] = []
    for pool in zip(copies.tolist(), honest.tolist(), itertools.repeat(1)):
        pools.append(pool)
        while len(pools) > 1 and pools[-1][0] * pools[-2][1] < pools[-2][0] * pools[-1][1]:
            (a, b, n), (c, d, k) = pools[-2:]
            pools[-2:] = [(a + c, b + d, n + k)]
    return np.repeat([a / b for a, b, _ in pools], [n for _, _, n in pools])


def scales_of(works: Sequence[Imprint], given: Mapping[Exercise, Collection[int]]) -> Iterator[Scale]:
    """The exercises in which somebody wrote something that says anything."""
    often = [_habits(work) for work in works]
    for exercise in sorted({exercise for work in works for exercise in work.marks}):
        held = [np.frombuffer(work.marks.get(exercise, b""), dtype=np.int64) for work in works]
        marks, column, holders = np.unique(np.concatenate(held), return_inverse=True, return_counts=True)
        none = np.array(sorted(given.get(exercise, ())), dtype=np.int64)
        telling = (holders <= max(2, _COMMON * len(works))) & ~np.isin(marks, none)
        row = np.repeat(np.arange(len(works)), [len(one) for one in held])
        habit = np.concatenate([np.isin(one, habits) for one, habits in zip(held, often, strict=True)])
        holds, habits = (
            sparse.csr_array((np.ones(some.sum()), (row[some], column[some])), shape=(len(works), len(marks)))
            for some in (np.ones(len(row), dtype=bool), habit)
        )
        told = np.flatnonzero(telling)
        holds, habits = holds[:, told], habits[:, told]
        holds.sort_indices()
        if telling.any():
            yield Scale(exercise, marks[telling], holds, habits, np.log(len(works) / holders[telling]))


def _habits(work: Imprint) -> Ints:
    """The fingerprints that a student writes into more than a few exercises."""
    held = np.frombuffer(b"".join(work.marks.values()), dtype=np.int64)
    marks, times = np.unique(held, return_counts=True)
    return np.asarray(marks[times > _HABIT])
