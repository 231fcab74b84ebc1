"""The tools for writing hidden tests: `earns`, `close`, `ten_times`, the class of `draw`, and StudentError."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from autograder.sandbox.student_error import Allowance, StudentError

if TYPE_CHECKING:
    import torch

__all__ = ["Allowance", "Draw", "Earns", "StudentError", "close", "earns", "ten_times"]

_Test = TypeVar("_Test", bound=Callable[..., None])
_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Earns:
    """What a hidden test earns; see `earns`."""

    cell: str = ""
    weight: float = 0.0
    trains: bool = False


def earns(cell: str, weight: float = 1.0, trains: bool = False) -> Callable[[_Test], _Test]:
    """Let a test earn points of the grade cell with this grade_id. Its share is `weight` of the cell's total weight.

    Set `trains` if the test needs a training run. Of the known mistakes, the audit runs such a test only on those that
    list its cell in `fails`.
    """

    def mark(test: _Test) -> _Test:
        test.__earns__ = Earns(cell, weight, trains)  # type: ignore[attr-defined]
        return test

    return mark


def ten_times(sample: Callable[[], object], share: float) -> Allowance:
    """An allowance of ten times the seconds that the reference needs for a training run.

    `sample` runs a `share` (for example 1/50) of that training with the reference. It is measured while grading, so a
    slow or busy machine affects both in the same way.
    """
    began = time.perf_counter()
    sample()
    seconds = 10 * max((time.perf_counter() - began) / share, _SHORTEST_RUN)
    beyond = f"this training run was stopped after {seconds:.0f} seconds; the reference needs at most a tenth of that"
    return Allowance(seconds, beyond)


_SHORTEST_RUN = 3.0
"""seconds that `ten_times` assumes at least for the reference, so that no run is stopped too early"""


class Draw:
    """Random sizes and values that students cannot predict. They are the same on every run.

    The seed is a hash of the course's secret, the notebook's name and the test's name.
    """

    def __init__(self, secret: bytes, *names: str) -> None:
        import torch

        digest = hashlib.blake2b("\0".join(names).encode(), key=secret[:64], digest_size=8).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)

    def size(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.integers(low, high, 1).item())

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """An int64 tensor of whole numbers from `low` to `high`, both included."""
        import torch

        return torch.randint(low, high + 1, shape, generator=self.generator)

    def normal(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A tensor of standard normal numbers."""
        import torch

        return torch.randn(*shape, generator=self.generator, dtype=dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """A float32 tensor, uniform on [low, high)."""
        import torch

        return low + (high - low) * torch.rand(*shape, generator=self.generator)

    def bernoulli(self, *shape: int, p: float = 0.5) -> torch.Tensor:
        """A float32 tensor of zeros and ones; each is one with probability `p`."""
        import torch

        return (torch.rand(*shape, generator=self.generator) < p).float()

    def choice(self, options: Sequence[_Choice]) -> _Choice:
        """One of `options`."""
        return options[self.size(0, len(options) - 1)]


def close(actual: Any, expected: torch.Tensor | float, name: str, rtol: float = 1e-4, atol: float = 1e-6) -> None:
    """Assert that `actual` equals `expected` up to rounding. The error message describes the difference.

    The default tolerances fit float32 sums of a few hundred terms. The message names shapes, signs and factors, but
    never expected values, because a student may read it.
    """
    import torch

    want = torch.as_tensor(expected).detach()
    if isinstance(actual, bool | int | float):
        actual = torch.tensor(actual, dtype=want.dtype if want.is_floating_point() else None)
    elif type(actual).__module__ == "numpy":
        actual = torch.as_tensor(actual)
    if not isinstance(actual, torch.Tensor):
        got = "nothing (None)" if actual is None else f"a {type(actual).__name__}"
        raise AssertionError(f"{name} should be a tensor, but it is {got}.")
    have = actual.detach()
    if have.shape != want.shape:
        message = f"{name} has shape {tuple(have.shape)}; it should have {tuple(want.shape)}."
        raise AssertionError(message)
    if want.is_floating_point() and not (have.is_floating_point() or have.dtype in (torch.int64, torch.int32)):
        raise AssertionError(f"{name} has dtype {have.dtype}; it should hold floating-point numbers.")
    have, want = have.to(torch.float64), want.to(torch.float64)
    if not torch.isfinite(have).all() and torch.isfinite(want).all():
        kind = "not a number (nan)" if torch.isnan(have).any() else "infinite"
        raise AssertionError(f"{name} has entries that are {kind}.")
    if torch.allclose(have, want, rtol=rtol, atol=atol):
        return
    raise AssertionError(f"{name} has the right shape but wrong values: {_difference(have, want, rtol, atol)}")


def _difference(have: torch.Tensor, want: torch.Tensor, rtol: float, atol: float) -> str:
    """A description of how `have` differs from `want`. Both are float64 and have the same shape."""
    import torch

    def same(candidate: torch.Tensor) -> bool:
        return candidate.shape == want.shape and torch.allclose(candidate, want, rtol=10 * rtol, atol=10 * atol)

    if same(-have):
        return "the sign is flipped."
    if have.ndim == 2 and same(have.T):
        return "it is transposed."
    if not have.any():
        return "every entry is zero."
    scale = (have * want).sum() / (want * want).sum().clamp_min(1e-300)
    if abs(scale.item()) > 1e-12 and want.numel() > 1 and same(have / scale):
        return f"every entry is {scale.item():.4g} times what it should be."
    wrong = ~torch.isclose(have, want, rtol=rtol, atol=atol)
    error = ((have - want).abs().max() / want.abs().max().clamp_min(atol)).item()
    share = f"{int(wrong.sum())} of {want.numel()} entries differ" if want.numel() > 1 else "it differs"
    return f"{share}, by up to {error:.2g} of the largest value."
