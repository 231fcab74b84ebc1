"""Harness of `transplant`: reads and writes the weights of networks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Module


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
