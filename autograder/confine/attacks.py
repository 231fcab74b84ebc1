"""All attacks on the confinement. The tests and `autograder doctor` run them to check that each tier stops them."""

from __future__ import annotations

from autograder.confine import attacks_files, attacks_kernel, attacks_limits
from autograder.confine.attack import BANK, Attack, Target

__all__ = ["ATTACKS", "Attack", "Target", "attacks_files", "attacks_kernel", "attacks_limits"]

ATTACKS = tuple(BANK)
