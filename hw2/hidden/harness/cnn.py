"""Harness of hw2/cnn: looks into blocks and networks, builds models from drawn numbers, and watches the loop.

What it returns does not depend on what the notebook leaves open: the order and the width of layers, their first
parameters, optimisers. So two wrong answers that behave alike give the same replies.
"""

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

_Batch = tuple[Tensor, Tensor]
_Loader = DataLoader[tuple[Tensor, ...]]
_Measure = Callable[[torch.nn.Module, Sequence[Tensor], torch.nn.Module, object], tuple[Tensor, object]]

# For each run of a Watched model: the training modes of its parts, then whether its answer has a graph.
_MODES: list[list[bool]] = []
# For each pass over a loader of `counted` that came to the last batch: how often a model had run by then.
_PASSES: list[int] = []
# For each part of a batch that is sent to _GOAL: whether it was the images or the labels.
_SENT: list[str] = []
_GOAL = torch.device("cpu", 0)


def _plain(value: Any) -> Any:
    """A Python number for a number of torch or numpy; anything else unchanged."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) in ((), (1,)) else value


# ---------------------------------------------------------------------------------------------- blocks and networks


class _Convolution:
    """A convolution that ran. `norms` are those that acted on its output: (number, scale, shift)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: list[int], output: Tensor) -> None:
        self.weight, self.bias, self.stride, self.output = weight, bias, stride, output
        self.norms: list[tuple[int, Tensor | None, Tensor | None]] = []


