"""Forbidden tools: `static` finds them in a student's source code, `runtime` blocks them while the code runs."""

from __future__ import annotations

WHY = {
    "autograd": "PyTorch's automatic differentiation is not allowed in this exercise: derive the gradients yourself",
    "nn": "torch.nn is not allowed in this exercise: build what you need from plain tensors",
    "attention": "PyTorch's attention and transformer modules are not allowed in this exercise: build them yourself",
}
"""the message to the student, by the tool's name in homework.toml"""

THREADS = "A thread is started, which the tests of this notebook cannot follow. Do the same without one"
SENTENCES = frozenset((*WHY.values(), THREADS))
"""all that a ForbiddenTool says"""


class ForbiddenTool(Exception):
    """Raised when student code uses a tool that its notebook forbids."""
