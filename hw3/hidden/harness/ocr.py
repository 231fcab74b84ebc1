"""Harness of hw3/ocr: looks into networks, calls functions, builds models from drawn numbers, and watches training.

What it returns does not depend on what the notebook leaves open: widths of layers, optimisers, lists or tensors. So
two wrong answers that behave alike give the same replies.
"""

import contextlib
import inspect
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

_Loader = DataLoader[tuple[Tensor, ...]]
_Decode = Callable[[torch.nn.Module, Tensor], object]
_Pieces = tuple[
    Callable[[Tensor, Tensor], Tensor],  # build_path_matrix
    Callable[[Tensor, Tensor], Tensor],  # build_ce_matrix
    Callable[[Tensor], tuple[Tensor, Tensor, Tensor]],  # find_path
    Callable[[Tensor, Tensor], Tensor],  # path_cross_entropy
]
_INFINITE = 2.0**29  # from here on an energy counts as infinite


# ---------------------------------------------------------------------------------------------- networks


def settled(net: torch.nn.Module) -> torch.nn.Module:
    """The network in evaluation mode, once its running averages have seen something.

    Parameters that begin as zeros or as ones everywhere get other values: a layer of zeros would hide what it sees.
    """
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.numel() and bool(parameter.max() == parameter.min()):
                parameter.add_(0.1 + 0.5 * torch.rand_like(parameter))
    for _ in range(3):
        net.train()(torch.rand(8, 1, 32, 40))
    return net.eval()


