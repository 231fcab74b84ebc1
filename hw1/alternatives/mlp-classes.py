# A base class for layers, keyword arguments everywhere, the arithmetic of layers in double precision.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "linear", "solution": true}
from collections import OrderedDict


class Layer:
    """Remembers its last input under `memory`."""

    memory = None

    def remember(self, *things):
        self.memory = tuple(thing.detach() for thing in things)
        return self.memory

    def forward(self, x):
        raise TypeError

    def backward(self, dy):
        raise TypeError


class Linear(Layer):
    def __init__(self, in_features, out_features):
        self.weight = torch.rand(out_features, in_features) - 0.5
        self.bias = torch.full((out_features,), 0.1)
        self.weight_grad = self.weight * 0
        self.bias_grad = self.bias * 0

    def forward(self, x):
        (x,) = self.remember(x)
        return (x.double().matmul(self.weight.double().mT) + self.bias.double()).to(x.dtype)

    def backward(self, dy):
        (x,) = self.memory
        outer = dy.unsqueeze(2) * x.unsqueeze(1)  # (B, out, in)
        self.weight_grad = self.weight_grad + outer.sum(dim=0)
        self.bias_grad = self.bias_grad + dy.sum(dim=0)
        return (dy.unsqueeze(2) * self.weight.unsqueeze(0)).sum(dim=1)


# %% nbgrader={"grade_id": "activations", "solution": true}
class ReLU(Layer):
    def forward(self, x):
        self.remember(x)
        return torch.maximum(x, x.new_zeros(()))

    def backward(self, dy):
        (x,) = self.memory
        return dy.masked_fill(x <= 0, 0)


class Sigmoid(Layer):
    def forward(self, x):
        small = torch.exp(-x.abs())  # never overflows
        y = torch.where(x >= 0, 1 / (1 + small), small / (1 + small))
        self.remember(x, y)
        return y

    def backward(self, dy):
        _, y = self.memory
        return dy * (y - y.square())


# %% nbgrader={"grade_id": "mlp", "solution": true}
class MLP:
    def __init__(
        self,
        linear_1_in_features: int,
        linear_1_out_features: int,
        f_function: str,
        linear_2_in_features: int,
        linear_2_out_features: int,
        g_function: str,
        *,
        names: tuple[str, ...] = ("z1", "z2", "z3", "y_hat"),
    ):
        self.names, self.cache = names, OrderedDict()
        known = {kind.__name__.lower(): kind for kind in (ReLU, Sigmoid, Identity)}
        for name in (f_function, g_function):
            if known.get(name) is None:
                raise ValueError(f"{name} is none of {sorted(known)}")
        self.z1 = Linear(in_features=linear_1_in_features, out_features=linear_1_out_features)
        self.z2 = known[f_function]()
        self.z3 = Linear(in_features=linear_2_in_features, out_features=linear_2_out_features)
        self.y_hat = known[g_function]()
        self.parameters = OrderedDict(W2=self.z3.weight, b2=self.z3.bias, W1=self.z1.weight, b1=self.z1.bias)
        self.grads = OrderedDict((f"dJd{name}", torch.zeros(value.shape)) for name, value in self.parameters.items())

    def forward(self, x):
        self.cache = OrderedDict(x=x)
        for name in self.names:
            x = self.cache[name] = getattr(self, name).forward(x)
        return x

    def backward(self, dJdy_hat):
        for layer in (self.z1, self.z3):
            layer.weight_grad, layer.bias_grad = 0, 0
        dz1 = self.z2.backward(self.z3.backward(self.y_hat.backward(dJdy_hat)))
        self.z1.backward(dz1)
        for number, layer in (1, self.z1), (2, self.z3):
            self.grads[f"dJdW{number}"] = self.grads[f"dJdW{number}"] + layer.weight_grad
            self.grads[f"dJdb{number}"] = self.grads[f"dJdb{number}"] + layer.bias_grad

    def clear_grad_and_cache(self):
        self.grads = OrderedDict((name, torch.zeros_like(grad)) for name, grad in self.grads.items())
        self.cache = OrderedDict()


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    mlp.clear_grad_and_cache()
    result = loss_function(y=y, y_hat=mlp.forward(x=x))
    mlp.backward(result[1])
    for name in sorted(mlp.parameters):
        parameter = mlp.parameters[name]
        parameter.copy_(torch.lerp(parameter, parameter - mlp.grads["dJd" + name], learning_rate))
    return result[0]


# %% nbgrader={"grade_id": "value-code", "solution": true}
import heapq
import itertools


class Value:
    """Values are numbered as they are made, so a result always has a higher number than its parents."""

    number = itertools.count()

    def __init__(self, data, parents=(), op="", pull=None):
        self.data, self.grad, self.parents, self.op, self.pull = float(data), 0.0, list(parents), op, pull
        self.index = next(Value.number)

    def __lt__(self, other):
        return self.index > other.index  # a heap gives the latest first

    def _unary(self, name, data, slope):
        return Value(data, [self], name, lambda upstream: [slope * upstream])

    def __add__(self, other):
        if not isinstance(other, Value):
            return self._unary(f"+ {other}", self.data + other, 1)
        return Value(self.data + other.data, [self, other], "sum", lambda upstream: [upstream, upstream])

    def __mul__(self, other):
        if not isinstance(other, Value):
            return self._unary(f"* {other}", self.data * other, other)
        pull = lambda upstream: [upstream * other.data, upstream * self.data]  # noqa: E731
        return Value(self.data * other.data, [self, other], "product", pull)

    def __pow__(self, n):
        return self._unary("power", self.data**n, n * self.data ** (n - 1))

    def exp(self):
        return self._unary("exp", math.e**self.data, math.e**self.data)

    def log(self):
        return self._unary("log", math.log(self.data), self.data**-1)

    def relu(self):
        return self._unary("relu", (self.data + abs(self.data)) / 2, int(self.data >= 0))

    def backward(self):
        upstream, heap = {self.index: 1.0}, [self]
        while heap:
            value = heapq.heappop(heap)
            arrived = upstream.pop(value.index)
            value.grad += arrived
            for parent, part in zip(value.parents, value.pull(arrived) if value.pull else (), strict=True):
                if parent.index not in upstream:
                    heapq.heappush(heap, parent)
                upstream[parent.index] = upstream.get(parent.index, 0.0) + part

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return -1 * self

    def __sub__(self, other):
        return self + -1 * other

    def __rsub__(self, other):
        return other + -self

    def __truediv__(self, other):
        return self * (1 / other)

    def __rtruediv__(self, other):
        return other * self**-1
