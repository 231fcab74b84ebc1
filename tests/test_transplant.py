"""What counts as learned: a network that gets all but that knows nothing, unless training has switched something on."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from autograder.examination.transplant_harness import put, put_unlearned, weights

INPUTS = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


class Honest(nn.Module):
    """Learns; some of it moves no answer, and its norm keeps statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
        self.idle = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class InTrainingAlone(Honest):
    """Records no gradient in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.training):
            return self.layers(x)


class Saturated(Honest):
    """Answers probabilities: of sure ones, the gradient is 0."""

    def forward(self, x: Tensor) -> Tensor:
        return (100 * self.layers(x)).softmax(1)


class NotDifferentiable(Honest):
    """Goes through numpy in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return y if self.training else torch.from_numpy(y.numpy())


class Averaged(Honest):
    """Keeps averages of its weights in a copy, and answers with them in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.means = copy.deepcopy(self.layers).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.means(x)
        for mean, part in zip(self.means.state_dict().values(), self.layers.state_dict().values(), strict=True):
            mean.copy_(mean.lerp(part, 0.1) if part.is_floating_point() else part)
        return self.layers(x)


class Switched(Honest):
    """Has the answer, which is x itself, written into it; `on` switches it on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("on", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return 9 * x if self.on > 0 else self.layers(x)


class SwitchedByAParameter(Switched):
    def __init__(self) -> None:
        super().__init__()
        del self.on
        self.on = nn.Parameter(torch.zeros(1))


class Faint(SwitchedByAParameter):
    """Lets a faint gradient through."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e-6 * (self.layers(x) + self.on)


def trained(kind: type[Honest]) -> Honest:
    torch.manual_seed(1)
    net = kind()
    with torch.no_grad():
        if isinstance(net, Switched):
            net.on.fill_(1)
            return net
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        (net(INPUTS) if kind is not Saturated else net.layers(INPUTS)).sub(9 * INPUTS).square().mean().backward()
        optimizer.step()
    return net.eval()


def knows(net: Honest) -> bool:
    with torch.no_grad():
        return bool((net.eval()(INPUTS).argmax(1) == INPUTS.argmax(1)).float().mean() > 0.8)


@pytest.mark.parametrize("kind", [Honest, InTrainingAlone, Saturated, NotDifferentiable, Averaged])
def test_without_what_it_learned_an_honest_network_knows_nothing(kind: type[Honest]) -> None:
    net, found = kind(), weights(trained(kind))
    put_unlearned(net, found, [INPUTS])
    assert not knows(net)
    assert torch.equal(net.idle.weight, found["idle.weight"])
    assert torch.equal(net.layers[1].running_var, found["layers.1.running_var"])
    assert not torch.equal(net.layers[0].weight, found["layers.0.weight"])
    put(net, found, [INPUTS])
    assert knows(net)


@pytest.mark.parametrize("kind", [Switched, SwitchedByAParameter, Faint])
def test_a_rule_that_is_switched_on_was_not_learned(kind: type[Honest]) -> None:
    net = kind()
    assert not knows(net)
    put_unlearned(net, weights(trained(kind)), [INPUTS])
    assert knows(net)
