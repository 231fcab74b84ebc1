"""Harness of hw1/mlp: runs the student's layers and networks on numbers that the tests draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:  # the harness runs anew for each test, and classes of this kind take long to make
    from typing import Protocol

    class _Layer(Protocol):
        weight: Tensor
        bias: Tensor
        weight_grad: Tensor
        bias_grad: Tensor

        def forward(self, x: Tensor) -> Tensor: ...

        def backward(self, dy: Tensor) -> Tensor: ...

    class _Network(Protocol):
        parameters: dict[str, Tensor]
        grads: dict[str, Tensor]
        cache: dict[str, Tensor]

        def forward(self, x: Tensor) -> Tensor: ...

        def backward(self, dJdy_hat: Tensor) -> object: ...

        def clear_grad_and_cache(self) -> object: ...

    _Widths = tuple[int, int, int]  # of the input, the hidden layer and the output
    _Functions = tuple[str, str]  # names of f and g
    _Values = dict[str, Tensor]  # by name: W1, b1, W2, b2
    _MLP = Callable[[int, int, str, int, int, str], _Network]
    _Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    class _Value(Protocol):
        data: float
        grad: float
        parents: Sequence[_Value]
        op: str

        def __add__(self, other: _Value | float) -> _Value: ...

        def __mul__(self, other: _Value | float) -> _Value: ...

        def __pow__(self, n: float) -> _Value: ...

        def __rmul__(self, other: float) -> _Value: ...

        def exp(self) -> _Value: ...

        def log(self) -> _Value: ...

        def relu(self) -> _Value: ...

        def backward(self) -> object: ...

    _Number = Callable[[float], _Value]  # the student's class Value


# ---------------------------------------------------------------------------------------------- functions to measure


def cubic(a: float) -> Callable[[Tensor], Tensor]:
    """a Σ x³"""
    return lambda x: a * (x**3).sum()


def sine(A: Tensor) -> Callable[[Tensor], Tensor]:
    """Σ sin(x A)"""
    return lambda x: (x @ A).sin().sum()


def widths(numerical_gradient: Callable[..., object], x: Tensor) -> list[float]:
    """How far from x the entries are moved, when no step is given: the largest distance to either side."""
    seen: list[Tensor] = []

    def f(z: Tensor) -> Tensor:
        seen.append(z.detach().clone() - start)
        return (z**2).sum()

    start = x.clone()
    numerical_gradient(f, x)
    return [torch.stack(seen).min().item(), torch.stack(seen).max().item()] if seen else []


# ---------------------------------------------------------------------------------------------- right layers


class RightLinear:
    def __init__(self, in_features: int, out_features: int) -> None:
        bound = in_features**-0.5
        self.weight = torch.empty(out_features, in_features).uniform_(-bound, bound)
        self.bias = torch.empty(out_features).uniform_(-bound, bound)
        self.weight_grad, self.bias_grad = torch.zeros_like(self.weight), torch.zeros_like(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, dy: Tensor) -> Tensor:
        self.weight_grad += dy.T @ self.x
        self.bias_grad += dy.sum(0)
        return dy @ self.weight


class RightReLU:
    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return x.clamp(min=0)

    def backward(self, dy: Tensor) -> Tensor:
        return dy * (self.x > 0)


class RightSigmoid:
    def forward(self, x: Tensor) -> Tensor:
        self.y = torch.sigmoid(x)
        return self.y

    def backward(self, dy: Tensor) -> Tensor:
        return dy * self.y * (1 - self.y)


def of_right_layers(kind: Callable[..., object], parts: dict[str, object]) -> Callable[..., object]:
    """A maker of the student's networks whose layers are these right parts, whatever the student's own layers do."""
    names = getattr(getattr(kind, "__init__", None), "__globals__", {})

    def make(*args: object) -> object:
        own = {name: names[name] for name in parts if name in names}
        names.update(parts)
        try:
            return kind(*args)
        finally:
            names.update(own)

    return make


# ---------------------------------------------------------------------------------------------- inputs left alone


def result_and_inputs(work: Callable[..., object], *inputs: Tensor) -> list[object]:
    """What `work` returns, and its inputs as they are afterwards."""
    return [work(*inputs), *inputs]


def _given(kind: Callable[[int, int], _Layer], weight: Tensor, bias: Tensor) -> _Layer:
    """A layer of the student's with this weight and bias."""
    layer = kind(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = weight, bias
    return layer


def outputs(kind: Callable[[int, int], _Layer], given: Sequence[tuple[Tensor, Tensor, Tensor]]) -> list[Tensor]:
    """The output of each layer with this weight and bias for x."""
    return [_given(kind, weight, bias).forward(x) for weight, bias, x in given]


def passes(
    kind: Callable[[int, int], _Layer], given: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The gradients of the input, the weight and the bias of each layer with this weight and bias, for x and dy."""
    found = []
    for weight, bias, x, dy in given:
        layer = _given(kind, weight, bias)
        layer.forward(x)
        found.append((layer.backward(dy), layer.weight_grad, layer.bias_grad))
    return found


def linear_backward(kind: Callable[[int, int], _Layer]) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A function of W, b, x and dy: dx of a linear layer."""

    def work(W: Tensor, b: Tensor, x: Tensor, dy: Tensor) -> Tensor:
        layer = _given(kind, W, b)
        layer.forward(x)
        return layer.backward(dy)

    return work


def activation(kind: Callable[[], _Layer]) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of x and dy: y of an activation, which also makes its backward pass."""

    def work(x: Tensor, dy: Tensor) -> Tensor:
        layer = kind()
        y = layer.forward(x)
        layer.backward(dy)
        return y

    return work


def network_pass(
    kind: _MLP, widths: _Widths, functions: _Functions, values: _Values
) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of x and dJdy_hat: ŷ of a network, which also makes its backward pass."""

    def work(x: Tensor, dJdy_hat: Tensor) -> Tensor:
        net = network(kind, widths, functions, values)
        y_hat = net.forward(x)
        found = y_hat.clone() if isinstance(y_hat, Tensor) else y_hat
        net.backward(dJdy_hat)
        return found

    return work


# ---------------------------------------------------------------------------------------------- the network


def network(kind: _MLP, widths: _Widths, functions: _Functions, values: _Values) -> _Network:
    """The student's MLP with these values, which are written into its parameters as an optimiser does."""
    (n, hidden, out), (f, g) = widths, functions
    net = kind(n, hidden, f, hidden, out, g)
    for name, number in values.items():
        net.parameters[name].copy_(number)
    return net


def built(kind: _MLP, widths: _Widths, functions: _Functions) -> list[object]:
    """Shapes of the parameters of a new network, None for what is no tensor; its gradients and its cache.

    Which random numbers the parameters hold depends on the order in which a student draws them.
    """
    net = network(kind, widths, functions, {})
    shapes = {name: list(value.shape) if isinstance(value, Tensor) else None for name, value in net.parameters.items()}
    return [shapes, dict(net.grads), dict(net.cache)]


def started(kind: _MLP, linear: Callable[[int, int], _Layer], widths: _Widths) -> list[tuple[str, str]]:
    """How the parameters of a new network compare in words with those of linear layers of the same sizes."""
    first, second = linear(*widths[:2]), linear(*widths[1:])
    layers = {"W1": first.weight, "b1": first.bias, "W2": second.weight, "b2": second.bias}
    parameters = network(kind, widths, ("relu", "identity"), {}).parameters
    return [(name, _beside(parameters[name], like.double())) for name, like in layers.items()]


def _beside(value: Tensor, like: Tensor) -> str:
    """The root mean square of the entries, and their mean, compared with those of others; and whether rows are equal.

    Means of 300 entries differ by chance, with a standard deviation of 0.082 times the root mean square: right ones by
    more than 0.65 times with a probability below 1e-10. Of numbers from 0 to a bound the mean is 0.87 times it.
    """
    if type(value) not in (Tensor, torch.nn.Parameter):  # anything else could say what it likes about its entries
        return "no tensor"
    value = value.double()
    size, right = value.square().mean().sqrt().item(), like.square().mean().sqrt().item()
    words = "as large" if 0.6 * right <= size <= 1.7 * right else "larger" if size > right else "smaller"
    higher = (value.mean() - like.mean()).item()
    if words == "as large" and abs(higher) > 0.65 * right:
        words = "higher on average" if higher > 0 else "lower on average"
    if value.ndim > 1 and len(set(map(tuple, value.tolist()))) < len(value):
        words += ", with equal rows"
    return words if math.isfinite(size) else "not finite"


def beside_another(kind: _MLP, widths: _Widths, functions: _Functions, values: _Values) -> list[dict[str, Tensor]]:
    """Parameters and gradients of a network, after those of another network have been overwritten."""
    net = network(kind, widths, functions, values)
    other = network(kind, widths, functions, {})
    for parameter in other.parameters.values():
        parameter.zero_()
    for grad in other.grads.values():
        grad += 1
    return [dict(net.parameters), dict(net.grads)]


def predictions(kind: _MLP, widths: _Widths, pairs: Sequence[_Functions], values: _Values, x: Tensor) -> list[Tensor]:
    """ŷ for each pair of functions. The values are written in after a first forward pass."""
    found = []
    for functions in pairs:
        net = network(kind, widths, functions, {})
        net.forward(x)
        for name, number in values.items():
            net.parameters[name].copy_(number)
        found.append(net.forward(x))
    return found


def gradients(net: _Network, batches: Sequence[Tensor], dJdy_hat: Tensor) -> dict[str, Tensor]:
    """The gradients after a forward pass for each batch, and a backward pass for the last one."""
    for x in batches:
        net.forward(x)
    net.backward(dJdy_hat)
    return dict(net.grads)


def in_turn(nets: Sequence[_Network], batches: Sequence[tuple[Tensor, Tensor]]) -> list[dict[str, Tensor]]:
    """The gradients of networks, each asked about a batch of its own: all forward passes come before the backward ones.

    A batch is a pair (x, dJdy_hat).
    """
    for net, (x, _) in zip(nets, batches, strict=True):
        net.forward(x)
    for net, (_, dJdy_hat) in zip(nets, batches, strict=True):
        net.backward(dJdy_hat)
    return [dict(net.grads) for net in nets]


def accumulated(
    kind: _MLP,
    widths: _Widths,
    functions: _Functions,
    values: _Values,
    batches: Sequence[tuple[Tensor, Tensor]],
) -> list[dict[str, Tensor]]:
    """The gradients of each batch in a network of its own, then those of all batches in a single network.

    A batch is a pair (x, dJdy_hat).
    """
    together, alone = network(kind, widths, functions, values), []
    for x, dJdy_hat in batches:
        alone.append(network(kind, widths, functions, values))
        for net in (alone[-1], together):
            net.forward(x)
            net.backward(dJdy_hat)
    return [dict(net.grads) for net in (*alone, together)]


def _cached(net: _Network, batches: Sequence[Tensor], other: _Network | None = None) -> list[Tensor]:
    """The tensors in the cache after a pass for each batch, and then one of another network for the first batch."""
    for x in batches:
        net.forward(x)
    if other is not None:
        other.forward(batches[0])
    return [value for value in net.cache.values() if isinstance(value, Tensor)]


def _unlike(a: Tensor, b: Tensor) -> bool:
    return a.shape != b.shape or not torch.allclose(a, b, rtol=1e-4, atol=1e-5)


# Students choose what they cache, and under which keys, which need not be texts, nor the same for two networks: layers
# may be keys. So the next two compare the tensors in their order, find faults, and put them into words.


def faults_of_the_cache(one: _Network, another: _Network, first: Tensor, last: Tensor) -> str:
    """What is wrong with the cache of the last of two passes; `another` is the same network in another object."""
    kept = _cached(one, [first, last])
    others = _cached(another, [first, last + 1])
    if not kept:
        return "no tensor after forward"
    if not all(value.isfinite().all() for value in kept):
        return "not finite"
    if any(value.shape == first.shape and torch.equal(value, first) for value in kept):
        return "the earlier input"
    if len(kept) == len(others) and not any(map(_unlike, kept, others)):
        return "independent of the last input"
    return ""


def faults_of_shared_caches(nets: Sequence[_Network], x: Tensor, z: Tensor) -> str:
    """How the cache of a network changes when another network runs. All three networks are the same."""
    alone, one, other = nets
    own, beside = _cached(alone, [z, x]), _cached(one, [z, x], other)
    if len(own) > len(beside):
        return "missing"
    return "changed" if len(own) < len(beside) or any(map(_unlike, own, beside)) else ""


def cleared(net: _Network, x: Tensor, dJdy_hat: Tensor) -> list[object]:
    """Take a batch, clear, and take it again.

    Returns whether forward fills the cache, the gradients before and after clearing, the cache after clearing, the
    gradients and parameters at the end, and the parameters after those of before clearing were doubled in place.
    """
    _, before = _taken(net, x, dJdy_hat)
    own = dict(net.parameters)
    net.clear_grad_and_cache()
    after, cache = _copies(net.grads), dict(net.cache)
    filled, _ = _taken(net, x, dJdy_hat)
    grads, parameters = _copies(net.grads), _copies(net.parameters)
    for parameter in own.values():
        parameter.mul_(2)
    return [filled, before, after, cache, grads, parameters, dict(net.parameters)]


def _taken(net: _Network, x: Tensor, dJdy_hat: Tensor) -> tuple[bool, dict[str, Tensor]]:
    """Whether the cache is filled between a forward and a backward pass, and the gradients after these."""
    net.forward(x.clone())
    filled = bool(net.cache)
    net.backward(dJdy_hat.clone())
    return filled, _copies(net.grads)


def _copies(grads: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: grad.clone() for name, grad in grads.items()}


# ---------------------------------------------------------------------------------------------- descent


class Toy:
    """A network that is right, with identities for activations. Gradients are lying around from the beginning.

    A step is judged by it alone: a slip in one of the student's own layers does not cost points twice. Like the
    network of the notebook it computes with the tensors that stand in `parameters` at first: a new tensor in their
    place does not change it.
    """

    def __init__(self, parameters: _Values) -> None:
        self.W1, self.b1, self.W2, self.b2 = (parameters[name] for name in ("W1", "b1", "W2", "b2"))
        self.parameters = dict(parameters)
        self.grads = {f"dJd{name}": torch.ones_like(number) for name, number in parameters.items()}
        self.cache: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        z = x @ self.W1.T + self.b1
        self.cache = {"x": x, "z": z}
        return z @ self.W2.T + self.b2

    def backward(self, dy: Tensor) -> None:
        dz = dy @ self.W2
        self.grads["dJdW1"] += dz.T @ self.cache["x"]
        self.grads["dJdb1"] += dz.sum(0)
        self.grads["dJdW2"] += dy.T @ self.cache["z"]
        self.grads["dJdb2"] += dy.sum(0)

    def clear_grad_and_cache(self) -> None:
        self.cache = {}
        for grad in self.grads.values():
            grad.zero_()

    def values(self) -> _Values:
        """The numbers that forward computes with."""
        return {"W1": self.W1.clone(), "b1": self.b1.clone(), "W2": self.W2.clone(), "b2": self.b2.clone()}


def toy_loss(y: Tensor, y_hat: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of (ŷ − 2y)², so that no loss of the notebook can take its place; and its gradient."""
    return ((y_hat - 2 * y) ** 2).mean(), 2 * (y_hat - 2 * y) / y.numel()


def descended(
    train_step: Callable[[Toy, _Loss, Tensor, Tensor, float], object],
    parameters: _Values,
    x: Tensor,
    y: Tensor,
    rate: float,
    steps: int,
) -> list[object]:
    """What the steps returned, then the numbers of the network, those of its `parameters`, x and y."""
    toy = Toy(parameters)
    losses = [_number(train_step(toy, toy_loss, x, y, rate)) for _ in range(steps)]
    return [losses, toy.values(), {name: _number(value) for name, value in toy.parameters.items()}, x, y]


def _number(J: object) -> object:
    """A copy, because a step may return the same tensor again."""
    return J.detach().clone() if isinstance(J, Tensor) else J


# ---------------------------------------------------------------------------------------------- Value


def expression(name: str, a: Any, b: Any, c: Any) -> Any:
    """The value of an expression of a, b and c, which may be Values or tensors. It may begin with `d = …;`."""
    names = {"a": a, "b": b, "c": c}
    if name == "ten doublings":
        for _ in range(10):
            a = a + a * b
        return a
    first, _, last = name.rpartition("; ")
    if first:
        names["d"] = eval(first.removeprefix("d = "), {}, names)
    return eval(last, {}, names)


def differentiated(kind: _Number, name: str, numbers: Sequence[float]) -> list[object]:
    """Data and grad of an expression after its backward, then the grads and the data of a, b and c."""
    inputs = [kind(number) for number in numbers]
    result: _Value = expression(name, *inputs)
    result.backward()
    return [result.data, result.grad, [one.grad for one in inputs], [one.data for one in inputs]]


def of_two_results(kind: _Number, numbers: Sequence[float]) -> list[float]:
    """The grads of a and b after the backward of a * b and that of log(a) + log(b)."""
    a, b = (kind(number) for number in numbers)
    first, second = a * b, a.log() + b.log()
    first.backward()
    second.backward()
    return [a.grad, b.grad]


def between(kind: _Number, numbers: Sequence[float]) -> list[float]:
    """The grads of a * b and of a * b + c after the backward of (a * b + c) ** 2."""
    a, b, c = (kind(number) for number in numbers)
    product = a * b
    total = product + c
    (total**2).backward()
    return [product.grad, total.grad]


def tape(kind: _Number) -> list[tuple[str, bool, bool, object]]:
    """For some results: the expression, whether all its Values are parents, whether other data is, and its op."""
    a, b = kind(1.5), kind(0.75)
    results = {"a + b": ((a, b), a + b), "a * b": ((a, b), a * b), "a + 2": ((a,), a + 2), "3 * a": ((a,), 3 * a)}
    results |= {"a**2": ((a,), a**2), "a.exp()": ((a,), a.exp()), "a.log()": ((a,), a.log())}
    results |= {"a.relu()": ((a,), a.relu()), "a * a": ((a,), a * a)}
    found: list[tuple[str, bool, bool, object]] = []
    for name, (inside, result) in results.items():
        complete = all(any(parent is value for parent in result.parents) for value in inside)
        others = [parent for parent in result.parents if not any(parent is value for value in inside)]
        numbers: list[Any] = [getattr(other, "data", other) for other in others]
        foreign = any(number not in (2, 3) for number in numbers)
        found.append((name, complete, foreign, result.op))
    return found
