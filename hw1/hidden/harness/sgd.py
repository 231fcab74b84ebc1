"""Harness of hw1/sgd: networks whose numbers the tests draw, and which note what they are shown.

The tests also use these networks on their own side, so that every score comes from our own copy.
"""

import contextlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

# What networks note. It is not kept in the network itself, because the student may ask a copy of it.
_SHOWN: list[object] = []
_EXTREMES: list[float] = []
_MODES: list[bool] = []
_STEPS: list[tuple[float, ...]] = []
_LAST: list[object] = []


class Unseen(torch.nn.Module):
    """Fixed filters, ReLU, pooling and a linear head: scores (B, K). Notes the range of what it is shown."""

    def __init__(self, filters: Tensor, head: Tensor) -> None:
        super().__init__()
        self.filters, self.head = torch.nn.Parameter(filters), torch.nn.Parameter(head)

    def features(self, z: Tensor) -> Tensor:
        maps = functional.conv2d(z, self.filters, padding=2).relu()
        return functional.avg_pool2d(maps, 4).flatten(1)

    def forward(self, z: Tensor) -> Tensor:
        _EXTREMES.extend([z.min().item(), z.max().item()])
        return self.features(z) @ self.head[:-1] + self.head[-1]


class Waves(torch.nn.Module):
    """Score 0 is how strong two waves are, whatever their phase; score 1 is 0. Notes the last z to differentiate."""

    def __init__(self, waves: Sequence[tuple[int, int]], gain: float) -> None:
        super().__init__()
        self.waves, self.gain = waves, gain

    def strengths(self, z: Tensor) -> list[Tensor]:
        spectrum = torch.fft.fft2(z)[:, 0] / z[0].numel()
        return [spectrum[:, down, right].abs() for down, right in self.waves]

    def forward(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled() and z.requires_grad:
            _LAST[:] = [z.tolist()]
        one, other = self.strengths(z)
        score = (one + other) * self.gain - 10
        return torch.stack([score, 0 * score], 1)


class WeightedSum(torch.nn.Module):
    """The scalar Σ w·z, whose gradient is w. Notes each z that it is shown while gradients are recorded."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = w

    def forward(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            _SHOWN.append(z.tolist())
        return (self.w * z).sum()


class Counting(torch.nn.Module):
    """Two scores with a slope that never gives out, far from certain. Notes the pixels of each z to differentiate."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = w

    def forward(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled() and z.requires_grad:
            _STEPS.append(tuple(torch.tensor(z.tolist()).flatten().sort().values.tolist()))
        score = 0.2 * (self.w * z).mean()
        return torch.stack([score, 0 * score])[None]


class Fragile(torch.nn.Module):
    """A network in which everything changes that careless use can change. Notes whether it is in training mode.

    One parameter is frozen. Where `moody` is false, dropout and batch norm are there, but left out of the computation.
    """

    def __init__(self, numbers: Sequence[Tensor], moody: bool = True) -> None:
        super().__init__()
        self.moody = moody
        self.conv, self.norm = torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3)
        self.drop, self.head = torch.nn.Dropout(0.5), torch.nn.Linear(3, 4)
        for parameter, value in zip(self.parameters(), numbers, strict=True):
            parameter.data.copy_(value)
            parameter.grad = 2 * value
        self.head.bias.grad = None
        self.get_parameter("conv.bias").requires_grad_(False)

    def forward(self, z: Tensor) -> Tensor:
        _MODES.append(self.training or self.norm.training or self.drop.training)
        maps: Tensor = self.conv(z)
        maps = self.drop(self.norm(maps).tanh()) if self.moody else maps.tanh()
        scores: Tensor = self.head(maps.mean((2, 3)))
        return scores


def _state(model: torch.nn.Module, image: Tensor) -> dict[str, object]:
    """All that a function has to leave as it was, as plain values."""
    # by PyTorch's own methods: those of the objects could have been replaced
    named = list(torch.nn.Module.named_parameters(model))
    values = {**dict(named), **dict(torch.nn.Module.named_buffers(model))}
    return {
        "image": _copy(image),
        "image's": [image.requires_grad, None if image.grad is None else _copy(image.grad)],
        "values": {name: _copy(value) for name, value in values.items()},
        "grads": {name: None if p.grad is None else _copy(p.grad) for name, p in named},
        "requires_grad": {name: p.requires_grad for name, p in named},
        "modes": [module.training for module in torch.nn.Module.modules(model)],
    }


def _copy(tensor: Tensor) -> Tensor:
    return torch.Tensor.clone(torch.Tensor.detach(tensor))


_Work = Callable[[Callable[[Tensor], object], Tensor], object]


def measuring(input_gradient: Callable[..., object]) -> _Work:
    """A function of a model and an image: the gradient of score 1."""
    return lambda model, image: input_gradient(image, model, logit(1))


def ascending(gradient_descent: Callable[..., object], iterations: int) -> _Work:
    """A function of a model and an image: climbs score 2."""
    return lambda model, image: gradient_descent(image, model, logit(2), iterations)


def dreaming(dream: Callable[..., object], iterations: int) -> _Work:
    """A function of a model and an image: dreams of label 1."""
    return lambda model, image: dream(image, model, 1, iterations=iterations)


def before_and_after(
    work: _Work, model: torch.nn.Module, image: Tensor, training: bool, plain: bool = False, grad: Tensor | None = None
) -> list[object]:
    """What `work` returns, the state before and after it, and the modes in which a Fragile network was asked.

    If `plain`, `work` is given the network inside a plain function. `grad` is what the image has in .grad.
    """
    model.train(training)
    image.grad = grad
    before = _state(model, image)
    result = work(plainly(model) if plain else model, image)
    return [result, before, _state(model, image), _MODES]


def flag_after(work: _Work, model: torch.nn.Module, image: Tensor) -> str:
    """What an image that requires a gradient requires after `work`, however that ends."""
    image.requires_grad_()
    with contextlib.suppress(Exception):
        work(model, image)
    return "a gradient" if image.requires_grad else "none"


def written_into(work: Callable[[Tensor], Tensor], image: Tensor) -> list[object]:
    """What `work` returns, and the image before and after something else is written into what it returned."""
    before, result = _copy(image), work(image)
    found = result.detach().clone()
    with torch.no_grad():
        result.detach().zero_()
    return [found, before, _copy(image)]


def climbed(gradient_descent: Callable[..., Tensor], iterations: int) -> Callable[[Tensor], Tensor]:
    """A function of an image: climbs −Σ(z − 1)²."""
    return lambda image: gradient_descent(image, identity, summit(1.0, 1.0), iterations, 0.01)


def dreamt(dream: Callable[..., Tensor], w: Tensor, iterations: int) -> Callable[[Tensor], Tensor]:
    """A function of an image: dreams of label 0 of a Counting network."""
    return lambda image: dream(image, Counting(w), 0, iterations=iterations)


def with_parts(function: Callable[..., object], parts: dict[str, object]) -> Callable[..., object]:
    """The function, with these parts in place of the notebook's own functions of these names while it runs."""
    names = getattr(function, "__globals__", {})

    def work(*args: object, **kwargs: object) -> object:
        own = {name: names[name] for name in parts if name in names}
        names.update(parts)
        try:
            return function(*args, **kwargs)
        finally:
            names.update(own)

    return work


def right_gradient(image: Tensor, model: Callable[[Tensor], Tensor], loss: Callable[[Tensor], Tensor]) -> Tensor:
    """What input_gradient should return."""
    x = image.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(model(x)), x)[0]


