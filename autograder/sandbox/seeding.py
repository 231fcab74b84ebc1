"""The seeds of every generator that a student's code may draw from."""

from __future__ import annotations

import random
import sys


def seed(number: int) -> None:
    """Seed random, and numpy and torch where they are loaded."""
    random.seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(number)  # torch.manual_seed formats a stack, for CUDA
