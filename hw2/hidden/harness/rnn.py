"""Harness of hw2/rnn: asks networks what they say, watches the training loop, and trains networks on echoes."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor


class _Memory(Protocol):
    """A GRUMemory, or a VariableDelayGRUMemory: that one also takes delays."""

    def __call__(self, x: Tensor, *delays: Tensor) -> Tensor: ...

    def parameters(self) -> Iterable[Tensor]: ...

    def eval(self) -> object: ...

    def test_run(self, s: str, *delay: int) -> str: ...


_Question = tuple[str, *tuple[int, ...]]  # (s,) or (s, delay)
_Batch = tuple[Tensor, ...]  # (x, y) or (x, delays, y)
_Lesson = tuple[int, int, int, bool, int]  # length, smallest and largest delay, whether batches tell delays, seed
_Build = Callable[..., _Memory]
_Train = Callable[[_Memory, list[_Batch]], list[float]]


# ---------------------------------------------------------------------------------------------- test_run


def talk(kind: _Build, sizes: Sequence[int], questions: Sequence[_Question], seed: int) -> list[object]:
    """For each question the numbers of the symbols with the largest logits, and what test_run says.

    Weights are made large, so that an untrained network says many different symbols. From `seed` on, the first seed is
    taken for which a blank is said at an edge of some string.
    """
    for attempt in range(40):
        torch.manual_seed(seed + attempt)
        model, best = kind(*sizes), []
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 6
            for s, *delay in questions:
                x = torch.tensor([[ord(letter) - 96 for letter in s]])
                delays = [torch.tensor(delay)] if delay else []
                best.append(model(x, *delays)[0].argmax(-1).tolist())
        if any(0 in (row[0], row[-1]) for row in best):
            break
    return [best, [model.test_run(*question) for question in questions]]


# ---------------------------------------------------------------------------------------------- the training loop


class Table(torch.nn.Module):
    """A row of logits for each symbol, and no memory. Notes what happens in each step.

    said:  the logits
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table)
        self.said: list[Tensor] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.table.register_hook(lambda grad: self.fresh.append(grad.clone()))  # type: ignore[no-untyped-call]
        note = self.table.register_post_accumulate_grad_hook
        note(lambda table: self.held.append(table.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, *delays: Tensor) -> Tensor:
        logits = self.table[x]
        if delays:
            logits = logits + delays[0][:, None, None] * self.table[0]
        self.said.append(logits.detach().clone())
        return logits


def watched(train: Callable[[Table, list[_Batch]], object], table: Tensor, batches: list[_Batch]) -> list[object]:
    """What `train` returns for a Table and these batches, what the Table has noted, and its parameters at the end."""
    model = Table(table)
    losses = train(model, batches)
    if isinstance(losses, list | tuple):
        losses = [float(loss) for loss in losses]
    return [losses, model.said, model.fresh, model.held, model.table.detach()]


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


def taught(train: _Train, kind: _Build, sizes: Sequence[int], lesson: _Lesson, steps: int) -> _Memory:
    """A network after its whole training, in evaluation mode."""
    model = _fresh(kind, sizes, lesson)
    train(model, lessons(steps, lesson))
    model.eval()
    return model


def _fresh(kind: _Build, sizes: Sequence[int], lesson: _Lesson) -> _Memory:
    *_, seed = lesson
    torch.manual_seed(seed)
    return kind(*sizes)


def answer(model: _Memory, *inputs: Tensor) -> Tensor:
    """The numbers of the symbols with the largest logits."""
    with torch.no_grad():
        return model(*inputs).argmax(-1)