def right_ascent(normalize_and_jitter: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A right gradient_descent, which calls this normalize_and_jitter."""

    def gradient_descent(
        image: Tensor,
        model: Callable[[Tensor], Tensor],
        loss: Callable[[Tensor], Tensor],
        iterations: int = 256,
        lr: float = 0.05,
        jitter: int = 1,
    ) -> Tensor:
        modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
        modes = [module.training for module in modules]
        for module in modules:
            module.training = False
        x = image.detach().clone()
        for _ in range(iterations):
            x = x + lr * right_gradient(x, lambda x: model(normalize_and_jitter(x, jitter)), loss)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        return x

    return gradient_descent


def steps(dream: Callable[..., object], model: torch.nn.Module, image: Tensor, *iterations: int) -> list[int]:
    """How often a dream asked a Counting network for a gradient, and for how many images, whatever their rolls."""
    _STEPS.clear()
    torch.default_generator.manual_seed(0)
    dream(image, model, 0, *iterations)
    return [len(_STEPS), len(set(_STEPS))]


def plainly(model: torch.nn.Module) -> Callable[[Tensor], object]:
    """The model as a plain function."""
    return lambda z: model(z)


def identity(z: Tensor) -> Tensor:
    return z


def cubes(w: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss Σ w·z³."""
    return lambda z: (w * z**3).sum()


def summit(c: float, a: float) -> Callable[[Tensor], Tensor]:
    """The loss −a Σ(z − c)², whose only summit is at c."""
    return lambda z: -a * ((z - c) ** 2).sum()


def logit(label: int) -> Callable[[Tensor], Tensor]:
    return lambda scores: scores[0, label]


def weighted(w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda scores: (w * scores.sin()).sum()


def shown() -> list[object]:
    """What a WeightedSum was shown since the last call of this function."""
    found, _SHOWN[:] = list(_SHOWN), []
    return found


def last_differentiated() -> list[object]:
    """The last images for which a Waves network was asked for a gradient; nothing if there are none."""
    return _LAST


def extremes() -> list[float]:
    """The smallest and the largest number that an Unseen was shown; nothing if it was shown nothing."""
    return [min(_EXTREMES), max(_EXTREMES)] if _EXTREMES else []
