"""Harness of hw2/seq_classification: watches the student's `train` at work on the student's own model."""

from collections.abc import Callable

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

    Returns [shapes, start, weights, shown, sizes, losses, end]. Forward passes without gradients do not count.

    shapes:  of the parameters, by name
    start:   all weights before the training
    weights: all weights before each forward pass
    shown:   the numbers of all sequences that the model was shown, -1 for a sequence that is none of the N
    sizes:   how many sequences there were in each forward pass
    losses:  what `train` returned
    end:     all weights after the training
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
    losses = train(model, list(zip(torch.split(x, size), torch.split(y, size), strict=True)), epochs)
    if isinstance(losses, list | tuple):
        losses = [float(loss) for loss in losses]
    return [shapes, start, torch.stack(weights) if weights else None, torch.tensor(shown), sizes, losses, _flat(model)]


def _flat(model: torch.nn.Module) -> Tensor:
    """All weights of a model as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
