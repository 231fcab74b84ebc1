"""Candidates: the pairs of a class that are worth a closer comparison, found without looking at every pair."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from autograder.insight.scale import Ints, Scale

_RARE, _CROWD, _PARTNERS = 12, 60, 40
"""holders of a rare fingerprint, members of a bucket and candidates of one student, at most"""
_KEYS, _WIDTH = 192, 3
"""combinations of exercises by which candidates are found, and exercises in each"""


def candidates(scales: Sequence[Scale], size: int) -> tuple[Ints, Ints]:
    """The pairs worth a score: for each student those with most in common.

    Two students have something in common if they share a rare fingerprint, or the same kind of answer (smallest hash
    of its fingerprints) in three exercises. What too many share finds nobody, so the work grows with the class alone.
    """
    hits = Counter[tuple[int, int]]()
    for scale in scales:
        byprint = scale.holds.tocsc()
        for start, end in itertools.pairwise(byprint.indptr):
            if 2 <= end - start <= _RARE:
                hits.update(itertools.combinations(sorted(byprint.indices[start:end].tolist()), 2))
    for bucket in _buckets(scales, size):
        if 2 <= len(bucket) <= _CROWD:
            hits.update(itertools.combinations(bucket, 2))
    partners: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (one, other), count in hits.items():
        partners[one].append((count, other))
        partners[other].append((count, one))
    chosen = {
        (min(one, other), max(one, other))
        for one, others in partners.items()
        for _, other in sorted(others, reverse=True)[:_PARTNERS]
    }
    pairs = np.array(sorted(chosen), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _buckets(scales: Sequence[Scale], size: int) -> Iterator[list[int]]:
    """Students, in order, who answer some exercises by the same kinds of answers."""
    if not scales:  # nobody wrote anything that says anything
        return
    chance = np.random.default_rng(1)
    width = min(_WIDTH, len(scales))
    for _ in range(_KEYS):
        keys: dict[tuple[int, ...], list[int]] = defaultdict(list)
        chosen = [scales[at] for at in chance.choice(len(scales), width, replace=False)]
        kinds = [_kinds(scale, chance) for scale in chosen]
        for student in range(size):
            key = tuple(int(kind[student]) for kind in kinds)
            if min(key) >= 0:
                keys[key].append(student)
        yield from keys.values()


def _kinds(scale: Scale, chance: np.random.Generator) -> Ints:
    """For each student one of the fingerprints held, the same one for equal answers: the first in an order by chance.

    The heavier a fingerprint, the sooner it comes. -1 for a student who has none.
    """
    order = np.argsort(chance.exponential(size=len(scale.weights)) / np.maximum(scale.weights, 1e-9))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    held, starts = scale.holds, scale.holds.indptr
    kinds = np.full(held.shape[0], -1, dtype=np.int64)
    some = np.flatnonzero(np.diff(starts))
    if len(some):
        kinds[some] = np.minimum.reduceat(rank[held.indices], starts[some])
    return kinds
