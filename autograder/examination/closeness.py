"""`close`: asserts that a student's values equal the right ones, and says in which way they differ."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_REST = 0.01
"""share of the difference that may be left where one sentence explains it"""
_SIMPLE = tuple(sign * factor for sign in (1, -1) for factor in (0.1, 0.25, 1 / 3, 0.5, 2, 3, 4, 10))
"""factors that a message may name: any other would tell digits of an expected value"""
_FAR = ((1e-3, "but only slightly"), (0.1, "by a little"), (3.0, "by a lot"), (float("inf"), "by far too much"))
"""how far values are off, in words, by the difference as a share of the largest value"""
_FACTOR = 1e-3
"""a factor closer to 1 than this is not worth naming, and two factors that differ by less are the same"""

_MOST_AXES, _LARGEST_SIZE = 8, 2**24
"""of a shape that a message may show"""


def close(
    actual: Any,
    expected: torch.Tensor | float,
    name: str,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Assert that `actual` equals `expected` up to rounding. The error message describes the difference.

    `actual` may be a tensor, an array, a list of numbers or a number. The default tolerances fit float32 sums of a few
    hundred terms. The message names shapes, signs and factors, but never expected values, because a student may read
    it. `sizes` gives names of the problem's sizes, for example {"B": 5}: a factor that comes from them is named so.
    """
    import torch

    if type(actual) is float and _same_number(actual, expected, rtol, atol):
        return
    want = torch.as_tensor(expected).detach()
    have = _tensor(actual, want, name)
    if have.shape != want.shape:
        raise AssertionError(
            f"{name}: the shape is {shape_told(have.shape, want.shape)}; it should be {tuple(want.shape)}."
        )
    if have.is_complex() or (want.is_floating_point() and have.dtype == torch.bool):
        raise AssertionError(f"{name}: the dtype is {have.dtype}; it should be a floating-point type.")
    whole = not want.is_floating_point()
    if _agree(have, want, rtol, atol):
        return
    have, want = have.to(torch.float64), want.to(torch.float64)
    _check_finite(have, want, name)
    finite = torch.isfinite(want)
    have, want = torch.where(finite, have, 0), torch.where(finite, want, 0)  # infinite ones agree
    if torch.allclose(have, want, rtol=rtol, atol=atol):
        return
    difference = _difference(have, want, rtol, atol, whole, sizes or {})
    raise AssertionError(f"{name}: the shape is right but the values are wrong: {difference}")


def shape_of(said: object, name: str) -> tuple[int, ...]:
    """The shape of a student's tensor as harness code reports it; AssertionError if it is not made of whole numbers.

    The student's process computes it, and a class of its own may report texts there, which no page may show.
    """
    if not isinstance(said, list | tuple) or len(said) > _MOST_AXES or not all(map(_is_size, said)):
        raise AssertionError(f"{name}: this should be a tensor, but its shape is not made of whole numbers.")
    return tuple(said)


def shape_told(found: Sequence[int], right: Sequence[int]) -> str:
    """A wrong shape, as a message may show it: "another one" where it is not made of the right one's sizes.

    A student chooses the shape of what is returned, and could tell hidden numbers with it. So a shape is shown where a
    slip may have led to it: one size is another, or sizes are exchanged, joined, missing, or 1.
    """
    changed = {(size, due) for size, due in zip(found, right, strict=False) if size != due}
    one = len(found) == len(right) and all(0 < size <= 4 * due for size, due in changed) and len(changed) <= 1
    sizes = [math.prod(some) for count in range(len(right) + 1) for some in itertools.combinations(right, count)]
    made = len(found) <= len(right) + 1 and set(found) <= {1, *sizes}
    return str(tuple(found)) if one or made else "another one"


def _is_size(size: object) -> bool:
    return type(size) is int and 0 <= size < _LARGEST_SIZE


def _same_number(actual: float, expected: torch.Tensor | float, rtol: float, atol: float) -> bool:
    """As `_agree`, for two numbers: tests of scalar code compare hundreds of them."""
    import torch

    if isinstance(expected, torch.Tensor):
        if expected.ndim or not expected.is_floating_point():
            return False
        expected = expected.item()
    if type(expected) is not float or not (math.isfinite(actual) and math.isfinite(expected)):
        return False
    return abs(actual - expected) <= atol + rtol * abs(expected)


def _agree(have: torch.Tensor, want: torch.Tensor, rtol: float, atol: float) -> bool:
    """Whether all entries are finite and equal up to rounding: by far the most frequent case, found in few steps.

    By numpy, whose functions take a fifth of the time of torch's for tensors of this size. False also if numpy does not
    know the type.
    """
    import numpy as np

    try:
        given = have.numpy(force=True).astype(np.float64)
        right = want.numpy(force=True).astype(np.float64)
    except (TypeError, RuntimeError):
        return False
    if not np.isfinite(right).all():
        return False
    with np.errstate(all="ignore"):  # of numbers whose difference is beyond float64
        return bool((np.abs(given - right) <= atol + rtol * np.abs(right)).all())


