"""Forbidden tools: what a notebook is about doing without. `static` reads for them, `runtime` refuses them."""

from __future__ import annotations

WHY = {
    "autograd": "PyTorch's automatic differentiation is shut here: this exercise is about deriving gradients yourself",
    "nn": "torch.nn is shut here: this exercise is about building it from plain tensors",
    "attention": "PyTorch's own attention and transformer modules are shut here: this exercise is about building them",
}
"""what a student is told, by the tool's name in homework.toml"""


class ForbiddenTool(Exception):
    """A tool that this notebook is about doing without was used."""
