"""The tools for writing hidden tests: `earns`, `ten_times`, the class of `draw`, and StudentError."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from autograder.sandbox.student_error import Allowance, StudentError

if TYPE_CHECKING:
    import torch

__all__ = ["Allowance", "Draw", "Earns", "StudentError", "earns", "ten_times"]

_Test = TypeVar("_Test", bound=Callable[..., None])
_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Earns:
    """What a hidden test earns; see `earns`."""

    cell: str = ""
    weight: float = 0.0
    trains: bool = False
    rehearsed: bool = False


def earns(cell: str, weight: float = 1.0, trains: bool = False, rehearsed: bool = False) -> Callable[[_Test], _Test]:
    """Let a test earn points of the grade cell with this grade_id. Its share is `weight` of the cell's total weight.

    Set `trains` if the test needs a training run. Of the known mistakes, the audit runs such a test only on those that
    list its cell in `fails`.

    Set `rehearsed` if the cell's visible check only does the same as this test, with other numbers, and changes nothing
    that a test looks at. Where no other cell is run after that check, grading leaves it out.
    """

    def mark(test: _Test) -> _Test:
        test.__earns__ = Earns(cell, weight, trains, rehearsed)  # type: ignore[attr-defined]
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
