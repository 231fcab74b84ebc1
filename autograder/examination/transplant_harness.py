"""Harness of `transplant`: reads and writes the weights of networks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Module

_LITTLE = 0.01
"""share of the largest influence from which on a parameter counts as learned"""
_NEAR = 0.9
"""cosine from which on a tensor may be an average of another one"""


def _tensors(net: Module) -> dict[str, Tensor]:
    """All parameters and buffers by name; the class of a network may have methods of its own that say otherwise."""
    return {**dict(Module.named_parameters(net)), **dict(Module.named_buffers(net))}


def made(kind: Callable[..., Module], arguments: Sequence[object], named: dict[str, object]) -> Module:
    torch.default_generator.manual_seed(0)
    return kind(*arguments, **named)


def weights(net: Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in _tensors(net).items()}


def put(net: Module, found: dict[str, Tensor], inputs: Sequence[Tensor]) -> None:
    _ask(net, inputs)
    _set(net, found)


def _ask(net: Module, inputs: Sequence[Tensor]) -> None:
    """Ask it once in evaluation mode: it may make some of its layers then."""
    with torch.no_grad():
        net.eval()(*(part.clone() for part in inputs))


def _set(net: Module, found: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in _tensors(net).items():
            if name in found and found[name].shape == tensor.shape:
                tensor.copy_(found[name])


def put_unlearned(net: Module, found: dict[str, Tensor], inputs: Sequence[Tensor]) -> None:
    """Put what was not learned by gradients: buffers, and parameters whose change moves the answers hardly or not.

    Averages of learned parameters, which a network may keep and use in evaluation mode, are learned, too.
    """
    _ask(net, inputs)
    first = {name: tensor.detach().clone() for name, tensor in _tensors(net).items()}
    _set(net, found)
    learned = _learned(net, inputs, first)
    if learned is None:
        learned = _learned(net.train(), inputs, first) or set()
    learned |= {name for name in found if any(_alike(found[name], found[of]) for of in learned if of in found)}
    _set(net, {name: first[name] if name in learned else found[name] for name in first.keys() & found.keys()})
    net.eval()


def _learned(net: Module, inputs: Sequence[Tensor], first: dict[str, Tensor]) -> set[str] | None:
    """The parameters whose change since `first` moves the answers, by their gradient; None if there is no gradient.

    Where its size tells nothing, because the answers are saturated or not finite, all that it reaches are learned.
    """
    parameters = {name: part for name, part in Module.named_parameters(net) if part.requires_grad}
    try:
        answers = net(*(part.clone() for part in inputs))
        if not (isinstance(answers, Tensor) and answers.requires_grad and parameters):
            return None
        weights = torch.linspace(-1, 1, answers.numel(), device=answers.device).view_as(answers)
        slopes = torch.autograd.grad((answers * weights).sum(), list(parameters.values()), allow_unused=True)
    except RuntimeError:  # what it does in this mode alone cannot be differentiated
        return None
    reached = {name: slope for name, slope in zip(parameters, slopes, strict=True) if slope is not None}
    changes = {name: parameters[name].detach() - first[name] for name in reached}
    sizes = {name: float((slope * changes[name]).abs().sum()) for name, slope in reached.items()}
    most = max(sizes.values(), default=0.0)
    if not 0 < most < float("inf") or any(size != size for size in sizes.values()):
        return set(reached)
    return {name for name, size in sizes.items() if size > _LITTLE * most}


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether one of two tensors may be an average of the other over some steps of training."""
    if one.shape != other.shape or one.numel() < 2 or not one.is_floating_point():
        return False
    return float(torch.cosine_similarity(one.flatten(), other.flatten(), dim=0)) > _NEAR
