"""The tally of a class run: what is told about it at its end, whatever the size of the class."""

from __future__ import annotations

from collections import Counter

from autograder.grading.class_run import Outcome, faults_of
from autograder.results.result import NUMBERS
from autograder.submission import most_telling


class Tally:
    """Counts outcomes as they come; it keeps none of them."""

    def __init__(self) -> None:
        self.outcomes = self.lost = self.stood = self.unrecorded = self.undated = 0
        """outcomes altogether; without a result; that were there already; not in the gradebook; without a time of
        submission"""
        self.empty: dict[str, str] = {}
        """students of whom no notebook could be read, and why"""
        self.strange: list[str] = []
        """students whose notebook has numbers that they were not given"""
        self.faults: Counter[tuple[str, str]] = Counter()
        """see `faults_of`"""

    def add(self, outcome: Outcome) -> None:
        self.outcomes += 1
        self.stood += outcome.stood
        self.unrecorded += not outcome.recorded
        result = outcome.result
        if result is None:
            self.lost += 1
            return
        self.undated += bool(result.late and not result.late.submitted)
        if not result.found:
            self.empty[result.student] = most_telling(one for book in result.notebooks for one in book.incidents)
        notes = (repair.kind for book in result.notebooks for repair in book.repairs)
        self.strange += [result.student] if NUMBERS in notes else []
        self.faults.update(faults_of([result]))
