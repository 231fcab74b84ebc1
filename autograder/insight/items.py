"""Item statistics: how hard each item of a homework is, what it tells about a student, and which items are suspect.

An item is an exercise (the share of its points) or a hidden test (1 if it passed, 0 if not). All matrices have one row
for each student and one column for each item; NaN stands where nothing is known. A number that cannot be told is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ALPHA = 0.05
"""the chance of any false alarm on one page"""
USEFUL = 0.3
"""the biserial correlation of an item that is worth keeping (Ebel and Frisbie 1991, Essentials of Educational
Measurement, chapter 13)"""
HARD = 0.3
"""the facility below which an exercise is too hard"""
ALIKE, ALIKE_SURELY = 0.95, 0.8
"""two tests say the same if their φ is at least the first, and is with confidence above the second"""
FEW = 10
"""with fewer students nothing is said of an item"""


def facility(items: Array) -> Array:
    """The mean share of points of each item (the difficulty index p of Crocker and Algina 1986, chapter 14)."""
    known = ~np.isnan(items)
    count = known.sum(axis=0)
    total = np.where(known, items, 0.0).sum(axis=0)
    found: Array = np.divide(total, count, out=np.full(items.shape[1], np.nan), where=count > 0)
    return found


def discrimination(items: Array, worth: Array, total: Array) -> Array:
    """The corrected item–total correlation: Pearson's r of each item with the total without it.

    Henrysson 1963, Psychometrika 28, 211–218; for items of 0 and 1 it is the corrected point-biserial correlation.

    Parameters
    ----------
    items
        (students, items).
    worth
        (items,) or (students, items): the points that an item adds to the total.
    total
        (students,): points; NaN leaves a student out.
    """
    known = _known(items, total)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, items, 0.0)
    rest = np.where(known, total[:, None] - filled * worth, 0.0)
    item = np.where(known, filled - filled.sum(axis=0) / count, 0.0)
    rest = np.where(known, rest - rest.sum(axis=0) / count, 0.0)
    spread = np.sqrt((item**2).sum(axis=0) * (rest**2).sum(axis=0))
    told = (known.sum(axis=0) >= 3) & (spread > 1e-9)
    r = np.divide((item * rest).sum(axis=0), spread, out=np.full(items.shape[1], np.nan), where=told)
    return np.asarray(np.clip(r, -1.0, 1.0), dtype=np.float64)


def _known(items: Array, total: Array) -> Flags:
    """(students, items): whose share of an item can be compared with a total."""
    return np.asarray(~np.isnan(items) & ~np.isnan(total)[:, None], dtype=np.bool_)


def biserial(r: Array, p: Array) -> Array:
    """The biserial correlation from the point-biserial r and the facility p: r √(p(1 − p)) / φ(Φ⁻¹(p)).

    Lord and Novick 1968, Statistical Theories of Mental Test Scores, section 15.5. It does not depend on how hard an
    item is. NaN where fewer than 3 % or more than 97 % pass: there the normal curve says too little.
    """
    inside = (p > 0.03) & (p < 0.97)
    return np.where(inside, np.clip(r * _stretch(np.where(inside, p, 0.5)), -1.0, 1.0), np.nan)


def _stretch(p: Array) -> Array:
    return np.asarray(np.sqrt(p * (1 - p)) / stats.norm.pdf(stats.norm.ppf(p)), dtype=np.float64)


def reversed_chance(r: Array, count: Array) -> Array:
    """One-sided p-values against “the correlation is not negative”: t = r √((n − 2) / (1 − r²)) with n − 2 degrees of
    freedom (Student 1908, Biometrika 6, 302–310). 1 where r is NaN or there are few students.
    """
    told = ~np.isnan(r) & (count >= FEW)
    safe = np.clip(np.where(told, r, 0.0), -0.999999, 0.999999)
    freedom = np.maximum(count - 2, 1)
    return np.where(told, stats.t.cdf(safe * np.sqrt(freedom / (1 - safe**2)), freedom), 1.0)


def blind_chance(r: Array, p: Array, count: Array) -> Array:
    """One-sided p-values against “the biserial correlation is at least `USEFUL`”.

    Normal, with Soper's standard error (√(p(1 − p)) / φ(Φ⁻¹(p)) − r²) / √n (Soper 1914, Biometrika 10, 384–390).
    """
    b = biserial(r, p)
    told = ~np.isnan(b) & (count >= FEW)
    error = (_stretch(np.where(told, p, 0.5)) - np.where(told, b, 0.0) ** 2) / np.sqrt(np.maximum(count, 1))
    return np.where(told, stats.norm.cdf((np.where(told, b, 0.0) - USEFUL) / np.maximum(error, 1e-9)), 1.0)


def hard_chance(items: Array) -> Array:
    """One-sided p-values of Student's t-test against “the facility is at least `HARD`”.

    Where all have the same share, which has no spread, the p-value is 0 or 1.
    """
    count = (~np.isnan(items)).sum(axis=0)
    mean = facility(items)
    squares = np.where(np.isnan(items), 0.0, items - np.nan_to_num(mean)) ** 2
    error = np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    t = (np.nan_to_num(mean) - HARD) / np.maximum(error, 1e-9)
    return np.where(count >= FEW, stats.t.cdf(t, np.maximum(count - 1, 1)), 1.0)


def holm(chances: Array) -> Flags:
    """Which hypotheses to reject so that the chance of any false rejection is at most `ALPHA`.

    Holm 1979, Scandinavian Journal of Statistics 6, 65–70.
    """
    order = np.argsort(chances, kind="stable")
    passed = chances[order] <= ALPHA / np.arange(len(chances), 0, -1)
    found = np.zeros(len(chances), dtype=bool)
    found[order[: int(np.argmin(np.append(passed, False)))]] = True
    return found


def alarms(
    exercises: Array, points: Array, tests: Array, worth: Array, total: Array
) -> tuple[Flags, Flags, Flags, Flags]:
    """The suspects of a homework: reversed exercises, too hard exercises, reversed tests, tests that say nothing.

    All p-values of the page are one family of `holm`: on a page where every hypothesis holds, the chance that anything
    is flagged is at most `ALPHA`.
    """
    count = _known(exercises, total).sum(axis=0).astype(float)
    counted = _known(tests, total).sum(axis=0).astype(float)
    r = discrimination(tests, worth, total)
    families = (
        reversed_chance(discrimination(exercises, points, total), count),
        hard_chance(exercises),
        reversed_chance(r, counted),
        blind_chance(r, facility(tests), counted),
    )
    found = holm(np.concatenate(families))
    first, second, third, fourth = np.split(found, np.cumsum([len(one) for one in families])[:-1])
    return first, second, third, fourth


def phi(tests: Array) -> tuple[Array, Array]:
    """φ of each pair of tests, and the number of students whom both know.

    φ = (ad − bc) / √((a + b)(c + d)(a + c)(b + d)) (Yule 1912, Journal of the Royal Statistical Society 75, 579–652).
    """
    passed = (tests == 1).astype(np.float64)
    failed = (tests == 0).astype(np.float64)
    a, b, c, d = passed.T @ passed, passed.T @ failed, failed.T @ passed, failed.T @ failed
    below = np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    found = np.divide(a * d - b * c, below, out=np.full(a.shape, np.nan), where=below > 0)
    return found, a + b + c + d


def alike(tests: Array) -> list[tuple[int, int, float]]:
    """Pairs of tests that say the same: first, second, φ; the largest φ first.

    φ has to be above `ALIKE_SURELY` at a confidence of 1 − `ALPHA` over all pairs together (Fisher's z, 1921, Metron 1,
    3–32; Bonferroni), and both outcomes need to have occurred `FEW` times.
    """
    found, count = phi(tests)
    size = tests.shape[1]
    pairs = size * (size - 1) / 2
    often = np.minimum((tests == 1).sum(axis=0), (tests == 0).sum(axis=0)) >= FEW
    told = ~np.isnan(found) & (count > 3) & often[:, None] & often[None, :]
    z = np.arctanh(np.clip(np.where(told, found, 0.0), -0.999999, 0.999999))
    lowest = z - stats.norm.ppf(1 - ALPHA / max(pairs, 1)) / np.sqrt(np.maximum(count - 3, 1))
    sure = told & (found >= ALIKE) & (lowest > np.arctanh(ALIKE_SURELY))
    first, second = np.nonzero(np.triu(sure, 1))
    listed = [(int(i), int(j), float(found[i, j])) for i, j in zip(first, second, strict=True)]
    return sorted(listed, key=lambda one: (-one[2], one[0], one[1]))