def energies(net: torch.nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = net.eval()(images.clone())
    return found


def described(net: torch.nn.Module, images: Tensor) -> tuple[object, bool, bool]:
    """The shape of what a network answers, whether all of it is finite, and whether the images are as they were. The
    shape is None if the network raises an error.
    """
    given = images.clone()
    try:
        with torch.no_grad():
            found = plain(net.eval()(given))
    except Exception:
        return None, False, True
    if not isinstance(found, Tensor):
        return "no tensor", False, True
    return tuple(found.shape), bool(found.isfinite().all()), _same(given, images)


def windows(net: torch.nn.Module, images: Tensor) -> tuple[object, list[bool], list[bool], bool]:
    """The shape of the energies of several wide images. For each window of the first one: does it get the same
    energies when it is cut out, and when the image comes without the others? And are the energies of all its windows
    there, in whatever places?
    """
    together = energies(net, images)
    number = (images.shape[-1] - 18) // 4 + 1
    if together.shape != (len(images), number, 27):
        return tuple(together.shape), [], [], False
    whole = energies(net, images[:1])[0]
    cut = [energies(net, images[:1, ..., 4 * i : 4 * i + 18])[0, 0] for i in range(number)]
    there = _alike(torch.stack(cut).flatten().sort().values[None], whole.flatten().sort().values[None])
    return tuple(together.shape), _alike(torch.stack(cut), whole), _alike(together[0], whole), all(there)


def _alike(rows: Tensor, others: Tensor) -> list[bool]:
    """Row by row, whether two matrices agree up to rounding."""
    scale = max(1.0, float(others.abs().max()))
    return [float((a - b).abs().max()) <= 5e-5 * scale for a, b in zip(rows, others, strict=True)]


def seen(net: torch.nn.Module, images: Tensor, window: int) -> list[int]:
    """The columns of the images that the energies of one window depend on; none if there is no such window."""
    images = images.clone().requires_grad_()
    found = net.eval()(images * 1)
    if not (found.ndim == 3 and found.shape[1] > window and found.requires_grad):
        return []
    found[:, window].square().sum().backward()
    depth = torch.zeros(images.shape[-1]) if images.grad is None else images.grad.abs().sum((0, 1, 2))
    return [column for column, strength in enumerate(depth.tolist()) if strength > 0]


def too_many(net: torch.nn.Module, limits: Sequence[int]) -> list[bool]:
    """Whether a network has more parameters than each of some limits."""
    number = sum(parameter.numel() for parameter in torch.nn.Module.parameters(net))
    return [number > limit for limit in limits]


# ---------------------------------------------------------------------------------------------- functions


def plain(value: object) -> object:
    """A value without what does not matter: tensors and arrays are tensors, detached, floating-point ones float32;
    lists and tuples are tuples."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.as_tensor(value)
    if isinstance(value, Tensor):
        value = value.detach()
        value = value.float() if value.is_floating_point() else value
        return torch.cat([value]) if value.ndim else value  # one number keeps the strides of what it was a corner of
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value


def _copy(value: object) -> object:
    if isinstance(value, Tensor):
        return value.clone()
    return list(value) if isinstance(value, list) else value


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool((one == other).all())
    return one == other


def asked(function: Callable[..., object], arguments: Sequence[object]) -> tuple[object, list[int]]:
    """What a function answers, plainly, and the numbers of the arguments that it has changed."""
    given = [_copy(argument) for argument in arguments]
    answer = function(*given)
    changed = [i for i, (now, before) in enumerate(zip(given, arguments, strict=True)) if not _same(now, before)]
    return plain(answer), changed


def later(function: Callable[[Tensor], object], first: Tensor, second: Tensor) -> str:
    """Whether the answer to `first` is "kept" or "changed" when the function is asked about `second`."""
    answer = function(first.clone())
    parts = list(answer) if isinstance(answer, list | tuple) else [answer]
    before = [_copy(part) for part in parts]
    function(second.clone())
    return "kept" if all(map(_same, parts, before)) else "changed"


def energies_of_paths(
    path_energy: Callable[..., object], pm: Tensor, paths: Sequence[object]
) -> tuple[list[object], list[bool], bool]:
    """The energies of paths, which of them are truly infinite, and whether all arguments are as they were. An energy is
    a float if it is a single number of any kind, and the name of an error if there was one.
    """
    found, same = [], True
    for path in paths:
        try:
            answer, changed = asked(path_energy, (pm, path))
        except (NotImplementedError, NameError):
            raise
        except Exception as error:
            answer, changed = type(error).__name__, []
        if isinstance(answer, int | float) or (isinstance(answer, Tensor) and answer.numel() == 1):
            answer = float(answer)
        found.append(answer)
        same = same and not changed
    return found, [answer == float("inf") for answer in found], same


def paths(find_path: Callable[[Tensor], object], pm: Tensor, wanted: str) -> tuple[object, list[object], bool]:
    """The shapes of what find_path answers, the parts that are wanted ("free", "path" or "dp"), and whether the matrix
    is as it was. What is infinite in any way is inf.
    """
    answer, changed = asked(find_path, (pm,))
    if not isinstance(answer, tuple) or len(answer) != 3:
        return None, [], not changed
    parts = dict(zip(("free", "path", "dp"), map(_tensor, answer), strict=True))
    shapes = {name: tuple(part.shape) for name, part in parts.items() if isinstance(part, Tensor)}
    if "dp" in shapes and parts["dp"].is_floating_point():
        parts["dp"] = parts["dp"].where(parts["dp"] < _INFINITE, torch.inf)
    if "free" in shapes and parts["free"].is_floating_point():
        parts["free"] = parts["free"].where(parts["free"] < _INFINITE, torch.inf)
    return shapes, [parts[name] for name in wanted.split()], not changed


def _tensor(value: object) -> Any:
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        return torch.tensor(value) if isinstance(value, tuple) else value
    return value


def walks(find_path: Callable[[Tensor], object], pm: Tensor) -> tuple[object, list[tuple[float, ...]]]:
    """What can be said of each path, whichever of the equally cheap ones it is: its first and its last entry, its
    smallest and its largest step, and its energy.
    """
    shapes, parts, _ = paths(find_path, pm, "path")
    if shapes is None or not isinstance(parts[0], Tensor) or parts[0].shape != pm.shape[:2]:
        return shapes, []
    found: list[tuple[float, ...]] = []
    for matrix, path in zip(pm.tolist(), parts[0].tolist(), strict=True):
        steps = [int(b - a) for a, b in itertools.pairwise(path)] or [0]
        inside = all(0 <= j < len(matrix[0]) for j in path)
        energy = sum(row[int(j)] for row, j in zip(matrix, path, strict=True)) if inside else 0.0
        found.append((path[0], path[-1], min(steps), max(steps), energy))
    return shapes, found


def grows(
    function: Callable[..., object], small: Sequence[object], larger: Sequence[Sequence[object]], but: object
) -> list[str]:
    """For each of some large arguments, whether a function executes more "lines" of Python than for small ones, or more
    "operations" of PyTorch, or no more of either ("")."""
    few, fewest = _lines(function, small, but), _operations(function, small, but)
    found = []
    for large in larger:
        lines, operations = _lines(function, large, but), _operations(function, large, but)
        more = few is None or lines is None or lines >= few + _MORE
        found.append("lines" if more else "operations" if operations >= fewest + _MORE else "")
    return found


_MORE = 12


class _Operations(TorchFunctionMode):
    """Counts the operations of PyTorch that code asks for, whatever these do inside, but for those within `code`."""

    def __init__(self, code: object) -> None:
        super().__init__()
        self.code, self.count = code, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not _within(inspect.currentframe(), self.code)
        return func(*args, **(kwargs or {}))


def _operations(function: Callable[..., object], arguments: Sequence[object], but: object = None) -> int:
    """How many operations of PyTorch a function asks for, those that Python's own C code calls for it among them."""
    arguments = list(map(_nearly, arguments))
    operations = _Operations(getattr(but, "__code__", None))
    with operations:
        function(*arguments)
    return operations.count


def _within(frame: FrameType | None, code: object) -> bool:
    """Whether a frame, or one above it, runs this code."""
    while frame is not None and code is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _lines(function: Callable[..., object], arguments: Sequence[object], but: object = None) -> int | None:
    """How many lines of Python run while a function answers. Lines of what it calls count, but for those of `but`.

    None if the function has ended the count.
    """
    count, left_out = 0, getattr(but, "__code__", None)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "call" and _within(frame, left_out):
            return None
        count += event == "line"
        return trace

    function(*arguments)  # whatever happens in a first call only
    arguments = list(map(_nearly, arguments))  # a result that was kept is none for these
    before = sys.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)
    try:
        function(*arguments)
        whole = sys.gettrace() is trace
    finally:
        sys.settrace(before)
        threading.settrace(None)
    return count if whole else None


