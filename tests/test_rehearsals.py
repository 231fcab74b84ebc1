"""Training runs that grading need not make: a check that only rehearses a test, and steps that no point needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch.nn import functional

from autograder.course.release import ReleasedCell
from autograder.examination.hidden import earns
from autograder.grading.grade import without_rehearsal
from autograder.submission.gradable import Gradable, GradableCell

HARNESS = Path(__file__).parents[1] / "hw2" / "hidden" / "harness"
LESSON = 6, 0, 0, False, 1
"""sequences of six letters that are their own echo"""
SUITE = SimpleNamespace(rehearsed=frozenset({"learns"}))


def cell(name: str, grade: bool = False, demo: bool = False, own: bool = False) -> GradableCell:
    released = ReleasedCell(
        id=name, kind="code", source="1", metadata={}, grade_id=name, grade=grade, solution=False,
        locked=True, task=False, points=1.0 * grade, demo=demo, names=frozenset(),
    )  # fmt: skip
    return GradableCell(id=name, kind="code", source="1", skip=demo, released=None if own else released)


def run(*cells: GradableCell) -> list[str]:
    return [one.id for one in without_rehearsal(SUITE, Gradable(cells, ()))]  # type: ignore[arg-type]


def test_a_rehearsal_behind_which_nothing_is_run_is_left_out():
    assert run(cell("code"), cell("learns", grade=True), cell("figure", demo=True)) == ["code", "figure"]


def test_a_rehearsal_is_run_where_the_student_added_a_cell_behind_it():
    assert "learns" in run(cell("code"), cell("learns", grade=True), cell("own-1", own=True))


def test_a_rehearsal_is_run_where_another_exercise_comes_behind_it():
    assert "learns" in run(cell("learns", grade=True), cell("more"), cell("other", grade=True))


def test_a_check_that_is_no_rehearsal_is_run():
    assert "other" in run(cell("learns", grade=True), cell("other", grade=True))


def test_a_test_says_that_its_check_rehearses_it():
    assert earns("learns", rehearsed=True)(lambda: None).__earns__.rehearsed  # type: ignore[attr-defined]


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def harness(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"harness_{name}", HARNESS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Parrot(torch.nn.Module):
    """Says what it hears, once it has learned to. Dropout is on in training."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.drop = torch.nn.Embedding(27, 27), torch.nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.table(x))


class Haunted(Parrot):
    """Hears the last batch, too, where it has the same size: the state of one call is where the next one begins."""

    kept = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        said = super().forward(x)
        before, self.kept = self.kept, said.detach()
        return said + before if before.shape == said.shape else said


class Loop:
    """A training loop that notes its steps, and in which mode the network is."""

    def __init__(self, lr: float) -> None:
        self.lr, self.modes = lr, list[bool]()

    def __call__(self, model, batches):
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr)
        model.train()
        for x, y in batches:
            loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.modes.append(model.drop.training)
        return []


@pytest.mark.slow(seconds=3)
def test_a_training_run_ends_as_soon_as_the_network_knows_enough(one_thread):
    loop = Loop(0.3)
    model, early = harness("rnn").taught(loop, Parrot, (), LESSON, 100, 0.9)
    assert early and len(loop.modes) < 100 and not model.training


@pytest.mark.slow(seconds=2)
def test_a_network_that_does_not_know_enough_is_trained_for_all_steps(one_thread):
    loop = Loop(0.0)
    _, early = harness("rnn").taught(loop, Parrot, (), LESSON, 60, 0.9)
    assert not early and len(loop.modes) == 60


def test_looking_at_a_network_leaves_its_mode_as_it_is(one_thread):
    loop = Loop(0.0)
    harness("rnn").taught(loop, Parrot, (), LESSON, 60, 0.9)
    assert all(loop.modes)


@pytest.mark.parametrize("kind", [Parrot, Haunted])
def test_a_network_that_is_not_looked_at_learns_the_same(kind, one_thread):
    module, loop = harness("rnn"), Loop(0.01)
    looked_at, alone = (module.taught(loop, kind, (), LESSON, 60, enough)[0] for enough in (2.0, None))
    assert torch.equal(looked_at.table.weight, alone.table.weight)


def test_digits_stand_at_other_places_in_each_pass():
    seen = []

    def look(net, loader, epochs):
        assert (len(loader), loader.batch_size, len(loader.dataset)) == (3, 4, 12)
        seen.extend(torch.cat([images for images, _ in loader]) for _ in range(epochs))

    digits = torch.full((5, 1, 8, 8), 16.0)
    harness("cnn").taught_anew(look, torch.nn.Flatten(), digits, torch.arange(5), 12, 4, 2, 1)
    first, second = seen
    assert first.shape == (12, 1, 28, 28) and not torch.equal(first, second)
    assert torch.equal(first.sum((1, 2, 3)), torch.full((12,), 144.0)), "each canvas should hold one whole digit"
