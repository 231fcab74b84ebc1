"""Behaviour: how the answers of one student's exercise relate to the right ones, whatever numbers were drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograder.examination.diagnosis import Diagnoser
from autograder.examination.dialogue import Dialogue
from autograder.examination.recording import Exchange
from autograder.examination.relation import SAME, relation

_MOST_FEATURES = 40
"""most features of one test"""


@dataclass(frozen=True)
class Behaviour:
    """How one exercise of one student fails."""

    student: str
    notebook: str
    cell: str
    features: frozenset[str]
    """each test that fails, and in it each kind of question with the relation of its answer to the right one"""

    def likeness(self, other: Behaviour) -> float:
        """The share of features that two behaviours have in common, from 0 to 1 (the index of Jaccard)."""
        return len(self.features & other.features) / len(self.features | other.features)


def behaviour(
    student: str,
    notebook: str,
    cell: str,
    failed: Sequence[tuple[str, Sequence[Exchange]]],
    diagnoser: Diagnoser,
) -> Behaviour:
    """The behaviour of an exercise, from its failed tests: name, and what was asked and answered."""
    features: set[str] = set()
    for test, exchanges in failed:
        features.add(f"fails {test}")
        features |= {f"{test}: {text}" for text in sorted(set(_relations(exchanges, diagnoser)))[:_MOST_FEATURES]}
    return Behaviour(student, notebook, cell, frozenset(features))


def _relations(exchanges: Sequence[Exchange], diagnoser: Diagnoser) -> Iterator[str]:
    dialogue = Dialogue()
    right = diagnoser.answers(None, [question for question, _ in exchanges])
    for (question, answer), wanted in zip(exchanges, right, strict=True):
        label = dialogue.label(question)
        dialogue.heard(question, answer)
        found = relation(answer, wanted)
        if found != SAME:
            yield f"{label} {found}"
