"""Harness of hw2/cnn: looks into blocks and networks, builds models from drawn numbers, and watches the loop."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

_Batch = tuple[Tensor, Tensor]
_Loader = DataLoader[tuple[Tensor, ...]]
_Measure = Callable[[torch.nn.Module, _Batch, torch.nn.Module, object], tuple[Tensor, object]]

# Each time that a Watched model is asked: the training modes of its parts, then whether gradients are recorded.
_MODES: list[list[bool]] = []
# Each time that somebody begins to go through a loader of `counted`: how often a model has been asked before.
_PASSES: list[int] = []
# Each time that a _Sent tensor is sent: where to.
_MOVES: list[list[str]] = []


# ---------------------------------------------------------------------------------------------- blocks and networks


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which operations really run, be they called by a module or by a function."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = function._schema.name.split("::")[-1].strip("_")
        shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
        if name == "add":
            name = "residual" if len(shapes) == 2 and len(shapes[0]) == 4 and shapes[0] == shapes[1] else "counting"
        elif name == "sum" and len(shapes[0]) == 5:  # of feature maps that were stacked
            name = "residual"
        elif name in ("mean", "amax", "max", "sum") and shapes and len(shapes[0]) == 4:
            name = "pool of all"
        self.names.append(name)
        return function(*args, **(kwargs or {}))


def _tracked(model: torch.nn.Module) -> list[int]:
    """How often each batch norm has been used in training mode."""
    norms: list[Any] = [part for part in model.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    return [int(part.num_batches_tracked) for part in norms]


def _idle(model: torch.nn.Module) -> list[str]:
    """Parameters without a gradient."""
    return [name for name, parameter in model.named_parameters() if parameter.grad is None]


def block_facts(block: torch.nn.Module, x: Tensor) -> list[object]:
    """Its output, the kernels, how often each batch norm was used, and parameters without a gradient."""
    y: Tensor = block.train()(x)
    y.sum().backward()  # type: ignore[no-untyped-call]
    kernels = [list(part.kernel_size) for part in block.modules() if isinstance(part, torch.nn.Conv2d)]
    return [y.detach(), kernels, _tracked(block), _idle(block)]


def tuned(block: torch.nn.Module, scale: float) -> torch.nn.Module:
    """The block in evaluation mode, each of its 3x3 convolutions turned into a multiplication by `scale`."""
    with torch.no_grad():
        for part in block.eval().modules():
            if isinstance(part, torch.nn.Conv2d) and tuple(part.kernel_size) == (3, 3):
                part.weight.zero_()
                for channel in range(min(part.weight.shape[:2])):
                    part.weight[channel, channel, 1, 1] = scale
                if part.bias is not None:
                    part.bias.zero_()
    return block


def answer(block: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """The output of a block for x, and how strongly it depends on each channel of x."""
    x = x.clone().requires_grad_()
    y: Tensor = block(x)
    if y.requires_grad:
        (y * y).sum().backward()  # type: ignore[no-untyped-call]
    return [y.detach(), torch.zeros(x.shape[1]) if x.grad is None else x.grad.abs().sum((0, 2, 3))]


def net_facts(net: torch.nn.Module, x: Tensor) -> list[object]:
    """The logits, the operations that ran, the number of parameters, and parameters without a gradient."""
    with _Operations() as running:
        y: Tensor = net.train()(x)
    (y * y).sum().backward()  # type: ignore[no-untyped-call]
    return [y.detach(), running.names, sum(p.numel() for p in net.parameters()), _idle(net)]


def logits(net: torch.nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y: Tensor = net.eval()(x)
    return y


# ---------------------------------------------------------------------------------------------- measure and step


class _Sent(Tensor):
    """A tensor that notes where it is sent."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        _MOVES.append([str(a) for a in (*args, *kwargs.values())])
        return self.as_subclass(Tensor)


def linear(weight: Tensor, bias: Tensor) -> torch.nn.Module:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def moved(get_loss_and_correct: _Measure, x: Tensor, y: Tensor) -> list[list[str]]:
    """Where images and labels were sent, in the order in which it happened."""
    batch = x.as_subclass(_Sent), y.as_subclass(_Sent)
    get_loss_and_correct(torch.nn.Flatten(), batch, torch.nn.CrossEntropyLoss(), torch.device("cpu"))
    return [[goal for goal in move if goal == "cpu"] for move in _MOVES]


