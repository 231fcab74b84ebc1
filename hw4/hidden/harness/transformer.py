"""Harness of hw4/transformer: sets weights, asks the student's modules, and trains their networks."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Linear, Module, functional

_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

_Sample = Callable[[], tuple[Tensor, Tensor]]
_Train = Callable[[Module, _Sample, int], object]


class _Heads(Protocol):
    """A MultiHeadAttention of the student."""

    W_Q: Linear
    W_K: Linear
    W_V: Linear
    W_O: Linear

    def eval(self) -> object: ...


# ---------------------------------------------------------------------------------------------- weights


def tuned(module: Module, seed: int) -> Module:
    """The module in evaluation mode with other weights, which depend on their shapes and on nothing drawn before."""
    with torch.no_grad():
        for name, parameter in module.eval().named_parameters():
            shape = [side for side in parameter.shape if side > 1]
            first, size = (shape or [1])[0], parameter.numel()
            heads = [part for part in name.split(".") if part.startswith("W_")]
            scale = name.endswith("weight") and len(shape) == 1  # of a norm
            key = f"{seed} {first} {size} {heads} {scale}".encode()
            dice = torch.Generator().manual_seed(zlib.crc32(key))
            values = torch.randn(size, generator=dice).view_as(parameter)
            spread = 1.5 * (first / size) ** 0.5 if size > first else 0.5
            parameter.copy_(1 + 0.3 * values if scale else spread * values)
    return module


def zeroed(module: Module) -> Module:
    """The module with all of its parameters set to zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module


def silenced(module: Module, kind: type[Module]) -> int:
    """How many parts are of this kind. From now on their output is zero, because their parameters are."""
    parts = [part for part in module.modules() if isinstance(part, kind)]
    for part in parts:
        zeroed(part)
    return len(parts)


def set_heads(layer: _Heads, weights: Tensor, biases: Tensor) -> object:
    """The layer, with weights and biases (4, e, e) and (4, e) of W_Q, W_K, W_V and W_O."""
    with torch.no_grad():
        for part, weight, bias in zip((layer.W_Q, layer.W_K, layer.W_V, layer.W_O), weights, biases, strict=True):
            part.weight.copy_(weight)
            part.bias.copy_(bias)
    return layer.eval()


def _places_of(model: Module, n: int, e: int) -> list[Tensor]:
    return [p for p in model.parameters() if p.ndim >= 2 and tuple(p.shape[-2:]) == (n, e) and p.numel() == n * e]


def get_places(model: Module, n: int, e: int) -> Tensor | None:
    """The learned places (n, e) of a model; None when there is no such parameter."""
    found = _places_of(model, n, e)
    return found[0].detach().reshape(n, e) if found else None


def set_places(model: Module, values: Tensor) -> None:
    n, e = values.shape
    with torch.no_grad():
        place = _places_of(model, n, e)[0]
        place.copy_(values.view_as(place))


# ---------------------------------------------------------------------------------------------- questions


def answer(module: Module, *inputs: Tensor, training: bool = False) -> Any:
    with torch.no_grad():
        return module.train(training)(*inputs)


def answers(module: Module, times: int, training: bool, *inputs: Tensor) -> list[Any]:
    """The same question, several times."""
    return [answer(module, *inputs, training=training) for _ in range(times)]


def count(module: Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def idle(module: Module, *inputs: Tensor) -> list[str]:
    """Parameters that get no gradient."""
    result = module.train()(*inputs)
    (result[0] if isinstance(result, tuple) else result).square().sum().backward()
    return [name for name, parameter in module.named_parameters() if parameter.grad is None]


# ---------------------------------------------------------------------------------------------- the loop


class Table(Module):
    """Looks logits up, by row. Notes each forward pass that can be learned from.

    modes: whether the model was in training mode
    rows:  the rows
    said:  the logits
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)
        self.modes: list[bool] = []
        self.rows: list[Tensor] = []
        self.said: list[Tensor] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.logits.register_hook(lambda gradient: self.fresh.append(gradient.clone()))  # type: ignore[no-untyped-call]
        note = self.logits.register_post_accumulate_grad_hook
        note(lambda logits: self.held.append(logits.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, rows: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.modes.append(self.training)
            self.rows.append(rows.detach().cpu())
            self.said.append(self.logits.detach().cpu()[rows.cpu()].clone())
        return self.logits[rows]


def watched(
    train: _Train, table: Table, labels: Tensor, axes: Sequence[int], steps: int, seed: int
) -> tuple[object, int, list[bool], list[Tensor], list[Tensor], int, bool, bool]:
    """A training run of a Table that is in evaluation mode.

    Returns what `train` returned, the number of batches drawn, modes, rows and logits as the Table notes them, the
    number of backward passes, whether an old gradient was left in .grad, and whether the parameters have moved.
    """
    dice = torch.Generator().manual_seed(seed)
    drawn: list[Tensor] = []

    def sample() -> tuple[Tensor, Tensor]:
        drawn.append(torch.randint(len(labels), axes, generator=dice))
        return drawn[-1], labels[drawn[-1]]

    before = table.logits.detach().clone()
    losses = train(table.to(_DEVICE).eval(), sample, steps)
    stale = [not torch.allclose(a, b, atol=1e-6) for a, b in zip(table.fresh, table.held, strict=False)]
    moved = not torch.equal(before, table.logits.detach().cpu())
    return losses, len(drawn), table.modes, table.rows, table.said, len(table.fresh), any(stale), moved


# ---------------------------------------------------------------------------------------------- training runs


def taught_words(train: _Train, model: Module, symbols: int, length: int, size: int, steps: int, seed: int) -> Module:
    """The model after training on random words that are to be reversed."""
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        words = torch.randint(symbols, (size, length), generator=dice)
        return words, words.flip(1)

    train(model.to(_DEVICE), sample, steps)
    return model


def taught_pictures(
    train: _Train, model: Module, pictures: Tensor, labels: Tensor, size: int, steps: int, seed: int
) -> Module:
    """The model after training on batches of a few pictures."""
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        rows = torch.randperm(len(pictures), generator=dice)[:size]
        return pictures[rows], labels[rows]

    train(model.to(_DEVICE), sample, steps)
    return model


def taught_digits(
    train: _Train, model: Module, digits: Tensor, labels: Tensor, size: int, steps: int, seed: int
) -> Module:
    """The model after training on digits, bytes (N, 1, 14, 14), each time at other places of a canvas of 20 x 20."""
    windows = functional.pad(digits / 255, (6,) * 4).unfold(2, 20, 1).unfold(3, 20, 1)
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(digits), (size,), generator=dice)
        top, left = torch.randint(7, (2, size), generator=dice)
        return 2 * windows[rows, :, top, left] - 1, labels[rows]

    train(model.to(_DEVICE), sample, steps)
    return model


def logits(model: Module, inputs: Tensor) -> Tensor:
    """What a trained model says, in evaluation mode; bytes are brought to [-1, 1]."""
    inputs = inputs / 127.5 - 1 if inputs.dtype == torch.uint8 else inputs
    with torch.no_grad():
        return torch.cat([model.eval()(part.to(_DEVICE)).float().cpu() for part in torch.split(inputs, 500)])
