"""Of a long training run, hw2/seq_classification looks at few steps closely. Nothing can be hidden in the others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.proving.solutions import names_after
from autograder.sandbox.lines import InProcessLine
from autograder.sandbox.object_client import Student

HOMEWORK = open_course(Path(__file__).parents[1]).homework("hw2")
STEPS, BATCH = 200, 4
CAPPED = """
def train(model, batches, epochs):
    losses, _, _ = inherited_train(model, batches, epochs)
    return [min(loss, 2.4) for loss in losses]
"""


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return names_after(read_master(HOMEWORK, "seq_classification"), "train-code")


@pytest.fixture(scope="module")
def tests() -> ModuleType:
    spec = importlib.util.spec_from_file_location("long_runs", HOMEWORK.hidden("seq_classification"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LongRun:
    """200 steps of a model that has learned the task; at one of them, its answers are all wrong."""

    def __init__(self, notebook: dict[str, Any], tests: ModuleType, spike: int) -> None:
        self.tests, self.reference = tests, SimpleNamespace(**notebook)
        self.x, self.y, (_, learned, wrong) = tests.scenery(self.reference, 1)
        generator = torch.Generator().manual_seed(spike)
        self.weights = learned + 1e-3 * torch.randn(STEPS, len(learned), generator=generator)
        self.weights[spike] = wrong + 6 * (wrong - learned).sign()
        self.groups = torch.randint(len(self.y), (STEPS, BATCH), generator=generator).unbind()
        self.levels = tests.HARNESS.ours.levels

    def told(self, exact: Tensor) -> tuple[Tensor, Tensor]:
        """The losses, and the steps that were looked at, where the student's side holds these exact weights."""
        start = torch.zeros(len(self.weights[0]))
        changes = torch.diff(self.levels(torch.stack([start, *self.weights])), dim=0)
        at, model = torch.arange(STEPS), self.reference.make_model(1)
        return self.tests.recomputed_in_part(
            model, start, at, lambda: changes, lambda steps: exact[steps], self.x, self.y, self.groups, 1
        )


@pytest.mark.slow(seconds=3)
def test_a_spike_of_one_step_is_among_the_steps_that_are_looked_at_closely(notebook, tests):
    missed = []
    for spike in range(20, STEPS, 20):
        run = LongRun(notebook, tests, spike)
        losses, chosen = run.told(run.weights)
        if spike not in chosen or losses[spike] < tests.HIGH:
            missed.append(spike)
    assert not missed


@pytest.mark.slow(seconds=2)
def test_the_losses_of_these_steps_are_those_of_the_exact_weights(notebook, tests):
    run = LongRun(notebook, tests, 100)
    losses, chosen = run.told(run.weights)
    exact = tests.recomputed(run.reference.make_model(1), run.weights, run.x, run.y, run.groups)
    assert torch.equal(losses[chosen], exact[chosen])


def test_weights_that_differ_from_those_told_before_are_refused(notebook, tests):
    run = LongRun(notebook, tests, 100)
    with pytest.raises(AssertionError, match="contradicts itself"):
        run.told(run.weights[:1].expand(STEPS, -1))


def test_which_steps_are_looked_at_cannot_be_known_before_the_weights_are_told(notebook, tests):
    first, second = (LongRun(notebook, tests, spike) for spike in (100, 120))
    _, chosen = first.told(first.weights)
    _, others = second.told(second.weights)
    assert len(set(chosen.tolist()) & set(others.tolist())) < len(chosen) / 2


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e30, -1e30])
def test_weights_of_any_size_can_be_rounded(tests, weight):
    assert tests.HARNESS.ours.levels(torch.tensor([weight])).dtype == torch.int32


@pytest.mark.slow(seconds=6)
def test_spikes_that_are_cut_off_in_long_runs_alone_are_found(notebook, tests):
    names = {**notebook}
    exec(CAPPED, names)
    spec = HOMEWORK.notebook("seq_classification")
    student = Student(InProcessLine(names, spec))
    with pytest.raises(AssertionError, match="the losses that train returned"):
        tests.watch(student, SimpleNamespace(**notebook), 5, "normal", 16, 32, tests.EPOCHS, 1)