def _tensor(actual: Any, want: torch.Tensor, name: str) -> torch.Tensor:
    """What the student gave, as a tensor. Objects that only resemble one are not converted."""
    import torch

    got = "nothing (None)" if actual is None else f"a {type(actual).__name__}"
    if isinstance(actual, torch.Tensor):
        return actual.detach()
    if isinstance(actual, bool | int | float):
        return torch.tensor(actual, dtype=torch.float64 if isinstance(actual, float) else None)
    if isinstance(actual, list | tuple):
        got += " that is not made of numbers, with rows of equal length"
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        if isinstance(actual, list | tuple) and actual:
            if all(isinstance(part, torch.Tensor) for part in actual):
                return torch.stack(list(actual)).detach()
            return torch.as_tensor(actual, dtype=torch.float64)
        if type(actual).__module__ == "numpy":
            return torch.as_tensor(actual)
    raise AssertionError(f"{name}: this should be a {'tensor' if want.ndim else 'number'}, but it is {got}.")


def _check_finite(have: torch.Tensor, want: torch.Tensor, name: str) -> None:
    """Assert that entries are infinite exactly where they should be."""
    import torch

    total = want.numel()
    if (torch.isnan(have) & ~torch.isnan(want)).any():
        raise AssertionError(f"{_some(torch.isnan(have), total, name)} not a number (nan).")
    if torch.isnan(want).any():
        raise AssertionError(f"{name}: this cannot be checked, because what it should equal is not a number (nan).")
    if (torch.isinf(have) & (have != want)).any():
        raise AssertionError(f"{_some(torch.isinf(have) & (have != want), total, name)} infinite.")
    if (torch.isinf(want) & (have != want)).any():
        raise AssertionError(f"{_some(torch.isinf(want) & (have != want), total, name)} finite but should be infinite.")


def _some(wrong: torch.Tensor, total: int, name: str) -> str:
    count = int(wrong.sum())
    if total == 1:
        return f"{name}: the value is"
    return f"{name}: {count} of {total} entries {'is' if count == 1 else 'are'}"


def _difference(
    have: torch.Tensor, want: torch.Tensor, rtol: float, atol: float, whole: bool, sizes: Mapping[str, int]
) -> str:
    """A description of how `have` differs from `want`. Both are float64, finite, and have the same shape.

    Of whole numbers (labels, indices, counts) neither signs nor factors mean anything.
    """
    import torch

    away = (have - want).abs().max()

    def same(candidate: torch.Tensor) -> bool:
        """Whether this explains the difference: nearly nothing of it is left."""
        return candidate.shape == want.shape and bool((candidate - want).abs().max() <= _REST * away)

    wrong = ~torch.isclose(have, want, rtol=rtol, atol=atol)
    share = f"{int(wrong.sum())} of {want.numel()} entries differ" if want.numel() > 1 else "it differs"
    if have.ndim == 2 and same(have.T):
        return "it is transposed."
    if want.numel() > 2 and same(have.flatten().sort().values[want.flatten().argsort().argsort()].view_as(want)):
        return "all values are there, but in another order."
    if whole:
        return f"{share}."
    if same(-have):
        return "the sign is flipped."
    if not have.any():
        return "it is zero." if want.numel() == 1 else "every entry is zero."
    scale = ((have * want).sum() / (want * want).sum().clamp_min(1e-300)).item()
    if want.numel() > 1 and abs(scale) > 1e-12 and abs(scale - 1) > _FACTOR and same(have / scale):
        simple = next((factor for factor in _SIMPLE if abs(scale / factor - 1) < _FACTOR), None)
        named = _named(scale, sizes)
        times = "a constant" if simple is None and not named else f"{scale if simple is None else simple:.4g}"
        return f"every entry is {times} times what it should be{named}."
    offset = (have - want).mean()
    if want.numel() > 2 and same(have - offset):
        return "every entry is off by the same amount."
    error = ((have - want).abs().max() / want.abs().max().clamp_min(atol)).item()
    return f"{share}, {next(words for most, words in _FAR if error <= most)}."


def _named(scale: float, sizes: Mapping[str, int]) -> str:
    """Where a factor comes from: ', and B is 5' for a factor of 5 or of 1/5; '' if the sizes do not give it."""
    known = {name: float(size) for name, size in sizes.items() if size > 1}
    known |= {f"{a}·{b}": known[a] * known[b] for a, b in itertools.combinations(known, 2)}
    known |= {f"√{name}": size**0.5 for name, size in known.items() if "·" not in name}
    for name, size in known.items():
        if abs(abs(scale) / size - 1) < _FACTOR:
            return f", and {name} is {size:.4g}"
        if abs(abs(scale) * size - 1) < _FACTOR:
            return f", and 1/({name}) is {1 / size:.4g}" if "·" in name else f", and 1/{name} is {1 / size:.4g}"
    return ""
