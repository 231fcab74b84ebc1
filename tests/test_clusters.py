"""Clusters, proven on the bank: half of the known mistakes are forgotten, and each is found again as a cluster."""

import collections
import functools
import random
import statistics
from pathlib import Path

import msgspec
import pytest

from autograder.course.course import open_course
from autograder.examination.rounds import COMMON
from autograder.examination.suite import Suite
from autograder.examination.transcribing import Transcriber, recording_of
from autograder.insight.behaviour import behaviour
from autograder.insight.clusters import clustered
from autograder.proving.bank import known_answers
from autograder.proving.solutions import execute, in_forks, prepared
from autograder.results.transcript import Run
from autograder.sandbox.lines import InProcessLine

COURSE = open_course(Path(__file__).parents[1])
DRAWS = 2
"""how many students make each mistake"""
MISTAKES, SPLITS = 100, 20
"""how many of the bank's mistakes are made, and how often another half of them is forgotten"""

pytestmark = pytest.mark.slow(seconds=60)


class Failed(msgspec.Struct):
    """One exercise that failed: what its tests asked with the student's numbers, and with those that all get."""

    student: str
    cell: str
    asked: dict[str, Run]
    common: dict[str, Run]


class Answers(msgspec.Struct):
    failed: list[Failed]
    blobs: list[bytes]


def answers(suite, solution, names, rest):
    """Run the notebook with a mistake, and its tests once for each student who makes it."""
    kept = {}
    for cell in rest:
        error = execute(cell.id, solution.cells[cell.id], names)
        if cell.autograded and not error:
            kept[cell.grade_id] = dict(names)

    def line(cell):
        return InProcessLine(dict(kept.get(cell, names)), suite.spec)

    cells = set(solution.fails) - suite.together(suite.trained)
    transcriber, failed = Transcriber(), []
    common = suite.examine(line, line, content=COMMON, cells=cells).recorded
    for number in range(DRAWS):
        found = suite.examine(line, line, content=f"student {number}", cells=cells)
        for cell in cells:
            tests = [test.name for test in found.tests if test.cell == cell and not test.passed]
            asked = {name: transcriber.run(found.recorded[name].last) for name in tests if name in found.recorded}
            shared = {name: transcriber.run(common[name].first) for name in asked if name in common}
            if asked:
                failed.append(Failed(f"{solution.name}#{number}", cell, asked, shared))
    return Answers(failed, list(transcriber.blobs))


def behaviours(suite: Suite):
    bank = [one for one in known_answers(COURSE.homework("hw1"), suite) if one.kind == "mistake"]
    mistakes = random.Random(0).sample(bank, MISTAKES)
    for outcome in in_forks(Answers, 1, 300, suite, mistakes, answers).values():
        assert isinstance(outcome, Answers), outcome
        read = functools.partial(_read, tuple(outcome.blobs))
        for one in outcome.failed:
            yield behaviour(one.student, "mlp", one.cell, read(one.asked), read(one.common), suite.diagnoser)


def _read(blobs, runs):
    return {name: recording_of(run, blobs).exchanges for name, run in runs.items()}


def test_forgotten_mistakes_are_found_again():
    """On average: a few of the bank's mistakes answer all questions alike, and a draw may hold several such pairs."""
    [found] = [list(behaviours(suite)) for suite in prepared(COURSE, COURSE.homework("hw1"), ["mlp"])]
    kinds, shares = sorted({one.student.partition("#")[0] for one in found}), []
    for seed in range(SPLITS):
        forgotten = set(random.Random(seed).sample(kinds, len(kinds) // 2))
        mine = [one for one in found if one.student.partition("#")[0] in forgotten]
        own = wrong = 0
        for cluster in clustered(mine):
            count = collections.Counter(one.student.partition("#")[0] for one in cluster.members)
            [(_, most)] = count.most_common(1)
            own += most if most > 1 else 0
            wrong += len(cluster.members) - most
        shares.append((own / len(mine), wrong / len(mine)))
    own, wrong = (statistics.mean(share) for share in zip(*shares, strict=True))
    print(f"{len(kinds)} mistakes: own kind {own:.1%}, another {wrong:.1%}")
    assert own >= 0.9
    assert wrong <= 0.05