def measured(
    get_loss_and_correct: _Measure, model: torch.nn.Linear, x: Tensor, y: Tensor, criterion: torch.nn.Module
) -> list[object]:
    """The loss, the number of correct images, and the gradient of the loss; None where it has lost its graph."""
    loss, correct = get_loss_and_correct(model, (x, y), criterion, "cpu")
    slope = torch.autograd.grad(loss, model.weight, allow_unused=True)[0] if loss.requires_grad else None
    return [loss.detach(), correct, slope]


def stepped(
    step: Callable[[Tensor, torch.optim.Optimizer], object], w: Tensor, targets: Tensor, lr: float, momentum: float
) -> Tensor:
    """w after each step; the loss of a step is the squared distance of w from a target."""
    w = w.clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum)
    places = []
    for target in targets:
        step(((w - target) ** 2).sum(), optimizer)
        places.append(w.detach().clone())
    return torch.stack(places)


# ---------------------------------------------------------------------------------------------- evaluate and train


class Watched(torch.nn.Module):
    """Batch norm, dropout that drops nothing, and a linear layer. Notes in which modes it is asked.

    When it is `constant`, nothing can be learned: the logits are the input.
    """

    def __init__(self, weight: Tensor, bias: Tensor, constant: bool = False) -> None:
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm1d(weight.shape[1]), torch.nn.Dropout(0.0)
        self.weight, self.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        self.constant = constant

    def forward(self, x: Tensor) -> Tensor:
        _MODES.append([self.training, self.norm.training, self.drop.training, torch.is_grad_enabled()])
        if self.constant:
            return x + 0 * self.bias
        return functional.linear(self.drop(self.norm(x)), self.weight, self.bias)


class _Counted(_Loader):
    def __iter__(self) -> Any:
        _PASSES.append(len(_MODES))
        return super().__iter__()


def counted(x: Tensor, y: Tensor, size: int) -> _Loader:
    """Batches of x and y; notes each time that somebody begins to go through them."""
    return _Counted(TensorDataset(x, y), batch_size=size)


def asked(
    evaluate: Callable[[torch.nn.Module, _Loader], Sequence[object]], model: Watched, loader: _Loader
) -> list[object]:
    """Evaluate a model that is in training mode.

    Returns the modes in which it was asked, whether it is in training mode afterwards, what of its state has changed,
    which parameters have a gradient, and whether a graph is left.
    """
    before = {name: value.clone() for name, value in model.train().state_dict().items()}
    result = evaluate(model, loader)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    left = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    hangs = any(getattr(value, "requires_grad", False) for value in result)
    return [_MODES, model.training and model.norm.training, changed, left, hangs]


def looped(train: Callable[..., object], model: Watched, loader: _Loader, epochs: int) -> list[object]:
    """Train with a function after each epoch that leaves the model in evaluation mode.

    Returns the number of passes through the loader, the modes in which the model was asked, after how many batches the
    function was called, and whether the parameters have moved.
    """
    calls, before = [], model.eval().weight.detach().clone()

    def look() -> None:
        calls.append(len(_MODES))
        model.eval()

    train(model, loader, epochs, after_epoch=look)
    return [len(_PASSES), _MODES, calls, not torch.equal(before, model.weight)]


def remembered(
    train: Callable[[torch.nn.Module, _Loader, int], Sequence[float]],
    model: torch.nn.Module,
    loader: _Loader,
    epochs: int,
) -> list[object]:
    """The losses that a training run returns, and whether any of them still has its graph."""
    history = train(model, loader, epochs)
    hangs = any(getattr(value, "requires_grad", False) for value in history)
    return [[float(value) for value in history], hangs]


def taught(
    train: Callable[..., object], net: torch.nn.Module, images: Tensor, labels: Tensor, size: int, epochs: int
) -> list[object]:
    """The net after training on images (N, 1, H, W), and the last loss reported; bytes are brought to [0, 1]."""
    images = images / 255 if images.dtype == torch.uint8 else images
    loader = DataLoader(TensorDataset(images, labels), batch_size=size, shuffle=True)
    history = train(net, loader, epochs=epochs)
    return [net, float(history[-1]) if isinstance(history, list) and history else 0.0]
