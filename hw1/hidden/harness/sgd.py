"""Harness of hw1/sgd: networks whose numbers the tests draw, and which note what they are shown.

The tests also use these networks on their own side, so that every score comes from our own copy.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

# What networks note. It is not kept in the network itself, because the student may ask a copy of it.
_SHOWN: list[object] = []
_EXTREMES: list[float] = []
_MODES: list[bool] = []


class Unseen(torch.nn.Module):
    """Fixed filters, ReLU, pooling and a linear head: scores (B, K). Notes the range of what it is shown."""

    def __init__(self, filters: Tensor, head: Tensor) -> None:
        super().__init__()
        self.filters, self.head = torch.nn.Parameter(filters), torch.nn.Parameter(head)

    def features(self, z: Tensor) -> Tensor:
        maps = functional.conv2d(z, self.filters, padding=2).relu()
        return functional.avg_pool2d(maps, 4).flatten(1)

    def forward(self, z: Tensor) -> Tensor:
        _EXTREMES.extend([z.min().item(), z.max().item()])
        return self.features(z) @ self.head[:-1] + self.head[-1]


class Waves(torch.nn.Module):
    """Score 0 is how strong two waves are, whatever their phase; score 1 is 0."""

    def __init__(self, waves: Sequence[tuple[int, int]], gain: float) -> None:
        super().__init__()
        self.waves, self.gain = waves, gain

    def strengths(self, z: Tensor) -> list[Tensor]:
        spectrum = torch.fft.fft2(z)[:, 0] / z[0].numel()
        return [spectrum[:, down, right].abs() for down, right in self.waves]

    def forward(self, z: Tensor) -> Tensor:
        one, other = self.strengths(z)
        score = (one + other) * self.gain - 10
        return torch.stack([score, 0 * score], 1)


class WeightedSum(torch.nn.Module):
    """The scalar Σ w·z, whose gradient is w. Notes each z that it is shown while gradients are recorded."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = w

    def forward(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            _SHOWN.append(z.tolist())
        return (self.w * z).sum()


class Fragile(torch.nn.Module):
    """A network in which everything changes that careless use can change. Notes whether it is in training mode."""

    def __init__(self, numbers: Sequence[Tensor], frozen: bool) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3)
        self.drop, self.head = torch.nn.Dropout(0.5), torch.nn.Linear(3, 4)
        for parameter, value in zip(self.parameters(), numbers, strict=True):
            parameter.data.copy_(value)
            parameter.grad = 2 * value
        self.head.bias.grad = None
        self.get_parameter("conv.bias").requires_grad_(not frozen)

    def forward(self, z: Tensor) -> Tensor:
        _MODES.append(self.training or self.norm.training or self.drop.training)
        scores: Tensor = self.head(self.drop(self.norm(self.conv(z)).tanh()).mean((2, 3)))
        return scores


def _state(model: torch.nn.Module, image: Tensor) -> dict[str, object]:
    """All that a function has to leave as it was, as plain values."""
    named = list(model.named_parameters())
    return {
        "image": image.detach().clone(),
        "image in a graph": image.requires_grad or image.grad is not None,
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "grads": {name: None if p.grad is None else p.grad.clone() for name, p in named},
        "requires_grad": {name: p.requires_grad for name, p in named},
        "modes": [module.training for module in model.modules()],
    }


def before_and_after(
    work: Callable[[torch.nn.Module, Tensor], object], model: torch.nn.Module, image: Tensor, training: bool
) -> list[object]:
    """What `work` returns, the state before and after it, and the modes in which a Fragile network was asked."""
    model.train(training)
    before = _state(model, image)
    result = work(model, image)
    return [result, before, _state(model, image), _MODES]


def identity(z: Tensor) -> Tensor:
    return z


def summit(c: float, a: float) -> Callable[[Tensor], Tensor]:
    """The loss −a Σ(z − c)², whose only summit is at c."""
    return lambda z: -a * ((z - c) ** 2).sum()


def logit(label: int) -> Callable[[Tensor], Tensor]:
    return lambda scores: scores[0, label]


def weighted(w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda scores: (w * scores.sin()).sum()


def shown() -> list[object]:
    """What a WeightedSum was shown since the last call of this function."""
    found, _SHOWN[:] = list(_SHOWN), []
    return found


def extremes() -> list[float]:
    """The smallest and the largest number that an Unseen was shown."""
    return [min(_EXTREMES), max(_EXTREMES)]
