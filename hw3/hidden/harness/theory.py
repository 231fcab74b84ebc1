"""Harness of hw3/theory: asks the student's functions, gives their answers one form, and notes what they change.

A function may return tensors, numpy's arrays, lists or plain numbers of any floating type. All of them come back as
tensors in float64. Of functions that students invent, only what is demanded of them comes back, not their values.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

_Function = Callable[..., Any]
_Answer = Tensor | str
"""a tensor in float64, or words for what came back in place of numbers"""


def asked(
    function: _Function, given: Sequence[Any], parts: int = 0, uses: Sequence[str] = ()
) -> tuple[_Answer | list[_Answer], list[int]]:
    """The function's answer, and the positions of those tensors in `given` that it changed.

    With `parts`, the answer is a tuple of that many. `uses` are functions of earlier exercises that this one may call:
    where they are wrong, right ones take their place.
    """
    before = [_copied(thing) for thing in given]
    with _with_lent(function, uses):
        try:
            answer = function(*given)
        except RuntimeError as error:  # the notebook's energies are float32, and a function may return nothing else
            if "dtype" not in str(error):
                raise
            given = [_float32(thing) for thing in before]
            before = [_copied(thing) for thing in given]
            answer = function(*given)
    changed = [number for number, thing in enumerate(given) if _changed(before[number], thing)]
    if not parts:
        return plain(answer), changed
    several = _several(answer)
    if len(several) != parts:
        return (plain(answer) if answer is None else f"{len(several) or 'no'} parts"), changed
    return [plain(part) for part in several], changed


def plain(value: Any) -> _Answer:
    """Numbers of any kind as a tensor in float64; words if they are something else."""
    if value is None:
        return "nothing (None)"
    try:
        tensor = _tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return f"a {type(value).__name__}"
    return "complex numbers" if tensor.is_complex() else tensor.double()


def letter(given: Callable[[], object]) -> str:
    """A text as it is; the kind of anything else, in words."""
    found = given()
    return found if isinstance(found, str) else f"a {type(found).__name__}"


def groups(given: Callable[[], object], letters: str) -> list[int] | None:
    """The number of the group of each letter, for a dictionary from letters to words that stand for groups.

    Groups are counted in the order in which they appear; -1 is a letter without a word. None if it is no dictionary.
    """
    found = given()
    if not isinstance(found, dict):
        return None
    words = {str(letter).strip().upper(): str(word).strip().lower() for letter, word in found.items()}
    seen = list(dict.fromkeys(words[letter] for letter in letters if letter in words))
    return [seen.index(words[letter]) if letter in words else -1 for letter in letters]


# ---------------------------------------------------------------------------------------------- invented functions


def standing(
    function: _Function, x: Tensor, y: Tensor, least: float
) -> tuple[str, list[list[int]], bool, bool, list[int]]:
    """How the energies of points stand to those of the first two, which are right answers for the same x.

    A difference counts from `least` on, as a part of the greatest difference.

    What is wrong with their form; for the points inside the circle and for those outside, the least and the greatest of
    1, 0 and -1, as an energy is above, at or below the higher of the two; whether the energies of the two agree;
    whether all energies are finite; the arguments that were changed.
    """
    answer, changed = asked(function, [x, y])
    if not isinstance(answer, Tensor) or answer.shape != y.shape:
        return _form(answer), [], False, False, changed
    right, others = answer[:2], answer[2:]
    least = least * float((others.max() - right.max()).clamp(min=0)) if least else 0.0
    order = (others > right.max() + least).int() - (others < right.max() - least).int()
    inside = y[2:].abs() < y[:2].max()
    apart = (right[0] - right[1]).abs() <= 1e-3 * (others.min() - right.min()).abs()
    return "", [_range(order[inside]), _range(order[~inside])], bool(apart), bool(answer.isfinite().all()), changed


def jumps(function: _Function, x: float, low: float, high: float) -> bool:
    """Whether an energy has a jump between two values of y: the steeper half is halved until nothing is left of it."""

    def energies() -> Tensor:
        y = torch.tensor([low, (low + high) / 2, high], dtype=torch.double)
        answer = plain(function(torch.full_like(y, x), y))
        return answer if isinstance(answer, Tensor) and answer.shape == (3,) else torch.zeros(3)

    whole = energies().diff().abs().max()
    for _ in range(50):
        first, second = energies().diff().abs().tolist()
        low, high = (low, (low + high) / 2) if first >= second else ((low + high) / 2, high)
    return bool(energies().diff().abs().max() > 0.1 * whole)


def movement(
    function: _Function, before: Sequence[Tensor], after: Sequence[Tensor]
) -> tuple[str, list[int], list[int]]:
    """What is wrong with the form of the losses; the least and the greatest of -1, 0 and 1, as a pair's loss falls,
    stays or grows; the arguments that were changed.
    """
    old, changed = asked(function, before)
    new, again = asked(function, after)
    for answer in (old, new):
        if not isinstance(answer, Tensor) or answer.shape != before[0].shape:
            return _form(answer), [], changed
        if not answer.isfinite().all():
            return "values that are not finite", [], changed
    assert isinstance(old, Tensor) and isinstance(new, Tensor)
    grows = new > old + 1e-6 * old.abs().clamp(min=1e-3)  # more than rounding
    return "", _range(grows.int() - (new < old).int()), changed or again


def far_out(function: _Function, F_pos: Tensor) -> list[int]:
    """For each pair, whether the loss of a very high F⁻ still falls (-1), is at its end (0) or grows (1) as F⁻ rises.

    A loss may overflow where nobody asked for such energies. It is then looked at where it does not.
    """
    for low, high in ((1e6, 1e12), (300.0, 600.0), (40.0, 80.0)):
        with contextlib.suppress(OverflowError, ZeroDivisionError):
            old, new = (plain(function(F_pos.clone(), torch.full_like(F_pos, level))) for level in (low, high))
            if isinstance(old, Tensor) and isinstance(new, Tensor) and (old + new).isfinite().all():
                change = new - old
                moves = (change > 1e-6 * old.abs().clamp(min=1)).int() - (change < -1).int()
                return [int(move) for move in moves.flatten()]
    return [-1] * len(F_pos)


def infinite(function: _Function, given: Sequence[Any]) -> Tensor:
    """Which entries of an answer are infinite and positive."""
    answer, _ = asked(function, given)
    return (answer == torch.inf).double() if isinstance(answer, Tensor) else torch.zeros(0)


def _range(numbers: Tensor) -> list[int]:
    return [int(numbers.min()), int(numbers.max())] if len(numbers) else []


def _form(answer: object) -> str:
    return f"a tensor of shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else str(answer)


# ---------------------------------------------------------------------------------------------- forms


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # the numbers themselves, whatever a class of its own says
            return torch.Tensor.as_subclass(value, Tensor).detach().clone()
    if isinstance(value, list | tuple):
        return torch.stack([_tensor(item).double() for item in value]) if value else torch.zeros(0)
    array = numpy.array(value)
    return torch.tensor(float(value)) if array.dtype == object else torch.tensor(array)


def _several(answer: Any) -> list[Any]:
    try:
        return [] if isinstance(answer, str | dict) else list(answer)
    except TypeError:
        return []


def _copied(thing: Any) -> Any:
    return thing.clone() if isinstance(thing, Tensor) else thing


def _float32(thing: Any) -> Any:
    return thing.float() if isinstance(thing, Tensor) and thing.is_floating_point() else _copied(thing)


def _changed(before: Any, after: Any) -> bool:
    return isinstance(after, Tensor) and not torch.equal(before, after)


# ---------------------------------------------------------------------------------------------- earlier exercises


def _gibbs(F: Tensor, beta: float) -> Tensor:
    return torch.softmax(-beta * F, dim=-1)


def _gibbs_density(F: Tensor, dy: float, beta: float) -> Tensor:
    return _gibbs(F, beta) / dy


def _free_energy(F: Tensor, beta: float) -> Tensor:
    return -torch.logsumexp(-beta * F, dim=-1) / beta


def _nll_gradient(F: Tensor, y: Tensor, beta: float) -> Tensor:
    return torch.eye(F.shape[-1], dtype=F.dtype)[y.long()] - _gibbs(F, beta)


_RIGHT: dict[str, _Function] = {
    "gibbs": _gibbs,
    "gibbs_density": _gibbs_density,
    "free_energy": _free_energy,
    "nll_gradient": _nll_gradient,
}


@contextlib.contextmanager
def _with_lent(function: _Function, uses: Sequence[str]) -> Iterator[None]:
    """Within this context, the function's notebook has right versions of the functions in `uses`."""
    inner = inspect.unwrap(function)
    names = getattr(inner, "__globals__", None) or getattr(type(inner).__call__, "__globals__", None)
    if names is None:
        yield
        return
    before = {name: names[name] for name in uses if name in names}
    names.update({name: _stand_in(_RIGHT[name], before.get(name)) for name in uses})
    try:
        yield
    finally:
        for name in uses:
            del names[name]
        names.update(before)


