"""Personal suites: the same hidden tests, with the reference and the known mistakes of one student's parameters."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from autograder.course.course import Homework
from autograder.course.mistakes import mistakes
from autograder.examination.diagnosis import Diagnoser
from autograder.examination.suite import Suite

_BY_NUMBERS = ("reference", "prints", "known")
"""what a suite derives from its master's numbers"""


def personal_suite(suite: Suite, homework: Homework) -> Suite:
    """The suite of a notebook for the homework's values; the same one if these are what it is for.

    The collected tests stay, and nothing is parsed a second time.
    """
    notebook = suite.master.notebook
    if dict(suite.master.numbers) == homework.numbers(notebook):
        return suite
    other = copy.copy(suite)
    for name in _BY_NUMBERS:
        vars(other).pop(name, None)
    other.passes = {}
    other.master = suite.master.personal(homework.numbers(notebook))
    other.mistakes = mistakes(homework, notebook)
    other.diagnoser = Diagnoser(other.master, other.mistakes, other.spec.forbidden)
    return other


def personal_suites(suites: Mapping[str, Suite], homework: Homework) -> dict[str, Suite]:
    """The same for several notebooks."""
    return {name: personal_suite(suite, homework) for name, suite in suites.items()}