class _Running(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what runs: the names of operations, and convolutions with their batch norms."""

    def __init__(self, x: Tensor | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []
        self._ways = _Ways(x)
        self.convolutions: list[_Convolution] = []
        self.norms: list[object] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = function._schema.name.split("::")[-1].strip("_")
        result = function(*args, **(kwargs or {}))
        shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
        if name == "convolution":
            self.convolutions.append(_Convolution(args[1], args[2], list(args[3]), result))
        elif "batch_norm" in name:
            self._normed(args)
        self.names.append(_kind(name, shapes, result, self._ways.joined(name, args)))
        self._ways.go_on(name, [args, kwargs], result)
        return result

    def _normed(self, args: Sequence[Any]) -> None:
        own = next((part for part in (args[1], args[3]) if part is not None), None)
        number = next((n for n, norm in enumerate(self.norms) if norm is own and own is not None), len(self.norms))
        self.norms += [own] if number == len(self.norms) else []
        for convolution in self.convolutions:
            if convolution.output is args[0]:
                convolution.norms.append((number, args[1], args[2]))

    def sorted(self) -> list[_Convolution]:
        """The 3x3 convolutions in the order in which they ran, then the others."""
        return sorted(self.convolutions, key=lambda found: tuple(found.weight.shape[2:]) != (3, 3))


class _Ways:
    """Through which layers each tensor has come from the images x: layers have numbers, and x is number 0.

    Tensors that share memory have come the same way.
    """

    def __init__(self, x: Tensor | None) -> None:
        self._layers: dict[int, set[int]] = {} if x is None else {_memory(x): {0}}
        self._mixed: set[int] = set()  # stacks of tensors that have come different ways
        self._kept: list[Tensor] = []  # so that no memory is used again

    def of(self, tensor: Tensor) -> set[int]:
        return self._layers.get(_memory(tensor), set())

    def joined(self, name: str, args: Sequence[Any]) -> str:
        """What an operation adds: "residual" if it has come from x through different layers, "same" if through the
        same ones, else "counting"."""
        parts = _tensors(args)
        if name == "sum":
            return "residual" if parts and _memory(parts[0]) in self._mixed else "counting"
        ways = [self.of(part) for part in parts[:2]]
        if len(ways) < 2 or not all(ways):
            return "counting"
        return "residual" if ways[0] != ways[1] else "same"

    def go_on(self, name: str, given: Any, result: Any) -> None:
        """Note the way of an operation's results."""
        parts = _tensors(given)
        ways = [self.of(part) for part in parts]
        way = set().union(*ways)
        if way and (name in _LINEAR or any(word in name for word in _LAYERS)):
            way.add(len(self._kept) + 1)
        mixed = name in ("stack", "cat") and all(ways) and any(one != ways[0] for one in ways)
        for made in _tensors(result):
            self._kept.append(made)
            self._layers[_memory(made)] = way | self.of(made)
            if mixed:
                self._mixed.add(_memory(made))


_LAYERS = ("conv", "_norm", "pool", "attention", "fft", "lstm", "gru", "rnn")


def _tensors(thing: Any) -> list[Tensor]:
    """All tensors in lists, tuples and dictionaries."""
    if isinstance(thing, Tensor):
        return [thing]
    parts = list(thing.values()) if isinstance(thing, dict) else thing if isinstance(thing, tuple | list) else []
    return [tensor for part in parts for tensor in _tensors(part)]


def _memory(tensor: Tensor) -> int:
    """Where a tensor keeps its numbers; views are there, too."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)


def _kind(name: str, shapes: list[tuple[int, ...]], result: Any, joined: str) -> str:
    """The name of an operation, or what it does for a network: "residual", "same", "pool of all", "counting".

    joined: which of these it is if it adds feature maps, see `_Ways`
    """
    if name in ("add", "sub", "rsub", "lerp", "addcmul"):
        whole = len(shapes) >= 2 and len(shapes[0]) > 1 and shapes[0] == shapes[1]
        return joined if whole else "counting"
    if name == "sum" and len(shapes[0]) == 5 and joined == "residual":  # of feature maps that were stacked
        return joined
    if name in ("mean", "amax", "max", "sum", "logsumexp") and shapes and len(shapes[0]) > 2:
        return "pool of all"
    if name == "convolution" and tuple(result.shape[2:]) == (1, 1):
        return "linear convolution"  # of all that is left: a linear layer
    return str(name)


_VIEWS = {"view", "unsafe_view", "reshape", "squeeze", "unsqueeze", "t", "transpose", "permute", "detach", "alias"}
_VIEWS |= {"flatten", "expand", "clone", "copy", "to_copy", "select", "slice", "counting", "same"}
_LINEAR = {"addmm", "mm", "linear", "addmv", "matmul", "bmm", "baddbmm", "linear convolution"}


def _last(names: Sequence[str]) -> str:
    """The last operation that is more than another view of the same numbers: "linear", or its name."""
    last = next((name for name in reversed(names) if name not in _VIEWS), "nothing")
    return "linear" if last in _LINEAR else last


def _said(y: object) -> list[object]:
    """The shape of a tensor, whether it is finite, and whether it has no negative numbers; of others, what they are."""
    if not isinstance(y, Tensor):
        return ["None" if y is None else f"a {type(y).__name__}", False, False]
    return [list(y.shape), bool(y.isfinite().all()), bool((y >= 0).all())]


def output(block: torch.nn.Module, x: Tensor, training: bool) -> list[object]:
    """What can be said of the output of a block, and whether x is unchanged."""
    before = x.clone()
    with torch.no_grad():
        y = block.train(training)(x)
    return [*_said(y), torch.equal(x, before)]


def layers(block: torch.nn.Module, x: Tensor) -> list[list[object]]:
    """Of each convolution that runs: kernel, stride, and the numbers of the batch norms that act on its output.

    The 3x3 convolutions come first, in the order in which they run. Batch norms are numbered in the order of this list.
    """
    with torch.no_grad(), _Running() as running:
        block.train()(x.clone())
    found = running.sorted()
    order = list(dict.fromkeys(number for c in found for number, *_ in c.norms))
    return [[list(c.weight.shape[2:]), c.stride, [order.index(number) for number, *_ in c.norms]] for c in found]


def rigged(
    block: torch.nn.Module, x: Tensor, weights: Sequence[Tensor], scales: Sequence[Tensor], shifts: Sequence[Tensor]
) -> list[object]:
    """The output of a block in training mode, once its convolutions and their batch norms have these parameters.

    They are given in the order of `layers`; what does not fit stays as it is. Biases of convolutions become 0. Returns
    the output, and of each convolution the weight, and the scale and the shift of its first batch norm.
    """
    with torch.no_grad(), _Running() as running:
        block.train()(x.clone())
    with torch.no_grad():
        for found, *given in zip(running.sorted(), weights, scales, shifts, strict=False):
            norm = found.norms[0][1:] if found.norms else (None, None)
            for part, value in zip((found.weight, *norm), given, strict=True):
                if part is not None and part.is_leaf and part.shape == value.shape:
                    part.copy_(value)
            if found.bias is not None and found.bias.is_leaf:
                found.bias.zero_()
    with torch.no_grad(), _Running() as running:
        y: Tensor = block(x.clone())
    used = []
    for found in running.sorted():
        channels = len(found.weight)
        norm = found.norms[0][1:] if found.norms else (None, None)
        scale, shift = (torch.full((channels,), k) if n is None else n for n, k in zip(norm, (1.0, 0.0), strict=True))
        used.append([found.weight.detach().clone(), scale.detach().clone(), shift.detach().clone()])
    return [y, used]


def net_facts(net: torch.nn.Module, x: Tensor) -> dict[str, object]:
    """What runs when a network sees images x, in training mode and in evaluation mode.

    said:         what can be said of its logits
    convolutions: how many convolutions run, at most two
    parts:        which of "batch norm", "pooling" and "a residual sum" run; "a sum of the same" if no other sum does
    last:         the last operation in each of the two modes
    large:        whether there are more than 100,000 parameters
    idle:         whether some parameters get no gradient
    kept:         whether x is unchanged
    """
    before = x.clone()
    with _Running(x) as running:
        y = net.train()(x)
    said, kept = _said(y)[:2], torch.equal(x, before)
    (y * y).sum().backward()
    with _Running() as later:
        again = net.eval()(before)  # a layer that is left out at random in training is used now
    (again * again).sum().backward()
    names = running.names
    runs = {
        "batch norm": any("batch_norm" in name for name in names),
        "pooling": any("pool" in name for name in names),
        "a residual sum": "residual" in names,
        "a sum of the same": "same" in names and "residual" not in names,
    }
    return {
        "said": said,
        "convolutions": min(sum("conv" in name for name in names), 2),
        "parts": [part for part, there in runs.items() if there],
        "last": [_last(names), _last(later.names)],
        "large": sum(p.numel() for p in torch.nn.Module.parameters(net)) > 100_000,
        "idle": any(p.grad is None for p in torch.nn.Module.parameters(net)),
        "kept": kept,
    }


def alone(net: torch.nn.Module, x: Tensor) -> list[object]:
    """The shape of the logits of the second image without the others, and whether they are what it gets with them."""
    together, single = logits(net, x.clone()), logits(net, x[1:2].clone())
    same = single.shape == together[1:2].shape and torch.allclose(single, together[1:2], rtol=1e-3, atol=1e-4)
    return [list(single.shape), same]


def logits(net: torch.nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y: Tensor = net.eval()(x)
    return y


# ---------------------------------------------------------------------------------------------- parts that are lent


class RightResidualBlock(torch.nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.second = torch.nn.Conv2d(out_channels, out_channels, 3, 1, 1)
        self.norms = torch.nn.ModuleList([torch.nn.BatchNorm2d(out_channels) for _ in range(3)])
        self.short = torch.nn.Conv2d(in_channels, out_channels, 1, stride)
        if stride == 1 and in_channels == out_channels:
            del self.short, self.norms[2]

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norms[0](self.first(x)))
        short = self.norms[2](self.short(x)) if len(self.norms) == 3 else x
        return functional.relu(self.norms[1](self.second(inner)) + short)


def right_get_loss_and_correct(
    model: torch.nn.Module, batch: _Batch, criterion: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> tuple[Tensor, int]:
    images, labels = (part.to(device) for part in batch)
    scores = model(images)
    return criterion(scores, labels), int((scores.argmax(1) == labels).sum())


def right_step(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def lent(function: Any, parts: Mapping[str, object]) -> Callable[..., object]:
    """A function or class of the notebook that finds these right parts under the names of earlier exercises."""
    inner = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)
    names: dict[str, Any] = getattr(inner, "__globals__", {})

    def call(*args: Any, **kwargs: Any) -> object:
        before = {name: names[name] for name in parts if name in names}
        names.update(parts)
        try:
            return function(*args, **kwargs)
        finally:
            for name in parts:
                names.pop(name)
            names.update(before)

    return call


# ---------------------------------------------------------------------------------------------- measure and step


class _Noting(Tensor):
    """A tensor that records when it is sent to _GOAL."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        said = [*args, *(kwargs or {}).values()]
        if any(isinstance(goal, torch.device | str) and str(goal) == str(_GOAL) for goal in said):
            _SENT.append("images" if args[0].is_floating_point() else "labels")
        return super().__torch_function__(function, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def linear(weight: Tensor, bias: Tensor) -> torch.nn.Module:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def moved(get_loss_and_correct: _Measure, x: Tensor, y: Tensor) -> dict[str, bool]:
    """Whether get_loss_and_correct sends images and labels to the given device."""
    batch = x.as_subclass(_Noting), y.as_subclass(_Noting)
    get_loss_and_correct(torch.nn.Flatten(), batch, torch.nn.CrossEntropyLoss(), _GOAL)
    return {name: name in _SENT for name in ("images", "labels")}


def measured(
    get_loss_and_correct: _Measure,
    model: torch.nn.Linear,
    x: Tensor,
    y: Tensor,
    criterion: torch.nn.Module,
    training: bool,
) -> list[object]:
    """What get_loss_and_correct returns for a batch that is a list, the gradient of the loss, what has changed, and how
    often the model was asked.

    The gradient is None where the loss has lost its graph.
    """
    before, batch, times = [x.clone(), y.clone()], [x, y], list[None]()
    hook = model.register_forward_hook(lambda *_: times.append(None))
    answer: Any = get_loss_and_correct(model.train(training), batch, criterion, "cpu")
    hook.remove()
    changed = ["the mode of the model"] if model.training is not training else []
    changed += ["the gradients of the model"] if model.weight.grad is not None else []
    changed += ["the batch"] if not all(map(torch.equal, before, batch)) else []
    slope, loss = None, answer[0] if isinstance(answer, tuple | list) and answer else None
    if isinstance(loss, Tensor) and loss.requires_grad:
        if not changed:
            [slope] = torch.autograd.grad(loss.sum(), model.weight, allow_unused=True)
        answer = [loss.detach(), *answer[1:]]
    if isinstance(answer, tuple | list) and len(answer) == 2:
        answer = [answer[0], _plain(answer[1])]
    return [answer, slope, changed, len(times)]


def stepped(
    step: Callable[[Tensor, torch.optim.Optimizer], object],
    start: Tensor,
    targets: Tensor,
    rates: Sequence[float],
    momentum: float,
) -> Tensor:
    """Two vectors after each step; the loss of a step is the squared distance of both from a target.

    start: (2, n), both vectors; each has its own learning rate
    """
    v, w = (row.clone().requires_grad_() for row in start)
    groups = [{"params": [part], "lr": lr} for part, lr in zip((v, w), rates, strict=True)]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=momentum)
    places = []
    for target in targets:
        step(((torch.stack([v, w]) - target) ** 2).sum(), optimizer)
        places.append(torch.stack([v, w]).detach().clone())
    return torch.stack(places)


# ---------------------------------------------------------------------------------------------- evaluate and train


class Watched(torch.nn.Module):
    """Batch norm, dropout that drops nothing, and a linear layer. Records the modes in which it runs.

    When it is `constant`, nothing can be learned: the logits of question k (0, 1, ...) are the input times 1 + k / 4.
    """

    def __init__(self, weight: Tensor, bias: Tensor, constant: bool = False) -> None:
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm1d(weight.shape[1]), torch.nn.Dropout(0.0)
        self.weight, self.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        self.constant = constant

    def forward(self, x: Tensor) -> Tensor:
        if self.constant:
            result = x * (1 + len(_MODES) / 4) + 0 * self.bias
        else:
            result = functional.linear(self.drop(self.norm(x)), self.weight, self.bias)
        _MODES.append([self.training, self.norm.training, self.drop.training, result.requires_grad])
        return result


class _Pass:
    """A pass over the batches of a loader; it counts once the last batch is handed out.

    A loader may be asked for passes that nobody goes through: tqdm.auto asks twice for each one.
    """

    def __init__(self, batches: Any) -> None:
        self._batches, self._left = batches, len(batches)

    def __iter__(self) -> Any:
        return self

    def __len__(self) -> int:
        return len(self._batches)

    def __next__(self) -> Any:
        batch = next(self._batches)
        self._left -= 1
        if not self._left:
            _PASSES.append(len(_MODES))
        return batch


class _Counted(_Loader):
    def __iter__(self) -> Any:
        return _Pass(super().__iter__())


def counted(x: Tensor, y: Tensor, size: int) -> _Loader:
    """Batches of x and y; records each whole pass over them."""
    return _Counted(TensorDataset(x, y), batch_size=size)


def evaluated(
    evaluate: Callable[[torch.nn.Module, list[list[Tensor]]], object],
    model: torch.nn.Module,
    x: Tensor,
    y: Tensor,
    sizes: Sequence[int],
) -> object:
    """What evaluate returns for a list of batches of these sizes."""
    answer = evaluate(model, _listed(x, y, sizes))
    return [_plain(value) for value in answer] if isinstance(answer, tuple | list) else answer


def evaluated_stream(
    evaluate: Callable[[torch.nn.Module, Iterable[list[Tensor]]], object],
    model: torch.nn.Module,
    x: Tensor,
    y: Tensor,
    sizes: Sequence[int],
) -> object:
    """What evaluate returns for batches of these sizes that can be gone through once, and have no length."""
    answer = evaluate(model, iter(_listed(x, y, sizes)))
    return [_plain(value) for value in answer] if isinstance(answer, tuple | list) else answer


def evaluated_without_the_rest(
    evaluate: Callable[[torch.nn.Module, _Loader], object], model: torch.nn.Module, x: Tensor, y: Tensor, size: int
) -> object:
    """What evaluate returns for a loader that leaves out an incomplete batch."""
    answer = evaluate(model, DataLoader(TensorDataset(x, y), batch_size=size, drop_last=True))
    return [_plain(value) for value in answer] if isinstance(answer, tuple | list) else answer


def _listed(x: Tensor, y: Tensor, sizes: Sequence[int]) -> list[list[Tensor]]:
    return [[a, b] for a, b in zip(torch.split(x, list(sizes)), torch.split(y, list(sizes)), strict=True)]


def asked(
    evaluate: Callable[[torch.nn.Module, list[list[Tensor]]], object],
    model: Watched,
    x: Tensor,
    y: Tensor,
    size: int,
    training: bool,
) -> list[object]:
    """Evaluate a model that comes in this mode, with a frozen bias and a gradient.

    Returns the modes in which it was asked, the modes in which it leaves, what has changed, whether a graph is left.
    """
    model.bias.requires_grad_(False)
    model.weight.grad = torch.ones_like(model.weight)
    held: dict[str, Tensor] = {**model.train(training).state_dict(), "images": x, "labels": y}
    before = {name: value.clone() for name, value in held.items()}
    result = evaluate(model, _listed(x, y, [size] * (len(x) // size) + [len(x) % size]))
    changed = [name for name, value in before.items() if not torch.equal(value, held[name])]
    if model.weight.grad is None or not (model.weight.grad == 1).all():
        changed.append("the gradient")
    if model.bias.requires_grad or not model.weight.requires_grad:
        changed.append("requires_grad")
    values = result if isinstance(result, tuple | list) else [result]
    hangs = any(getattr(value, "requires_grad", False) for value in values)
    return [_MODES, [model.training, model.norm.training, model.drop.training], changed, hangs]


def looped(train: Callable[..., object], model: Watched, loader: _Loader, epochs: int) -> list[object]:
    """Train with a function after each epoch that leaves the model in evaluation mode.

    Returns the number of whole passes through the loader, the modes in which the model was asked, after how many
    batches the function was called, and how often the parameters have moved: at most three times less than the model
    was asked, because a schedule may begin or end at a rate of 0.
    """
    calls, places = [], [model.eval().weight.detach().clone()]
    note = model.register_forward_pre_hook(lambda *_: places.append(model.weight.detach().clone()))

    def look() -> None:
        calls.append(len(_MODES))
        model.eval()

    train(model, loader, epochs, after_epoch=look)
    note.remove()
    places.append(model.weight.detach())
    moves = sum(not torch.equal(a, b) for a, b in itertools.pairwise(places))
    return [len(_PASSES), _MODES, calls, min(moves, len(_MODES) - 3)]


def ways(
    train: Callable[..., object], weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, rates: Sequence[float]
) -> list[bool]:
    """Whether the weights of a Watched model move in one epoch more than three times as far at each rate as before."""
    found = []
    for lr in rates:
        model = Watched(weight.clone(), bias.clone())
        train(model, DataLoader(TensorDataset(x, y), batch_size=8), 1, lr=lr)
        found.append((model.weight.detach() - weight).norm().item())
    return [large > 3 * small for small, large in itertools.pairwise(found)]


def remembered(
    train: Callable[[torch.nn.Module, _Loader, int], object], model: torch.nn.Module, loader: _Loader, epochs: int
) -> list[object]:
    """What a training run returns, tensors of one number as numbers, whether any of it still has its graph, and whether
    any of it is a tensor without one."""
    history = train(model, loader, epochs)
    if not isinstance(history, list | tuple):
        return [history, False, False]
    hangs = any(getattr(value, "requires_grad", False) for value in history)
    tensors = not hangs and any(isinstance(value, Tensor) for value in history)
    return [type(history)(_plain(value) for value in history), hangs, tensors]


def taught(
    train: Callable[..., object], net: torch.nn.Module, images: Tensor, labels: Tensor, size: int, epochs: int
) -> list[object]:
    """The net after training on images (N, 1, H, W), and the last loss reported; bytes are scaled to [0, 1]."""
    images = images / 255 if images.dtype == torch.uint8 else images
    loader = DataLoader(TensorDataset(images, labels), batch_size=size, shuffle=True)
    history = train(net, loader, epochs=epochs)
    return [net, float(history[-1]) if isinstance(history, list) and history else 0.0]


class _Anew(_Loader):
    """Batches of digits on canvases, at places that are drawn anew for each pass."""

    def __init__(self, digits: Tensor, labels: Tensor, number: int, size: int, seed: int) -> None:
        self._digits = functional.interpolate(digits / 16, size=(12, 12), mode="bilinear")[:, 0]
        self._labels, self._number, self._dice = labels, number, torch.Generator().manual_seed(seed)
        self._canvases = TensorDataset(*self._placed())
        super().__init__(self._canvases, batch_size=size, shuffle=True)

    def _placed(self) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self._digits), (self._number,), generator=self._dice)
        top, left = torch.randint(17, (2, self._number, 1, 1), generator=self._dice)
        images, side = torch.zeros(self._number, 28, 28), torch.arange(12)
        images[torch.arange(self._number)[:, None, None], top + side[:, None], left + side] = self._digits[rows]
        return images[:, None], self._labels[rows]

    def __iter__(self) -> Any:
        self._canvases.tensors = self._placed()
        return super().__iter__()


def taught_anew(
    train: Callable[..., object],
    net: torch.nn.Module,
    digits: Tensor,
    labels: Tensor,
    number: int,
    size: int,
    epochs: int,
    seed: int,
) -> torch.nn.Module:
    """The net after training on `number` digits (N, 1, 8, 8), from 0 to 16, placed anew for each epoch.

    Its weights are laid out so that convolutions are faster. A net or a loop that needs another layout fails.
    """
    train(net.to(memory_format=torch.channels_last), _Anew(digits, labels, number, size, seed), epochs=epochs)
    return net
