"""Harness of hw2/seq_classification: watches the student's `train` at work on the student's own model."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_Train = Callable[[torch.nn.Module, list[tuple[Tensor, Tensor]], int], object]


def watched(
    make_model: Callable[[int], torch.nn.Module],
    train: _Train,
    seed: int,
    symbols: Tensor,
    y: Tensor,
    size: int,
    epochs: int,
) -> list[object]:
    """Train a model, and report what the tests need to compute the losses themselves.

    symbols: (N, L), the symbols of N sequences; 8 stands for a vector of zeros

    Returns [shapes, start, weights, shown, sizes, losses, end, kept]. Forward passes without gradients do not count.

    shapes:  of the parameters, by name
    start:   all weights before the training
    weights: all weights before each forward pass
    shown:   the numbers of all sequences that the model was shown, -1 for a sequence that is none of the N
    sizes:   how many sequences there were in each forward pass
    losses:  what `train` returned
    end:     all weights after the training
    kept:    whether the batches are what they were
    """
    x = functional.one_hot(symbols, 9)[..., :8].float()
    numbers = {row.tobytes(): number for number, row in enumerate(x.numpy())}
    model = make_model(seed)
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    weights: list[Tensor] = []
    shown: list[int] = []
    sizes: list[int] = []

    def note(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            rows = [numbers.get(row.tobytes(), -1) for row in inputs[0].detach().contiguous().numpy()]
            weights.append(_flat(module))
            shown.extend(rows)
            sizes.append(len(rows))

    start = _flat(model)
    model.register_forward_pre_hook(note)
    before = x.clone(), y.clone()
    losses = train(model, list(zip(torch.split(x, size), torch.split(y, size), strict=True)), epochs)
    kept = torch.equal(x, before[0]) and torch.equal(y, before[1])
    if isinstance(losses, list):
        losses = [_plain(loss) for loss in losses]
    noted = [torch.stack(weights) if weights else None, torch.tensor(shown), sizes]
    return [shapes, start, *noted, losses, _flat(model), kept]


def _plain(value: Any) -> Any:
    """One number as a Python number, be it a tensor or one of numpy's; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) in ((), (1,)) else value


def _flat(model: torch.nn.Module) -> Tensor:
    """All weights of a model as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