def _nearly(argument: object) -> object:
    """Another tensor that differs a little; nothing else is changed."""
    if not isinstance(argument, Tensor):
        return argument
    return argument + 1e-3 if argument.is_floating_point() else argument.clone()


def slope(
    function: Callable[[Tensor, Tensor], object], values: Tensor, other: Tensor, weights: Tensor
) -> tuple[object, Tensor | None, list[int]]:
    """A function of two tensors, the gradient of its weighted sum with respect to the first one, and the numbers of the
    arguments that were changed.
    """
    leaf = values.clone().requires_grad_()
    given, beside = leaf * 1, other.clone()  # not a leaf itself: what a network says can be changed in place
    result = function(given, beside)
    changed = [i for i, pair in enumerate(((given, values), (beside, other))) if not _same(*pair)]
    learnable = isinstance(result, Tensor) and result.requires_grad and result.numel() == weights.numel()
    if learnable and not changed and isinstance(result, Tensor):
        (result.flatten() * weights.flatten()).sum().backward()  # type: ignore[no-untyped-call]
    return plain(result), leaf.grad, changed


def softened(
    function: Callable[[Tensor, float], object], pm: Tensor, beta: float, weights: Tensor
) -> tuple[object, Tensor | None, list[int]]:
    """What `slope` says of the free energies of path matrices at β."""
    return slope(lambda values, _: function(values, beta), pm, weights, weights)


