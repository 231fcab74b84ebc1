"""The results of testing one notebook, with what each test asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autograder.examination.recording import Recording
from autograder.results.result import Diagnosis, TestResult


@dataclass(frozen=True)
class Recorded:
    """What one test asked: the first time, and when it ran again."""

    first: Recording
    again: Recording | None = None
    common: Recording | None = None
    """a run with numbers that are the same for all, if nothing explains why it fails"""
    anew: Recording | None = None
    """a run with new numbers, if it passed when it ran again: it has to pass this one, too"""

    @property
    def last(self) -> Recording:
        """The run whose result counts."""
        return self.anew or self.again or self.first


@dataclass(frozen=True)
class Examined:
    """The results of testing one notebook."""

    tests: tuple[TestResult, ...]
    diagnoses: dict[str, tuple[Diagnosis, ...]]
    """for each grade cell that was diagnosed, the known mistakes that explain its results"""
    unchecked: tuple[str, ...] = ()
    """grade cells with a test that spent its budget"""
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    """for each test, what it asked; under '' what tests asked the fork that several of them share"""
    unknown: frozenset[str] = frozenset()
    """tests that asked for answers that were not recorded, so their results mean nothing"""
    faults: frozenset[str] = frozenset()
    """grade cells with a test that failed by an error of its own: nobody loses points by it"""
