"""Judging what was learned: a new network gets the weights of a trained one, where nothing has been trained.

So whatever training has left beside the weights (a rule, a table of answers, a global variable) does not count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autograder.examination.harness import Harness
from autograder.sandbox.object_client import Handle, Student

_HARNESS = Harness(Path(__file__).with_name("transplant_harness.py"))


def untrained(student: Student, kind: Handle, *arguments: Any, **named: Any) -> Handle:
    """A new network of the class `kind`. Its first weights are the same whatever was asked before."""
    made: Handle = _HARNESS.beside(student).made(kind, list(arguments), named)
    return made


def unlearned(trained: Student, net: Handle, student: Student, fresh: Handle, *inputs: Any) -> Handle:
    """Put into `fresh` only what `net` did not learn by gradients; the rest as in `transplanted`.

    These are its buffers, and the parameters whose change moves the answers to `inputs` hardly or not at all. Such a
    network is as ignorant as an untrained one, unless training has switched something on that it knew before.
    """
    weights = _HARNESS.beside(trained).weights(net)
    _HARNESS.beside(student).put_unlearned(fresh, weights, list(inputs))
    return fresh


def transplanted(trained: Student, net: Handle, student: Student, fresh: Handle, *inputs: Any) -> Handle:
    """Put the weights of `net`, which is in the process of `trained`, into `fresh`, which is in that of `student`.

    A network may make some of its layers when it is first asked: so `fresh` is asked with `inputs` before. Parameters
    and buffers are matched by name; those that `fresh` does not have, or has in another shape, are left out.
    Returns `fresh`, in evaluation mode.
    """
    weights = _HARNESS.beside(trained).weights(net)
    _HARNESS.beside(student).put(fresh, weights, list(inputs))
    return fresh
