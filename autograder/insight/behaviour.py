"""Behaviour: what one student's exercise answers where it is wrong, so that it can be compared with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autograder.examination.diagnosis import Diagnoser
from autograder.examination.dialogue import Dialogue
from autograder.examination.likeness import CLOSELY
from autograder.examination.recording import Exchange, whole_part
from autograder.examination.relation import SAME, parted, relation
from autograder.results.plain_text import one_line
from autograder.sandbox.wire.messages import Raised, Returned, bare

_MOST_FEATURES = 40
"""most features of one test"""


@dataclass(frozen=True)
class Answer:
    """One answer to a question that everybody was asked with the same numbers."""

    question: bytes
    answer: Returned | Raised
    right: bool


@dataclass(frozen=True)
class Behaviour:
    """How one exercise of one student fails."""

    student: str
    notebook: str
    cell: str
    features: frozenset[str]
    """each test that fails, and in it each kind of question with the relation of its answer to the right one"""
    common: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    """for each of these tests, what it answered to the numbers that all get, as far as that was recorded"""

    def likeness(self, other: Behaviour) -> float:
        """How alike two behaviours are, from 0 to 1.

        It is the share of equal answers to the same questions, of those that one of the two answers wrongly. Where
        there are none, it is the share of features that they have in common (the index of Jaccard).
        """
        asked = alike = 0
        for test in self.common.keys() & other.common.keys():
            for mine, theirs in zip(self.common[test], other.common[test], strict=False):
                if mine.question != theirs.question:
                    break
                if not (mine.right and theirs.right):
                    asked += 1
                    alike += CLOSELY.alike(mine.answer, theirs.answer)
        if asked:
            return alike / asked
        return len(self.features & other.features) / len(self.features | other.features)


def behaviour(
    student: str,
    notebook: str,
    cell: str,
    failed: Mapping[str, Sequence[Exchange]],
    common: Mapping[str, Sequence[Exchange]],
    diagnoser: Diagnoser,
) -> Behaviour:
    """The behaviour of an exercise, from what its failed tests asked, by name.

    `common` is what they asked with the numbers that are the same for all.
    """
    features: set[str] = set()
    for test, exchanges in failed.items():
        features.add(f"fails {test}")
        features |= {f"{test}: {text}" for text in sorted(set(_relations(exchanges, diagnoser)))[:_MOST_FEATURES]}
    answers = {test: tuple(_answers(exchanges, diagnoser)) for test, exchanges in common.items()}
    return Behaviour(student, notebook, cell, frozenset(features), answers)


def _answers(exchanges: Sequence[Exchange], diagnoser: Diagnoser) -> Iterator[Answer]:
    exchanges = whole_part(exchanges)
    right = diagnoser.answers(None, [question for question, _ in exchanges])
    for (question, answer), wanted in zip(exchanges, right, strict=True):
        yield Answer(bare(question), answer, CLOSELY.alike(answer, wanted))
        if parted(answer, wanted):
            return


def _relations(exchanges: Sequence[Exchange], diagnoser: Diagnoser) -> Iterator[str]:
    exchanges = whole_part(exchanges)
    dialogue = Dialogue()
    right = diagnoser.answers(None, [question for question, _ in exchanges])
    for (question, answer), wanted in zip(exchanges, right, strict=True):
        label = dialogue.label(question)
        dialogue.heard(question, answer)
        found = relation(answer, wanted)
        if found != SAME:
            yield one_line(f"{label} {found}")
        if parted(answer, wanted):
            return
