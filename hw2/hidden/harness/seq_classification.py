"""Harness of hw2/seq_classification: watches the student's `train` at work on the student's own model.

A forward pass counts if a gradient has come back through it. A look at the accuracy is no training.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_Train = Callable[[torch.nn.Module, list[tuple[Tensor, Tensor]], int], object]
_LEVEL = 2.0**-10
_MOST = 2.0**30  # levels; nobody's weights are as large


class _Pass:
    """A forward pass with gradients."""

    def __init__(self, rows: list[int], weights: Any) -> None:
        self.rows = rows  # the numbers of its sequences; -1 for one that is not in the batches, -2 in another network
        self.weights = weights  # those that the model had then
        self.counts = False


def watched(
    make_model: Callable[[int], torch.nn.Module],
    train: _Train,
    seed: int,
    symbols: Tensor,
    y: Tensor,
    size: int,
    epochs: int,
) -> list[object]:
    """Train a model, and report what the tests need to compute the losses themselves.

    symbols: (N, L), the symbols of N sequences; 8 stands for a vector of zeros

    Returns [shapes, start, at, shown, sizes, losses, end, kept, rounded, exact]. In a long training, the weights of
    all steps are too much to keep. So the last two are functions: one tells all of them, and not exactly, and the
    other tells exactly those of the steps that it is asked for.

    shapes:  of the parameters, by name
    start:   all weights before the training
    at:      the step of each forward pass, from 0: several passes may have the same weights
    shown:   the numbers of all sequences that the model was shown, below 0 for a sequence that is none of the N
    sizes:   how many sequences there were in each forward pass
    losses:  what `train` returned
    end:     all weights after the training
    kept:    whether the batches are what they were
    rounded: returns how far the levels of all weights, see `levels`, are from those at the step before, or at the start
    exact:   given the numbers of some steps, returns all weights at each of them
    """
    model = make_model(seed)
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    start = _flat(model)
    passes, losses, kept = _trained(
        model, train, lambda _, noted: _flat(model) if noted else None, symbols, y, size, epochs
    )
    passes = [one for one in passes if one.counts]
    steps: list[Tensor] = []
    at = []
    for one in passes:
        if not steps or not torch.equal(one.weights, steps[-1]):
            steps.append(one.weights)
        at.append(len(steps) - 1)

    def rounded() -> Tensor:
        return _narrow(torch.diff(levels(torch.stack([start, *steps])), dim=0))

    def exact(numbers: Tensor) -> Tensor:
        return torch.stack(steps)[numbers]

    return [shapes, start, torch.tensor(at), *_shown(passes), losses, _flat(model), kept, rounded, exact]


def levels(weights: Tensor) -> Tensor:
    """The weights in whole numbers of 1/1024, rounded."""
    return (weights / _LEVEL).round().nan_to_num().clamp(-_MOST, _MOST).int()


def from_levels(found: Tensor) -> Tensor:
    """The weights that are exactly at these levels."""
    return found * _LEVEL


def _narrow(numbers: Tensor) -> Tensor:
    """The same whole numbers, of as few bytes as they need."""
    kinds = (kind for kind in (torch.int8, torch.int16) if torch.equal(numbers.to(kind).int(), numbers))
    return numbers.to(next(kinds, torch.int32))


def outline(*given: Any) -> list[str]:
    """Of a run as in `scripted`, in words that are the same for every optimiser and every order of the sequences:

    what the model was shown, and how many losses there were, or what they are if not numbers.
    """
    symbols, epochs, script = given[3], given[6], given[8]
    every, losses, _, kept = _scripted(*given)
    passes = [one for one in every if one.counts]
    shown = _shown(passes)[0].tolist()
    steps = len({one.weights[1] for one in passes})
    what = _what_was_shown(shown, len(symbols), epochs, kept)
    if what.startswith("fewer") and sum(len(one.rows) for one in every) == len(symbols) * epochs:
        what = "some without a step"
    if what == "fewer epochs" and script[passes[-1].weights[0], -1] > 0:
        what = "fewer epochs, up to a high loss"
    return [what, _how_many(losses, steps, epochs)]


def _what_was_shown(shown: list[int], N: int, epochs: int, kept: bool) -> str:
    """What of N sequences the model was shown: "each once an epoch", or what is wrong."""
    whole = [shown[start : start + N] for start in range(0, len(shown) - N + 1, N)] or [shown]
    repeated = any(len(set(epoch)) < len(epoch) for epoch in whole)
    if not shown:
        return "nothing"
    if not kept:
        return "changed ones"
    if min(shown) < 0:
        return "others" if -1 in shown else "others beside"
    if len(shown) > N * epochs:
        return "too many"
    if len(shown) < N * epochs:
        if repeated:
            return "fewer in an epoch"
        return {N: "one epoch", N * (epochs - 1): "all epochs but one"}.get(len(shown), "fewer epochs")
    return "some again, others not" if repeated else "each once an epoch"


def _how_many(losses: object, steps: int, epochs: int) -> str:
    """Whether there is one loss for each step, as a number."""
    if not isinstance(losses, list):
        return type(losses).__name__
    if any(isinstance(loss, Tensor) for loss in losses):
        return "tensors"
    if len(losses) == epochs < steps:
        return "one for each epoch"
    return "too few" if len(losses) < steps else "enough"


def scripted(*given: Any) -> list[object]:
    """Train a model whose weights are put where a script says, each time that the training has moved them.

    So the losses do not depend on how far it moves them. The arguments are those of `watched`, and two more:

    places: (P, number of weights), vectors of weights
    script: (N · epochs + 1, P), which mixture of `places` the weights are put to, by the number of sequences shown

    Returns [shown, sizes, at, moves, moved, losses, kept]: for each forward pass, `at` says where in the script its
    weights were, and `moves` how often they had been moved; `moved` says whether they were after the last pass, too.
    """
    every, losses, moved, kept = _scripted(*given)
    passes = [one for one in every if one.counts]
    at, moves = ([one.weights[part] for one in passes] for part in (0, 1))
    return [*_shown(passes), torch.tensor(at), torch.tensor(moves), moved, losses, kept]


def _scripted(
    make_model: Callable[[int], torch.nn.Module],
    train: _Train,
    seed: int,
    symbols: Tensor,
    y: Tensor,
    size: int,
    epochs: int,
    places: Tensor,
    script: Tensor,
) -> tuple[list[_Pass], object, bool, bool]:
    model, at, moves = make_model(seed), 0, 0
    put, fresh = script[0] @ places, True
    _put(model, put)

    def note(shown: int, noted: bool) -> tuple[int, int]:
        nonlocal at, moves, put, fresh
        # between two passes with gradients, only the first other pass finds the script's weights: a search along a
        # line would not come to its end if it always found the same ones
        if (noted or fresh) and not torch.equal(_flat(model), put):
            at, moves = min(shown, len(script) - 1), moves + 1
            put = script[at] @ places
            _put(model, put)
            fresh = False
        fresh = fresh or noted
        return at, moves

    passes, losses, kept = _trained(model, train, note, symbols, y, size, epochs)
    return passes, losses, not torch.equal(_flat(model), put), kept


def _trained(
    model: torch.nn.Module,
    train: _Train,
    note: Callable[[int, bool], Any],
    symbols: Tensor,
    y: Tensor,
    size: int,
    epochs: int,
) -> tuple[list[_Pass], object, bool]:
    """Train the model; returns the passes with gradients, what `train` returned, and whether the batches were kept.

    `note` is called before each forward pass, with the number of sequences that passes with gradients were shown up to
    there, and whether this is one of them. It returns what is kept as the weights.
    """
    x = functional.one_hot(symbols, 9)[..., :8].float()
    numbers = {row.tobytes(): number for number, row in enumerate(x.numpy())}
    passes: list[_Pass] = []

    def asked(inputs: Tensor, own: bool) -> _Pass | None:
        noted = torch.is_grad_enabled()
        shown = inputs.detach().contiguous().numpy() if noted else ()
        rows = [numbers.get(row.tobytes(), -1 if own else -2) for row in shown]
        if not own and -2 not in rows:
            return None  # another network may learn from the batches; what it learns elsewhere, it could hand on
        weights = note(sum(len(one.rows) for one in passes), noted)
        if not noted:
            return None
        passes.append(_Pass(rows, weights))
        return passes[-1]

    before = x.clone(), y.clone()
    batches = list(zip(torch.split(x, size), torch.split(y, size), strict=True))
    with _at_each_pass(model, asked):
        losses = train(model, batches, epochs)
    kept = torch.equal(x, before[0]) and torch.equal(y, before[1])
    losses = [_plain(loss) for loss in losses] if isinstance(losses, list) else losses
    return passes, losses, kept


@contextmanager
def _at_each_pass(model: torch.nn.Module, asked: Callable[[Tensor, bool], _Pass | None]) -> Iterator[None]:
    """Call `asked` with what a model is asked, be it by model(x) or by model.forward(x), and whether it is this one.

    Others are its copies and other networks of its class. The pass that it returns counts as soon as a gradient comes
    back.
    """
    kind: Any = type(model)
    forward = kind.forward

    def noting(self: torch.nn.Module, x: Tensor) -> Any:
        one = asked(x, self is model)
        logits = forward(self, x)
        if one is not None:
            _mark_by_gradient(one, logits)
        return logits

    kind.forward = noting
    try:
        yield
    finally:
        kind.forward = forward


def _mark_by_gradient(one: _Pass, logits: Any) -> None:
    def mark(_: Tensor) -> None:
        one.counts = True

    try:
        logits.register_hook(mark)
    except RuntimeError:  # where gradients are computed by functions, tensors have no hooks
        one.counts = True


def _shown(passes: list[_Pass]) -> tuple[Tensor, list[int]]:
    """The numbers of all sequences shown, one pass after the other, and how many there were in each pass."""
    rows = torch.tensor([row for one in passes for row in one.rows], dtype=torch.int16)
    return rows, [len(one.rows) for one in passes]


def _put(model: torch.nn.Module, weights: Tensor) -> None:
    """Change the weights of a model in place: optimisers know the tensors that hold them."""
    parameters = list(model.parameters())
    with torch.no_grad():
        for parameter, part in zip(parameters, torch.split(weights, [p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.view_as(parameter))


def _plain(value: Any) -> Any:
    """One of numpy's numbers as a Python number; anything else as it is, without its graph."""
    if isinstance(value, Tensor):
        return value.detach()
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) in ((), (1,)) else value


def _flat(model: torch.nn.Module) -> Tensor:
    """All weights of a model as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
