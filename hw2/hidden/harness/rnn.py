"""Harness of hw2/rnn: asks networks what they say, watches the training loop, trains networks, counts operations."""

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode

_SEEN = 2e-6  # a change of logits that is not one of rounding


def seen() -> float:
    """The least change of logits that counts. They are of size 1, or a tenth, and float32 has seven digits."""
    return _SEEN


class _Memory(Protocol):
    """A GRUMemory, or a VariableDelayGRUMemory: that one also takes delays."""

    def __call__(self, x: Tensor, *delays: Tensor) -> Tensor: ...

    def parameters(self) -> Iterable[Tensor]: ...

    def eval(self) -> Any: ...

    def train(self) -> Any: ...

    def test_run(self, s: str, *delay: int) -> str: ...


_Question = tuple[str, *tuple[int, ...]]  # (s,) or (s, delay)
_Batch = tuple[Tensor, ...]  # (x, y) or (x, delays, y)
_Lesson = tuple[int, int, int, bool, int]  # length, smallest and largest delay, whether batches tell delays, seed
_Build = Callable[..., _Memory]
_Train = Callable[[_Memory, list[_Batch]], list[float]]


# ---------------------------------------------------------------------------------------------- what networks know


def stirred(kind: _Build, sizes: Sequence[int], seed: int) -> _Memory:
    """A network in evaluation mode, with noise added to all its parameters."""
    torch.default_generator.manual_seed(seed)
    model = kind(*sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    model.eval()
    return model


def _asked(model: _Memory, *inputs: Tensor) -> tuple[list[object], Tensor]:
    """What kind of thing the network answers, its shape, whether it is floating-point and finite; then the logits."""
    with torch.no_grad():
        logits: Any = model(*inputs)
    if not isinstance(logits, Tensor):
        return [type(logits).__name__, [], False, False], torch.zeros(*inputs[0].shape, 27)
    found = ["Tensor", list(logits.shape), logits.is_floating_point(), bool(logits.isfinite().all())]
    right = logits.shape == (*inputs[0].shape, 27)
    return found, logits if right else torch.zeros(*inputs[0].shape, 27)


def looked_at(model: _Memory, x: Tensor) -> list[object]:
    """The kind of answer, whether some of it is negative, whether it is probabilities; the number of parameters."""
    found, logits = _asked(model, x)
    sums = logits.sum(-1)
    probable = bool((logits >= 0).all() and torch.allclose(sums, sums / sums, atol=1e-3))
    return [found, bool((logits < 0).any()), probable, _size(model)]


def _size(model: _Memory) -> int:
    whole = cast(torch.nn.Module, model)
    return sum(parameter.numel() for parameter in torch.nn.Module.parameters(whole))


def straightness(model: _Memory, *delay: Tensor) -> float:
    """How straight the way of the logits is while the letter goes from 1 to 26: the distance of its ends, as a share of
    its length. Letters that are names lead to and fro; one that goes in as a quantity leads on along a curve."""
    return _straight(_asked(model, torch.arange(1, 27)[:, None], *(d.expand(26) for d in delay))[1])


def _straight(logits: Tensor) -> float:
    way = logits.flatten(1)
    return float((way[-1] - way[0]).norm() / (way.diff(dim=0).norm(dim=1).sum() + 1e-9))


def noticed(model: _Memory, x: Tensor, *delays: Tensor) -> list[object]:
    """The kind of answer, and at which steps the logits of each later row differ from those of row 0."""
    found, logits = _asked(model, x, *delays)
    return [found, (logits[1:] - logits[0]).abs().amax(-1) > _SEEN]


_ABRUPT = 1e-20  # a state that is carried on leaves gradients of any size; a window ends where they are still large


def looks_through_a_window(model: _Memory, x: Tensor, letter: int, *delays: Tensor) -> bool:
    """Whether the last logits depend on the letters of some steps before, and not at all on any letter before these.

    x: (B, L), without the letter

    A state may forget fast. But gradients show a rest of 1e-45. Parameters that only this letter reaches, such as its
    row of an embedding, get a gradient as long as anything is left of it. A loop may also cut gradients off. So the
    logits, too, must stay the same when all earlier letters change.
    """
    own = [slope == 0 for slope in _slopes(model, x, slice(None), *delays)]  # by none of the other letters
    inside = _left(model, x, letter, 0, own, *delays)
    if inside != 0:
        return False
    for step in reversed(range(x.shape[1] - 1)):
        left = _left(model, x, letter, step, own, *delays)
        if left == 0 and inside > _ABRUPT:
            other = torch.cat([x[:, : step + 1] % 26 + 1, x[:, step + 1 :]], 1)
            far = _asked(model, other, *delays)[1] - _asked(model, x, *delays)[1]
            return float(far[:, -1].abs().max()) <= _SEEN
        if left <= 0:
            return False
        inside = left
    return False


def _left(model: _Memory, x: Tensor, letter: int, step: int, own: Sequence[Tensor], *delays: Tensor) -> float:
    """The largest gradient of the last logits by parameters that only the letter at this step reaches; -1 if there are
    none. `own`: those that no other letter reaches."""
    there = torch.cat([x[:, :step], torch.full_like(x[:, :1], letter), x[:, step + 1 :]], 1)
    now, end = (_slopes(model, there, at, *delays) for at in (slice(None), slice(-1, None)))
    left = [last[part & (slope != 0)].abs() for last, slope, part in zip(end, now, own, strict=True)]
    return max((float(slopes.max()) for slopes in left if slopes.numel()), default=-1.0)


def _slopes(model: _Memory, x: Tensor, steps: slice, *delays: Tensor) -> list[Tensor]:
    """The gradients of a weighted sum of the logits of these steps by all parameters; none where there is no graph."""
    parts = [p for p in torch.nn.Module.parameters(cast(torch.nn.Module, model)) if p.requires_grad and p.numel()]
    with torch.enable_grad(), contextlib.suppress(RuntimeError):
        logits = model(x, *delays)[:, steps]
        weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
        slopes = torch.autograd.grad((weights * logits).sum(), parts, allow_unused=True)
        return [torch.zeros_like(p) if slope is None else slope for p, slope in zip(parts, slopes, strict=True)]
    return []


def repeated(model: _Memory, x: Tensor, between: Tensor, *delays: Tensor) -> list[object]:
    """The kind of answer, whether the inputs are as before, and whether the answer to x is the same again: after
    another batch, with the rows in another order, for a row alone."""
    before = [part.clone() for part in (x, *delays)]
    found, first = _asked(model, x, *delays)
    kept = all(torch.equal(a, b) for a, b in zip(before, (x, *delays), strict=True))
    x, *delays = before  # type: ignore[assignment]
    _asked(model, between, *delays)
    again = _asked(model, x, *delays)[1]
    turned = _asked(model, x.flip(0), *(d.flip(0) for d in delays))[1].flip(0)
    alone = _asked(model, x[1:2], *(d[1:2] for d in delays))[1]
    return [found, kept, _alike(again, first), _alike(turned, first), _alike(alone, first[1:2])]


def in_training(model: _Memory, x: Tensor, between: Tensor, *delays: Tensor) -> list[bool]:
    """Whether in training mode the answer to x is the same again after another batch, and that to its first row the
    same beside other rows. Random numbers, as of dropout, are the same each time."""

    def asked(x: Tensor) -> Tensor:
        torch.default_generator.manual_seed(0)
        return _asked(model, x, *delays)[1]

    model.train()
    first = asked(x)
    asked(between)
    again, beside = asked(x), asked(torch.cat([x[:1], between[1:]]))
    model.eval()
    return [_alike(again, first), _alike(beside[:1], first[:1])]


def _alike(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def told_apart(model: _Memory, x: Tensor, delays: Tensor, others: Tensor, largest: int) -> list[object]:
    """The kind of answer; which rows change when one row gets another delay; which delays give different logits; how
    straight their way is, see `straightness`, while the delay grows."""
    found, first = _asked(model, x, delays)
    changed = []
    for row, other in enumerate(others):
        now = delays.clone()
        now[row] = other
        changed.append((_asked(model, x, now)[1] - first).abs().amax((1, 2)) > _SEEN)
    rows = _asked(model, x[:1].repeat(largest + 1, 1), torch.arange(largest + 1))[1]
    apart = (rows[:, None] - rows[None]).abs().amax((2, 3)) > _SEEN
    return [found, torch.stack(changed), apart, _straight(rows)]


def weights_of_the_past(model: _Memory, x: Tensor, other: Tensor, largest: int) -> Tensor:
    """How far the logits of each step move when the first letters become others, for each delay, (delays, steps)."""
    turned, found = x.clone(), []
    turned[:, 0] = torch.where(other == x[:, 0], x[:, 0] % 26 + 1, other)
    for delay in range(largest + 1):
        delays = torch.full((len(x),), delay)
        far = _asked(model, turned, delays)[1] - _asked(model, x, delays)[1]
        found.append(far.norm(dim=-1).mean(0) + 1e-9)
    return torch.stack(found)


# ---------------------------------------------------------------------------------------------- test_run


def talk(kind: _Build, sizes: Sequence[int], questions: Sequence[_Question], seed: int) -> list[object]:
    """For each question the numbers of the symbols with the largest logits, and what test_run says.

    The numbers are left out where there are no logits for every symbol of the question.

    Weights are made large, so that an untrained network says many different symbols. From `seed` on, the first seed is
    taken for which a blank is said at an edge of some string.
    """
    for attempt in range(40):
        model, best = stirred(kind, sizes, seed + attempt), []
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 6
            for s, *delay in questions:
                x = torch.tensor([[ord(letter) - 96 for letter in s]])
                delays = [torch.tensor(delay)] if delay else []
                logits = model(x, *delays)
                best.append(logits[0].argmax(-1).tolist() if logits.shape == (1, len(s), 27) else [])
        if any(0 in (row[0], row[-1]) for row in best if row):
            break
    return [best, [model.test_run(*question) for question in questions]]


# ---------------------------------------------------------------------------------------------- the training loop


class Table(torch.nn.Module):
    """A row of logits for each symbol, and no memory. Notes what happens in each step.

    heard: the letters
    said:  the logits
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    used:  what is in .grad once an optimiser of PyTorch's has taken its step
    """

    def __init__(self, table: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.table = torch.nn.Parameter(table)
        self.heard: list[Tensor] = []
        self.said: list[Tensor] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.used: list[Tensor] = []
        self.table.register_hook(lambda grad: self.fresh.append(grad.clone()))  # type: ignore[no-untyped-call]
        note = self.table.register_post_accumulate_grad_hook
        note(lambda table: self.held.append(table.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, *delays: Tensor) -> Tensor:
        logits = self.scale * self.table[x]
        if delays:
            logits = logits + delays[0][:, None, None] * self.table[0]
        self.heard.append(x.detach().clone())
        self.said.append(logits.detach().clone())
        return logits


def watched(
    train: Callable[[Table, list[_Batch]], object], table: Tensor, batches: list[_Batch], steep: bool = False
) -> list[object]:
    """What `train` returns for a Table and these batches, what the Table has noted, and its parameters at the end.

    steep: whether gradients are a hundred times as long

    Of the notes come first the numbers of forward and backward passes, then the lists, of one pass for each batch, and
    of one more: all of many passes would be too much to send.

    Losses that have a graph come back as ["graphs"], other tensors as ["tensors"]. The last two entries are the numbers
    of the batches that the Table was shown, -1 for letters of no batch, and whether the batches have changed.
    """
    model = Table(table / 100, scale=100.0) if steep else Table(table.clone())
    before = [part.clone() for batch in batches for part in batch]

    def note(*_: object) -> None:
        if model.table.grad is not None:
            model.used.append(model.table.grad.clone())

    handle = register_optimizer_step_post_hook(note)
    try:
        losses = train(model, batches)
    finally:
        handle.remove()
    if isinstance(losses, list) and any(getattr(loss, "requires_grad", False) for loss in losses):
        losses = ["graphs"]
    elif isinstance(losses, list) and any(isinstance(loss, Tensor) for loss in losses):
        losses = ["tensors"]
    elif isinstance(losses, list):
        losses = [_plain(loss) for loss in losses]
    changed = not all(map(torch.equal, before, (part for batch in batches for part in batch)))
    passes, most = [len(model.said), len(model.fresh)], len(batches) + 1
    notes = [noted[:most] for noted in (model.said, model.fresh, model.held, model.used)]
    letters = [batch[0] for batch in batches]
    order = [next((k for k, x in enumerate(letters) if torch.equal(x, own)), -1) for own in model.heard[:most]]
    return [losses, *passes, *notes, model.table.detach(), order, changed]


def _plain(value: Any) -> Any:
    """One number as a Python number, be it a tensor or one of numpy's; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) in ((), (1,)) else value


def ways(train: Callable[..., object], table: Tensor, batches: list[_Batch], rates: Sequence[float]) -> list[float]:
    """How far a Table moves at each of these learning rates."""
    found = []
    for lr in rates:
        model = Table(table.clone())
        train(model, batches, lr=lr)
        found.append((model.table.detach() - table).norm().item())
    return found


# ---------------------------------------------------------------------------------------------- learning


def lessons(count: int, lesson: _Lesson) -> list[_Batch]:
    """`count` batches of 32 sequences and their echoes."""
    length, low, high, variable, seed = lesson
    dice = torch.Generator().manual_seed(seed)
    x = torch.randint(1, 27, (count, 32, length), generator=dice)
    delays = torch.randint(low, high + 1, (count, 32), generator=dice)
    source = torch.arange(length) - delays[..., None]  # the step that is heard at each step
    y = torch.where(source >= 0, x.gather(2, source.clamp(min=0)), 0)
    return list(zip(x, delays, y, strict=True)) if variable else list(zip(x, y, strict=True))


def glance(train: _Train, kind: _Build, sizes: Sequence[int], lesson: _Lesson) -> list[object]:
    """A network after three steps of training: the network, its logits before, the losses, its logits after."""
    model, batches = _fresh(kind, sizes, lesson), lessons(3, lesson)
    inputs = batches[0][:-1]
    return [model, model(*inputs), [float(loss) for loss in train(model, batches)], model(*inputs)]


class _Enough(BaseException):
    """Ends a training run."""


def taught(
    train: _Train, kind: _Build, sizes: Sequence[int], lesson: _Lesson, steps: int, enough: float | None = None
) -> list[object]:
    """A network after its training, in evaluation mode, and whether its training has ended early.

    It does so as soon as the network gets the share `enough` of the symbols of other sequences right.
    """
    model, early = _fresh(kind, sizes, lesson), False
    with contextlib.ExitStack() as stack:
        if enough is not None and isinstance(model, torch.nn.Module):
            note = model.register_forward_pre_hook(_look(model, lesson, enough))
            stack.callback(note.remove)
        try:
            train(model, lessons(steps, lesson))
        except _Enough:
            early = True
    model.eval()
    return [model, early]


def _look(model: torch.nn.Module, lesson: _Lesson, enough: float) -> Callable[..., None]:
    """A hook that looks at the network once in 25 passes with gradients, and ends its training if it knows enough."""
    *rest, seed = lesson
    *inputs, y = (torch.cat(parts) for parts in zip(*lessons(4, (*rest, seed + 1)), strict=True))  # type: ignore[arg-type]
    passes = itertools.count(1)

    def look(*_: object) -> None:
        if torch.is_grad_enabled() and next(passes) % 25 == 0 and _share(model, inputs, y) >= enough:
            raise _Enough

    return look


def _share(model: torch.nn.Module, inputs: Sequence[Tensor], y: Tensor) -> float:
    """The share of symbols that a network gets right in evaluation mode; 0 if it cannot be asked.

    A copy is asked: a network that wrongly keeps its state would begin afresh after a batch of another size.
    """
    try:
        with torch.no_grad():
            return float((copy.deepcopy(model).eval()(*inputs).argmax(-1) == y).float().mean())
    except Exception:
        return 0.0


def _fresh(kind: _Build, sizes: Sequence[int], lesson: _Lesson) -> _Memory:
    *_, seed = lesson
    torch.default_generator.manual_seed(seed)
    return kind(*sizes)


def answer(model: _Memory, *inputs: Tensor) -> Tensor:
    """The numbers of the symbols with the largest logits."""
    with torch.no_grad():
        return model(*inputs).argmax(-1)


# ---------------------------------------------------------------------------------------------- the linear recurrence


_Recurrence = Callable[[Tensor, Tensor], Any]


def answered(recurrence: _Recurrence, a: Tensor, b: Tensor) -> list[object]:
    """What the function returns, and whether a and b are as before."""
    before = a.clone(), b.clone()
    h = recurrence(a, b)
    return [h.detach() if isinstance(h, Tensor) else h, torch.equal(a, before[0]) and torch.equal(b, before[1])]


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the tensor operations that run inside it, and the entries of the largest result."""

    operations, largest = 0, 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        self.operations += 1
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, Tensor):
                self.largest = max(self.largest, part.numel())
        return result


def counted(recurrence: _Recurrence, a: Tensor, b: Tensor) -> list[object]:
    """What the function returns, its number of tensor operations, and the entries of their largest result."""
    with _Counter() as counter:  # type: ignore[no-untyped-call]
        h = recurrence(a, b)
    return [h, counter.operations, counter.largest]


def slopes(recurrence: _Recurrence, a: Tensor, b: Tensor, weights: Tensor) -> list[Tensor | None]:
    """The gradients of the weighted sum of all states by a and by b; None where there is none."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    h = recurrence(a, b)
    if not isinstance(h, Tensor) or h.shape != b.shape or not h.requires_grad:
        return [None, None]
    return list(torch.autograd.grad((h * weights).sum(), (a, b), allow_unused=True))
