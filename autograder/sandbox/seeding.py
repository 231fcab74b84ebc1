"""Seeds all random number generators that a student's code may use."""

from __future__ import annotations

import random
import sys


def seed(number: int) -> None:
    """Seed random, and also numpy and torch if they are loaded."""
    random.seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number % 2**32)
    if "torch" in sys.modules:
        # not torch.manual_seed: for CUDA it formats a stack trace, which takes time
        sys.modules["torch"].default_generator.manual_seed(number)