def compared(
    infonce: Callable[[Tensor, Tensor, float], object], pos: Tensor, neg: Tensor, beta: float
) -> tuple[object, list[int]]:
    """What infonce answers, its parts as tensors in float64 wherever they are numbers, and the numbers of the arguments
    that it has changed.
    """
    given = pos.clone(), neg.clone()
    answer = infonce(*given, beta)
    changed = [i for i, pair in enumerate(zip(given, (pos, neg), strict=True)) if not _same(*pair)]
    if not isinstance(answer, tuple | list):
        return plain(answer), changed
    return tuple(_numbers(part) for part in answer), changed


def _numbers(value: object) -> object:
    """Numbers of any kind as a tensor in float64; what cannot be read so is as `plain` gives it."""
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        return torch.as_tensor(value, dtype=torch.double).detach().clone()
    return plain(value)


def spread(
    variance_term: Callable[..., object], z: Tensor, gamma: float, eps: float, weight: float
) -> tuple[object, Tensor | None, list[int]]:
    """What `slope` says of the variance term of a batch."""
    weights = torch.full((1,), weight, dtype=z.dtype)
    return slope(lambda values, _: variance_term(values, gamma, eps), z, weights, weights)


def defaults(variance_term: Callable[..., object], z: Tensor) -> object:
    """The variance term of a batch with the γ and the ε that the function has of its own."""
    return plain(variance_term(z.clone()))


# ---------------------------------------------------------------------------------------------- training


