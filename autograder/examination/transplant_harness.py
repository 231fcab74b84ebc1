"""Harness of `transplant`: reads and writes the weights of networks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Module

_LITTLE = 0.01
"""share of the largest influence from which on a parameter counts as learned"""


def _tensors(net: Module) -> dict[str, Tensor]:
    """All parameters and buffers by name; the class of a network may have methods of its own that say otherwise."""
    return {**dict(Module.named_parameters(net)), **dict(Module.named_buffers(net))}


def made(kind: Callable[..., Module], arguments: Sequence[object], named: dict[str, object]) -> Module:
    torch.manual_seed(0)
    return kind(*arguments, **named)


def weights(net: Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in _tensors(net).items()}


def put(net: Module, found: dict[str, Tensor], inputs: Sequence[Tensor]) -> None:
    with torch.no_grad():
        net.eval()(*inputs)
        for name, tensor in _tensors(net).items():
            if name in found and found[name].shape == tensor.shape:
                tensor.copy_(found[name])


def put_unlearned(net: Module, found: dict[str, Tensor], inputs: Sequence[Tensor]) -> None:
    """Put what was not learned by gradients: buffers, and parameters whose change moves the answers hardly or not."""
    with torch.no_grad():
        net.eval()(*inputs)
    first = {name: tensor.detach().clone() for name, tensor in _tensors(net).items()}
    put(net, found, inputs)
    moved = _influence(net.eval(), inputs, first) or _influence(net.train(), inputs, first)
    learned = {name for name, size in moved.items() if size > _LITTLE * max(moved.values())}
    put(net, {name: first[name] if name in learned else found[name] for name in first.keys() & found.keys()}, inputs)


def _influence(net: Module, inputs: Sequence[Tensor], first: dict[str, Tensor]) -> dict[str, float]:
    """For each parameter, how far its change since `first` moves the answers, by their gradient; {} without one."""
    parameters = {name: part for name, part in Module.named_parameters(net) if part.requires_grad}
    answers = net(*inputs)
    if not (isinstance(answers, Tensor) and answers.requires_grad and parameters):
        return {}
    weights = torch.linspace(-1, 1, answers.numel()).view_as(answers)
    slopes = torch.autograd.grad((answers * weights).sum(), list(parameters.values()), allow_unused=True)
    return {
        name: float((slope * (part.detach() - first[name])).abs().sum()) if slope is not None else 0.0
        for (name, part), slope in zip(parameters.items(), slopes, strict=True)
    }
