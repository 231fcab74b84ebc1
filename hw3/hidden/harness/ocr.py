"""Harness of hw3/ocr: looks into networks, counts lines, builds models from drawn numbers, and watches training."""

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

_Loader = DataLoader[tuple[Tensor, ...]]
_Decode = Callable[[torch.nn.Module, Tensor], object]
_Pieces = tuple[
    Callable[[Tensor, Tensor], Tensor],  # build_path_matrix
    Callable[[Tensor, Tensor], Tensor],  # build_ce_matrix
    Callable[[Tensor], tuple[Tensor, Tensor, Tensor]],  # find_path
    Callable[[Tensor, Tensor], Tensor],  # path_cross_entropy
]


# ---------------------------------------------------------------------------------------------- networks


def settled(net: torch.nn.Module) -> torch.nn.Module:
    """The network in evaluation mode, once its running averages have seen something."""
    for _ in range(3):
        net.train()(torch.rand(8, 1, 32, 40))
    return net.eval()


def energies(net: torch.nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = net.eval()(images)
    return found


def windows(net: torch.nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """The energies of a wide image, and those of each of its windows alone."""
    whole = energies(net, image)[0]
    alone = [energies(net, image[..., 4 * i : 4 * i + 18])[0, 0] for i in range(len(whole))]
    return whole, torch.stack(alone)


def seen(net: torch.nn.Module, image: Tensor, window: int) -> Tensor:
    """How strongly the energies of one window depend on each column of the image."""
    image = image.clone().requires_grad_()
    net.eval()(image)[:, window].square().sum().backward()
    return torch.zeros(image.shape[-1]) if image.grad is None else image.grad.abs().sum((0, 1, 2))


def parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# ---------------------------------------------------------------------------------------------- functions


def lines(function: Callable[..., object], arguments: Sequence[object], but: object = None) -> int:
    """How many lines of Python run while a function answers. Lines of what it calls count, but for those of `but`."""
    count, left_out = 0, getattr(but, "__code__", None)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        above = frame if event == "call" and left_out is not None else None
        while above is not None:
            if above.f_code is left_out:
                return None
            above = above.f_back
        count += event == "line"
        return trace

    function(*arguments)  # whatever happens in a first call only
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def slope(
    function: Callable[[Tensor, Tensor], Tensor], values: Tensor, other: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor | None]:
    """A function of two tensors, and the gradient of its weighted sum with respect to the first one."""
    values = values.clone().requires_grad_()
    result = function(values, other)
    if result.requires_grad:
        (result * weights).sum().backward()  # type: ignore[no-untyped-call]
    return result.detach(), values.grad


def untouched(function: Callable[[Tensor], object], matrix: Tensor) -> tuple[object, bool]:
    """What a function answers, and whether it has left its argument as it was."""
    copy = matrix.clone()
    answer = function(copy)
    if isinstance(answer, tuple | list):  # a single number keeps the strides of the matrix that it was a corner of
        answer = [torch.cat([part]) if isinstance(part, Tensor) and part.ndim else part for part in answer]
    return answer, torch.equal(copy, matrix)


# ---------------------------------------------------------------------------------------------- training


class Table(torch.nn.Module):
    """Looks energies up, by the number in an image's first pixel. Notes each forward pass that can be learned from.

    modes: whether the model was in training mode
    rows:  the numbers in the first pixels
    said:  the energies
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    """

    def __init__(self, energies: Tensor) -> None:
        super().__init__()
        self.energies = torch.nn.Parameter(energies)
        self.modes: list[bool] = []
        self.rows: list[list[int]] = []
        self.said: list[Tensor] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.energies.register_hook(lambda gradient: self.fresh.append(gradient.clone()))  # type: ignore[no-untyped-call]
        note = self.energies.register_post_accumulate_grad_hook
        note(lambda energies: self.held.append(energies.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> Tensor:
        rows = images[:, 0, 0, 0].round().long()
        if torch.is_grad_enabled():
            self.modes.append(self.training)
            self.rows.append(rows.tolist())
            self.said.append(self.energies.detach()[rows].clone())
        return self.energies[rows]


def watched(
    train: Callable[[torch.nn.Module, _Loader, int], object],
    table: Table,
    labels: Tensor,
    width: int,
    size: int,
    epochs: int,
) -> tuple[object, list[bool], list[list[int]], list[Tensor], list[Tensor], bool]:
    """What a training run returns, what a Table in evaluation mode notes of it, and whether an old gradient is left."""
    images = torch.arange(len(labels)).float()[:, None, None, None].expand(-1, 1, 32, width)
    loader = DataLoader(TensorDataset(images, labels), batch_size=size, shuffle=True)
    result = train(table.eval(), loader, epochs)
    stale = [not torch.allclose(a, b, atol=1e-6) for a, b in zip(table.fresh, table.held, strict=False)]
    return result, table.modes, table.rows, table.said, table.fresh, any(stale)


def along_the_path(pieces: _Pieces, said: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """The loss, the mean free energy and the loss's gradient of one batch, by the student's own pieces."""
    build_path_matrix, build_ce_matrix, find_path, path_cross_entropy = pieces
    said = said.clone().requires_grad_()
    with torch.no_grad():
        free, path, _ = find_path(build_path_matrix(said, targets))
    loss = path_cross_entropy(build_ce_matrix(said, targets), path).mean() / said.shape[1]
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), free.mean(), said.grad


def taught(
    train: Callable[..., object],
    net: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    size: int,
    epochs: int,
    **more: object,
) -> torch.nn.Module:
    """The network after training on images, bytes (N, 1, 32, W)."""
    train(net, DataLoader(TensorDataset(images / 255, labels), batch_size=size, shuffle=True), epochs=epochs, **more)
    return net


def answers(net: torch.nn.Module, images: Tensor) -> Tensor:
    """The energies of images, bytes (N, 1, 32, W)."""
    return energies(net, images / 255)


# ---------------------------------------------------------------------------------------------- reading


class _Given(torch.nn.Module):
    """The same energies for every image. Notes in which mode it is asked."""

    def __init__(self, energies: Tensor) -> None:
        super().__init__()
        self.energies = energies
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        return self.energies.expand(len(images), -1, -1)


@contextlib.contextmanager
def _numbers_for_words(decode: _Decode, wanted: bool) -> Iterator[None]:
    """While it lasts, the indices_to_str that decode calls writes numbers, in which no word can be misspelt."""
    names: dict[str, Any] = getattr(inspect.unwrap(decode), "__globals__", {})
    if not wanted or "indices_to_str" not in names:
        yield
        return
    own = names["indices_to_str"]
    names["indices_to_str"] = lambda indices: " ".join(str(int(k)) for k in indices)
    try:
        yield
    finally:
        names["indices_to_str"] = own


def decoded(decode: _Decode, energies: Tensor, training: bool, by_number: bool) -> tuple[object, list[bool], bool]:
    """The word for a model that comes in mode `training`; the modes in which it was asked, and in which it is left."""
    model = _Given(energies).train(training)
    with _numbers_for_words(decode, by_number):
        word = decode(model, torch.zeros(1, 32, 18 + 4 * (len(energies) - 1)))
    return word, model.modes, model.training


def read(decode: _Decode, net: torch.nn.Module, images: Tensor, by_number: bool) -> list[object]:
    """The words in images, bytes (N, 1, 32, W)."""
    with _numbers_for_words(decode, by_number):
        return [decode(net, image) for image in images / 255]