class Table(torch.nn.Module):
    """Says energies that stand in a script (visits, N, L, 27), whatever it has learned: so all optimisers see the same.
    They are those of the row whose number is in an image's first pixel, at its first visit, at its second one, …

    Gradients go to the parameter `energies`. Notes each forward pass that can be learned from.

    modes: whether the model was in training mode, and whether its layer was
    rows:  the numbers in the first pixels
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    """

    def __init__(self, script: Tensor) -> None:
        super().__init__()
        self.script = script
        self.energies, self.layer = torch.nn.Parameter(script[0].clone()), torch.nn.Identity()
        self.visits = [0] * script.shape[1]
        self.modes: list[list[bool]] = []
        self.rows: list[list[int]] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.energies.register_hook(lambda gradient: self.fresh.append(gradient.clone()))  # type: ignore[no-untyped-call]
        note = self.energies.register_post_accumulate_grad_hook
        note(lambda energies: self.held.append(energies.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> Tensor:
        rows = images[:, 0, 0, 0].round().long().tolist()
        visits = [min(self.visits[row], len(self.script) - 1) for row in rows]
        if torch.is_grad_enabled():
            self.modes.append([self.training, self.layer.training])
            self.rows.append(rows)
            for row in rows:
                self.visits[row] += 1
        learned = self.energies[rows]
        return self.script[visits, rows] + (learned - learned.detach())


class _Lookup(torch.nn.Module):
    """Looks energies up, by the number in an image's first pixel: a network that can learn."""

    def __init__(self, energies: Tensor) -> None:
        super().__init__()
        self.energies = torch.nn.Parameter(energies.clone())

    def forward(self, images: Tensor) -> Tensor:
        return self.energies[images[:, 0, 0, 0].round().long()]


def _numbered(labels: Tensor, width: int, size: int) -> _Loader:
    """Batches of images that say their own number."""
    images = torch.arange(len(labels)).float()[:, None, None, None].expand(-1, 1, 32, width)
    return DataLoader(TensorDataset(images, labels), batch_size=size, shuffle=True)


def watched(
    train: Callable[[torch.nn.Module, _Loader, int], object],
    script: Tensor,
    labels: Tensor,
    width: int,
    size: int,
    epochs: int,
) -> tuple[bool, object, list[list[bool]], list[list[int]], list[Tensor], list[int]]:
    """Whether a training run breaks, what it returns, and what a Table notes of it, which arrives in evaluation mode
    and with an old gradient: modes, rows, gradients of their energies, steps whose gradient has something left over.
    """
    table = Table(script).eval()
    table.energies.grad = torch.ones_like(table.energies)
    broken, result = False, None
    try:
        result = train(table, _numbered(labels, width, size), epochs)
    except Exception:
        broken = True
    gradients = [gradient[rows] for gradient, rows in zip(table.fresh, table.rows, strict=False)]
    pairs = zip(table.fresh, table.held, strict=False)
    stale = [step for step, (fresh, held) in enumerate(pairs) if float((fresh - held).abs().max()) > 1e-6]
    return broken, plain(result), table.modes, table.rows, gradients, stale


def run(
    train: Callable[[torch.nn.Module, _Loader, int], object],
    script: Tensor,
    labels: Tensor,
    width: int,
    size: int,
    epochs: int,
) -> None:
    """The same training run again, to see the error that breaks it."""
    train(Table(script).eval(), _numbered(labels, width, size), epochs)


def learned(
    train: Callable[..., object], start: Tensor, labels: Tensor, width: int, size: int, epochs: int, uphill: Tensor
) -> tuple[float, bool]:
    """Which way a table of energies goes in a training run: 1 along `uphill`, -1 against it, 0 nowhere. And whether it
    goes much less far with a learning rate of 10⁻⁶ than with one of 0.1.
    """
    moves = []
    for more in {}, {"lr": 1e-6}, {"lr": 0.1}:
        table = _Lookup(start)
        train(table, _numbered(labels, width, size), epochs, **more)
        moves.append(table.energies.detach() - start)
    usual, small, large = moves
    return float((usual * uphill).sum().sign()), float(small.abs().max()) < 0.01 * float(large.abs().max())


def along_the_path(
    pieces: _Pieces, said: Tensor, targets: Tensor
) -> tuple[str, float | None, float | None, Tensor | None]:
    """The loss, the mean free energy and the loss's gradient of one batch, by the student's own pieces. First comes
    what is wrong with the path that they find, if it is not a path at all.
    """
    build_path_matrix, build_ce_matrix, find_path, path_cross_entropy = pieces
    said = said.clone().requires_grad_()
    with torch.no_grad():
        free, path, _ = find_path(build_path_matrix(said, targets))
    path = torch.as_tensor(path)
    if path.dtype != torch.int64 or path.ndim != 2:
        return f"{path.ndim} axes of {path.dtype}", None, None, None
    loss = path_cross_entropy(build_ce_matrix(said, targets), path).mean() / said.shape[1]
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    return "", loss.item(), float(torch.as_tensor(free).mean()), said.grad


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


class Given(torch.nn.Module):
    """The same energies for every image. Notes in which mode and with which images it is asked."""

    def __init__(self, energies: Tensor) -> None:
        super().__init__()
        self.energies, self.layer = torch.nn.Parameter(energies), torch.nn.Identity()
        self.modes: list[list[bool]] = []
        self.images: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append([self.training, self.layer.training])
        self.images.append(images.detach().clone())
        return self.energies.expand(len(images), -1, -1).clone()


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


def decoded(decode: _Decode, energies: Tensor, training: bool, by_number: bool) -> object:
    """The word for a model that gives these energies (L, 27) and arrives in mode `training`."""
    image = torch.rand(1, 32, 18 + 4 * (len(energies) - 1))
    with _numbers_for_words(decode, by_number):
        return decode(Given(energies).train(training), image)


def reading(decode: _Decode, energies: Tensor, training: bool) -> tuple[list[list[bool]], list[bool], bool, bool]:
    """What happens while a word is read: the modes in which the model and its layer were asked and are left, whether
    each time it was shown a batch of the image, and whether the image is as it was.
    """
    model, image = Given(energies).train(training), torch.rand(1, 32, 18 + 4 * (len(energies) - 1))
    given = image.clone()
    decode(model, given)
    shown = all(images.ndim == 4 and _same(images[0], image) for images in model.images)
    return model.modes, [model.training, model.layer.training], shown, _same(given, image)


def read(decode: _Decode, net: torch.nn.Module, images: Tensor, by_number: bool) -> list[object]:
    """The words in images, bytes (N, 1, 32, W)."""
    with _numbers_for_words(decode, by_number):
        return [decode(net, image) for image in images / 255]