def _stand_in(right: _Function, own: Any) -> _Function:
    """The student's own function wherever its answer is right, and otherwise a right answer of the same type."""

    def answer(*given: Any, **options: Any) -> Any:
        try:
            bound = inspect.signature(right).bind(*given, **options)
            numbers = isinstance(bound.args[0], float | int)  # in place of energies
        except TypeError:  # the student's own function takes more than was asked for
            numbers = True
        if numbers:
            return own(*given, **options)
        try:
            mine = own(*map(_copied, bound.args))
        except Exception:
            mine = None
        exact = right(*(plain(thing) if not isinstance(thing, float | int) else thing for thing in bound.args))
        have = plain(mine)
        if isinstance(have, Tensor) and have.shape == exact.shape and torch.allclose(have, exact, 1e-4, 1e-6):
            return mine
        return _as(mine if mine is not None else given[0] if given else None, exact)

    answer.__name__, answer.__doc__ = right.__name__.removeprefix("_"), right.__doc__
    return answer


def _as(like: Any, exact: Tensor) -> Any:
    """`exact` as an object of the same type as `like`."""
    if isinstance(like, numpy.ndarray):
        return exact.numpy()
    if isinstance(like, list):
        return exact.tolist()
    if isinstance(like, Tensor) and like.is_floating_point():
        return exact.to(like.dtype)
    return exact
